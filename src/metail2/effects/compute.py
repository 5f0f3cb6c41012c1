"""effect_sizes(): from a table of counts, means or estimates to effects on the pooled scale."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.counts import Problem, ZeroCells
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES, Measure
from metail2.errors import EffectSizeError, MetailWarning, UnknownChoice
from metail2.wording import listed, some

Floats = NDArray[np.float64]


def effect_sizes(
    frame: pd.DataFrame,
    measure: str,
    study: str | None = None,
    *,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str | None = None,
    **columns: str,
) -> EffectSizes:
    """Compute one effect size a row.

    Parameters
    ----------
    frame : DataFrame, k rows
        One study a row.
    measure : str
        Code in `MEASURES`, e.g. ``"RR"``; ``metail2 measures`` lists them with their columns.
    study : str, optional
        Column of study labels; by default a column called ``study``, else "study 1" …
    add : float, optional
        Added to the cells of a table with a zero; None is the measure's own default (0.5 for most).
    to : {"only0", "all", "if0all", "none"}
        Which tables are corrected.
    drop00 : bool
        Mark tables without events (or without non-events) in both arms as not estimable.
    vtype : str, optional
        Which of the measure's variances; the first of its registry entry by default.
    **columns : str
        ``events1="tpos"``: where to find a column of the measure under another name.

    Returns
    -------
    EffectSizes
        As many effects as rows, in their order. What cannot be computed is NaN, with a warning that names the study.

    Raises
    ------
    EffectSizeError
        If a column is missing, holds text, or an entry is impossible (events above n, a negative SD …): the message
        names the study, the column and the value.
    UnknownChoice
        If the measure, `to` or `vtype` is not among the choices.
    """
    chosen = MEASURES[measure]
    if vtype is not None and vtype not in chosen.vtypes:
        raise UnknownChoice(f"variance of {measure}", vtype, chosen.vtypes)
    if len(frame) == 0:
        raise EffectSizeError("The table has no rows, so there is nothing to compute.")
    labels = _labels(frame, study)
    names = _column_names(frame, chosen, columns)
    inputs = {name: _numbers(frame[source], source, labels) for name, source in names.items()}
    yi, vi = computed(chosen, inputs, ZeroCells(add, to, drop00), vtype, labels, names)
    _warn_missing(vi, labels, chosen)
    return EffectSizes(yi, vi, measure, None, inputs, labels, frame.reset_index(drop=True))


def _labels(frame: pd.DataFrame, study: str | None) -> tuple[str, ...]:
    if study is None:
        if "study" not in frame.columns:
            return tuple(f"study {i}" for i in range(1, len(frame) + 1))
        study = "study"
    if study not in frame.columns:
        raise EffectSizeError(f"There is no column {study!r} for the study labels; the table has {_found(frame)}.")
    return tuple(frame[study].astype(str))


def _found(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame.columns)) or "no columns"


def _column_names(frame: pd.DataFrame, chosen: Measure, given: Mapping[str, str]) -> dict[str, str]:
    """The first of the family's column sets that is there whole, as {metail2 name: column in the frame}."""
    known = list(dict.fromkeys(name for names in chosen.family.columns for name in names))
    for name, source in given.items():
        if name not in known:
            raise UnknownChoice(f"column of {chosen.code}", name, known)
        if source not in frame.columns:
            raise EffectSizeError(f"There is no column {source!r} (given as {name}); the table has {_found(frame)}.")
    for names in chosen.family.columns:
        places = {name: given.get(name, name) for name in names}
        if all(place in frame.columns for place in places.values()):
            return places
    missing = [name for name in chosen.family.columns[0] if given.get(name, name) not in frame.columns]
    ways = " or ".join(" ".join(names) for names in chosen.family.columns)
    raise EffectSizeError(
        f"{chosen.code} needs the columns {ways}; {listed(missing)} {'is' if len(missing) == 1 else 'are'} missing. "
        f'The table has {_found(frame)}; name a column as {missing[0]}="its name".'
    )


def _numbers(column: pd.Series, name: str, labels: tuple[str, ...]) -> Floats:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    text = np.isnan(numbers) & column.notna().to_numpy()
    if text.any():
        row = int(np.flatnonzero(text)[0])
        raise EffectSizeError(
            f"{labels[row]}: column {name!r} holds {column.iloc[row]!r}, which is not a number; "
            "correct it or leave it empty."
        )
    return np.asarray(numbers)


def computed(
    chosen: Measure,
    inputs: Mapping[str, Floats],
    options: ZeroCells,
    vtype: str | None,
    labels: tuple[str, ...],
    names: Mapping[str, str] | None = None,
) -> tuple[Floats, Floats]:
    """Check the columns, correct zero cells and compute; an effect without a usable variance keeps its value.

    Parameters
    ----------
    chosen : Measure
        What to compute.
    inputs : mapping of str to ndarray
        Its columns, each of shape (k,).
    options : ZeroCells
        Treatment of zero cells.
    vtype : str or None
        Which variance; None for the measure's first.
    labels : tuple of str
        Studies, for messages.
    names : mapping of str to str, optional
        What the columns are called in the user's table, for messages.
    """
    try:
        ready = chosen.family.prepare(inputs, chosen, options)
    except Problem as problem:
        place = (names or {}).get(problem.column, problem.column)
        raise EffectSizeError(
            f"{labels[problem.row]}: column {place!r} is {problem.value:g}, but it {problem.rule}; correct the entry."
        ) from None
    with np.errstate(all="ignore"):
        yi, vi = chosen.compute(**ready, vtype=vtype or chosen.vtypes[0])
        known = np.isfinite(yi)
        usable = known & np.isfinite(vi) & (vi > 0)
    return np.where(known, yi, np.nan), np.where(usable, vi, np.nan)


def _warn_missing(vi: Floats, labels: tuple[str, ...], chosen: Measure) -> None:
    lost = [labels[i] for i in np.flatnonzero(np.isnan(vi))]
    if lost:
        warnings.warn(
            f"The {chosen.name} of {some(lost)} cannot be computed with its variance from the figures given (an entry "
            "is missing, a zero cell is left uncorrected, or the variance is 0); it stays in the table as NaN.",
            MetailWarning,
            stacklevel=3,
        )
