"""What RevMan computes, by its own algorithms: effects of studies and pooled estimates as its files store them.

After Deeks JJ, Higgins JPT (2010), Statistical algorithms in Review Manager 5 (Cochrane Statistical Methods Group),
where RevMan goes other ways than metail2's models: 0.5 is added to every cell of a table with a zero, also within the
Mantel–Haenszel sums; the Mantel–Haenszel risk difference has the variance of Greenland & Robins (1985); Q of a
Mantel–Haenszel analysis is taken around the Mantel–Haenszel estimate, and so is the DerSimonian–Laird τ² of "M-H,
random"; the standardised mean difference uses 1 − 3/(4N − 9) and the variance N/(n1·n2) + g²/2(N − 3.94). From 2024 on
RevMan also has REML, the Hartung–Knapp interval and I² from τ² (Cochrane Methods, January 2025). Where the description
leaves open what files do, both ways are offered as a `Way`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from metail2.effects.effect_sizes import LARGEST
from metail2.kernels.heterogeneity import heterogeneity, i2_from_q, i2_from_tau2
from metail2.kernels.inference import FACTORS, chi2_upper, wald
from metail2.kernels.tables import MANTEL_HAENSZEL, hypergeometric_variance
from metail2.kernels.tau2 import TAU2

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]
NAN = float("nan")

CELLS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "OR": (("zero", "zero"),),
    "RR": (("zero", "zero"), ("needed", "needed")),
    "RD": (("raw", "zero"), ("zero", "zero"), ("raw", "needed")),
    "PETO": (("raw", "raw"),),
}
"""Which cells effects and variances of a measure are computed from; the usual way first.

"zero": 0.5 is added where a cell is 0; "needed": where the effect or its variance could not be computed otherwise.
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to analyse the figures of an analysis.

    Attributes
    ----------
    measure : str
        ``OR RR RD PETO MD SMD GEN``.
    swapped : bool
        Whether non-events are counted.
    log_scale : bool
        Whether effects are shown as ratios.
    effect_cells, variance_cells, sum_cells : {"raw", "zero", "needed"}
        Which tables effects, variances and Mantel–Haenszel sums are computed from; see `CELLS`.
    method : {"MH", "IV"}
        Of the common-effect estimate; Peto's is the inverse-variance estimate of Peto's effects.
    around : {"MH", "IV"}
        The estimate that Q and the DerSimonian–Laird τ² are taken around.
    tau2 : {"", "DL", "REML"}
        Estimator of τ²; empty for a common effect.
    test : {"z", "knapp_hartung"}
        How the pooled interval is made.
    """

    measure: str
    swapped: bool = False
    log_scale: bool = False
    effect_cells: str = "raw"
    variance_cells: str = "raw"
    sum_cells: str = "raw"
    method: str = "IV"
    around: str = "IV"
    tau2: str = ""
    test: str = "z"

    def show(self, values: Floats) -> Floats:
        """Take values to the scale that the file shows."""
        return np.exp(values) if self.log_scale else values


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects of k studies on the analysed scale, and the tables that Mantel–Haenszel sums are of.

    Attributes
    ----------
    yi, vi : ndarray, shape (k,)
        NaN where the figures give none.
    sums : ndarray, shape (4, k)
        Cells a, b, c, d; empty where there are no tables.
    """

    yi: Floats
    vi: Floats
    sums: Floats

    def subset(self, mask: NDArray[np.bool_]) -> Effects:
        """Effects where `mask`, shape (k,), is true."""
        return Effects(self.yi[mask], self.vi[mask], self.sums[:, mask])


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pooled result.

    Attributes
    ----------
    estimate, se, lower, upper, z, p_value : float
        On the analysed scale.
    weights : ndarray, shape (k,)
        They sum to 1.
    q, q_df, q_p, tau2, i2_q, i2_tau2 : float
        Heterogeneity; I² in percent from Q and from τ².
    """

    estimate: float
    se: float
    lower: float
    upper: float
    z: float
    p_value: float
    weights: Floats
    q: float
    q_df: int
    q_p: float
    tau2: float
    i2_q: float
    i2_tau2: float


def study_ways(kind: str, measure: str, swapped: bool, log_scale: bool) -> list[Way]:
    """List the ways to compute the effects of studies as `measure`, the usual one first."""
    way = Way(measure, swapped, log_scale)
    if kind != "dichotomous":
        return [way]
    return [replace(way, effect_cells=effect, variance_cells=variance) for effect, variance in CELLS[measure]]


def pooling_ways(way: Way, method: str, tau2: str, test: str) -> Iterator[Way]:
    """List the ways to pool by a method and model, the usual one first; Mantel–Haenszel only where its sums exist."""
    chosen = replace(way, tau2=tau2, test=test if tau2 else "z")
    if method != "MH" or way.measure not in MANTEL_HAENSZEL:
        yield replace(chosen, method="IV", around="IV")
        return
    for cells, around in product(("zero", "raw"), ("MH", "IV") if tau2 else ("MH",)):
        yield replace(chosen, method="MH", sum_cells=cells, around=around)


def compute_effects(kind: str, columns: Columns, way: Way) -> Effects:
    """Compute effects and variances of studies.

    Parameters
    ----------
    kind : str
        A key of `metail2.records.reviews.review.FIGURES`.
    columns : mapping of str to ndarray, each of shape (k,)
        Its figures; those that give no effect are NaN.
    way : Way
        How.
    """
    with np.errstate(all="ignore"):
        if kind == "dichotomous":
            yi, vi, sums = _of_tables(columns, way)
        else:
            yi, vi = _of_means(columns, way.measure) if kind == "continuous" else _given(columns)
            sums = np.empty((4, len(yi)))
    # as in EffectSizes: with larger figures (1e308 patients) nothing can be computed
    known = (np.abs(yi) <= LARGEST) & (vi <= LARGEST) & (vi >= 1 / LARGEST)
    return Effects(np.where(known, yi, NAN), np.where(known, vi, NAN), sums)


def _given(columns: Columns) -> tuple[Floats, Floats]:
    if "yi" in columns:
        return columns["yi"], columns["sei"] ** 2
    return columns["o_minus_e"] / columns["v"], 1 / columns["v"]


def _of_means(columns: Columns, measure: str) -> tuple[Floats, Floats]:
    mean1, sd1, n1, mean2, sd2, n2 = (columns[name] for name in ("mean1", "sd1", "n1", "mean2", "sd2", "n2"))
    if measure == "MD":
        return mean1 - mean2, sd1**2 / n1 + sd2**2 / n2
    n = n1 + n2
    sd = np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n - 2))
    g = (mean1 - mean2) / sd * (1 - 3 / (4 * n - 9))
    return g, n / (n1 * n2) + g**2 / (2 * (n - 3.94))


def _of_tables(columns: Columns, way: Way) -> tuple[Floats, Floats, Floats]:
    a, n1, c, n2 = (columns[name] for name in ("events1", "n1", "events2", "n2"))
    raw = np.array([a, n1 - a, c, n2 - c])
    if way.swapped:
        raw = raw[[1, 0, 3, 2]]
    effect = _EFFECTS[way.measure](*_cells(raw, way.effect_cells, way.measure))[0]
    variance = _EFFECTS[way.measure](*_cells(raw, way.variance_cells, way.measure))[1]
    if way.measure != "RD":
        undefined = (raw[0] + raw[2] == 0) | ((raw[1] + raw[3] == 0) & (way.measure != "RR"))
        effect = np.where(undefined, NAN, effect)
    return effect, variance, _cells(raw, way.sum_cells, way.measure)


def _cells(raw: Floats, rule: str, measure: str) -> Floats:
    a, b, c, d = raw == 0
    rows = {
        "raw": np.zeros_like(a),
        "zero": a | b | c | d,
        "needed": (a | b) & (c | d) if measure == "RD" else a | c | (b & d),
    }[rule]
    return np.asarray(raw + 0.5 * rows)


def _odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def _risk_ratio(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    n1, n2 = a + b, c + d
    return np.log(a * n2 / (c * n1)), 1 / a - 1 / n1 + 1 / c - 1 / n2


def _risk_difference(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    n1, n2 = a + b, c + d
    return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3


def _peto(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    v = hypergeometric_variance(a, b, c, d)
    return (a - (a + c) * (a + b) / (a + b + c + d)) / v, 1 / v


_EFFECTS = {"OR": _odds_ratio, "RR": _risk_ratio, "RD": _risk_difference, "PETO": _peto}


def pool_effects(effects: Effects, way: Way, level: float) -> Pooled:
    """Pool the effects of k ≥ 1 studies, all of them known.

    Parameters
    ----------
    effects : Effects
        From `compute_effects`.
    way : Way
        How.
    level : float
        Confidence level, as a fraction.
    """
    yi, vi = effects.yi, effects.vi
    w, df = 1 / vi, len(yi) - 1
    estimate, variance, weights = _common_effect(effects, way)
    centre = estimate if way.around == "MH" else float((w * yi).sum() / w.sum())
    q = float((w * (yi - centre) ** 2).sum())
    tau2 = _tau2(yi, vi, q, way.tau2) if df else 0.0
    if way.tau2:
        weights = 1 / (vi + tau2)
        estimate, variance = float((weights * yi).sum() / weights.sum()), float(1 / weights.sum())
    # with one study the interval is its own
    s2 = np.asarray((weights * (yi - estimate) ** 2).sum() / df if df else 1.0)
    factor, test_df = FACTORS[way.test if df else "z"](s2, df)
    normal = wald(np.atleast_1d(estimate), np.atleast_1d(variance), np.inf, level)
    shown = wald(np.atleast_1d(estimate), np.atleast_1d(factor * variance), test_df, level)
    typical = float(heterogeneity(yi, vi, np.ones((len(yi), 1))).typical_variance) if df else NAN
    return Pooled(
        estimate=float(estimate), se=float(shown.se[0]), lower=float(shown.lower[0]), upper=float(shown.upper[0]),
        z=abs(float(normal.statistic[0])), p_value=float(normal.p_value[0]), weights=weights / weights.sum(),
        q=q, q_df=df, q_p=float(chi2_upper(np.asarray(q), df)) if df else NAN,
        tau2=tau2, i2_q=float(i2_from_q(np.asarray(q), df)) if df else NAN,
        i2_tau2=float(i2_from_tau2(np.asarray(tau2), np.asarray(typical))) if df else NAN,
    )  # fmt: skip


def _common_effect(effects: Effects, way: Way) -> tuple[float, float, Floats]:
    if way.method != "MH":
        w = 1 / effects.vi
        return float((w * effects.yi).sum() / w.sum()), float(1 / w.sum()), w
    if way.measure == "RD":
        return _mantel_haenszel_difference(*effects.sums)
    found = MANTEL_HAENSZEL[way.measure](*effects.sums)
    return float(found.estimate), float(found.variance), found.weights


def _mantel_haenszel_difference(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[float, float, Floats]:
    """Mantel–Haenszel risk difference with the variance of Greenland & Robins (1985)."""
    n1, n2 = a + b, c + d
    w = n1 * n2 / (n1 + n2)
    estimate = float((w * (a / n1 - c / n2)).sum() / w.sum())
    variance = float((w**2 * (a * b / n1**3 + c * d / n2**3)).sum() / w.sum() ** 2)
    return estimate, variance, w


def _tau2(yi: Floats, vi: Floats, q: float, estimator: str) -> float:
    if estimator == "REML":
        return float(TAU2["REML"](yi, vi, np.ones((len(yi), 1))).value)
    if estimator == "":
        return 0.0
    w = 1 / vi
    return float(max(0.0, (q - (len(yi) - 1)) / (w.sum() - (w**2).sum() / w.sum())))


def subgroup_difference(groups: list[Pooled], overall: Pooled) -> list[float]:
    """Test statistics for differences between subgroups that RevMan's versions use, each with groups − 1 df.

    The first compares the pooled estimates by their inverse variances (Deeks & Higgins 2010), the second takes from
    the Q of all studies what lies within the subgroups (RevMan 5.0).
    """
    estimates = np.array([group.estimate for group in groups])
    w = 1 / np.array([group.se for group in groups]) ** 2
    centre = (w * estimates).sum() / w.sum()
    return [float((w * (estimates - centre) ** 2).sum()), overall.q - sum(group.q for group in groups)]
