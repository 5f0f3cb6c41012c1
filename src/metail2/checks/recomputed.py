"""What the printed figures of a comparison give for its P value, by every test that could have been used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from metail2.checks.rounding import Range, printed_p, printed_range
from metail2.checks.view import Floats, View
from metail2.kernels.two_sample_tests import student_se, t_p, table_tests, welch_df, welch_se

Ranges = Mapping[str, Range]


@dataclass(frozen=True, slots=True)
class Tables:
    """Two-by-two tables, one an entry; all arrays of shape (m,).

    Attributes
    ----------
    a, n1, c, n2 : ndarray
        Events and patients of the first and the second arm.
    known : ndarray of bool
        Whether all four are whole numbers that can be a table.
    """

    a: Floats
    n1: Floats
    c: Floats
    n2: Floats
    known: np.ndarray

    def at(self, rows: np.ndarray) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the four counts of some entries."""
        return self.a[rows], self.n1[rows], self.c[rows], self.n2[rows]

    def text(self, at: int) -> str:
        """Write a table as readers see it: "7/13 v 2/12"."""
        return f"{self.a[at]:.0f}/{self.n1[at]:.0f} v {self.c[at]:.0f}/{self.n2[at]:.0f}"


def tables(view: View) -> Tables:
    """Find the two-by-two table of each comparison, from events and patients or, for its measures, from a, b, c, d."""
    a, n1, c, n2 = (view[name] for name in ("events1", "n1", "events2", "n2"))
    if view.measure is not None and view.measure.family.name == "two_by_two":
        a, n1 = _first(a, view["a"]), _first(n1, view["a"] + view["b"])
        c, n2 = _first(c, view["c"]), _first(n2, view["c"] + view["d"])
    whole = np.all([value == np.round(value) for value in (a, n1, c, n2)], axis=0)
    return Tables(a, n1, c, n2, whole & (a >= 0) & (a <= n1) & (c >= 0) & (c <= n2) & (n1 > 0) & (n2 > 0))


def _first(value: Floats, other: Floats) -> Floats:
    return np.where(np.isnan(value), other, value)


def has_means(view: View) -> np.ndarray:
    """Whether both arms (or both times, or a change) print a mean, shape (m,)."""
    pairs = (("mean1", "mean2"), ("mean_post", "mean_pre"), ("mean_change", "mean_change"))
    return np.asarray(np.any([~np.isnan(view[one] + view[other]) for one, other in pairs], axis=0))


def figure(view: View, quantity: str) -> Range:
    """Values that print like a quantity; NaN where it is not printed."""
    if quantity not in view:
        return Range(view[quantity], view[quantity])
    return printed_range(view.cells[quantity])


def spread(view: View, sd: str, se: str, n: Floats) -> Range:
    """Values of an SD that its printed digits, or those of its standard error, allow; never below 0."""
    direct, root = figure(view, sd), np.sqrt(n)
    indirect = figure(view, se)
    low, high = _first(direct.low, indirect.low * root), _first(direct.high, indirect.high * root)
    return Range(np.maximum(low, 0.0), high)


def two_means(view: View) -> Ranges:
    """P values of the t tests of two arms that the printed means, SDs and sizes allow, by the name of the test."""
    n1, n2 = view["n1"], view["n2"]
    sd1, sd2 = spread(view, "sd1", "se1", n1), spread(view, "sd2", "se2", n2)
    usable = (n1 > 1) & (n2 > 1) & (sd1.high > 0) & (sd2.high > 0)
    difference = abs(figure(view, "mean1") - figure(view, "mean2"))
    df = n1 + n2 - 2
    student = Range(student_se(sd1.low, n1, sd2.low, n2), student_se(sd1.high, n1, sd2.high, n2))
    welch = Range(welch_se(sd1.low, n1, sd2.low, n2), welch_se(sd1.high, n1, sd2.high, n2))
    infinite = np.full(len(view), np.inf)
    found = {
        "Student's t": t_range(difference, student, Range(df, df)),
        "Welch's t": t_range(difference, welch, _welch_df(sd1, n1, sd2, n2)),
        "z": t_range(difference, welch, Range(infinite, infinite)),
    }
    return {name: p.where(usable) for name, p in found.items()}


def _welch_df(sd1: Range, n1: Floats, sd2: Range, n2: Floats) -> Range:
    """Range of the degrees of freedom: they rise up to one ratio of the variances and fall beyond it."""
    ends = welch_df(sd1.low, n1, sd2.high, n2), welch_df(sd1.high, n1, sd2.low, n2)
    # the greatest, n1 + n2 − 2, is where the squared standard errors are to each other as n1 − 1 to n2 − 1
    lowest = sd1.low**2 / n1 * (n2 - 1) <= sd2.high**2 / n2 * (n1 - 1)
    highest = sd1.high**2 / n1 * (n2 - 1) >= sd2.low**2 / n2 * (n1 - 1)
    return Range(np.minimum(*ends), np.where(lowest & highest, n1 + n2 - 2, np.maximum(*ends)))


def paired_changes(view: View) -> Range:
    """P values of the paired t test of a printed mean change with its SD or SE."""
    n = view["n"]
    sd = spread(view, "sd_change", "se_change", n)
    return _paired(abs(figure(view, "mean_change")), sd, n)


def before_and_after(view: View) -> Range:
    """P values of the paired t test with any correlation of before and after from −1 to 1.

    The SD of a change lies between the difference and the sum of the two SDs.
    """
    n = view["n"]
    pre, post = spread(view, "sd_pre", "se_pre", n), spread(view, "sd_post", "se_post", n)
    change = abs(figure(view, "mean_post") - figure(view, "mean_pre"))
    return _paired(change, Range(abs(post - pre).low, (post + pre).high), n)


def _paired(change: Range, sd: Range, n: Floats) -> Range:
    return t_range(change, sd.over(np.sqrt(n)), Range(n - 1, n - 1)).where((n > 1) & (sd.high > 0))


def t_range(difference: Range, se: Range, df: Range) -> Range:
    """P values that ranges of a difference (0 or more), its standard error and its degrees of freedom allow."""
    return Range(t_p(difference.high, se.low, df.high), t_p(difference.low, se.high, df.low))


def z_range(p: Range) -> Range:
    """Absolute standard normal deviates with these two-sided P values."""
    return Range(-ndtri(p.high / 2), -ndtri(p.low / 2))


def fits_figures(view: View, rows: np.ndarray) -> np.ndarray:
    """Whether a test of the printed counts or means gives the printed P, shape (rows,)."""
    p, table = printed_p(view.cells["p"]).range.at(rows), tables(view)
    counts = [p.holds(found) for found in table_tests(*table.at(rows)).values()]
    means = [found.at(rows).meets(p) for found in (*two_means(view).values(), paired_changes(view))]
    return np.asarray(np.any(counts, axis=0) & table.known[rows] | np.any(means, axis=0))
