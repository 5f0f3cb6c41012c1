"""Checks and zero-cell corrections that all measures from counts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.errors import EffectSizeError, UnknownChoice

Floats = NDArray[np.float64]

TO = ("only0", "all", "if0all", "none")


@dataclass(frozen=True, slots=True)
class ZeroCells:
    """How zero cells are treated.

    Attributes
    ----------
    add : float or None
        Added to every cell of a corrected row; None is the measure's own default.
    to : {"only0", "all", "if0all", "none"}
        Rows with a zero; all rows; all rows if any has a zero; no row.
    drop00 : bool
        Mark rows without events (or without non-events) in both arms as not estimable instead.
    """

    add: float | None = None
    to: str = "only0"
    drop00: bool = False

    def __post_init__(self) -> None:
        if self.to not in TO:
            raise UnknownChoice("rule for zero cells", self.to, TO)
        if self.add is not None and not 0 <= self.add < np.inf:
            raise EffectSizeError(f"add is {self.add}; it must be 0 or a positive number.")


def corrected(cells: Mapping[str, Floats], zero: Floats, options: ZeroCells, default: float) -> dict[str, Floats]:
    """Add the correction to every cell of the rows chosen by `options`; `zero` marks rows with a zero cell."""
    amount = default if options.add is None else options.add
    rows = {
        "only0": zero,
        "all": np.ones_like(zero, dtype=bool),
        "if0all": np.full(zero.shape, bool(zero.any())),
        "none": np.zeros_like(zero, dtype=bool),
    }[options.to]
    return {name: values + amount * rows for name, values in cells.items()}


def added(inputs: Mapping[str, Floats], ready: Mapping[str, Floats]) -> Floats:
    """What was added to the counts of each study, shape (k,): 0 where nothing was, and where there are no counts.

    `inputs` are the columns of a measure as given, `ready` the same as its formulas use them.
    """
    given = [name for name in ("events1", "a", "events") if name in inputs]
    cell = next((name for name in ("a", *given) if name in ready), None)
    if not given or cell is None:
        return np.zeros(len(next(iter(inputs.values()))))
    return np.nan_to_num(ready[cell] - inputs[given[0]])


def marked(cells: dict[str, Floats], rows: NDArray[np.bool_]) -> dict[str, Floats]:
    """Turn all cells of the given rows into NaN, so that their effect is NaN."""
    return {name: np.where(rows, np.nan, values) for name, values in cells.items()}


def require(columns: Mapping[str, Floats], name: str, ok: NDArray[np.bool_], rule: str) -> None:
    """Raise with the row, the column and the value if an entry (NaN aside) breaks a rule; see `Problem`."""
    wrong = ~ok & ~np.isnan(columns[name])
    if wrong.any():
        raise Problem(int(np.flatnonzero(wrong)[0]), name, float(columns[name][wrong][0]), rule)


class Problem(Exception):
    """An impossible entry, before the study's label is known; `effect_sizes` turns it into an EffectSizeError."""

    def __init__(self, row: int, column: str, value: float, rule: str) -> None:
        super().__init__(rule)
        self.row, self.column, self.value, self.rule = row, column, value, rule

    def told(self, label: str, place: str, value: float | None = None) -> str:
        """Word it, with the study, its column in the user's table and, if another one, the value printed there."""
        shown = self.value if value is None else value
        return f"{label}: column {place!r} is {shown:g}, but it {self.rule}; correct the entry."


def check_events(columns: Mapping[str, Floats], events: str, total: str) -> None:
    """Events are 0 or more and at most the total; the total is above 0."""
    with np.errstate(invalid="ignore"):
        require(
            columns, total, (columns[total] > 0) & np.isfinite(columns[total]), "must be a number of patients above 0"
        )
        require(columns, events, columns[events] >= 0, "must be 0 or more")
        over = columns[events] > columns[total]
    if over.any():
        row = int(np.flatnonzero(over)[0])
        raise Problem(
            row, events, float(columns[events][row]), f"must be at most {total}, which is {columns[total][row]:g}"
        )


def check_positive(columns: Mapping[str, Floats], *names: str, rule: str = "must be above 0") -> None:
    """Entries are above 0 and finite."""
    for name in names:
        with np.errstate(invalid="ignore"):
            require(columns, name, (columns[name] > 0) & np.isfinite(columns[name]), rule)


def check_not_negative(columns: Mapping[str, Floats], *names: str) -> None:
    """Entries are 0 or more and finite."""
    for name in names:
        with np.errstate(invalid="ignore"):
            require(columns, name, (columns[name] >= 0) & np.isfinite(columns[name]), "must be 0 or more")


def check_finite(columns: Mapping[str, Floats], *names: str) -> None:
    """Entries are finite."""
    for name in names:
        require(columns, name, np.isfinite(columns[name]), "must be finite")
