"""Measures from the mean and the SD of one group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import check_finite, check_not_negative, check_positive
from metail2.effects.definition import Family, Measure, measure

Floats = NDArray[np.float64]
_COLUMNS = ("mean", "sd", "n")


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    if "mean" in columns:
        check_finite(columns, "mean")
    check_not_negative(columns, "sd")
    check_positive(columns, "n", rule="must be a number of patients above 0")
    return dict(columns)


def _prepare_spread(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    ready = _prepare(columns, chosen, options)
    return {"sd": ready["sd"], "n": ready["n"]}


ONE_MEAN = Family("one_mean", (_COLUMNS,), _prepare)
ONE_SPREAD = Family("one_mean", (_COLUMNS, ("sd", "n")), _prepare_spread)
_NAKAGAWA = "Nakagawa S et al. (2015). Methods in Ecology and Evolution 6:143–152"
_NONE = float("nan")


def _df(columns: Mapping[str, Floats]) -> Floats:
    return columns["n"] - 1


@measure(
    "MN", "mean", ONE_MEAN, formulas=("m", "sd²/n"), null=_NONE, no_variance="the SD is 0",
    citation="Deeks JJ, Higgins JPT, Altman DG (2024). Cochrane Handbook, ch. 10",
)  # fmt: skip
def mean_alone(mean: Floats, sd: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """The mean."""
    return mean, sd**2 / n


@measure(
    "SMN", "standardised mean", ONE_MEAN, formulas=("J(n − 1)·m/sd", "1/n + g²/(2n)"), null=_NONE, df=_df,
    undefined="the SD is 0, or there are too few patients",
    citation="Hedges LV (1981). Journal of Educational Statistics 6:107–128",
)  # fmt: skip
def standardised_mean(mean: Floats, sd: Floats, n: Floats, factor: Floats, vtype: str) -> tuple[Floats, Floats]:
    """The mean in SDs."""
    g = factor * mean / sd
    return g, 1 / n + g**2 / (2 * n)


@measure(
    "MNLN", "mean", ONE_MEAN, scale="log mean", transform="antilog", formulas=("ln m", "sd²/(n·m²)"), null=_NONE,
    no_variance="the SD is 0", undefined="the mean is not above 0", citation=_NAKAGAWA,
)  # fmt: skip
def log_mean(mean: Floats, sd: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log of the mean, without correction of its bias."""
    return np.log(mean), (sd / mean) ** 2 / n


@measure(
    "SDLN", "SD", ONE_SPREAD, scale="log SD", transform="antilog", null=_NONE,
    formulas=("ln sd + 1/(2(n − 1))", "1/(2(n − 1))"), undefined="the SD is 0, or there is one patient",
    citation=_NAKAGAWA,
)  # fmt: skip
def log_sd(sd: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log of the SD with its first-order bias removed."""
    return np.log(sd) + 1 / (2 * (n - 1)), 1 / (2 * (n - 1))


@measure(
    "CVLN", "coefficient of variation", ONE_MEAN, scale="log coefficient of variation", transform="antilog", null=_NONE,
    shown="coefficient of variation, without unit", formulas=("ln(sd/m) + 1/(2(n − 1))", "1/(2(n − 1)) + sd²/(n·m²)"),
    undefined="the mean is not above 0, the SD is 0, or there is one patient", citation=_NAKAGAWA,
)  # fmt: skip
def log_cv(mean: Floats, sd: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log of the coefficient of variation: that of the SD less that of the mean."""
    spread, of_spread = log_sd(sd, n, vtype)
    centre, of_centre = log_mean(mean, sd, n, vtype)
    return spread - centre, of_spread + of_centre
