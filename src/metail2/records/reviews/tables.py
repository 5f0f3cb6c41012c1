"""From a file's cells to the frames of an analysis: numbers, and which of them give an effect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import RecordError
from metail2.records.reading import NOT_A_NUMBER, NUMBER
from metail2.records.reviews.impossible import impossible_reasons
from metail2.records.reviews.precision import Precision
from metail2.records.reviews.review import FIGURES, STORED, TOTALS, Settings
from metail2.records.study_table import MISSING

NAN = float("nan")
NO_VALUE = (*MISSING, "#N/A", "NULL", "null")
"""Cells without a value; "#N/A" is what data packages write into settings that do not apply."""
UNDEFINED = (*NO_VALUE, "Infinity", "-Infinity")
"""Stored results without a value; RevMan 5 writes Java's words for logarithms of 0."""
INTERVAL = ("effect", "ci_lower", "ci_upper")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file: of a study, or of a stored pooled result.

    Attributes
    ----------
    file : str
        Name of the file.
    row : int
        Row of a CSV file, line of an XML file.
    cells : mapping of str to str
        Text of each figure, by metail2's name.
    study, year, subgroup : str
        Labels.
    row2 : int or None
        Row of the second arm, where each arm has its own.
    """

    file: str
    row: int
    cells: Mapping[str, str]
    study: str = ""
    year: str = ""
    subgroup: str = ""
    row2: int | None = None

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return ", ".join(part for part in (self.file, f"row {self.row}", self.study) if part)

    def number(self, name: str, column: str) -> float:
        """Read a figure; a cell without a value is NaN.

        Raises
        ------
        RecordError
            If the cell holds something else.
        """
        text = self.cells.get(name, "").strip()
        if text in (UNDEFINED if name in TOTALS else NO_VALUE):
            return NAN
        if NUMBER.fullmatch(text) is None or math.isinf(float(text)):
            raise RecordError(f"{self.place}: column {column!r} holds {text!r}, but {NOT_A_NUMBER}.")
        return float(text)


def study_table(kind: str, settings: Settings, lines: Sequence[Line], columns: Mapping[str, str]) -> pd.DataFrame:
    """Make `Analysis.table`.

    Parameters
    ----------
    kind : str
        A key of `FIGURES`.
    settings : Settings
        Decide which figures give an effect.
    lines : sequence of Line
        The studies.
    columns : mapping of str to str
        What the file calls the figures.

    Raises
    ------
    RecordError
        The first cell that holds no number; figures that cannot be are kept as they stand.
    """
    names = FIGURES[kind]
    values = [[line.number(name, columns.get(name, name)) for name in (*names, *STORED)] for line in lines]
    numbers = pd.DataFrame(values, columns=[*names, *STORED], dtype=float)
    about = pd.DataFrame(
        [(line.study, line.year, line.subgroup) for line in lines], columns=["study", "year", "subgroup"], dtype=str
    )
    about["year"] = _years(about["year"])
    _blank(numbers)
    table = pd.concat([about, numbers[list(names)]], axis=1)
    table["state"] = _states(numbers, kind, settings)
    table = pd.concat([table, numbers[list(STORED)]], axis=1)
    if any(line.row2 is not None for line in lines):
        table["row2"] = [line.row2 for line in lines]
    table.index = pd.Index([line.row for line in lines], dtype="int64")
    return table


def totals_table(lines: Sequence[Line], columns: Mapping[str, str]) -> pd.DataFrame:
    """Make `Analysis.totals`; see `study_table`."""
    values = [[line.number(name, columns.get(name, name)) for name in TOTALS] for line in lines]
    numbers = pd.DataFrame(values, columns=list(TOTALS), dtype=float)
    _blank(numbers)
    numbers.insert(0, "subgroup", [line.subgroup for line in lines])
    numbers.insert(0, "file", [line.file for line in lines])
    numbers.index = pd.Index([line.row for line in lines], dtype="int64")
    return numbers


def precisions(lines: Iterable[Line]) -> dict[str, Precision]:
    """How precisely a file stores each figure of `TOTALS`; the parts of an interval are taken together."""
    texts: dict[str, list[str]] = {}
    for line in lines:
        for name in TOTALS:
            texts.setdefault("effect" if name in INTERVAL else name, []).append(line.cells.get(name, "").strip())
    return {name: Precision.of(cells) for name, cells in texts.items()}


def _blank(numbers: pd.DataFrame) -> None:
    """Results that are all 0.0 are RevMan's way to write that there are none: no interval has a width of 0."""
    none = (numbers[list(INTERVAL)].fillna(0) == 0).all(axis=1)
    numbers.loc[none, list(INTERVAL)] = np.nan


def _years(cells: pd.Series) -> pd.Series:
    """Years as numbers where they all are; RevMan 5 writes some with a full stop."""
    bare = cells.str.strip().str.rstrip(".")
    filled = bare[bare != ""]
    return pd.to_numeric(bare, errors="coerce") if len(filled) and filled.str.fullmatch(r"\d{4}").all() else cells


def _states(numbers: pd.DataFrame, kind: str, settings: Settings) -> NDArray[np.object_]:
    gives = _gives_effect(numbers, kind, settings)
    weighted = numbers["weight"] > 0
    state = np.where(gives, "used", "not_estimable").astype(object)
    if weighted.any():
        state[(gives & ~weighted).to_numpy()] = "excluded"
    state[impossible_reasons(numbers) != ""] = "impossible"
    return state


def _gives_effect(numbers: pd.DataFrame, kind: str, settings: Settings) -> pd.Series:
    names = list(FIGURES[kind])
    known = numbers[names].notna().all(axis=1)
    if kind == "dichotomous":
        return known & (numbers["n1"] > 0) & (numbers["n2"] > 0) & ~_says_nothing(numbers, settings)
    if kind == "continuous":
        return known & (numbers["n1"] > 0) & (numbers["n2"] > 0) & (numbers[["sd1", "sd2"]].max(axis=1) > 0)
    return known & (numbers[names[-1]] > 0) if names else known


def _says_nothing(numbers: pd.DataFrame, settings: Settings) -> pd.Series:
    """Tables without any event, or any non-event, say nothing about a ratio.

    A risk ratio of 1 can be had where everybody had the event. RevMan's description calls it undefined, but files with
    such results exist, so the stored result decides.
    """
    if settings.measure == "RD":
        return pd.Series(False, index=numbers.index)
    none = (numbers["events1"] == 0) & (numbers["events2"] == 0)
    everybody = (numbers["events1"] == numbers["n1"]) & (numbers["events2"] == numbers["n2"])
    if settings.swap_events:
        none, everybody = everybody, none
    if settings.measure == "RR":
        stored = numbers["effect"].notna()
        everybody &= ~stored if stored.any() else stored
    return none | everybody
