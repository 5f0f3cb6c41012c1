"""Measures of change within one group: after minus before, with the correlation r of the two measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import check_finite, check_not_negative, check_positive, require
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.moments import small_sample_factor

Floats = NDArray[np.float64]
_COLUMNS = ("mean_post", "sd_post", "mean_pre", "sd_pre", "n", "r")


def _check(columns: Mapping[str, Floats]) -> None:
    check_finite(columns, *(name for name in ("mean_post", "mean_pre", "d") if name in columns))
    check_not_negative(columns, *(name for name in ("sd_post", "sd_pre") if name in columns))
    check_positive(columns, "n", rule="must be a number of patients above 0")
    if "r" in columns:
        require(columns, "r", np.abs(columns["r"]) <= 1, "must lie between −1 and 1")


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    _check(columns)
    return dict(columns)


def change_variance(sd_post: Floats, sd_pre: Floats, r: Floats) -> Floats:
    """Variance of the change of one patient from both SDs and their correlation."""
    return np.asarray(sd_post**2 + sd_pre**2 - 2 * r * sd_post * sd_pre)


def _prepare_standardised(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    _check(columns)
    if "d" in columns:
        return {"d": columns["d"], "n": columns["n"]}
    sd = np.sqrt(change_variance(columns["sd_post"], columns["sd_pre"], columns["r"]))
    return {"d": (columns["mean_post"] - columns["mean_pre"]) / sd, "n": columns["n"]}


CHANGE = Family("change", (_COLUMNS,), _prepare)
CHANGE_BASELINE_SD = Family("change", (_COLUMNS, ("mean_post", "mean_pre", "sd_pre", "n", "r")), _prepare)
CHANGE_STANDARDISED = Family("change", (_COLUMNS, ("d", "n")), _prepare_standardised)
_BECKER = "Becker BJ (1988). British Journal of Mathematical and Statistical Psychology 41:257–278"


@measure(
    "MC",
    "mean change",
    CHANGE,
    formulas=("m_post − m_pre", "(sd_post² + sd_pre² − 2r·sd_post·sd_pre)/n"),
    citation="Viechtbauer W (2007). Journal of Educational and Behavioral Statistics 32:39–60",
)
def mean_change(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Mean after minus mean before."""
    return mean_post - mean_pre, change_variance(sd_post, sd_pre, r) / n


@measure(
    "SMCC", "standardised mean change (SD of the change)", CHANGE_STANDARDISED,
    formulas=("J(n − 1)·(m_post − m_pre)/sd_change", "1/n + g²/2n"),
    citation="Gibbons RD, Hedeker DR, Davis JM (1993). Journal of Educational Statistics 18:271–279",
)  # fmt: skip
def standardised_by_change(d: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Mean change in SDs of the change, with the exact small-sample factor."""
    g = small_sample_factor(n - 1) * d
    return g, 1 / n + g**2 / (2 * n)


@measure(
    "SMCR",
    "standardised mean change (SD before)",
    CHANGE_BASELINE_SD,
    formulas=("J(n − 1)·(m_post − m_pre)/sd_pre", "2(1 − r)/n + g²/2n"),
    citation=_BECKER,
)
def standardised_by_baseline(
    mean_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str, sd_post: Floats | None = None
) -> tuple[Floats, Floats]:
    """Mean change in SDs before, with the exact small-sample factor; the SD after is not used."""
    g = small_sample_factor(n - 1) * (mean_post - mean_pre) / sd_pre
    return g, 2 * (1 - r) / n + g**2 / (2 * n)


@measure(
    "ROMC", "ratio of means, after to before", CHANGE,
    formulas=("ln(m_post/m_pre) + ½(cv_post² − cv_pre²)/n, cv = sd/m", "(cv_post² + cv_pre² − 2r·cv_post·cv_pre)/n"),
    scale="log ratio of means", transform="exp",
    citation="Lajeunesse MJ (2011). Ecology 92:2049–2055; Lajeunesse MJ (2015). Ecology 96:2056–2063",
)  # fmt: skip
def ratio_of_means_change(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Log ratio of the mean after to the mean before, with the second-order bias correction."""
    post, pre = sd_post / mean_post, sd_pre / mean_pre
    ratio = np.log(mean_post / mean_pre) + 0.5 * (post**2 - pre**2) / n
    return ratio, (post**2 + pre**2 - 2 * r * post * pre) / n
