"""Partial and semi-partial correlations, from the test of one coefficient of a linear regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.correlation import fisher
from metail2.effects.counts import Problem, check_finite, check_positive, require
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.printed_tests import correlation

Floats = NDArray[np.float64]

ROUNDING = 0.05
"""How far a printed R² may fall below the share that the printed t implies: more than their rounding explains."""


def check_regression(columns: Mapping[str, Floats]) -> None:
    """Patients, predictors and R², those of them that are there."""
    check_positive(columns, "n", rule="must be a number of patients above 0")
    if "predictors" in columns:
        rule = "must be the number of predictors in the regression, at least 1"
        with np.errstate(invalid="ignore"):
            require(columns, "predictors", (columns["predictors"] >= 1) & np.isfinite(columns["predictors"]), rule)
    if "r2" in columns:
        with np.errstate(invalid="ignore"):
            require(columns, "r2", (columns["r2"] >= 0) & (columns["r2"] <= 1), "must lie between 0 and 1")


def _df(columns: Mapping[str, Floats]) -> Floats:
    return columns["n"] - columns["predictors"] - 1


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_regression(columns)
    r = correlation(columns, _df(columns))
    return {"r": r, "n": columns["n"], "predictors": columns["predictors"]}


def _prepare_semi(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_regression(columns)
    check_finite(columns, "t")
    df = _df(columns)
    share = correlation(columns, df) ** 2
    wrong = share > columns["r2"] + ROUNDING
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        rule = f"must be at least {share[row]:.2g}, the share of the variance that t alone implies"
        raise Problem(row, "r2", float(columns["r2"][row]), rule)
    t = columns["t"]
    return {"t": t, "df": np.where(df > 0, df, np.nan), "r2": columns["r2"], "n": columns["n"]}


PARTIAL = Family(
    "partial_correlation",
    (("t", "n", "predictors"), ("r", "n", "predictors"), ("p", "direction", "n", "predictors")),
    _prepare,
)
SEMI_PARTIAL = Family("partial_correlation", (("t", "n", "predictors", "r2"),), _prepare_semi)
_ALOE_THOMPSON = "Aloe AM, Thompson CG (2013). Journal of the Society for Social Work and Research 4:390–405"
_ALOE_BECKER = "Aloe AM, Becker BJ (2012). Journal of Educational and Behavioral Statistics 37:278–297"
_FEW = "there are too few patients for that many predictors, or the correlation is beyond 1"
_CERTAIN = "the correlation is 1 or −1"
_R = "r = t/√(t² + n − predictors − 1)"
_S = "s = t·√((1 − R²)/(n − predictors − 1))"
_S_VARIANCE = "(R⁴ − 2R² + U + 1 − U²)/n, U = R² − s²"


@measure(
    "PCOR", "partial correlation", PARTIAL, undefined=_FEW, no_variance=_CERTAIN, bounds=(-1, 1),
    citation=_ALOE_THOMPSON,
    formulas=(_R, "(1 − r²)²/(n − predictors)"),
)  # fmt: skip
def partial(r: Floats, n: Floats, predictors: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Correlation of outcome and predictor after the other predictors are taken out of both."""
    return r, (1 - r**2) ** 2 / (n - predictors)


@measure(
    "ZPCOR", "partial correlation", PARTIAL, scale="Fisher's z of the partial correlation", transform="tanh",
    undefined=_FEW, citation=_ALOE_THOMPSON, formulas=(f"artanh r, {_R}", "1/(n − predictors − 2)"),
    no_variance="there are too few patients: n must be above predictors + 2",
)  # fmt: skip
def partial_z(r: Floats, n: Floats, predictors: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of the partial correlation: that of a correlation with predictors − 1 fewer patients."""
    return np.arctanh(r), 1 / (n - predictors - 2)


@measure(
    "SPCOR", "semi-partial correlation", SEMI_PARTIAL, undefined=_FEW, no_variance=_CERTAIN, bounds=(-1, 1),
    citation=_ALOE_BECKER,
    formulas=(_S, _S_VARIANCE),
)  # fmt: skip
def semi_partial(t: Floats, df: Floats, r2: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Correlation of outcome and predictor after the other predictors are taken out of the predictor alone."""
    s = t * np.sqrt((1 - r2) / df)
    rest = r2 - s**2
    return s, ((1 - r2) ** 2 + rest * (1 - rest)) / n


@measure(
    "ZSPCOR", "semi-partial correlation", SEMI_PARTIAL, scale="Fisher's z of the semi-partial correlation",
    transform="tanh", undefined=_FEW, citation=_ALOE_BECKER,
    formulas=(f"artanh s, {_S}", f"that of s over (1 − s²)²; that of s is {_S_VARIANCE}"),
)  # fmt: skip
def semi_partial_z(t: Floats, df: Floats, r2: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of the semi-partial correlation, by the delta method."""
    return fisher(*semi_partial(t, df, r2, n, vtype))
