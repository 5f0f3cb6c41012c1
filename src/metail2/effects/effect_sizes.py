"""EffectSizes: the one shape in which effects reach a model, checked once, here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metail2.effects.labels import Numbered
from metail2.effects.measures import MEASURES, Measure
from metail2.errors import EffectSizeError
from metail2.wording import some

Floats = NDArray[np.float64]

LARGEST = 1e75
"""Beyond this (or its inverse, for variances) the fourth powers that a fit needs would overflow."""

COPY_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3
"""Whether a copy of a table takes no time before something is written into it."""

NO_NUMBERS = {"b": "truth values", "c": "complex numbers", "M": "dates", "m": "lengths of time"}
"""Kinds of arrays that NumPy would turn into numbers, but nobody means as effects, variances or weights."""

TRAIL_COLUMNS = (
    "study", "step", "quantity", "value", "records", "quotes", "conversion", "formula", "citation", "assumption",
    "basis", "notes",
)  # fmt: skip
"""Columns of an audit trail, one row a step from printed figures to an effect.

`basis` is "printed", "derived" (arithmetic on printed figures) or "assumed"; `notes` are those of the records.
"""


@dataclass(frozen=True, eq=False)
class EffectSizes:
    """Effects with their sampling variances, and where they came from.

    Build it with `EffectSizes.from_arrays`, `effect_sizes` or `harmonise`.

    Attributes
    ----------
    yi, vi : ndarray, shape (k,)
        Effects on the pooled scale and their sampling variances; NaN where one could not be computed.
    measure : str
        Code in `MEASURES`.
    V : ndarray, shape (k, k), or None
        Sampling covariance when effects share patients; None when they are independent.
    inputs : mapping of str to array
        The measure's input columns (counts, means …), each of shape (k,).
    added : ndarray, shape (k,), or None
        What was added to the counts behind each effect (0 where nothing was); None where effects came without counts.
    complete : ndarray of bool, shape (k,)
        Which effects have both a value and a variance.

    Notes
    -----
    Labels, moderators and trail are made when they are asked for: a fit of plain arrays needs none of them. Fits rest
    on effects, so all arrays but the inputs are read-only, and `moderators` and `trail` are copies.
    """

    yi: Floats
    vi: Floats
    measure: str = "GEN"
    V: Floats | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    _labels: tuple[str, ...] | None = None
    _columns: pd.DataFrame | None = None
    _trail: pd.DataFrame | None = None
    added: Floats | None = None
    complete: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        MEASURES[self.measure]
        object.__setattr__(self, "complete", _checked(self))
        for array in (self.yi, self.vi, self.complete, self.V, self.added):
            if array is not None:
                array.flags.writeable = False

    @classmethod
    def from_arrays(
        cls,
        yi: ArrayLike,
        vi: ArrayLike | None = None,
        study: Iterable[object] | None = None,
        moderators: Mapping[str, Any] | pd.DataFrame | None = None,
        *,
        V: ArrayLike | None = None,
        measure: str = "GEN",
    ) -> EffectSizes:
        """Build effects from plain arrays.

        Parameters
        ----------
        yi : array_like, shape (k,)
            Effects on the scale they are to be pooled on (log for ratios).
        vi : array_like, shape (k,), optional
            Sampling variances, above 0; NaN or None marks a missing one.
        study : iterable, optional
            Labels; "study 1" … when left out.
        moderators : mapping or DataFrame, optional
            Columns of length k that a formula may name.
        V : array_like, shape (k, k), optional
            Full sampling covariance instead of `vi`, for effects that share patients.
        measure : str, default "GEN"
            Code in `MEASURES`; decides labels and the display transform.

        Raises
        ------
        EffectSizeError
            If lengths differ, an entry is not a number, or a variance is not above 0 and finite.
        UnknownChoice
            If `measure` is not registered.
        """
        effects = _vector(yi, "yi")
        labels = _checked_labels(study, len(effects))
        covariance = None if V is None else _covariance(V, len(effects))
        if vi is not None and covariance is not None:
            raise EffectSizeError("Give vi or V, not both: the variances are the diagonal of V.")
        if vi is None and covariance is None:
            raise EffectSizeError("Sampling variances are missing: give vi (one variance an effect) or V.")
        variances = np.diagonal(covariance).copy() if covariance is not None else _vector(vi, "vi")
        _same_length(effects, variances, "vi")
        table = None if moderators is None else _table(moderators, len(effects))
        return cls(effects, variances, measure, covariance, {}, labels, table)

    def __len__(self) -> int:
        return len(self.yi)

    @property
    def definition(self) -> Measure:
        """The registry entry of the measure."""
        return MEASURES[self.measure]

    @cached_property
    def study(self) -> tuple[str, ...]:
        """Labels, in the order given; "study 1" … where none were given."""
        return tuple(Numbered(len(self))) if self._labels is None else self._labels

    @property
    def moderators(self) -> pd.DataFrame:
        """A copy of every column a formula may name, shape (k, columns); `assign` adds columns."""
        return pd.DataFrame(index=range(len(self))) if self._columns is None else _copied(self._columns)

    @property
    def frame(self) -> pd.DataFrame:
        """The study labels and the measure's input columns, shape (k, columns)."""
        return pd.DataFrame({"study": list(self.study), **self.inputs})

    @property
    def trail(self) -> pd.DataFrame:
        """The audit trail: which printed figures, conversions and assumptions each effect rests on."""
        return pd.DataFrame(columns=list(TRAIL_COLUMNS)) if self._trail is None else _copied(self._trail)

    @cached_property
    def _numbers(self) -> dict[str, Floats | None]:
        return {}

    def numbers(self, name: str) -> Floats | None:
        """Return a moderator as numbers, shape (k,), read-only; None unless it is one column of plain numbers."""
        if name not in self._numbers:
            self._numbers[name] = None if self._columns is None else _plain_numbers(self._columns, name)
        return self._numbers[name]

    @property
    def repeated(self) -> list[str]:
        """Labels that stand more than once, each named once."""
        return [] if self._labels is None else _repeated(self._labels)

    def subset(self, mask: ArrayLike) -> EffectSizes:
        """Keep the effects where `mask` (booleans, shape (k,)) is true, in their order."""
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != (len(self),):
            raise EffectSizeError(f"subset needs one True or False for each of the {len(self)} effects.")
        kept = np.flatnonzero(chosen)
        names = self.study
        labels = tuple(names[i] for i in kept)
        return replace(
            self,
            yi=self.yi[kept],
            vi=self.vi[kept],
            _labels=labels,
            V=None if self.V is None else self.V[np.ix_(kept, kept)],
            inputs={name: np.asarray(values)[kept] for name, values in self.inputs.items()},
            _columns=None if self._columns is None else self._columns.iloc[kept].reset_index(drop=True),
            _trail=None
            if self._trail is None
            else self._trail[self._trail["study"].isin(labels)].reset_index(drop=True),
            added=None if self.added is None else self.added[kept],
        )

    def drop(self, i: int) -> EffectSizes:
        """Leave out the effect at position `i` (0 is the first)."""
        if not -len(self) <= i < len(self):
            raise EffectSizeError(f"There is no effect at position {i}: there are {len(self)}.")
        mask = np.ones(len(self), dtype=bool)
        mask[i] = False
        return self.subset(mask)

    def assign(self, **columns: Any) -> EffectSizes:
        """Add columns (each of length k, or one value) to `moderators`, e.g. ``group=`` for headings on a plot."""
        return replace(self, _columns=self.moderators.assign(**columns))

    def reversed(self) -> EffectSizes:
        """Change the sign of every effect, so that what was a decrease reads as an increase; the trail says so."""
        steps = pd.DataFrame(
            {"study": list(self.study), "quantity": "yi", "value": -self.yi, "conversion": "sign changed"},
        ).assign(step=self.trail["step"].max() + 1 if len(self.trail) else 1, basis="derived")
        trail = pd.concat([self.trail, steps], ignore_index=True)[list(TRAIL_COLUMNS)].fillna("")
        order = trail["study"].map({label: place for place, label in enumerate(self.study)})
        trail = trail.assign(order=order).sort_values(["order", "step"], kind="stable", ignore_index=True)
        return replace(self, yi=-self.yi, _trail=trail.drop(columns="order"))

    @staticmethod
    def concat(parts: Sequence[EffectSizes]) -> EffectSizes:
        """Join effects of one measure, in the order given; covariances stay within their part.

        Raises
        ------
        EffectSizeError
            If there is nothing to join, the measures differ, or a study appears in two parts.
        """
        if not parts:
            raise EffectSizeError("There are no effects to join.")
        measures = sorted({part.measure for part in parts})
        if len(measures) > 1:
            raise EffectSizeError(f"Effects of different measures cannot be joined: {', '.join(measures)}.")
        labels = tuple(label for part in parts for label in part.study)
        if repeated := _repeated(labels):
            raise EffectSizeError(f"{some(repeated)} would be entered twice; keep one of its effects.")
        names = list(dict.fromkeys(name for part in parts for name in part.inputs))
        return EffectSizes(
            np.concatenate([part.yi for part in parts]),
            np.concatenate([part.vi for part in parts]),
            measures[0],
            _joined_covariance(parts),
            {name: np.concatenate([_input(part, name) for part in parts]) for name in names},
            labels,
            pd.concat([part.moderators for part in parts], ignore_index=True),
            pd.concat([part.trail for part in parts], ignore_index=True),
            _joined_additions(parts),
        )


def _copied(table: pd.DataFrame) -> pd.DataFrame:
    return table.copy(deep=not COPY_ON_WRITE)


def _plain_numbers(table: pd.DataFrame, name: str) -> Floats | None:
    column = table[name] if name in table.columns else None
    if not isinstance(column, pd.Series):  # a name that stands twice gives a table
        return None
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "iuf":
        return None
    numbers = np.array(column, dtype=float)
    numbers.flags.writeable = False
    return numbers


def _input(part: EffectSizes, name: str) -> NDArray[Any]:
    return np.asarray(part.inputs[name]) if name in part.inputs else np.full(len(part), np.nan)


def _joined_additions(parts: Sequence[EffectSizes]) -> Floats | None:
    if all(part.added is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(part)) if part.added is None else part.added for part in parts])


def _joined_covariance(parts: Sequence[EffectSizes]) -> Floats | None:
    if all(part.V is None for part in parts):
        return None
    joined = np.zeros((sum(map(len, parts)),) * 2)
    start = 0
    for part in parts:
        block = slice(start, start + len(part))
        joined[block, block] = np.diag(part.vi) if part.V is None else part.V
        start += len(part)
    return joined


def _repeated(labels: Sequence[str]) -> list[str]:
    if len(set(labels)) == len(labels):
        return []
    return [label for label, count in Counter(labels).items() if count > 1]


def _vector(values: Any, name: str) -> Floats:
    kind = getattr(getattr(values, "dtype", None), "kind", None)
    if kind in NO_NUMBERS:
        raise EffectSizeError(f"{name} holds {NO_NUMBERS[kind]}, which are no numbers; give the column that was meant.")
    try:
        array = np.array(values, dtype=float)  # a copy: a result must not change with the caller's array
    except (TypeError, ValueError):
        bad = next((v for v in np.ravel(np.asarray(values, dtype=object)) if not _is_number(v)), values)
        raise EffectSizeError(f"{name} must hold numbers, but {bad!r} is not one.") from None
    if array.ndim != 1:
        raise EffectSizeError(f"{name} must be one-dimensional, but its shape is {array.shape}.")
    return array


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value is None
    return True


def _same_length(effects: Floats, other: Floats, name: str) -> None:
    if len(effects) != len(other):
        raise EffectSizeError(f"yi has {len(effects)} entries but {name} has {len(other)}; give one for each study.")


def _checked_labels(study: Iterable[object] | None, k: int) -> tuple[str, ...] | None:
    if study is None:
        return None
    labels = tuple(str(label) for label in study)
    if len(labels) != k:
        raise EffectSizeError(f"yi has {k} entries but study has {len(labels)} labels; give one for each study.")
    return labels


def _covariance(V: ArrayLike, k: int) -> Floats:
    try:
        matrix = np.array(V, dtype=float)
    except (TypeError, ValueError):
        raise EffectSizeError("V must hold numbers only: the covariances of the effects.") from None
    if matrix.shape != (k, k):
        raise EffectSizeError(f"V must have shape ({k}, {k}), one row and column an effect, but it is {matrix.shape}.")
    if not np.isfinite(matrix[~np.eye(k, dtype=bool)]).all():
        raise EffectSizeError("V has a covariance that is missing or infinite; give one number for every pair.")
    if not np.allclose(matrix, matrix.T, rtol=1e-10, atol=0, equal_nan=True):
        raise EffectSizeError("V must be symmetric: the covariance of two effects is one number.")
    return matrix


def _table(moderators: Mapping[str, Any] | pd.DataFrame, k: int) -> pd.DataFrame:
    try:
        table = pd.DataFrame(moderators).reset_index(drop=True)
    except ValueError as error:
        raise EffectSizeError(f"Moderators must be columns of one length: {error}.") from None
    if len(table) != k:
        raise EffectSizeError(f"yi has {k} entries but the moderators have {len(table)} rows; give one for each study.")
    return table


def _checked(effects: EffectSizes) -> NDArray[np.bool_]:
    """Refuse an effect that is infinite and a variance that is not above 0 and finite; return which are complete."""
    yi, vi = effects.yi, effects.vi
    complete = (np.maximum(np.abs(yi), vi) <= LARGEST) & (vi >= 1 / LARGEST)
    if np.count_nonzero(complete) == len(complete):
        return complete
    if np.isinf(yi).any():
        i = int(np.flatnonzero(np.isinf(yi))[0])
        raise EffectSizeError(f"{effects.study[i]}: yi is {yi[i]}; an effect must be finite (NaN marks a missing one).")
    wrong = (vi <= 0) | np.isinf(vi)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise EffectSizeError(
            f"{effects.study[i]}: vi is {vi[i]:g}; a sampling variance must be above 0 and finite "
            "(NaN marks a missing one)."
        )
    extreme = (np.abs(yi) > LARGEST) | (vi > LARGEST) | (vi < 1 / LARGEST)
    if extreme.any():
        i = int(np.flatnonzero(extreme)[0])
        raise EffectSizeError(
            f"{effects.study[i]}: yi is {yi[i]:g} and vi is {vi[i]:g}, too far from 1 to be computed with; give the "
            "effects in another unit."
        )
    return complete
