"""Measures that compare the means of two independent arms: differences, standardised differences and the ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import check_finite, check_not_negative, check_positive
from metail2.effects.definition import Family, Measure, Variance, measure
from metail2.effects.moments import small_sample_factor
from metail2.effects.printed_tests import t_statistic

Floats = NDArray[np.float64]
COLUMNS = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")


def prepare_means(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    """Check means, SDs and sizes of both arms."""
    check_finite(columns, "mean1", "mean2")
    check_not_negative(columns, "sd1", "sd2")
    check_sizes(columns)
    return {name: columns[name] for name in COLUMNS}


def check_sizes(columns: Mapping[str, Floats]) -> None:
    """Both arms have patients."""
    check_positive(columns, "n1", "n2", rule="must be a number of patients above 0")


def pooled_variance(sd1: Floats, n1: Floats, sd2: Floats, n2: Floats) -> Floats:
    """Pooled within-arm variance, n1 + n2 − 2 degrees of freedom."""
    return np.asarray(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))


def cohens_d(columns: Mapping[str, Floats]) -> Floats:
    """Return the uncorrected standardised difference, from moments, as printed, or from its t test.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (k,)
        One of the sets of `STANDARDISED`.

    Returns
    -------
    ndarray, shape (k,)
        (mean1 − mean2)/pooled SD. From t it is t·√(1/n1 + 1/n2), which is exact for the t test with equal variances;
        F, P and the point-biserial r give that t. A Welch or rank test does not.
    """
    if "d" in columns:
        check_finite(columns, "d")
        return columns["d"]
    n1, n2 = columns["n1"], columns["n2"]
    if "mean1" in columns:
        sd = np.sqrt(pooled_variance(columns["sd1"], n1, columns["sd2"], n2))
        return np.asarray((columns["mean1"] - columns["mean2"]) / sd)
    return t_statistic(columns, n1 + n2 - 2) * np.sqrt(1 / n1 + 1 / n2)


def _prepare_standardised(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    if "mean1" in columns:
        prepare_means(columns, chosen, options)
    check_sizes(columns)
    return {"d": cohens_d(columns), "n1": columns["n1"], "n2": columns["n2"]}


TWO_MEANS = Family("two_means", (COLUMNS,), prepare_means)
STANDARDISED = Family(
    "two_means",
    (
        COLUMNS,
        ("d", "n1", "n2"),
        ("t", "n1", "n2"),
        ("f", "direction", "n1", "n2"),
        ("p", "direction", "n1", "n2"),
        ("r", "n1", "n2"),
    ),
    _prepare_standardised,
)
"""For measures that depend on the arms only through Cohen's d and the sizes; `compute` gets ``d n1 n2``."""

_NAKAGAWA = "Nakagawa S et al. (2023). Ecology Letters 26:232–244"
_BORENSTEIN = (
    "Borenstein M (2009). In: Cooper H, Hedges LV, Valentine JC (eds), The Handbook of Research Synthesis and "
    "Meta-Analysis, 2nd ed., eq. 12.17"
)
_POOLED = "sd_pooled² = ((n1 − 1)·sd1² + (n2 − 1)·sd2²)/(n1 + n2 − 2)"
_BONETT = "Bonett DG (2008). Psychological Methods 13:99–109"
_HEDGES = "Hedges LV (1981). Journal of Educational Statistics 6:107–128"
_FLAT = "the SD that it is divided by is 0, or there are too few patients"


def _df_both(columns: Mapping[str, Floats]) -> Floats:
    return columns["n1"] + columns["n2"] - 2


def _df_second(columns: Mapping[str, Floats]) -> Floats:
    return columns["n2"] - 1


@measure(
    "MD", "mean difference", TWO_MEANS,
    formulas=("m1 − m2", "sd1²/n1 + sd2²/n2"), no_variance="both SDs are 0",
    others={"HO": Variance(f"sd_pooled²·(1/n1 + 1/n2), {_POOLED}", "Fisher RA (1925). Metron 5:90–104")},
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
    "SMD", "standardised mean difference (Hedges' g)", STANDARDISED,
    formulas=("J(n1 + n2 − 2)·(m1 − m2)/sd_pooled", "1/n1 + 1/n2 + g²/(2(n1 + n2))"),
    others={
        "LS2": Variance("J²·(1/n1 + 1/n2 + d²/(2(n1 + n2))), d = g/J", _BORENSTEIN),
        "UB": Variance(
            "J²/J_exact²·(1/n1 + 1/n2) + (1 − (m − 2)/(m·J_exact²))·g², m = n1 + n2 − 2; with the exact J the first "
            "factor is 1",
            "Hedges LV (1983). Psychological Bulletin 93:388–395",
        ),
        "H0": Variance("J²·m/(m − 2)·(1/n1 + 1/n2), m = n1 + n2 − 2", f"{_HEDGES} (variance where there is no effect)"),
    },
    df=_df_both, undefined=_FLAT, no_variance="there are too few patients",
    citation=f"{_HEDGES}; Hedges LV (1982). Psychological Bulletin 92:490–499 (variance)",
)  # fmt: skip
def standardised_mean_difference(
    d: Floats, n1: Floats, n2: Floats, factor: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Standardised difference; large-sample (LS, LS2), unbiased (UB) or null (H0) variance.

    UB is unbiased whichever factor is used: E(d²) = m/(m − 2)·(1/n1 + 1/n2 + δ²) gives the unbiased estimate of δ²,
    and (factor·δ/J)² is the square of the expectation of factor·d. With the exact factor it is the formula of Hedges,
    1/n1 + 1/n2 + (1 − (m − 2)/(m·J²))·g².
    """
    m, g, sizes = n1 + n2 - 2, factor * d, 1 / n1 + 1 / n2
    if vtype == "UB":
        j2 = small_sample_factor(m) ** 2
        return g, factor**2 / j2 * (sizes + (j2 - (m - 2) / m) * d**2)
    variance = {
        "LS": sizes + g**2 / (2 * (n1 + n2)),
        "LS2": factor**2 * (sizes + d**2 / (2 * (n1 + n2))),
        "H0": factor**2 * m / (m - 2) * sizes,
    }[vtype]
    return g, variance


@measure(
    "SMDH", "standardised mean difference (unequal variances)", TWO_MEANS,
    formulas=(
        "J(n1 + n2 − 2)·(m1 − m2)/sd, sd² = (sd1² + sd2²)/2",
        "(sd1²/(n1 − 1) + sd2²/(n2 − 1))/sd² + g²·(sd1⁴/(n1 − 1) + sd2⁴/(n2 − 1))/(8sd⁴)",
    ),
    df=_df_both, undefined=_FLAT, citation=_BONETT,
)  # fmt: skip
def standardised_by_average(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, factor: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Difference in units of the root mean square of both SDs, which need not be equal."""
    variance = (sd1**2 + sd2**2) / 2
    g = factor * (mean1 - mean2) / np.sqrt(variance)
    of_means = (sd1**2 / (n1 - 1) + sd2**2 / (n2 - 1)) / variance
    of_sd = (sd1**4 / (n1 - 1) + sd2**4 / (n2 - 1)) / (8 * variance**2)
    return g, of_means + g**2 * of_sd


def glass_delta(mean1: Floats, mean2: Floats, sd2: Floats, factor: Floats) -> Floats:
    """Difference in SDs of the second arm, the control."""
    return np.asarray(factor * (mean1 - mean2) / sd2)


@measure(
    "SMD1", "standardised mean difference (Glass' Δ, SD of arm 2)", TWO_MEANS,
    formulas=("J(n2 − 1)·(m1 − m2)/sd2", "1/n1 + 1/n2 + g²/(2n2)"), df=_df_second, undefined=_FLAT,
    citation=f"Glass GV (1976). Educational Researcher 5:3–8; {_HEDGES}",
)  # fmt: skip
def standardised_by_control(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, factor: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Difference in SDs of the second arm; the variance takes both SDs as equal."""
    g = glass_delta(mean1, mean2, sd2, factor)
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * n2)


@measure(
    "SMD1H", "standardised mean difference (Glass' Δ, unequal variances)", TWO_MEANS,
    formulas=("J(n2 − 1)·(m1 − m2)/sd2", "(sd1/sd2)²/(n1 − 1) + 1/(n2 − 1) + g²/(2(n2 − 1))"), df=_df_second,
    undefined=_FLAT, citation=_BONETT,
)  # fmt: skip
def standardised_by_control_unequal(
    mean1: Floats, sd1: Floats, n1: Floats, mean2: Floats, sd2: Floats, n2: Floats, factor: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Difference in SDs of the second arm; the variance lets the SD of the first differ."""
    g = glass_delta(mean1, mean2, sd2, factor)
    return g, (sd1 / sd2) ** 2 / (n1 - 1) + 1 / (n2 - 1) + g**2 / (2 * (n2 - 1))


@measure(
    "ROM", "ratio of means", TWO_MEANS,
    formulas=("ln(m1/m2) + ½(sd1²/(n1·m1²) − sd2²/(n2·m2²))", "sd1²/(n1·m1²) + sd2²/(n2·m2²)"),
    scale="log ratio of means", transform="exp",
    others={
        "HO": Variance(f"sd_pooled²·(1/(n1·m1²) + 1/(n2·m2²)), {_POOLED}", "delta method with the pooled variance"),
        "AV": Variance(
            "c1²/n1 + c2²/n2, c = Σn·|sd/m|/Σn of the same arm over all studies", _NAKAGAWA, averaged=True
        ),
        "AVHO": Variance("c²·(1/n1 + 1/n2), c = Σn·|sd/m|/Σn over all arms and studies", _NAKAGAWA, averaged=True),
    },
    undefined="the means are not both above 0 or both below it", no_variance="both SDs are 0",
    citation="Hedges LV, Gurevitch J, Curtis PS (1999). Ecology 80:1150–1156; Lajeunesse MJ (2015). Ecology "
    "96:2056–2063 (bias correction)",
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
    """Mean size of the CV, weighted by sample size, over the studies that have one."""
    known = np.isfinite(cv) & np.isfinite(n)
    return float(np.average(np.abs(cv[known]), weights=n[known])) if known.any() else float("nan")
