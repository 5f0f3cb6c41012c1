"""Mantel–Haenszel and Peto: pooling tables of counts without a variance for each study.

Shapes: every argument is an array of shape (..., k), studies along the last axis; results have shape (...).
a, b are events and non-events in the experimental arm, c, d in the control arm; x events in t person-time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.registry import Registry

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TablePool:
    """A pooled estimate from tables.

    Attributes
    ----------
    estimate, variance : ndarray, shape (...)
        On the pooled scale (log for ratios); NaN where the estimate is undefined (no events in one of the columns), or
        its variance is 0 (in every arm all patients or none have the event).
    weights : ndarray, shape (..., k)
        Weight of each table in the estimate.
    """

    estimate: Floats
    variance: Floats
    weights: Floats


def _log_ratio(top: Floats, bottom: Floats, variance: Floats, weights: Floats) -> TablePool:
    """Take the log of a ratio of sums; undefined where one is 0, or where a variance of 0 would claim certainty."""
    defined = (top > 0) & (bottom > 0) & (variance > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log(top) - np.log(bottom)
    return TablePool(np.where(defined, estimate, np.nan), np.where(defined, variance, np.nan), weights)


def _difference(estimate: Floats, variance: Floats, weights: Floats) -> TablePool:
    """Mark a difference without any event, whose variance of 0 would claim certainty, as undefined."""
    known = variance > 0
    return TablePool(np.where(known, estimate, np.nan), np.where(known, variance, np.nan), weights)


MANTEL_HAENSZEL: Registry[Callable[[Floats, Floats, Floats, Floats], TablePool]] = Registry("Mantel–Haenszel measure")


@MANTEL_HAENSZEL.register("OR")
def odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats) -> TablePool:
    """Log odds ratio with the variance of Robins, Breslow & Greenland (1986)."""
    n = a + b + c + d
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    top, bottom = r.sum(-1), s.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = 0.5 * (
            (p * r).sum(-1) / top**2 + (p * s + q * r).sum(-1) / (top * bottom) + (q * s).sum(-1) / bottom**2
        )
    return _log_ratio(top, bottom, variance, s)


@MANTEL_HAENSZEL.register("RR")
def risk_ratio(a: Floats, b: Floats, c: Floats, d: Floats) -> TablePool:
    """Log risk ratio with the variance of Greenland & Robins (1985)."""
    n1, n2 = a + b, c + d
    n = n1 + n2
    top, bottom = (a * n2 / n).sum(-1), (c * n1 / n).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = ((n1 * a * d + n2 * b * c) / n**2).sum(-1) / (top * bottom)
    return _log_ratio(top, bottom, variance, c * n1 / n)


@MANTEL_HAENSZEL.register("RD")
def risk_difference(a: Floats, b: Floats, c: Floats, d: Floats) -> TablePool:
    """Risk difference with the variance of Sato, Greenland & Robins (1989); tables without events keep their weight.

    Their estimator is δ·ΣP + ΣQ. It is summed here as Σ(Q + δ_k·P) + Σ(δ − δ_k)·P, δ_k being a table's own difference:
    the first sum has no negative term, so that a variance of 0 is 0 and no residue of rounding.
    """
    n1, n2 = a + b, c + d
    n = n1 + n2
    weights = n1 * n2 / n
    total = weights.sum(-1)
    estimate = (a * n2 / n - c * n1 / n).sum(-1) / total
    part = (n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / n**2
    own = (n2**2 * a * b / n1 + n1**2 * c * d / n2) / n**2
    spread = (estimate[..., None] - (a / n1 - c / n2)) * part
    return _difference(estimate, (own.sum(-1) + spread.sum(-1)) / total**2, weights)


@MANTEL_HAENSZEL.register("IRR")
def rate_ratio(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> TablePool:
    """Log incidence rate ratio (Greenland & Robins 1985, person-time)."""
    t = t1 + t2
    top, bottom = (x1 * t2 / t).sum(-1), (x2 * t1 / t).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (t1 * t2 * (x1 + x2) / t**2).sum(-1) / (top * bottom)
    return _log_ratio(top, bottom, variance, x2 * t1 / t)


@MANTEL_HAENSZEL.register("IRD")
def rate_difference(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> TablePool:
    """Incidence rate difference (Greenland & Robins 1985, person-time)."""
    t = t1 + t2
    weights = t1 * t2 / t
    total = weights.sum(-1)
    estimate = ((x1 * t2 - x2 * t1) / t).sum(-1) / total
    variance = ((t1 * t2 / t) ** 2 * (x1 / t1**2 + x2 / t2**2)).sum(-1) / total**2
    return _difference(estimate, variance, weights)


def one_step(o_minus_e: Floats, v: Floats) -> TablePool:
    """Σ(O − E)/ΣV, the first Newton step from 0 to the maximum of a likelihood with score O − E and information V.

    Of two-by-two tables (`observed_minus_expected`) this is Peto's log odds ratio, of log-rank tests the log hazard
    ratio (Yusuf et al. 1985).

    Parameters
    ----------
    o_minus_e, v : ndarray, shape (..., k)
        Observed minus expected events in the experimental arm, and the variance; a study with V = 0 has no weight.
    """
    total = v.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, variance = o_minus_e.sum(-1) / total, 1 / total
    return TablePool(np.where(total > 0, estimate, np.nan), np.where(total > 0, variance, np.nan), v)


def observed_minus_expected(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Return O − E and V of each table given its margins, shape (..., k).

    V is 0 where nobody or everybody had the event. E = (a + c)(a + b)/n, so that O − E is (ad − bc)/n, which loses no
    digits where both products are exact.
    """
    return np.asarray((a * d - b * c) / (a + b + c + d)), hypergeometric_variance(a, b, c, d)


def hypergeometric_variance(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Variance of `a` given all margins, shape (..., k)."""
    n = a + b + c + d
    return np.asarray((a + b) * (c + d) * (a + c) * (b + d) / (n**2 * (n - 1)))
