"""The closed formulas behind `mean_sd`: what each needs, how it reads, and which article it comes from.

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

PRINTED_IN: dict[Scenario, tuple[str, ...]] = {
    "range": ("a", "m", "b"),
    "quartiles": ("q1", "m", "q3"),
    "five": ("a", "q1", "m", "q3", "b"),
}


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

    def of(self, scenario: Scenario) -> list[Array]:
        """Return the figures printed in `scenario`, in ascending order."""
        return [getattr(self, name) for name in PRINTED_IN[scenario]]

    def scenarios(self) -> dict[Scenario, npt.NDArray[np.bool_]]:
        """Mark the rows of each scenario; a row belongs to one at most. The median may be missing."""
        extremes = ~np.isnan(self.a) & ~np.isnan(self.b)
        quartiles = ~np.isnan(self.q1) & ~np.isnan(self.q3)
        return {"range": extremes & ~quartiles, "quartiles": quartiles & ~extremes, "five": extremes & quartiles}


@dataclass(frozen=True)
class Rule:
    """One published way to a mean or an SD.

    Attributes
    ----------
    name : str
        Its key in `FORMULAS`, as `MeanSD.mean_method` and `MeanSD.sd_method` name it.
    text : str
        What is done, in symbols where there is a formula, for the audit trail.
    citation : str
        The article it is taken from.
    """

    name: str
    text: str
    citation: str


@dataclass(frozen=True)
class Formula(Rule):
    """A rule that is a closed formula.

    Attributes
    ----------
    name, text, citation : str
        As in `Rule`.
    compute : callable
        `Figures` of shape (rows,) to values of shape (rows,).
    """

    compute: Callable[[Figures], Array]


FORMULAS: Registry[Rule] = Registry("summary formula")

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


def formula(name: str, text: str, citation: str) -> Callable[[Callable[[Figures], Array]], Formula]:
    """Register the decorated function as the formula `name`."""

    def register(compute: Callable[[Figures], Array]) -> Formula:
        entry = Formula(name, text, citation, compute)
        FORMULAS.add(name, entry)
        return entry

    return register


@formula("hozo2005_mean_range", "mean = (a + 2m + b)/4 for n ≤ 25, else m", HOZO)
def hozo_mean(f: Figures) -> Array:
    """Mean of Hozo et al. from the range."""
    return np.where(f.n <= 25, (f.a + 2 * f.m + f.b) / 4, f.m)


@formula(
    "hozo2005_sd_range",
    "SD = √([(a − 2m + b)²/4 + (b − a)²]/12) for n ≤ 15, (b − a)/4 for 15 < n ≤ 70, (b − a)/6 for n > 70",
    HOZO,
)
def hozo_sd(f: Figures) -> Array:
    """SD of Hozo et al. from the range."""
    small = np.sqrt(((f.a - 2 * f.m + f.b) ** 2 / 4 + (f.b - f.a) ** 2) / 12)
    return np.where(f.n <= 15, small, (f.b - f.a) / np.where(f.n <= 70, 4, 6))


@formula("wan2014_mean_range", "mean = (a + 2m + b)/4", WAN)
def wan_mean_range(f: Figures) -> Array:
    """Mean of Wan et al. from the range."""
    return (f.a + 2 * f.m + f.b) / 4


@formula("wan2014_mean_quartiles", "mean = (q1 + m + q3)/3", WAN)
def wan_mean_quartiles(f: Figures) -> Array:
    """Mean of Wan et al. from the quartiles."""
    return (f.q1 + f.m + f.q3) / 3


@formula("bland2015_mean_five", "mean = (a + 2·q1 + 2m + 2·q3 + b)/8", BLAND)
def bland_mean(f: Figures) -> Array:
    """Mean of Bland from five figures."""
    return (f.a + 2 * f.q1 + 2 * f.m + 2 * f.q3 + f.b) / 8


@formula("wan2014_sd_range", "SD = (b − a)/(2·Φ⁻¹((n − 0.375)/(n + 0.25)))", WAN)
def wan_sd_range(f: Figures) -> Array:
    """SD of Wan et al. from the range."""
    return (f.b - f.a) / (2 * range_quantile(f.n))


@formula("wan2014_sd_quartiles", "SD = (q3 − q1)/(2·Φ⁻¹((0.75n − 0.125)/(n + 0.25)))", WAN)
def wan_sd_quartiles(f: Figures) -> Array:
    """SD of Wan et al. from the quartiles."""
    return (f.q3 - f.q1) / (2 * quartile_quantile(f.n))


@formula(
    "wan2014_sd_five",
    "SD = (b − a)/(4·Φ⁻¹((n − 0.375)/(n + 0.25))) + (q3 − q1)/(4·Φ⁻¹((0.75n − 0.125)/(n + 0.25)))",
    WAN,
)
def wan_sd_five(f: Figures) -> Array:
    """SD of Wan et al. from five figures."""
    return (f.b - f.a) / (4 * range_quantile(f.n)) + (f.q3 - f.q1) / (4 * quartile_quantile(f.n))


@formula("luo2018_mean_range", "mean = w(a + b)/2 + (1 − w)m, w = 4/(4 + n^0.75)", LUO)
def luo_mean_range(f: Figures) -> Array:
    """Mean of Luo et al. from the range."""
    weight = 4 / (4 + f.n**0.75)
    return weight * (f.a + f.b) / 2 + (1 - weight) * f.m


@formula("luo2018_mean_quartiles", "mean = w(q1 + q3)/2 + (1 − w)m, w = 0.7 + 0.39/n", LUO)
def luo_mean_quartiles(f: Figures) -> Array:
    """Mean of Luo et al. from the quartiles."""
    weight = 0.7 + 0.39 / f.n
    return weight * (f.q1 + f.q3) / 2 + (1 - weight) * f.m


@formula(
    "luo2018_mean_five",
    "mean = w1(a + b)/2 + w2(q1 + q3)/2 + (1 − w1 − w2)m, w1 = 2.2/(2.2 + n^0.75), w2 = 0.7 − 0.72/n^0.55",
    LUO,
)
def luo_mean_five(f: Figures) -> Array:
    """Mean of Luo et al. from five figures."""
    extremes = 2.2 / (2.2 + f.n**0.75)
    quartiles = 0.7 - 0.72 / f.n**0.55
    return extremes * (f.a + f.b) / 2 + quartiles * (f.q1 + f.q3) / 2 + (1 - extremes - quartiles) * f.m


@formula(
    "shi2020_sd_five",
    "SD = (b − a)/[(2 + 0.14n^0.6)·Φ⁻¹((n − 0.375)/(n + 0.25))] + "
    "(q3 − q1)/[(2 + 2/(0.07n^0.6))·Φ⁻¹((0.75n − 0.125)/(n + 0.25))]",
    SHI,
)
def shi_sd(f: Figures) -> Array:
    """SD of Shi et al. from five figures."""
    extremes = (2 + 0.14 * f.n**0.6) * range_quantile(f.n)
    quartiles = (2 + 2 / (0.07 * f.n**0.6)) * quartile_quantile(f.n)
    return (f.b - f.a) / extremes + (f.q3 - f.q1) / quartiles


@formula(
    "bland2015_sd_five",
    "SD² = (a² + 2·q1² + 2m² + 2·q3² + b²)/16 + (a·q1 + q1·m + m·q3 + q3·b)/8 − (a + 2·q1 + 2m + 2·q3 + b)²/64",
    BLAND,
)
def bland_sd(f: Figures) -> Array:
    """SD of Bland from five figures."""
    # The variance does not depend on the origin; taken about the median, nothing is lost by cancellation.
    a, q1, q3, b = f.a - f.m, f.q1 - f.m, f.q3 - f.m, f.b - f.m
    mean = (a + 2 * q1 + 2 * q3 + b) / 8
    variance = (a**2 + 2 * q1**2 + 2 * q3**2 + b**2) / 16 + (a * q1 + q3 * b) / 8 - mean**2
    return np.sqrt(np.maximum(variance, 0))


@formula("walter2007_mean_range", "mean = m", WALTER)
def walter_mean(f: Figures) -> Array:
    """Mean of Walter and Yao: the median."""
    return f.m


@formula("walter2007_sd_range", "SD = (b − a)/d2(n), d2(n) = ∫ 1 − Φ(x)ⁿ − (1 − Φ(x))ⁿ dx", WALTER)
def walter_sd(f: Figures) -> Array:
    """SD of Walter and Yao from the range."""
    return (f.b - f.a) / expected_range(f.n)


LUO_MEAN: Mapping[Scenario, Formula] = {
    "range": luo_mean_range,
    "quartiles": luo_mean_quartiles,
    "five": luo_mean_five,
}
WAN_SD: Mapping[Scenario, Formula] = {"range": wan_sd_range, "quartiles": wan_sd_quartiles, "five": wan_sd_five}


def luo_wan(scenario: Scenario, values: Array, n: float) -> tuple[Array, Array]:
    """Apply the mean of Luo et al. (2018) and the SD of Wan et al. (2014) to transformed figures.

    Parameters
    ----------
    scenario : str
        What is printed.
    values : ndarray, shape (rows, figures)
        The figures of the scenario in ascending order.
    n : float
        Number of people.

    Returns
    -------
    tuple of ndarray, each of shape (rows,)
        Means and SDs.
    """
    absent = np.full(len(values), np.nan)
    given = dict(zip(PRINTED_IN[scenario], values.T, strict=True))
    f = Figures(**{name: given.get(name, absent) for name in ("a", "q1", "m", "q3", "b")}, n=np.full(len(values), n))
    return LUO_MEAN[scenario].compute(f), WAN_SD[scenario].compute(f)
