"""Measures that compare the means of two independent arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import check_finite, check_not_negative, check_positive
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.moments import small_sample_factor

Floats = NDArray[np.float64]
_COLUMNS = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_finite(columns, "mean1", "mean2")
    check_not_negative(columns, "sd1", "sd2")
    check_positive(columns, "n1", "n2", rule="must be a number of patients above 0")
    return {name: columns[name] for name in _COLUMNS}


TWO_MEANS = Family("two_means", (_COLUMNS,), _prepare)


def pooled_variance(sd1: Floats, n1: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Pooled within-arm variance, n1 + n2 − 2 degrees of freedom."""
    return np.asarray(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))


@measure(
    "MD", "mean difference", TWO_MEANS,
    formulas=("m1 − m2", "sd1²/n1 + sd2²/n2"), vtypes=("LS", "HO"),
    citation="Deeks JJ, Higgins JPT, Altman DG (2024). Cochrane Handbook, ch. 10",
)  # fmt: skip
def mean_difference(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Difference of means; variance with separate SDs (LS) or the pooled SD (HO)."""
    if vtype == "HO":
        return mean1 - mean2, pooled_variance(sd1, n1, sd2, n2) * (1 / n1 + 1 / n2)
    return mean1 - mean2, sd1**2 / n1 + sd2**2 / n2


@measure(
    "SMD", "standardised mean difference (Hedges' g)", TWO_MEANS,
    formulas=("J(n1 + n2 − 2)·(m1 − m2)/sd_pooled", "1/n1 + 1/n2 + g²/2(n1 + n2)"),
    vtypes=("LS", "LS2", "UB", "H0"),
    citation="Hedges LV (1981). Journal of Educational Statistics 6:107–128",
)  # fmt: skip
def standardised_mean_difference(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Hedges' g with the exact small-sample factor; large-sample (LS, LS2), unbiased (UB) or null (H0) variance."""
    m = n1 + n2 - 2
    factor = small_sample_factor(m)
    d = (mean1 - mean2) / np.sqrt(pooled_variance(sd1, n1, sd2, n2))
    g, sizes = factor * d, 1 / n1 + 1 / n2
    variance = {
        "LS": lambda: sizes + g**2 / (2 * (n1 + n2)),
        "LS2": lambda: factor**2 * (sizes + d**2 / (2 * (n1 + n2))),
        "UB": lambda: sizes + (1 - (m - 2) / (m * factor**2)) * g**2,
        "H0": lambda: factor**2 * m / (m - 2) * sizes,
    }[vtype]()
    return g, variance


@measure(
    "ROM", "ratio of means", TWO_MEANS,
    formulas=("ln(m1/m2) + ½(sd1²/(n1·m1²) − sd2²/(n2·m2²))", "sd1²/(n1·m1²) + sd2²/(n2·m2²)"),
    scale="log ratio of means", transform="exp", vtypes=("LS", "HO", "AV", "AVHO"),
    citation="Hedges LV, Gurevitch J, Curtis PS (1999). Ecology 80:1150–1156; Lajeunesse MJ (2015). Ecology "
    "96:2056–2063; Nakagawa S et al. (2023). Ecology Letters 26:232–244 (average CV)",
)  # fmt: skip
def ratio_of_means(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Log ratio of means with the second-order bias correction of Lajeunesse (2015) in every variant.

    Variance from each study's CVs (LS), the pooled SD (HO), or the average CV of each arm (AV) or of both (AVHO).
    """
    cv1, cv2 = sd1 / mean1, sd2 / mean2
    ratio = np.log(mean1 / mean2) + 0.5 * (cv1**2 / n1 - cv2**2 / n2)
    if vtype == "LS":
        return ratio, cv1**2 / n1 + cv2**2 / n2
    if vtype == "HO":
        return ratio, pooled_variance(sd1, n1, sd2, n2) * (1 / (n1 * mean1**2) + 1 / (n2 * mean2**2))
    average1, average2 = _average(cv1, n1), _average(cv2, n2)
    if vtype == "AVHO":
        average1 = average2 = _average(np.concatenate([cv1, cv2]), np.concatenate([n1, n2]))
    return ratio, average1**2 / n1 + average2**2 / n2


def _average(cv: Floats, n: Floats) -> float:
    """Mean CV weighted by sample size over the studies that have one."""
    known = ~(np.isnan(cv) | np.isnan(n))
    return float(np.average(cv[known], weights=n[known])) if known.any() else float("nan")
