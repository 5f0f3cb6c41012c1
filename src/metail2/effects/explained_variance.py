"""The share of variance that a linear regression explains, R²."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import Problem
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.partial_correlation import check_regression

Floats = NDArray[np.float64]


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_regression(columns)
    if "predictors" in columns:
        _check_residual(columns["n"], columns["predictors"])
    return {"r2": columns["r2"], "n": columns["n"]}


def _check_residual(n: Floats, predictors: Floats) -> None:
    """A regression with as many coefficients as patients explains everything: its R² is 1 and says nothing."""
    over = predictors >= n - 1
    if over.any():
        row = int(np.flatnonzero(over)[0])
        rule = f"must be below n − 1, which is {n[row] - 1:g}, for R² to say anything"
        raise Problem(row, "predictors", float(predictors[row]), rule)


EXPLAINED = Family("explained_variance", (("r2", "n", "predictors"), ("r2", "n")), _prepare)
_OLKIN_FINN = "Olkin I, Finn JD (1995). Psychological Bulletin 118:155–164"
_DERIVED = "derived in metail2.effects.explained_variance from the noncentral F distribution"
_FULL = "R² is 1"
_EDGE = "R² is 0 or 1, where its large-sample variance is 0"
_R2 = "R², biased upwards in small samples"
_R = "artanh R; R is biased upwards in small samples"


@measure(
    "R2", "R² (random predictors)", EXPLAINED, formulas=(_R2, "4R²·(1 − R²)²/n"), no_variance=_EDGE, bounds=(0, 1),
    citation=_OLKIN_FINN,
)  # fmt: skip
def random_predictors(r2: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """R² with its large-sample variance where outcome and predictors are jointly normal; none at R² = 0.

    R² is biased upwards in small samples: with p predictors that explain nothing its mean is p/(n − 1). Nothing is
    subtracted for it here.
    """
    return r2, 4 * r2 * (1 - r2) ** 2 / n


@measure(
    "ZR2", "multiple correlation (random predictors)", EXPLAINED, scale="Fisher's z of the multiple correlation",
    transform="tanh", formulas=(_R, "1/n"), bounds=(0, 1), shown="multiple correlation", undefined=_FULL,
    citation=_OLKIN_FINN,
)  # fmt: skip
def random_predictors_z(r2: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of R, whose large-sample variance does not depend on R; R is biased upwards in small samples."""
    return np.arctanh(np.sqrt(r2)), 1 / n


@measure(
    "R2F", "R² (fixed predictors)", EXPLAINED, formulas=(_R2, "2R²·(1 − R²)²·(2 − R²)/n"), no_variance=_EDGE,
    bounds=(0, 1), citation=_DERIVED,
)  # fmt: skip  # fmt: skip
def fixed_predictors(r2: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """R² with its large-sample variance where the values of the predictors are fixed by design; none at R² = 0.

    R² is biased upwards in small samples, as `random_predictors` says.

    Notes
    -----
    With fixed predictors and normal errors the explained sum of squares over σ² is a noncentral χ² with noncentrality
    λ = n·P²/(1 − P²), and the residual one an independent χ². Their variances are close to 4λ and 2n when n is large,
    their means to λ and n. R² is the first over the sum of both, and the delta method gives 2P²(1 − P²)²(2 − P²)/n,
    with P² estimated by R². It is the variance for random predictors times 1 − P²/2: what is missing is the variation
    of the predictors themselves. Terms of order 1/n² (those with the number of predictors among them) are left out: in
    simulations with 2 to 5 predictors and P² from 0.3 to 0.6 the estimate was on average 0.89, 0.94, 0.97 and 0.98 of
    the variance of R² at n = 30, 50, 100 and 300.
    """
    return r2, 2 * r2 * (1 - r2) ** 2 * (2 - r2) / n


@measure(
    "ZR2F", "multiple correlation (fixed predictors)", EXPLAINED, scale="Fisher's z of the multiple correlation",
    transform="tanh", formulas=(_R, "(2 − R²)/(2n)"), bounds=(0, 1), shown="multiple correlation",
    undefined=_FULL, citation=_DERIVED,
)  # fmt: skip
def fixed_predictors_z(r2: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of R by the delta method on the variance of `fixed_predictors`; R is biased upwards as R² is."""
    return np.arctanh(np.sqrt(r2)), (2 - r2) / (2 * n)
