"""What checks see: printed figures as arrays, each with the cell that it stands in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.definition import Measure

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Whole = NDArray[np.int64]


_END = re.compile(r"\d*(?:[.·](\d*))?(?:[eE]([+-]?\d+))?\s*$")
MOST_DECIMALS = 400
"""No number tells the digits after these from 0."""


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """The figures of one quantity, and where each stands; all arrays of shape (m,).

    Attributes
    ----------
    value : ndarray of float
        NaN where there is none.
    printed : ndarray of str
        The digits as printed; empty where there are none.
    row : ndarray of int
        Row of the file, as a spreadsheet counts it.
    column : ndarray of str
        Column of the file.
    """

    value: Floats
    printed: Texts
    row: Whole
    column: Texts

    def at(self, entries: Whole) -> Cells:
        """Return the cells of some entries."""
        return Cells(self.value[entries], self.printed[entries], self.row[entries], self.column[entries])

    @property
    def decimals(self) -> Whole:
        """How many digits follow the decimal point of each printed figure, shape (m,)."""
        codes, texts = pd.factorize(self.printed)  # figures repeat, and reading text is slow
        return np.array([_decimals(str(text)) for text in texts], dtype=np.int64)[codes]

    @property
    def half_unit(self) -> Floats:
        """Half a unit of the last printed digit: the most by which rounding can have moved each figure."""
        return np.asarray(0.5 * 10.0 ** -self.decimals.astype(float))


def _decimals(text: str) -> int:
    after, exponent = _END.search(text).groups(default="")  # type: ignore[union-attr]  # it matches every end
    return int(min(max(len(after) - float(exponent or 0), 0), MOST_DECIMALS))


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """Entries of one kind (arms, or comparisons) as a struct of arrays.

    Attributes
    ----------
    file : str
        What messages call the file.
    labels : DataFrame, m rows
        ``study`` and, where they are known, ``arm role outcome timepoint population unit unit_kind cohort design``.
    cells : mapping of str to Cells
        By quantity: for arms ``n mean sd se mean_lower mean_upper median q1 q3 min max events percent time``; for
        comparisons the columns of a wide table, ``mean1 … n2``, ``estimate se ci_lower ci_upper p t`` and so on.
    measure : Measure or None
        Effect measure of the comparisons, if one was asked for.
    computed : mapping of str to ndarray
        Comparisons only: ``yi`` and ``vi`` recomputed from raw figures, NaN where impossible; shape (m,).
    options : mapping of str to object
        What the caller knows about the data, e.g. ``scale_items``.
    """

    file: str
    labels: pd.DataFrame
    cells: Mapping[str, Cells]
    measure: Measure | None = None
    computed: Mapping[str, Floats] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, quantity: str) -> bool:
        return quantity in self.cells

    def __getitem__(self, quantity: str) -> Floats:
        """Values of a quantity, shape (m,); all NaN where the file has no such column."""
        return self.cells[quantity].value if quantity in self.cells else np.full(len(self), np.nan)

    def place(self, at: int, quantity: str) -> tuple[int | None, str]:
        """Row and column of one figure; without a quantity, the row of the first figure of that entry."""
        if quantity:
            cells = self.cells[quantity]
            return int(cells.row[at]), str(cells.column[at])
        rows = [int(cells.row[at]) for cells in self.cells.values() if cells.printed[at] != ""]
        rows = rows or [int(cells.row[at]) for cells in self.cells.values() if cells.row[at] > 0]
        return (min(rows), "") if rows else (None, "")

    def beside(self, at: int, quantity: str, other: str) -> str:
        """Say where another figure of the same entry stands: "column 'n1'", or "row 12" where each has its row."""
        row, column = self.place(at, other)
        return f"column {column!r}" if row == self.place(at, quantity)[0] else f"row {row}"

    def text(self, at: int, quantity: str) -> str:
        """A figure as printed."""
        return str(self.cells[quantity].printed[at])
