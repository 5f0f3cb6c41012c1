"""Measures that compare how much patients vary, between two arms or before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.change import COLUMNS as CHANGE_COLUMNS
from metail2.effects.change import check_change, ratio_of_means_change
from metail2.effects.counts import check_not_negative
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.two_means import COLUMNS as ARM_COLUMNS
from metail2.effects.two_means import check_sizes, prepare_means, ratio_of_means

Floats = NDArray[np.float64]


def _prepare_arms(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_not_negative(columns, "sd1", "sd2")
    check_sizes(columns)
    return {name: columns[name] for name in ("sd1", "n1", "sd2", "n2")}


def _prepare_times(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_change(columns)
    return {name: columns[name] for name in ("sd_post", "sd_pre", "n", "r")}


def _prepare_times_with_means(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_change(columns)
    return dict(columns)


_NAME = "variability"
ARMS = Family(_NAME, (ARM_COLUMNS, ("sd1", "n1", "sd2", "n2")), _prepare_arms)
ARMS_WITH_MEANS = Family(_NAME, (ARM_COLUMNS,), prepare_means)
TIMES = Family(_NAME, (CHANGE_COLUMNS, ("sd_post", "sd_pre", "n", "r")), _prepare_times)
TIMES_WITH_MEANS = Family(_NAME, (CHANGE_COLUMNS,), _prepare_times_with_means)

_NAKAGAWA = "Nakagawa S et al. (2015). Methods in Ecology and Evolution 6:143–152"
_SENIOR = "Senior AM, Viechtbauer W, Nakagawa S (2020). Research Synthesis Methods 11:553–567"
_NO_SD = "an SD is 0, or an arm has one patient"
_FIXED = "r is 1 or −1, so that the SDs are proportional"
_NO_CV = "a mean is 0, the means differ in sign, an SD is 0, or there is one patient"


@measure(
    "VR", "ratio of SDs", ARMS, scale="log ratio of SDs", transform="exp", undefined=_NO_SD, citation=_NAKAGAWA,
    formulas=("ln(sd1/sd2) + 1/(2(n1 − 1)) − 1/(2(n2 − 1))", "1/(2(n1 − 1)) + 1/(2(n2 − 1))"),
)  # fmt: skip
def ratio_of_sds(sd1: Floats, n1: Floats, sd2: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log ratio of the SDs, each log with its first-order bias −1/2(n − 1) removed."""
    first, second = 1 / (2 * (n1 - 1)), 1 / (2 * (n2 - 1))
    return np.log(sd1 / sd2) + first - second, first + second


@measure(
    "CVR", "ratio of coefficients of variation", ARMS_WITH_MEANS, scale="log ratio of coefficients of variation",
    transform="exp", undefined=_NO_CV, citation=_SENIOR,
    formulas=(
        "ln(cv1/cv2) + 1/(2(n1 − 1)) − 1/(2(n2 − 1)) − ½(cv1²/n1 − cv2²/n2), cv = sd/m",
        "cv1²/n1 + cv2²/n2 + 1/(2(n1 − 1)) + 1/(2(n2 − 1))",
    ),
)  # fmt: skip
def ratio_of_cvs(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Log ratio of SDs less the log ratio of means, both corrected for bias; for normal values they are independent."""
    spread, of_spread = ratio_of_sds(sd1, n1, sd2, n2, vtype)
    means, of_means = ratio_of_means(mean1, sd1, n1, mean2, sd2, n2, vtype)
    return spread - means, of_spread + of_means


@measure(
    "VRC", "ratio of SDs, after to before", TIMES, scale="log ratio of SDs", transform="exp", undefined=_NO_SD,
    no_variance=_FIXED, citation=_NAKAGAWA, formulas=("ln(sd_post/sd_pre)", "(1 − r²)/(n − 1)"),
)  # fmt: skip
def ratio_of_sds_change(sd_post: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log ratio of the SD after to the SD before; the biases of the two logs cancel."""
    return np.log(sd_post / sd_pre), (1 - r**2) / (n - 1)


@measure(
    "CVRC", "ratio of coefficients of variation, after to before", TIMES_WITH_MEANS,
    scale="log ratio of coefficients of variation", transform="exp", undefined=_NO_CV,
    no_variance=_FIXED, citation=_SENIOR,
    formulas=(
        "ln(cv_post/cv_pre) − ½(cv_post² − cv_pre²)/n, cv = sd/m",
        "(cv_post² + cv_pre² − 2r·cv_post·cv_pre)/n + (1 − r²)/(n − 1)",
    ),
)  # fmt: skip
def ratio_of_cvs_change(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Log ratio of the coefficient of variation after to that before."""
    spread, of_spread = ratio_of_sds_change(sd_post, sd_pre, n, r, vtype)
    means, of_means = ratio_of_means_change(mean_post, sd_post, mean_pre, sd_pre, n, r, vtype)
    return spread - means, of_spread + of_means
