"""Tests and intervals for coefficients; P values by survival functions, so that 1e-300 stays 1e-300."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc, ndtr, ndtri, stdtr, stdtrit

from metail2.registry import Registry

Floats = NDArray[np.float64]

Factor = Callable[[Floats, int], tuple[Floats, float]]
"""``(s², residual df) → (factor on the covariance, df of the reference distribution)``; df is inf for the normal."""

FACTORS: Registry[Factor] = Registry("test")
"""Tests that scale the covariance of the coefficients by one number; `coefficient_tests.TESTS` holds all tests."""


@FACTORS.register("z")
def z_test(s2: Floats, df: int) -> tuple[Floats, float]:
    """Normal reference distribution."""
    return np.ones_like(s2), np.inf


@FACTORS.register("t")
def t_test(s2: Floats, df: int) -> tuple[Floats, float]:
    """t with k − p degrees of freedom, covariance as it is."""
    return np.ones_like(s2), float(df)


@FACTORS.register("knapp_hartung")
def knapp_hartung(s2: Floats, df: int) -> tuple[Floats, float]:
    """Covariance scaled by s² = y′Py/(k − p), t with k − p df (Hartung & Knapp 2001; Knapp & Hartung 2003)."""
    return s2, float(df)


@FACTORS.register("knapp_hartung_adhoc")
def knapp_hartung_adhoc(s2: Floats, df: int) -> tuple[Floats, float]:
    """Knapp–Hartung with the factor never below 1 (Knapp & Hartung 2003, p. 2698)."""
    return np.maximum(s2, 1.0), float(df)


SATURATED = 1e140
"""SciPy's quantiles of t with less than about 0.0085 df end near 1e150, wherever they really are."""


def two_sided(statistic: Floats, df: float | Floats) -> Floats:
    """Two-sided P value of a z (df infinite) or t statistic; NaN stays NaN."""
    return np.asarray(2 * _below(-np.abs(statistic), df))


def _below(statistic: float | Floats, df: float | Floats) -> Floats:
    """Probability below a z (df infinite) or t statistic."""
    return np.asarray(ndtr(statistic) if _normal(df) else stdtr(df, statistic))


@lru_cache(maxsize=1024)
def quantile(level: float, df: float) -> float:
    """Two-sided critical value at `level`, normal (df infinite) or t."""
    upper = 0.5 + level / 2
    found = float(ndtri(upper) if _normal(df) else stdtrit(df, upper))
    return np.inf if found > SATURATED else found


def quantiles(level: float, df: float | Floats) -> float | Floats:
    """Two-sided critical values at `level`, normal (df infinite) or t with each of `df`; shape of `df`."""
    if isinstance(df, float):
        return quantile(level, df)
    found = np.asarray(stdtrit(df, 0.5 + level / 2))
    return np.asarray(np.where(found > SATURATED, np.inf, found))


def _normal(df: float | Floats) -> bool:
    return isinstance(df, float) and math.isinf(df)


def chi2_upper(q: Floats, df: float) -> Floats:
    """P(χ² with df degrees of freedom > q)."""
    return np.asarray(chdtrc(df, q))


class Wald(NamedTuple):
    """Coefficients with their tests, shape (..., p).

    Attributes
    ----------
    estimate, se, statistic, p_value, lower, upper : ndarray, shape (..., p)
        On the pooled scale.
    df : float, or ndarray of shape (..., p)
        Of the reference distribution; inf for the normal. One number, unless each coefficient has its own.
    """

    estimate: Floats
    se: Floats
    statistic: Floats
    p_value: Floats
    lower: Floats
    upper: Floats
    df: float | Floats


def wald(estimate: Floats, variance: Floats, df: float | Floats, level: float) -> Wald:
    """Test estimates against 0 and give their intervals.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., p)
        Coefficients and their variances; with a variance of 0 the statistic is infinite (NaN for 0/0).
    df : float, or ndarray of shape (..., p)
        Degrees of freedom; inf for the normal.
    level : float
        Confidence level in (0, 1).
    """
    if estimate.shape == (1,) and isinstance(df, float) and variance[0] > 0:
        return _wald_of_one(float(estimate[0]), float(variance[0]), df, level)
    se = np.sqrt(variance)
    statistic = _ratio(estimate, se)
    half = quantiles(level, df) * se
    return Wald(estimate, se, statistic, two_sided(statistic, df), estimate - half, estimate + half, df)


def _wald_of_one(estimate: float, variance: float, df: float, level: float) -> Wald:
    """`wald` of one coefficient, by far the commonest, in plain numbers, which take half the time of arrays of one."""
    se = math.sqrt(variance)
    statistic, half = estimate / se, quantile(level, df) * se
    p_value = 2 * float(_below(-abs(statistic), df))
    values = np.array((estimate, se, statistic, p_value, estimate - half, estimate + half))
    return Wald._make((*values.reshape(6, 1), df))


def _ratio(estimate: Floats, se: Floats) -> Floats:
    if np.count_nonzero(se) == np.size(se):  # as nearly always; to mask warnings takes longer than all the rest here
        return np.asarray(estimate / se)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(estimate / se)


@dataclass(frozen=True, slots=True)
class JointTest:
    """A test that several linear combinations of the coefficients are all 0.

    Attributes
    ----------
    statistic, p_value : float
        χ² (df infinite), or F; NaN where a combination has a variance of 0, as in an exact fit tested by Hartung–Knapp.
    df : float
        Number of combinations.
    df_error : float
        Denominator degrees of freedom; inf for χ².
    """

    statistic: float
    p_value: float
    df: float
    df_error: float


def joint_test(beta: Floats, covariance: Floats, df_error: float, scale: float = 1.0) -> JointTest:
    """Test that all of `beta`, shape (m,), are 0: χ² on m df, or with `df_error` finite F = scale·χ²/m."""
    m = float(beta.shape[-1])
    if not np.diagonal(covariance).all():
        return JointTest(float("nan"), float("nan"), m, df_error)
    chi2 = float(beta @ np.linalg.solve(covariance, beta))
    if np.isinf(df_error):
        return JointTest(chi2, float(chdtrc(m, chi2)), m, df_error)
    f = scale * chi2 / m
    return JointTest(f, float(fdtrc(m, df_error, f)), m, df_error)
