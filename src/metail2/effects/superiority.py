"""How often a patient of arm 1 has the higher value: the probability of superiority, or area under the ROC curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from metail2.effects.change import CHANGE
from metail2.effects.counts import require
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.two_means import TWO_MEANS, check_sizes

Floats = NDArray[np.float64]


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_sizes(columns)
    require(columns, "auc", (columns["auc"] >= 0) & (columns["auc"] <= 1), "must lie between 0 and 1")
    return dict(columns)


SUPERIORITY = Family("superiority", (("auc", "n1", "n2"),), _prepare)
_NEWCOMBE = "Newcombe RG (2006). Statistics in Medicine 25:559–573"
_MCGRAW = "McGraw KO, Wong SP (1992). Psychological Bulletin 111:361–365"
_CERTAIN = "the area is 0 or 1, or an arm has one patient"
_SEPARATE = "the area is 0 or 1 to machine precision, or there are too few patients"
_FLAT = "both SDs are 0 and the means are equal"
_INDEPENDENT = (
    "A = Φ(δ), δ = (m1 − m2)/√(sd1² + sd2²)",
    "φ(δ)²·[(sd1²/(n1 − 1) + sd2²/(n2 − 1))/s² + δ²·(sd1⁴/(n1 − 1) + sd2⁴/(n2 − 1))/(2s⁴)], s² = sd1² + sd2²",
)
_PAIRED = (
    "A = Φ(δ), δ = (m_post − m_pre)/√(sd_post² + sd_pre²)",
    "φ(δ)²/(n − 1)·[(s² − 2r·sd_post·sd_pre)/s² + δ²·(sd_post⁴ + sd_pre⁴ + 2r²·sd_post²·sd_pre²)/(2s⁴)], "
    "s² = sd_post² + sd_pre²",
)
_COUNTED = ("A", "A(1 − A)/((n1 − 1)(n2 − 1))·[1 + N(1 − A)/(2 − A) + N·A/(1 + A)], N = (n1 + n2)/2 − 1")


@measure(
    "CLES", "probability of superiority", SUPERIORITY, formulas=_COUNTED, null=0.5, bounds=(0, 1),
    no_variance=_CERTAIN, citation=_NEWCOMBE,
)  # fmt: skip
@measure(
    "AUC", "area under the ROC curve", SUPERIORITY, formulas=_COUNTED, null=0.5, bounds=(0, 1),
    no_variance=_CERTAIN, citation=_NEWCOMBE,
)  # fmt: skip
def area(auc: Floats, n1: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """The area as printed, with Newcombe's fourth variance: that of exponential values, made symmetric."""
    half = (n1 + n2) / 2 - 1
    bracket = 1 + half * (1 - auc) / (2 - auc) + half * auc / (1 + auc)
    return auc, auc * (1 - auc) * bracket / ((n1 - 1) * (n2 - 1))


def _normal(delta: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Φ(δ) and its variance from that of δ, by the delta method; none for an area of 0 or 1 to machine precision."""
    inside = ndtr(-np.abs(delta)) > np.finfo(float).eps
    return np.asarray(ndtr(delta)), np.where(inside, np.exp(-(delta**2)) / (2 * np.pi) * variance, 0.0)


@measure(
    "CLESN", "probability of superiority (normal values)", TWO_MEANS, formulas=_INDEPENDENT, null=0.5,
    bounds=(0, 1), no_variance=_SEPARATE, undefined=_FLAT, citation=f"{_MCGRAW}; {_NEWCOMBE}",
)  # fmt: skip
@measure(
    "AUCN", "area under the ROC curve (normal values)", TWO_MEANS, formulas=_INDEPENDENT, null=0.5,
    bounds=(0, 1), no_variance=_SEPARATE, undefined=_FLAT, citation=f"{_MCGRAW}; {_NEWCOMBE}",
)  # fmt: skip
def normal_area(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """The area that normal values of unequal variance imply."""
    total = sd1**2 + sd2**2
    delta = (mean1 - mean2) / np.sqrt(total)
    of_means = (sd1**2 / (n1 - 1) + sd2**2 / (n2 - 1)) / total
    of_sd = (sd1**4 / (n1 - 1) + sd2**4 / (n2 - 1)) / (2 * total**2)
    return _normal(delta, of_means + delta**2 * of_sd)


@measure(
    "CLESCN", "probability of superiority, after to before (normal values)", CHANGE, formulas=_PAIRED, null=0.5,
    bounds=(0, 1), no_variance=_SEPARATE, undefined=_FLAT, citation=f"{_MCGRAW}; {_NEWCOMBE}",
)  # fmt: skip
@measure(
    "AUCCN", "area under the ROC curve, after to before (normal values)", CHANGE, formulas=_PAIRED, null=0.5,
    bounds=(0, 1), no_variance=_SEPARATE, undefined=_FLAT, citation=f"{_MCGRAW}; {_NEWCOMBE}",
)  # fmt: skip
def normal_area_change(
    mean_post: Floats, sd_post: Floats, mean_pre: Floats, sd_pre: Floats, n: Floats, r: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """The area between the values after and before as if of different patients; r enters its variance alone."""
    total = sd_post**2 + sd_pre**2
    delta = (mean_post - mean_pre) / np.sqrt(total)
    of_means = (total - 2 * r * sd_post * sd_pre) / total
    of_sd = (sd_post**4 + sd_pre**4 + 2 * (r * sd_post * sd_pre) ** 2) / (2 * total**2)
    return _normal(delta, (of_means + delta**2 * of_sd) / (n - 1))
