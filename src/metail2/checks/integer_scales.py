"""Means, SDs and percentages that no whole numbers can give: GRIM, GRIMMER and its like for percentages.

A mean of n whole numbers is a whole total divided by n, and its sum of squares is whole too. If no total, or no sum of
squares, prints as the article does, then the mean, the SD, n or the scale is not what it is said to be. All arithmetic
is on whole numbers, so that nothing is accused because of a computer's rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from metail2.checks.definition import Hit, describe, of_arms
from metail2.checks.view import Floats, View, Whole
from metail2.wording import MINUS

Truths = NDArray[np.bool_]

MOST_DECIMALS = 8
"""With more decimals a figure was computed, not printed."""
LARGEST = 2**60
"""Numbers beyond this would not fit when they are multiplied; such figures are not tested."""
MOST_TOTALS = 10_000
"""After so many totals that fit a mean, an SD that fits none of them is let pass."""

PRINTS = """Every value that is rounded or cut off to the printed digits is tried."""

GRIM = describe(
    "M050", "warning", "a mean that no whole numbers give (GRIM)",
    help=f"""The mean of n patients on a scale of whole numbers is a whole total divided by n (times the items that the
    scale averages). No whole total prints as this mean. {PRINTS} Tested only where a column or the option scale_items
    says so (1 for a whole score or a sum of items); with two decimals and n times the items below 66 it has power. Most
    often n is not the number of patients behind the mean. Harmless where the mean is adjusted, imputed or weighted.
    Source: Brown NJL, Heathers JAJ (2017). Social Psychological and Personality Science 8:363–369.""",
)  # fmt: skip
GRIMMER = describe(
    "M051", "warning", "an SD that no whole numbers give (GRIMMER)",
    help=f"""No n whole numbers with this mean have this SD (with n − 1): their total and their sum of squares are whole
    and both odd or both even, and the squares sum to enough. {PRINTS} Tested where M050 is, and if the mean passes it.
    Most often n is not the number of patients behind the SD, or the SD is a standard error. Harmless where the SD is
    pooled, adjusted or with n. Source: Anaya J (2016). PeerJ Preprints 4:e2400v1; Allard A (2018), analytic
    GRIMMER.""",
)  # fmt: skip
PERCENT = describe(
    "M052", "warning", "a percentage that no number of patients gives",
    help=f"""No whole number of the n patients is this percentage of them. {PRINTS} Most often the percentage is of
    other patients (those observed, those with a baseline), or an estimate at a time (Kaplan–Meier) and not a share.
    Look up the denominator; no count of events can be had as it stands. With power only where n is below two thirds of
    100 times 10 to the number of decimals.""",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Printed:
    """Printed figures as whole numbers of units of their last digit; arrays of shape (m,).

    Attributes
    ----------
    units : ndarray of int
        The digits without the decimal point, without the sign.
    scale : ndarray of int
        10 to the number of decimals.
    known : ndarray of bool
        Whether there is a figure that can be written so; elsewhere `units` is 0 and `scale` 1.
    """

    units: Whole
    scale: Whole
    known: Truths

    @classmethod
    def of(cls, value: Floats, decimals: Whole) -> Printed:
        """Take figures apart; the sign is lost, because totals and their negatives behave alike."""
        with np.errstate(all="ignore"):
            units = np.round(np.abs(value) * 10.0**decimals)
        known = np.isfinite(value) & (decimals <= MOST_DECIMALS) & (units < LARGEST)
        return cls(
            np.where(known, units, 0).astype(np.int64), 10 ** np.where(known, decimals, 0).astype(np.int64), known
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """Whole totals whose mean prints as given.

    Attributes
    ----------
    first, last : ndarray of int, shape (m,)
        All from the first to the last; none where the last lies below the first.
    known : ndarray of bool, shape (m,)
        Whether the figures could be tested.
    """

    first: Whole
    last: Whole
    known: Truths

    @property
    def impossible(self) -> Truths:
        """Where no whole total prints so, shape (m,)."""
        return self.known & (self.last < self.first)


def totals(value: Floats, decimals: Whole, parts: Floats, share: int = 1) -> Totals:
    """Find the whole totals T ≥ 0 for which share·T/parts prints as the size of `value`.

    Parameters
    ----------
    value : ndarray, shape (m,)
        Printed means (share 1) or percentages (share 100).
    decimals : ndarray of int, shape (m,)
        How many decimals are printed.
    parts : ndarray, shape (m,)
        What the total is divided by: n, or n times the items.

    Notes
    -----
    With M the digits and D = share·10^decimals, T·D/parts lies from M − ½ (a half rounded up, or to even) to below
    M + 1 (cut off). For M = 0 the total 0 always fits.
    """
    printed = Printed.of(value, decimals)
    whole = np.isfinite(parts) & (parts >= 1) & (parts == np.round(parts)) & (parts < 2**31)
    n = np.where(whole, parts, 1).astype(np.int64)
    small = (printed.units + 1) * 1.0 * n < LARGEST / 2
    m, d = np.where(small, printed.units, 0), share * printed.scale
    first = np.maximum(-((1 - 2 * m) * n // (2 * d)), 0)
    last = -(-(m + 1) * n // d) - 1
    return Totals(first, last, printed.known & whole & small)


def sd_impossible(sd: Floats, decimals: Whole, n: Floats, items: Floats, means: Totals) -> Truths:
    """Find the SDs that no n whole numbers (averages over `items`) with a total among `means` have.

    Parameters
    ----------
    sd, n, items : ndarray, shape (m,)
        Printed SDs (with n − 1), patients, items of the scale.
    decimals : ndarray of int, shape (m,)
        How many decimals of the SD are printed.
    means : Totals
        Of the means.

    Returns
    -------
    ndarray of bool, shape (m,)
        False where the figures cannot be tested, or the mean itself is impossible.

    Notes
    -----
    Let S be the sums over the items, T = ΣS, and y = S − ⌊T/n⌋, so that Σy = r = T mod n and V = nΣy² − r² is
    n(n − 1)·items²·SD². The printed SD gives the range of V. Which P = Σy² occur:

    - P ≡ r (mod 2), because y² ≡ y, and P ≥ r, because y² ≥ |y|.
    - For n ≥ 5 nothing else is asked. For n = 5 let one y be t with r − t odd. Four whole numbers with the odd sum
      r − t and the odd sum of squares P − t² exist if 4(P − t²) − (r − t)² ≥ 0, which is 3 modulo 8 and hence a sum of
      three odd squares (Gauss; Cauchy's lemma). t = 1 does for r = 0, 2, 4 and t = 0 for r = 1, 3, P ≥ r (P = r = 0 is
      trivial). For larger n further y of 0 or 1 are set apart until five are left with 0 ≤ r ≤ 5.
    - For n = 4, V must be a sum of three squares, i.e. not of the form 4^i(8j + 7); for n = 2 the square of a number
      that is odd if T is; for n = 3 the third number is tried.
    """
    printed = Printed.of(sd, decimals)
    scores = np.where(means.known & np.isfinite(n * items), n * (n - 1) * items**2, np.nan)
    fits = (2.0 * printed.units + 2) ** 2 * scores < LARGEST
    tested = printed.known & fits & (n >= 2) & ~means.impossible & (sd >= 0)
    rows = np.flatnonzero(tested)
    low, high = _range_of_v(printed.units[rows], printed.scale[rows], scores[rows].astype(np.int64))
    people, first, last = n[rows].astype(np.int64), means.first[rows], means.last[rows]
    wrong = np.zeros(len(sd), dtype=bool)
    many = people >= 5
    wrong[rows[many]] = ~_attained(low[many], high[many], people[many], first[many], last[many])
    for i in np.flatnonzero(~many).tolist():
        each = range(int(first[i]), int(last[i]) + 1)
        wrong[rows[i]] = not any(_attained_by_few(int(low[i]), int(high[i]), int(people[i]), total) for total in each)
    return wrong


def _range_of_v(units: Whole, scale: Whole, scores: Whole) -> tuple[Whole, Whole]:
    """Smallest and largest whole V for which the SD lies from half a unit below its digits to one unit above."""
    divisor = 4 * scale**2
    low = -(-(np.maximum(2 * units - 1, 0) ** 2) * scores // divisor)
    return low, -(-((2 * units + 2) ** 2) * scores // divisor) - 1


def _attained(low: Whole, high: Whole, n: Whole, first: Whole, last: Whole) -> Truths:
    """Whether five or more whole numbers have a V in range, for any of the totals; shape (m,)."""
    done = np.zeros(len(n), dtype=bool)
    for step in range(MOST_TOTALS):
        open_ = np.flatnonzero(~done & (first + step <= last))
        if not len(open_):
            return done
        people = n[open_]
        r = (first[open_] + step) % people
        least = np.maximum(-(-(low[open_] + r * r) // people), r)
        done[open_] = least + (least - r) % 2 <= (high[open_] + r * r) // people
    return done | (first + MOST_TOTALS <= last)


def _attained_by_few(low: int, high: int, n: int, total: int) -> bool:
    """Whether two, three or four whole numbers with this total have a V in range."""
    r = total % n
    if n == 2:
        least = isqrt(low - 1) + 1 if low > 0 else 0
        return (least + (least - r) % 2) ** 2 <= high
    start = -(-(low + r * r) // n)
    squares = range(start + (start - r) % 2, (high + r * r) // n + 1, 2)
    return any(_occurs(each, r, n) for each in squares)


def _occurs(squares: int, total: int, n: int) -> bool:
    """Whether three or four whole numbers have this total and this sum of squares, which agree in parity."""
    v = n * squares - total * total
    if v <= 0:
        return v == 0
    if n == 4:
        while v % 4 == 0:
            v //= 4
        return v % 8 != 7
    reach = isqrt(2 * v) // 3 + 1
    return any(_is_pair(squares - x * x, total - x) for x in range(total // 3 - reach, total // 3 + reach + 2))


def _is_pair(squares: int, total: int) -> bool:
    """Whether two whole numbers have this total and this sum of squares."""
    square = 2 * squares - total * total
    return square >= 0 and isqrt(square) ** 2 == square


# ---------------------------------------------------------------- arms


@of_arms
def _whole_scores(view: View) -> Iterator[Hit]:
    """Means, and SDs beside possible means, of scales that are declared to be of whole numbers."""
    items, n = _items(view), view["n"]
    declared = np.flatnonzero((items >= 1) & (items == np.round(items)) & ~np.isnan(view["mean"]))
    if not len(declared):
        return
    items, n = items[declared], n[declared]
    means = totals(view["mean"][declared], _decimals(view, "mean", declared), n * items)
    for i in np.flatnonzero(means.impossible).tolist():
        yield Hit(GRIM, int(declared[i]), "mean", _impossible_mean(view, int(declared[i]), n[i], items[i]))
    if "sd" in view:
        wrong = sd_impossible(view["sd"][declared], _decimals(view, "sd", declared), n, items, means)
        for at in declared[wrong].tolist():
            yield Hit(GRIMMER, at, "sd", (
                f"is {view.text(at, 'sd')}, but no {view.text(at, 'n')} whole numbers with the mean "
                f"{view.text(at, 'mean')} have this SD; look whether n is the number of patients behind it"
            ))  # fmt: skip


def _items(view: View) -> Floats:
    option = view.options.get("scale_items")
    everywhere = float(option) if isinstance(option, int | np.integer) else np.nan
    own = view["scale_items"]
    return np.where(np.isnan(own), everywhere, own)


def _decimals(view: View, quantity: str, rows: Whole) -> Whole:
    return view.cells[quantity].at(rows).decimals


def _impossible_mean(view: View, at: int, n: float, items: float) -> str:
    shown = f"{n:.0f} whole numbers" + (f" over {items:.0f} items" if items > 1 else "")
    near = _neighbours(view, at, "mean", n * items, 1)
    return f"is {view.text(at, 'mean')}, but no {shown} have this mean ({near}); look how many patients are behind it"


def _neighbours(view: View, at: int, quantity: str, parts: float, share: int) -> str:
    """The totals below and above a figure, and what they give, with one decimal more than was printed."""
    value = float(view[quantity][at])
    below = int(np.floor(value * parts / share))
    digits = int(_decimals(view, quantity, np.array([at]))[0]) + 1
    gives = [f"{total} gives {share * total / parts:.{digits}f}" for total in (below, below + 1)]
    return " and ".join(gives).replace("-", MINUS)


@of_arms
def _percentages(view: View) -> Iterator[Hit]:
    """Percentages that no number of the arm's patients gives, where no events are printed beside them."""
    percent, n = view["percent"], view["n"]
    rows = np.flatnonzero((percent >= 0) & (percent <= 100) & ~np.isnan(n) & np.isnan(view["events"]))
    if len(rows):
        found = totals(percent[rows], _decimals(view, "percent", rows), n[rows], 100)
        for at in rows[found.impossible].tolist():
            near = _neighbours(view, at, "percent", float(n[at]), 100)
            yield Hit(PERCENT, at, "percent", (
                f"is {view.text(at, 'percent')}, but no number of {view.text(at, 'n')} patients is this percentage "
                f"({near}); look which patients it is of"
            ))  # fmt: skip
