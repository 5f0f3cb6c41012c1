"""Tests and intervals for coefficients; P values by survival functions, so that 1e-300 stays 1e-300."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc, ndtr, ndtri, stdtr, stdtrit

from metail2.registry import Registry

Floats = NDArray[np.float64]

Test = Callable[[Floats, int], tuple[Floats, float]]
"""``(s², residual df) → (factor on the covariance, df of the reference distribution)``; df is inf for the normal."""

TESTS: Registry[Test] = Registry("test")


@TESTS.register("z")
def z_test(s2: Floats, df: int) -> tuple[Floats, float]:
    """Normal reference distribution."""
    return np.ones_like(s2), np.inf


@TESTS.register("t")
def t_test(s2: Floats, df: int) -> tuple[Floats, float]:
    """t with k − p degrees of freedom, covariance as it is."""
    return np.ones_like(s2), float(df)


@TESTS.register("knapp_hartung")
def knapp_hartung(s2: Floats, df: int) -> tuple[Floats, float]:
    """Covariance scaled by s² = y′Py/(k − p), t with k − p df (Hartung & Knapp 2001; Knapp & Hartung 2003)."""
    return s2, float(df)


@TESTS.register("knapp_hartung_adhoc")
def knapp_hartung_adhoc(s2: Floats, df: int) -> tuple[Floats, float]:
    """Knapp–Hartung with the factor never below 1 (Knapp & Hartung 2003, p. 2698)."""
    return np.maximum(s2, 1.0), float(df)


def two_sided(statistic: Floats, df: float) -> Floats:
    """Two-sided P value of a z (df infinite) or t statistic; NaN stays NaN."""
    tail = ndtr(-np.abs(statistic)) if np.isinf(df) else stdtr(df, -np.abs(statistic))
    return np.asarray(2 * tail)


def quantile(level: float, df: float) -> float:
    """Two-sided critical value at `level`, normal (df infinite) or t."""
    upper = 0.5 + level / 2
    return float(ndtri(upper) if np.isinf(df) else stdtrit(df, upper))


def chi2_upper(q: Floats, df: float) -> Floats:
    """P(χ² with df degrees of freedom > q)."""
    return np.asarray(chdtrc(df, q))


@dataclass(frozen=True, slots=True)
class Wald:
    """Coefficients with their tests, shape (..., p).

    Attributes
    ----------
    estimate, se, statistic, p_value, lower, upper : ndarray, shape (..., p)
        On the pooled scale.
    df : float
        Of the reference distribution; inf for the normal.
    """

    estimate: Floats
    se: Floats
    statistic: Floats
    p_value: Floats
    lower: Floats
    upper: Floats
    df: float


def wald(estimate: Floats, variance: Floats, df: float, level: float) -> Wald:
    """Test estimates against 0 and give their intervals.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., p)
        Coefficients and their variances; with a variance of 0 the statistic is infinite (NaN for 0/0).
    df : float
        Degrees of freedom; inf for the normal.
    level : float
        Confidence level in (0, 1).
    """
    se = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / se
    half = quantile(level, df) * se
    return Wald(estimate, se, statistic, two_sided(statistic, df), estimate - half, estimate + half, df)


def moderator_test(beta: Floats, covariance: Floats, df: float) -> tuple[float, float]:
    """Joint test that all of `beta` are 0: χ² (df infinite) or F = χ²/m on m and df; returns statistic and P.

    NaN where a coefficient has a variance of 0, as in an exact fit tested by Hartung–Knapp.
    """
    m = beta.shape[-1]
    if not np.diagonal(covariance).all():
        return float("nan"), float("nan")
    chi2 = float(beta @ np.linalg.solve(covariance, beta))
    if np.isinf(df):
        return chi2, float(chdtrc(m, chi2))
    return chi2 / m, float(fdtrc(m, df, chi2 / m))
