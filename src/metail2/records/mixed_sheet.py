"""A table of mixed statistics as numbers: what is printed, what was had from it, and by which conversion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.counts import Problem
from metail2.effects.labels import Numbered
from metail2.effects.measures import Measure
from metail2.errors import EffectSizeError, RecordError, UnknownChoice
from metail2.records.mixed_columns import known_columns
from metail2.records.study_table import MISSING, check_studies
from metail2.wording import listed

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Texts: TypeAlias = NDArray[np.object_]

_BOUND = re.compile(r"[<>≤≥].*|n\.?s\.?", re.IGNORECASE)
"""A P value that is only bounded: "<0.001", "ns"."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """One conversion, applied to the rows that needed it.

    Attributes
    ----------
    quantity : str
        What it gives, e.g. ``"sd1"``.
    rows : ndarray of int, shape (m,)
        Where in the table.
    values : ndarray, shape (m,)
        What it gave.
    sources : tuple of str
        The figures it used.
    conversion, formula, citation, assumption : str
        For the trail.
    """

    quantity: str
    rows: Rows
    values: Floats
    sources: tuple[str, ...]
    conversion: str
    formula: str = ""
    citation: str = ""
    assumption: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The figures of k studies.

    Attributes
    ----------
    labels : tuple of str
        The studies.
    index : Index
        The rows as the user counts them.
    places : mapping of str to str
        Name of a figure → its column in the user's table.
    printed : mapping of str to ndarray, shape (k,)
        Printed figures by name; NaN where there is none.
    texts : mapping of str to ndarray of object, shape (k,)
        Percentages and P values as printed.
    values : dict of str to ndarray, shape (k,)
        Printed figures, and those that `fill` has added.
    bounded_p : ndarray of bool, shape (k,)
        Where P is only bounded, as "<0.001" or 0.
    derivations : list of Derivation
        How the added ones came about, in order.
    hints : dict of int to str
        Row → why its quartiles or range gave no mean and SD.
    undetermined : dict of int to str
        Row → why its test gave no standard error.
    """

    labels: tuple[str, ...]
    index: pd.Index
    places: Mapping[str, str]
    printed: Mapping[str, Floats]
    texts: Mapping[str, Texts]
    values: dict[str, Floats]
    bounded_p: Mask
    derivations: list[Derivation] = field(default_factory=list)
    hints: dict[int, str] = field(default_factory=dict)
    undetermined: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, name: str) -> Floats:
        """Return a figure of all rows, NaN where it is not known."""
        return self.values[name] if name in self.values else np.full(len(self), np.nan)

    def has(self, *names: str) -> Mask:
        """Mark the rows where all these figures are known."""
        known = np.ones(len(self), dtype=bool)
        for name in names:
            known &= ~np.isnan(self[name])
        return known

    def fill(self, derivation: Derivation) -> None:
        """Add what a conversion gave, where it gave something."""
        gave = ~np.isnan(derivation.values)
        if gave.any():
            values = self[derivation.quantity].copy()
            values[derivation.rows[gave]] = derivation.values[gave]
            self.values[derivation.quantity] = values
            self.derivations.append(derivation)

    def set_aside(self, name: str, rows: Rows) -> None:
        """Take a printed figure out of use in some rows, because a better one is printed."""
        values = self[name].copy()
        values[rows] = np.nan
        self.values[name] = values

    def origin(self, name: str, row: int) -> list[str]:
        """Name the printed figures that a figure of a row comes from, the one it mainly rests on first."""
        if name in self.printed and self.printed[name][row] == self[name][row]:
            return [name]
        for derivation in reversed(self.derivations):
            if derivation.quantity == name and row in derivation.rows:
                found = [printed for source in derivation.sources for printed in self.origin(source, row)]
                return list(dict.fromkeys(found)) or [name]
        return [name]

    def convert(self, convert: Callable[..., Any], rows: Rows, names: Sequence[str], *more: Floats) -> Any:
        """Apply a conversion to the named figures of some rows; impossible ones are refused with study and columns.

        Further arrays, an entry for each of `rows`, are handed on after the figures.
        """
        figures = [*(self[name][rows] for name in names), *more]
        try:
            return convert(*figures)
        except EffectSizeError:
            row, why = _culprit(convert, rows, figures)
        shown = [name for name in names if not np.isnan(self[name][row])]
        raise RecordError(f"{self.where(row, *shown)}: {why[:1].lower()}{why[1:].rstrip('.')}; correct the table.")

    def where(self, row: int, *names: str) -> str:
        """Name a study and the columns in question."""
        printed = dict.fromkeys(origin for name in names for origin in self.origin(name, row))
        columns = [repr(self.places.get(name, name)) for name in printed]
        return f"{self.labels[row]}, {'column' if len(columns) == 1 else 'columns'} {listed(columns)}"

    def refuse(self, wrong: Mask, name: str, rule: str) -> None:
        """Raise for the first row marked, with its figure and what it must be."""
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            problem = Problem(row, name, float(self[name][row]), rule)
            raise RecordError(self.told(problem, row))

    def told(self, problem: Problem, row: int) -> str:
        """Word a problem of a row with the figure that the user's table holds."""
        printed = self.origin(problem.column, row)[0]
        return problem.told(self.labels[row], self.places.get(printed, printed), float(self[printed][row]))


def _culprit(convert: Callable[..., Any], rows: Rows, figures: Sequence[Floats]) -> tuple[int, str]:
    """Find, by halving, the first row that a conversion refuses, and why."""
    first, last = 0, len(rows)
    while last - first > 1:
        middle = (first + last) // 2
        if _refusal(convert, [values[first:middle] for values in figures]):
            last = middle
        else:
            first = middle
    return int(rows[first]), _refusal(convert, [values[first] for values in figures])


def _refusal(convert: Callable[..., Any], figures: Sequence[Any]) -> str:
    """Return the message with which a conversion refuses its figures, empty if it does not."""
    try:
        convert(*figures)
    except EffectSizeError as error:
        return str(error)
    return ""


def read_sheet(table: pd.DataFrame, chosen: Measure, study: str | None, columns: Mapping[str, str]) -> Sheet:
    """Read what a table prints for a measure.

    Parameters
    ----------
    table : DataFrame, k rows
        One study a row.
    chosen : Measure
        It decides which columns are understood; see `known_columns`.
    study : str or None
        Column of labels; None for ``study``, or "study 1" … where there is no such column.
    columns : mapping of str to str
        Name of a figure → its column, where that has another name.

    Raises
    ------
    RecordError
        If the table is empty, has nothing for the measure, two rows of one study, or a cell that is no number.
    UnknownChoice
        If `columns` names a figure that is not understood.
    """
    _check_table(table)
    if table.index.isin([0]).any():  # not counted as a reader does, as the index that pandas gives
        table = table.set_axis(pd.RangeIndex(1, len(table) + 1))
    labels = _labels(table, study)
    places = _places(table, chosen, columns)
    texts: dict[str, Texts] = {}
    printed: dict[str, Floats] = {}
    bounded = np.zeros(len(table), dtype=bool)
    for name, place in places.items():
        column = table[place]
        if name.startswith("percent"):
            texts[name] = _percents(column)
            column = pd.Series(texts[name], index=table.index)
        elif name == "p":
            texts[name] = column.to_numpy(dtype=object)
        printed[name] = _numbers(column, place, labels, allow_bound=name == "p")
    if "p" in places:
        # a P printed as 0.000 is below the last digit that was printed, and as little a number as "<0.001"
        printed["p"] = np.where(printed["p"] == 0, np.nan, printed["p"])
        bounded = np.isnan(printed["p"]) & _stripped(table[places["p"]]).notna().to_numpy()
    return Sheet(labels, table.index, places, printed, texts, dict(printed), bounded)


def _check_table(table: pd.DataFrame) -> None:
    if len(table) == 0:
        raise RecordError("The table has no rows, so there is nothing to compute.")
    if not table.columns.is_unique:
        name = table.columns[table.columns.duplicated()][0]
        raise RecordError(f"The table has two columns {name!r}; rename or remove one.")


def _labels(table: pd.DataFrame, study: str | None) -> tuple[str, ...]:
    if study is None and "study" not in table.columns:
        return tuple(Numbered(len(table)))
    name = study or "study"
    if name not in table.columns:
        raise RecordError(f"There is no column {name!r} for the study labels; the table has {_found(table)}.")
    check_studies(table, name, "The table")
    return tuple(table[name].astype(str))


def _found(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns)) or "no columns"


def _places(table: pd.DataFrame, chosen: Measure, given: Mapping[str, str]) -> dict[str, str]:
    """Find the column of each figure that is understood, as {name: column}."""
    known = known_columns(chosen)
    for name, column in given.items():
        if name not in known:
            raise UnknownChoice(f"column of {chosen.code}", name, known)
        if column not in table.columns:
            raise RecordError(f"There is no column {column!r} (given as {name}); the table has {_found(table)}.")
    places = {name: given.get(name, name) for name in known if given.get(name, name) in table.columns}
    if not places:
        raise RecordError(
            f"The table has no column that {chosen.code} can be had from ({', '.join(known)}); it has {_found(table)}. "
            f'Name one as {known[0]}="its name".'
        )
    return places


def _numbers(column: pd.Series, place: str, labels: tuple[str, ...], *, allow_bound: bool) -> Floats:
    """Read a column as numbers, NaN where a cell is empty or, if allowed, a bound such as "<0.001"."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        text = np.zeros(len(numbers), dtype=bool)
    else:
        cells = _stripped(column)
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
        text = np.isnan(numbers) & cells.notna().to_numpy()
        if allow_bound:
            text[text] = [_BOUND.fullmatch(cell) is None for cell in cells[text]]
    for wrong, what in ((text, "which is not a number"), (np.isinf(numbers), "which is not finite")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            cell = column.iloc[row]
            shown = repr(cell) if isinstance(cell, str) else str(cell)
            raise RecordError(f"{labels[row]}: column {place!r} holds {shown}, {what}; correct it or leave it empty.")
    return np.array(numbers)


def _stripped(column: pd.Series) -> pd.Series:
    """Return the cells as text, NaN where there is no value."""
    cells = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return cells.where(~cells.isin(MISSING))


def _percents(column: pd.Series) -> Texts:
    """Write percentages as printed, without their sign.

    A number shows the decimals it needs; fewer than were printed leave more counts possible, never other ones.
    """
    if pd.api.types.is_numeric_dtype(column):
        cells = [np.nan if pd.isna(value) else repr(float(value)).removesuffix(".0") for value in column]
        return np.array(cells, dtype=object)
    return _stripped(column).str.rstrip("% \u00a0\u202f").to_numpy(dtype=object)
