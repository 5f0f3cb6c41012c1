"""The formulas behind `mean_sd`: what each needs, how it reads, and which article it comes from.

Symbols as in the articles: a, b the minimum and maximum, q1, q3 the quartiles, m the median, n the number of people,
Φ⁻¹ the standard normal quantile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri

from metail2.conversions.checks import Array
from metail2.registry import Registry

Scenario: TypeAlias = Literal["range", "quartiles", "five"]
"""What is printed around the median: minimum and maximum, both quartiles, or all four."""


@dataclass(frozen=True)
class Figures:
    """Printed figures of shape (rows,), NaN where not printed."""

    a: Array
    q1: Array
    m: Array
    q3: Array
    b: Array
    n: Array

    def at(self, rows: npt.NDArray[np.bool_]) -> Figures:
        """Return the figures of the rows marked True."""
        return Figures(*(getattr(self, name)[rows] for name in ("a", "q1", "m", "q3", "b", "n")))


@dataclass(frozen=True)
class Formula:
    """One published formula for a mean or an SD.

    Attributes
    ----------
    name : str
        Its key in `FORMULAS`, as `MeanSD.mean_method` and `MeanSD.sd_method` name it.
    text : str
        The formula in symbols, for the audit trail.
    citation : str
        The article it is taken from.
    compute : callable
        `Figures` of shape (rows,) to values of shape (rows,).
    """

    name: str
    text: str
    citation: str
    compute: Callable[[Figures], Array]


@dataclass(frozen=True)
class SummaryMethod:
    """A named choice of formulas: for each scenario one for the mean and one for the SD, where published."""

    name: str
    label: str
    mean: Mapping[Scenario, Formula]
    sd: Mapping[Scenario, Formula]


FORMULAS: Registry[Formula] = Registry("summary formula")
SUMMARY_METHODS: Registry[SummaryMethod] = Registry("summary method")

HOZO = (
    "Hozo SP, Djulbegovic B, Hozo I. Estimating the mean and variance from the median, range, and the size of a "
    "sample. BMC Med Res Methodol 2005;5:13. doi:10.1186/1471-2288-5-13"
)
WAN = (
    "Wan X, Wang W, Liu J, Tong T. Estimating the sample mean and standard deviation from the sample size, median, "
    "range and/or interquartile range. BMC Med Res Methodol 2014;14:135. doi:10.1186/1471-2288-14-135"
)
LUO = (
    "Luo D, Wan X, Liu J, Tong T. Optimally estimating the sample mean from the sample size, median, mid-range, "
    "and/or mid-quartile range. Stat Methods Med Res 2018;27:1785–1805. doi:10.1177/0962280216669183"
)
SHI = (
    "Shi J, Luo D, Weng H, et al. Optimally estimating the sample standard deviation from the five-number summary. "
    "Res Synth Methods 2020;11:641–654. doi:10.1002/jrsm.1429"
)
BLAND = (
    "Bland M. Estimating mean and standard deviation from the sample size, three quartiles, minimum, and maximum. "
    "Int J Stat Med Res 2015;4:57–64. doi:10.6000/1929-6029.2015.04.01.6"
)
WALTER = (
    "Walter SD, Yao X. Effect sizes can be calculated for studies reporting ranges for outcome variables in "
    "systematic reviews. J Clin Epidemiol 2007;60:849–852. doi:10.1016/j.jclinepi.2006.11.003; expected range: "
    "Tippett LHC. Biometrika 1925;17:364–387. doi:10.1093/biomet/17.3-4.364"
)


def range_quantile(n: Array) -> Array:
    """Blom's approximation to the expected maximum of n standard normals, Φ⁻¹((n − 0.375)/(n + 0.25)).

    The quantile is taken in the lower tail, where it keeps its digits when n is large.
    """
    return -ndtri(0.625 / (n + 0.25))


def quartile_quantile(n: Array) -> Array:
    """Blom's approximation to the expected upper quartile, Φ⁻¹((0.75n − 0.125)/(n + 0.25))."""
    return ndtri((0.75 * n - 0.125) / (n + 0.25))


def expected_range(n: Array) -> Array:
    """Exact expected range of n standard normals, d2(n) = ∫ 1 − Φ(x)ⁿ − (1 − Φ(x))ⁿ dx (Tippett 1925).

    Parameters
    ----------
    n : ndarray, shape (rows,)
        Numbers of people.

    Returns
    -------
    ndarray, shape (rows,)
        In units of the SD. The integrand is even, analytic and falls off like a normal tail, so the trapezoidal rule
        converges geometrically: step 0.02 on [0, 40] is exact to rounding for any n below 1e300.
    """
    sizes, rows = np.unique(n, return_inverse=True)
    x = np.linspace(0.0, 40.0, 2001)
    inside = -np.expm1(sizes[:, None] * log_ndtr(x)) - np.exp(sizes[:, None] * log_ndtr(-x))
    half = inside.sum(axis=1) - 0.5 * (inside[:, 0] + inside[:, -1])
    doubled: Array = 2 * half * (x[1] - x[0])
    return doubled[rows]


def _formula(name: str, text: str, citation: str) -> Callable[[Callable[[Figures], Array]], Formula]:
    """Register the decorated function as the formula `name`."""
    return lambda compute: FORMULAS.add(name, Formula(name, text, citation, compute))


@_formula("hozo2005_mean_range", "mean = (a + 2m + b)/4 for n ≤ 25, else m", HOZO)
def _hozo_mean(f: Figures) -> Array:
    return np.where(f.n <= 25, (f.a + 2 * f.m + f.b) / 4, f.m)


@_formula(
    "hozo2005_sd_range",
    "SD = √([(a − 2m + b)²/4 + (b − a)²]/12) for n ≤ 15, (b − a)/4 for 15 < n ≤ 70, (b − a)/6 for n > 70",
    HOZO,
)
def _hozo_sd(f: Figures) -> Array:
    small = np.sqrt(((f.a - 2 * f.m + f.b) ** 2 / 4 + (f.b - f.a) ** 2) / 12)
    return np.where(f.n <= 15, small, (f.b - f.a) / np.where(f.n <= 70, 4, 6))


@_formula("wan2014_mean_range", "mean = (a + 2m + b)/4", WAN)
def _wan_mean_range(f: Figures) -> Array:
    return (f.a + 2 * f.m + f.b) / 4


@_formula("wan2014_mean_quartiles", "mean = (q1 + m + q3)/3", WAN)
def _wan_mean_quartiles(f: Figures) -> Array:
    return (f.q1 + f.m + f.q3) / 3


@_formula("bland2015_mean_five", "mean = (a + 2·q1 + 2m + 2·q3 + b)/8", BLAND)
def _bland_mean(f: Figures) -> Array:
    return (f.a + 2 * f.q1 + 2 * f.m + 2 * f.q3 + f.b) / 8


@_formula("wan2014_sd_range", "SD = (b − a)/(2·Φ⁻¹((n − 0.375)/(n + 0.25)))", WAN)
def _wan_sd_range(f: Figures) -> Array:
    return (f.b - f.a) / (2 * range_quantile(f.n))


@_formula("wan2014_sd_quartiles", "SD = (q3 − q1)/(2·Φ⁻¹((0.75n − 0.125)/(n + 0.25)))", WAN)
def _wan_sd_quartiles(f: Figures) -> Array:
    return (f.q3 - f.q1) / (2 * quartile_quantile(f.n))


@_formula(
    "wan2014_sd_five",
    "SD = (b − a)/(4·Φ⁻¹((n − 0.375)/(n + 0.25))) + (q3 − q1)/(4·Φ⁻¹((0.75n − 0.125)/(n + 0.25)))",
    WAN,
)
def _wan_sd_five(f: Figures) -> Array:
    return (f.b - f.a) / (4 * range_quantile(f.n)) + (f.q3 - f.q1) / (4 * quartile_quantile(f.n))


@_formula("luo2018_mean_range", "mean = w(a + b)/2 + (1 − w)m, w = 4/(4 + n^0.75)", LUO)
def _luo_mean_range(f: Figures) -> Array:
    weight = 4 / (4 + f.n**0.75)
    return weight * (f.a + f.b) / 2 + (1 - weight) * f.m


@_formula("luo2018_mean_quartiles", "mean = w(q1 + q3)/2 + (1 − w)m, w = 0.7 + 0.39/n", LUO)
def _luo_mean_quartiles(f: Figures) -> Array:
    weight = 0.7 + 0.39 / f.n
    return weight * (f.q1 + f.q3) / 2 + (1 - weight) * f.m


@_formula(
    "luo2018_mean_five",
    "mean = w1(a + b)/2 + w2(q1 + q3)/2 + (1 − w1 − w2)m, w1 = 2.2/(2.2 + n^0.75), w2 = 0.7 − 0.72/n^0.55",
    LUO,
)
def _luo_mean_five(f: Figures) -> Array:
    extremes = 2.2 / (2.2 + f.n**0.75)
    quartiles = 0.7 - 0.72 / f.n**0.55
    return extremes * (f.a + f.b) / 2 + quartiles * (f.q1 + f.q3) / 2 + (1 - extremes - quartiles) * f.m


@_formula(
    "shi2020_sd_five",
    "SD = (b − a)/[(2 + 0.14n^0.6)·Φ⁻¹((n − 0.375)/(n + 0.25))] + "
    "(q3 − q1)/[(2 + 2/(0.07n^0.6))·Φ⁻¹((0.75n − 0.125)/(n + 0.25))]",
    SHI,
)
def _shi_sd(f: Figures) -> Array:
    extremes = (2 + 0.14 * f.n**0.6) * range_quantile(f.n)
    quartiles = (2 + 2 / (0.07 * f.n**0.6)) * quartile_quantile(f.n)
    return (f.b - f.a) / extremes + (f.q3 - f.q1) / quartiles


@_formula(
    "bland2015_sd_five",
    "SD² = (a² + 2·q1² + 2m² + 2·q3² + b²)/16 + (a·q1 + q1·m + m·q3 + q3·b)/8 − (a + 2·q1 + 2m + 2·q3 + b)²/64",
    BLAND,
)
def _bland_sd(f: Figures) -> Array:
    # The variance does not depend on the origin; taken about the median, nothing is lost by cancellation.
    a, q1, q3, b = f.a - f.m, f.q1 - f.m, f.q3 - f.m, f.b - f.m
    mean = (a + 2 * q1 + 2 * q3 + b) / 8
    variance = (a**2 + 2 * q1**2 + 2 * q3**2 + b**2) / 16 + (a * q1 + q3 * b) / 8 - mean**2
    return np.sqrt(np.maximum(variance, 0))


@_formula("walter2007_mean_range", "mean = m", WALTER)
def _walter_mean(f: Figures) -> Array:
    return f.m


@_formula("walter2007_sd_range", "SD = (b − a)/d2(n), d2(n) = ∫ 1 − Φ(x)ⁿ − (1 − Φ(x))ⁿ dx", WALTER)
def _walter_sd(f: Figures) -> Array:
    return (f.b - f.a) / expected_range(f.n)


_LUO_MEAN: Mapping[Scenario, Formula] = {
    "range": _luo_mean_range,
    "quartiles": _luo_mean_quartiles,
    "five": _luo_mean_five,
}
_WAN_SD: Mapping[Scenario, Formula] = {"range": _wan_sd_range, "quartiles": _wan_sd_quartiles, "five": _wan_sd_five}
_WAN_MEAN: Mapping[Scenario, Formula] = {
    "range": _wan_mean_range,
    "quartiles": _wan_mean_quartiles,
    "five": _bland_mean,  # Wan et al. take this mean over from Bland
}

for _method in (
    SummaryMethod("recommended", "mean Luo 2018, SD Wan 2014 or Shi 2020", _LUO_MEAN, {**_WAN_SD, "five": _shi_sd}),
    SummaryMethod("hozo2005", "Hozo 2005", {"range": _hozo_mean}, {"range": _hozo_sd}),
    SummaryMethod("wan2014", "Wan 2014", _WAN_MEAN, _WAN_SD),
    SummaryMethod("luo2018", "mean Luo 2018, SD Wan 2014", _LUO_MEAN, _WAN_SD),
    SummaryMethod("shi2020", "mean Luo 2018, SD Shi 2020", {"five": _luo_mean_five}, {"five": _shi_sd}),
    SummaryMethod("bland2015", "Bland 2015", {"five": _bland_mean}, {"five": _bland_sd}),
    SummaryMethod("walter2007", "Walter and Yao 2007", {"range": _walter_mean}, {"range": _walter_sd}),
):
    SUMMARY_METHODS.add(_method.name, _method)
