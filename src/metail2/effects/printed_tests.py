"""The t statistic and the correlation behind the tests that articles print instead of moments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from metail2.effects.counts import check_finite, check_not_negative, require

Floats = NDArray[np.float64]


def t_statistic(columns: Mapping[str, Floats], df: Floats) -> Floats:
    """Take the t statistic from the one of t, F, P or r that is among the columns.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (k,)
        ``t``; or ``f`` (1 numerator degree of freedom) with ``direction``; or ``p`` (two-sided) with ``direction``; or
        the correlation ``r``, for two groups the point-biserial one. A direction is 1 or −1, the sign of the effect.
    df : ndarray, shape (k,)
        Degrees of freedom of the test.

    Returns
    -------
    ndarray, shape (k,)
        Signed t; infinite for |r| = 1.

    Raises
    ------
    Problem
        If F is negative, P is not in (0, 1], a direction is neither 1 nor −1, or |r| exceeds 1.
    """
    if "t" in columns:
        check_finite(columns, "t")
        return columns["t"]
    if "r" in columns:
        check_correlation(columns)
        return np.asarray(columns["r"] * np.sqrt(df / (1 - columns["r"] ** 2)))
    _check_direction(columns)
    if "f" in columns:
        check_not_negative(columns, "f")
        return np.asarray(columns["direction"] * np.sqrt(columns["f"]))
    _check_p(columns)
    return np.asarray(columns["direction"] * np.abs(stdtrit(df, columns["p"] / 2)))


def correlation(columns: Mapping[str, Floats], df: Floats) -> Floats:
    """Take the (partial) correlation from r itself, or else from its test with `df` degrees of freedom.

    Errors are those of `t_statistic`; NaN where no degree of freedom is left.
    """
    if "r" in columns:
        check_correlation(columns)
        r = columns["r"]
    else:
        t = t_statistic(columns, df)
        r = t / np.hypot(t, np.sqrt(df))
    return np.where(df > 0, r, np.nan)


def check_correlation(columns: Mapping[str, Floats]) -> None:
    """``r`` lies between −1 and 1."""
    require(columns, "r", np.abs(columns["r"]) <= 1, "must lie between −1 and 1")


def _check_direction(columns: Mapping[str, Floats]) -> None:
    require(columns, "direction", np.abs(columns["direction"]) == 1, "must be 1 or −1, the sign of the effect")


def _check_p(columns: Mapping[str, Floats]) -> None:
    p = columns["p"]
    require(columns, "p", p != 0, "must be above 0: a P printed as 0.000 is a bound, from which no effect can be had")
    require(columns, "p", (p > 0) & (p <= 1), "must be a two-sided P value, above 0 and at most 1")
