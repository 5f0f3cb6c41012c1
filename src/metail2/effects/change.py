"""Measures of change within one group: after minus before, with the correlation r of the two measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.conversions import change_sd
from metail2.effects.counts import check_finite, check_not_negative, check_positive
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.printed_tests import check_correlation, t_statistic

Floats = NDArray[np.float64]
COLUMNS = ("mean_post", "sd_post", "mean_pre", "sd_pre", "n", "r")
_SUMMARY = ("mean_change", "sd_change", "n")


def check_change(columns: Mapping[str, Floats]) -> None:
    """Check those columns of the family that are there."""
    check_finite(columns, *(name for name in ("mean_post", "mean_pre", "mean_change", "d") if name in columns))
    check_not_negative(columns, *(name for name in ("sd_post", "sd_pre", "sd_change") if name in columns))
    check_positive(columns, "n", rule="must be a number of patients above 0")
    if "r" in columns:
        check_correlation(columns)


def equalised(first: Floats, second: Floats) -> Floats:
    """Return `second`, made equal to `first` where they differ by rounding only, as an SD had from its SE does.

    With r = 1 the variance of a change is then exactly 0, and not a rounding error that takes all the weight.
    """
    return np.where(np.abs(first - second) <= 4 * np.finfo(float).eps * np.abs(first), first, second)


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_change(columns)
    return {**columns, "sd_pre": equalised(columns["sd_post"], columns["sd_pre"])}


def _prepare_baseline(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_change(columns)
    return {name: columns[name] for name in ("mean_post", "mean_pre", "sd_pre", "n", "r")}


def _prepare_summary(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_change(columns)
    if "mean_change" in columns:
        return dict(columns)
    sd = change_sd(equalised(columns["sd_post"], columns["sd_pre"]), columns["sd_post"], columns["r"])
    return {"mean_change": columns["mean_post"] - columns["mean_pre"], "sd_change": sd, "n": columns["n"]}


def _prepare_standardised(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_change(columns)
    n = columns["n"]
    if "d" in columns:
        return {"d": columns["d"], "n": n}
    if "mean_post" not in columns and "mean_change" not in columns:
        return {"d": t_statistic(columns, n - 1) / np.sqrt(n), "n": n}
    summary = _prepare_summary(columns, chosen, options)
    return {"d": summary["mean_change"] / summary["sd_change"], "n": n}


CHANGE = Family("change", (COLUMNS,), _prepare)
CHANGE_SUMMARY = Family("change", (COLUMNS, _SUMMARY), _prepare_summary)
CHANGE_BASELINE_SD = Family("change", (COLUMNS, ("mean_post", "mean_pre", "sd_pre", "n", "r")), _prepare_baseline)
CHANGE_STANDARDISED = Family(
    "change", (COLUMNS, _SUMMARY, ("d", "n"), ("t", "n"), ("p", "direction", "n")), _prepare_standardised
)
_BECKER = "Becker BJ (1988). British Journal of Mathematical and Statistical Psychology 41:257–278"
_BONETT = "Bonett DG (2008). Psychological Methods 13:99–109"
_SATTERTHWAITE = "Satterthwaite FE (1946). Biometrics Bulletin 2:110–114 (degrees of freedom)"
_CHANGE_VARIANCE = "sd_post² + sd_pre² − 2r·sd_post·sd_pre"
_FLAT = "the SD that it is divided by is 0, or there are too few patients"


def _df(columns: Mapping[str, Floats]) -> Floats:
    return columns["n"] - 1


def _df_pooled(columns: Mapping[str, Floats]) -> Floats:
    """Those of the χ² that has the relative variance of the mean of two equal, correlated variances."""
    return 2 * (columns["n"] - 1) / (1 + columns["r"] ** 2)


@measure(
    "MC",
    "mean change",
    CHANGE_SUMMARY,
    formulas=("m_post − m_pre", f"({_CHANGE_VARIANCE})/n"),
    from_columns={_SUMMARY: ("mean_change", "sd_change²/n")},
    no_variance="the SD of the change is 0",
    citation="Viechtbauer W (2007). Journal of Educational and Behavioral Statistics 32:39–60",
)
def mean_change(mean_change: Floats, sd_change: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Mean after minus mean before."""
    return mean_change, sd_change**2 / n


@measure(
    "SMCC", "standardised mean change (SD of the change)", CHANGE_STANDARDISED,
    formulas=(f"J(n − 1)·(m_post − m_pre)/sd_change, sd_change² = {_CHANGE_VARIANCE}", "1/n + g²/(2n)"),
    from_columns={
        _SUMMARY: ("J(n − 1)·mean_change/sd_change", "1/n + g²/(2n)"),
        ("d", "n"): ("J(n − 1)·d, d = (m_post − m_pre)/sd_change", "1/n + g²/(2n)"),
    },
    df=_df, undefined=_FLAT,
    citation="Gibbons RD, Hedeker DR, Davis JM (1993). Journal of Educational Statistics 18:271–279",
)  # fmt: skip
def standardised_by_change(d: Floats, n: Floats, factor: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Mean change in SDs of the change."""
    g = factor * d
    return g, 1 / n + g**2 / (2 * n)


@measure(
    "SMCR", "standardised mean change (SD before)", CHANGE_BASELINE_SD,
    formulas=("J(n − 1)·(m_post − m_pre)/sd_pre", "2(1 − r)/n + g²/(2n)"), df=_df, undefined=_FLAT, citation=_BECKER,
)  # fmt: skip
def standardised_by_baseline(
    mean_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, factor: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Mean change in SDs before; the variance takes the SD after as equal to it."""
    g = factor * (mean_post - mean_pre) / sd_pre
    return g, 2 * (1 - r) / n + g**2 / (2 * n)


@measure(
    "SMCRH", "standardised mean change (SD before, unequal variances)", CHANGE,
    formulas=(
        "J(n − 1)·(m_post − m_pre)/sd_pre",
        "(sd_post² + sd_pre² − 2r·sd_post·sd_pre)/(sd_pre²·(n − 1)) + g²/(2(n − 1))",
    ),
    df=_df, undefined=_FLAT, citation=_BONETT,
)  # fmt: skip
def standardised_by_baseline_unequal(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, factor: Floats,
    vtype: str,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Mean change in SDs before; the variance lets the SD after differ."""
    g = factor * (mean_post - mean_pre) / sd_pre
    return g, (change_sd(sd_pre, sd_post, r) / sd_pre) ** 2 / (n - 1) + g**2 / (2 * (n - 1))


@measure(
    "SMCRP", "standardised mean change (pooled SD)", CHANGE,
    formulas=(
        "J(2(n − 1)/(1 + r²))·(m_post − m_pre)/sd, sd² = (sd_post² + sd_pre²)/2",
        "2(1 − r)/n + g²·(1 + r²)/(4n)",
    ),
    df=_df_pooled, undefined=_FLAT, citation=f"{_BONETT}; {_SATTERTHWAITE}",
)  # fmt: skip
def standardised_by_pooled(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, factor: Floats,
    vtype: str,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Mean change in units of the root mean square of both SDs; the variance takes them as equal."""
    g = factor * (mean_post - mean_pre) / np.sqrt((sd_post**2 + sd_pre**2) / 2)
    return g, 2 * (1 - r) / n + g**2 * (1 + r**2) / (4 * n)


@measure(
    "SMCRPH", "standardised mean change (pooled SD, unequal variances)", CHANGE,
    formulas=(
        "J(2(n − 1)/(1 + r²))·(m_post − m_pre)/sd, sd² = (sd_post² + sd_pre²)/2",
        "(sd_post² + sd_pre² − 2r·sd_post·sd_pre)/(sd²·(n − 1)) "
        "+ g²·(sd_post⁴ + sd_pre⁴ + 2r²·sd_post²·sd_pre²)/(8sd⁴·(n − 1))",
    ),
    df=_df_pooled, undefined=_FLAT, citation=f"{_BONETT}; {_SATTERTHWAITE}",
)  # fmt: skip
def standardised_by_pooled_unequal(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, factor: Floats,
    vtype: str,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Mean change in units of the root mean square of both SDs, which need not be equal."""
    variance = (sd_post**2 + sd_pre**2) / 2
    g = factor * (mean_post - mean_pre) / np.sqrt(variance)
    of_sd = (sd_post**4 + sd_pre**4 + 2 * (r * sd_post * sd_pre) ** 2) / (8 * variance**2)
    return g, (change_sd(sd_pre, sd_post, r) ** 2 / variance + g**2 * of_sd) / (n - 1)


@measure(
    "ROMC", "ratio of means, after to before", CHANGE,
    formulas=("ln(m_post/m_pre) + ½(cv_post² − cv_pre²)/n, cv = sd/m", "(cv_post² + cv_pre² − 2r·cv_post·cv_pre)/n"),
    scale="log ratio of means", transform="exp", undefined="the means are not both above 0 or both below it",
    no_variance="r is 1 and the coefficients of variation are equal, or both SDs are 0",
    citation="Lajeunesse MJ (2011). Ecology 92:2049–2055; Lajeunesse MJ (2015). Ecology 96:2056–2063",
)  # fmt: skip
def ratio_of_means_change(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Log ratio of the mean after to the mean before, with the second-order bias correction."""
    post, pre = sd_post / mean_post, sd_pre / mean_pre
    ratio = np.log(mean_post / mean_pre) + 0.5 * (post**2 - pre**2) / n
    pre = equalised(post, pre)
    # the same as cv_post² + cv_pre² − 2r·cv_post·cv_pre, without cancellation when r is near 1
    return ratio, ((post - pre) ** 2 + 2 * (1 - r) * post * pre) / n
