"""What a printed figure can stand for: every value that rounds, or is cut off, to its digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.checks.view import Cells, Floats

SLACK = 1e-9
"""Relative slack of comparisons, so that a figure with all the digits of a computer agrees with itself."""

_P = r"^\s*(?P<sign>[<>≤≥=]=?)?\s*(?P<whole>\d*)(?:[.·](?P<after>\d*))?(?:[eE](?P<exponent>[+-]?\d+))?\s*$"


@dataclass(frozen=True, slots=True)
class Range:
    """Intervals of values, elementwise.

    Attributes
    ----------
    low, high : ndarray, shape (m,)
        Ends, both included; NaN where nothing is known.
    """

    low: Floats
    high: Floats

    @property
    def known(self) -> np.ndarray:
        """Where there is an interval, shape (m,)."""
        return ~(np.isnan(self.low) | np.isnan(self.high))

    def __sub__(self, other: Range) -> Range:
        return Range(self.low - other.high, self.high - other.low)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __abs__(self) -> Range:
        away = np.maximum(np.maximum(self.low, -self.high), 0.0)
        return Range(away, np.maximum(np.abs(self.low), np.abs(self.high)))

    def at(self, rows: np.ndarray) -> Range:
        """Return the intervals of some entries."""
        return Range(self.low[rows], self.high[rows])

    def where(self, usable: np.ndarray) -> Range:
        """Return the intervals with those that are not usable unknown."""
        return Range(np.where(usable, self.low, np.nan), np.where(usable, self.high, np.nan))

    def over(self, divisor: Floats | float) -> Range:
        """Return the intervals divided by numbers above 0."""
        return Range(self.low / divisor, self.high / divisor)

    def holds(self, value: Floats) -> np.ndarray:
        """Whether a value lies inside, shape (m,)."""
        slack = SLACK * np.maximum(np.abs(self.low), np.abs(self.high))
        return np.asarray((self.low - slack <= value) & (value <= self.high + slack))

    def meets(self, other: Range) -> np.ndarray:
        """Whether two intervals have a value in common, shape (m,)."""
        slack = SLACK * np.maximum(np.abs(self.high), np.abs(other.high))
        return np.asarray((self.low <= other.high + slack) & (other.low <= self.high + slack))

    def gap(self, other: Range) -> Floats:
        """How far two intervals lie apart, 0 where they meet; shape (m,)."""
        return np.maximum(np.maximum(self.low - other.high, other.low - self.high), 0.0)


def printed_range(cells: Cells) -> Range:
    """Every value that rounds (to the nearest) or is cut off (towards 0) to the printed digits.

    A figure that is not printed, because it was worked out, stands for itself.
    """
    half = np.where(cells.printed != "", cells.half_unit, 0.0)
    value, down = cells.value, np.where(cells.value <= 0, 2 * half, half)
    return Range(value - down, value + np.where(value >= 0, 2 * half, half))


@dataclass(frozen=True, slots=True)
class PrintedP:
    """P values as printed.

    Attributes
    ----------
    range : Range
        Values that print so; for a bound such as "<0.05" all that it allows.
    exact : ndarray of bool, shape (m,)
        Whether it is a number and no bound.
    digits : ndarray of int, shape (m,)
        How many digits it tells, zeros in front not counted.
    unit : ndarray, shape (m,)
        One unit of the last digit.
    """

    range: Range
    exact: np.ndarray
    digits: np.ndarray
    unit: Floats


def printed_p(cells: Cells) -> PrintedP:
    """Read P values from their printed text: "0.036", "·0039", "1.2e-05", "<0.001", "≥0.05"."""
    codes, texts = pd.factorize(cells.printed)  # P values repeat, and reading text is slow
    parts = pd.Series(texts, dtype=object).astype(str).str.extract(_P).fillna("")
    digits = parts["whole"] + parts["after"]
    number = pd.to_numeric(digits.where(digits != ""), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    exponent = pd.to_numeric(parts["exponent"].where(parts["exponent"] != "", "0")).to_numpy(dtype=float)
    unit = 10.0 ** (exponent - parts["after"].str.len().to_numpy(dtype=float))
    value, sign = number * unit, parts["sign"].str[:1].to_numpy(dtype=object)
    low = np.select([np.isin(sign, ["<", "≤"]), np.isin(sign, [">", "≥"])], [0.0 * value, value], value - unit / 2)
    high = np.select([np.isin(sign, ["<", "≤"]), np.isin(sign, [">", "≥"])], [value, 0.0 * value + 1], value + unit)
    possible = (value >= 0) & (value <= 1)
    low, high = (np.where(possible, np.clip(end, 0.0, 1.0), np.nan) for end in (low, high))
    exact, told = np.isin(sign, ["", "="]) & possible, digits.str.lstrip("0").str.len().to_numpy(dtype=np.int64)
    return PrintedP(Range(low, high).at(codes), exact[codes], told[codes], np.asarray(unit)[codes])
