"""Tests of tables of counts: no association in any table, and one odds ratio in all of them.

Shapes: every argument is an array of shape (..., k), studies along the last axis; results have shape (...).
a, b are events and non-events in the experimental arm, c, d in the control arm; x events in t person-time.

A table in which an arm is empty, nobody had the event or everybody had it, has one possible outcome given its margins:
it enters no test and counts in no degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from metail2.kernels.tables import MANTEL_HAENSZEL, observed_minus_expected
from metail2.registry import Registry

Floats = NDArray[np.float64]

CONTINUITY = 0.5
"""Half the step between two possible sums of events (Mantel & Haenszel 1959; Yates 1934)."""


@dataclass(frozen=True, slots=True)
class TableTest:
    """A χ² test.

    Attributes
    ----------
    statistic, df, p_value : ndarray, shape (...)
        Statistic and P value are NaN where the test is undefined: no table enters, or one alone enters a test of
        homogeneity, or the common odds ratio is undefined.
    """

    statistic: Floats
    df: Floats
    p_value: Floats


Compute = Callable[[Floats, Floats, Floats, Floats], TableTest]

TABLE_TESTS: Registry[Compute] = Registry("test of two-by-two tables")
"""``(a, b, c, d) → TableTest``."""
RATE_TESTS: Registry[Compute] = Registry("test of person-time tables")
"""``(x1, t1, x2, t2) → TableTest``; a name that it shares with `TABLE_TESTS` asks the same of rates."""


def _chi2(statistic: Floats, df: Floats) -> TableTest:
    return TableTest(statistic, df, np.asarray(chdtrc(df, statistic)))


def association(o_minus_e: Floats, v: Floats, correction: float = 0.0) -> TableTest:
    """Test that events fall on the arms by chance: (|Σ(O − E)| − correction)²/ΣV, χ² with 1 df.

    Parameters
    ----------
    o_minus_e, v : ndarray, shape (..., k)
        Observed minus expected events in the experimental arm, and the variance.
    correction : float
        Taken off |Σ(O − E)|, but never beyond 0: a correction for continuity must not make a difference of nothing.
    """
    total = v.sum(-1)
    distance = np.maximum(np.abs(o_minus_e.sum(-1)) - correction, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _chi2(np.where(total > 0, distance**2 / total, np.nan), np.ones_like(total))


@TABLE_TESTS.register("cmh")
def cochran_mantel_haenszel(a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    """No association, with the hypergeometric variance (Mantel & Haenszel 1959), not corrected for continuity.

    The square of z of Peto's odds ratio.
    """
    return association(*observed_minus_expected(a, b, c, d))


@TABLE_TESTS.register("cmh_corrected")
def cochran_mantel_haenszel_corrected(a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    """`cochran_mantel_haenszel` as Mantel & Haenszel (1959) give it, corrected for continuity."""
    return association(*observed_minus_expected(a, b, c, d), CONTINUITY)


@TABLE_TESTS.register("cochran")
def cochran(a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    """No association, with the variance of two binomials, n1·n2·p(1 − p)/n (Cochran 1954), not corrected."""
    return association(*_binomial(a, b, c, d))


@TABLE_TESTS.register("cochran_corrected")
def cochran_corrected(a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    """`cochran`, corrected for continuity."""
    return association(*_binomial(a, b, c, d), CONTINUITY)


def _binomial(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    n = a + b + c + d
    return (a * d - b * c) / n, (a + b) * (c + d) * (a + c) * (b + d) / n**3


@TABLE_TESTS.register("breslow_day")
def breslow_day(a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    """Equal odds ratios: Σ(a − A)²/Var at the Mantel–Haenszel odds ratio (Breslow & Day 1980, eq. 4.30)."""
    deviation, variance = _deviations(a, b, c, d)
    return _homogeneity((deviation**2 / variance).sum(-1), a, b, c, d)


@TABLE_TESTS.register("tarone")
def tarone(a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    """`breslow_day` less (Σ(a − A))²/ΣVar, which makes it efficient and its χ² reference right (Tarone 1985).

    Tarone RE (1985). Biometrika 72:91–95.
    """
    deviation, variance = _deviations(a, b, c, d)
    entered = np.where(informative(a, b, c, d), variance, 0).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = deviation.sum(-1) ** 2 / entered
    return _homogeneity((deviation**2 / variance).sum(-1) - excess, a, b, c, d)


def _homogeneity(statistic: Floats, a: Floats, b: Floats, c: Floats, d: Floats) -> TableTest:
    df = np.maximum(informative(a, b, c, d).sum(-1) - 1.0, 0)
    return _chi2(np.where(df > 0, np.maximum(statistic, 0), np.nan), df)


def informative(a: Floats, b: Floats, c: Floats, d: Floats) -> NDArray[np.bool_]:
    """Which tables have more than one possible outcome given their margins, shape (..., k)."""
    return np.asarray((a + b > 0) & (c + d > 0) & (a + c > 0) & (b + d > 0))


def _deviations(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Return a − A and its variance at the Mantel–Haenszel odds ratio; 0 and 1 for tables that do not enter."""
    odds = np.exp(MANTEL_HAENSZEL["OR"](a, b, c, d).estimate)[..., None]
    entered = informative(a, b, c, d)
    fitted, variance = fitted_cell(odds, *np.where(entered, np.stack([a, b, c, d]), 1.0))
    return np.where(entered, a - fitted, 0.0), np.where(entered, variance, 1.0)


def fitted_cell(odds: Floats, a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Return the first cell A of the table with these margins and this odds ratio, and 1/(1/A + 1/B + 1/C + 1/D).

    A(n2 − m + A) = odds·(n1 − A)(m − A) is a quadratic. The smaller cell of each diagonal is had from it by sums of
    positive terms alone, so that no cell loses digits, be the odds ratio 1e-12 or 1e12.

    Parameters
    ----------
    odds : ndarray, shape (..., 1) or (..., k)
        Above 0; NaN gives NaN.
    a, b, c, d : ndarray, shape (..., k)
        Tables with margins above 0.
    """
    n1, n2, events, others = a + b, c + d, a + c, b + d
    low = events < n2  # then A is the smaller of A and D
    small = _smaller_cell(odds, np.where(low, n1, n2), np.where(low, events, others), np.abs(n2 - events))
    first, last = np.where(low, small, small + (events - n2)), np.where(low, small + (n2 - events), small)
    left = n1 < events  # then B is the smaller of B and C
    small = _smaller_cell(1 / odds, np.where(left, n1, n2), np.where(left, others, events), np.abs(events - n1))
    second, third = np.where(left, small, small + (n1 - events)), np.where(left, small + (events - n1), small)
    with np.errstate(divide="ignore"):
        return first, 1 / (1 / first + 1 / second + 1 / third + 1 / last)


def _smaller_cell(odds: Floats, x: Floats, y: Floats, gap: Floats) -> Floats:
    """Solve e(e + gap) = odds·(x − e)(y − e) for the root in 0 to min(x, y)."""
    linear = gap + odds * (x + y)
    root = np.sqrt(gap**2 + 2 * gap * odds * (x + y) + odds**2 * (x - y) ** 2 + 4 * odds * x * y)
    return np.asarray(2 * odds * x * y / (linear + root))


@RATE_TESTS.register("cmh")
def person_time(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> TableTest:
    """Equal rates: events of both arms fall on them as their person-time (Rothman, Greenland & Lash 2008, ch. 15)."""
    return association(*rate_observed_minus_expected(x1, t1, x2, t2))


@RATE_TESTS.register("cmh_corrected")
def person_time_corrected(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> TableTest:
    """`person_time`, corrected for continuity."""
    return association(*rate_observed_minus_expected(x1, t1, x2, t2), CONTINUITY)


def rate_observed_minus_expected(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> tuple[Floats, Floats]:
    """Return O − E and V of the events of the experimental arm, binomial given those of both; shape (..., k)."""
    t = t1 + t2
    return (x1 * t2 - x2 * t1) / t, (x1 + x2) * t1 * t2 / t**2
