"""Maximum likelihood of Box–Cox transformed figures: the method for unknown non-normal distributions (Cai 2021)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import root
from scipy.special import log_ndtr, ndtr

from metail2.conversions.box_cox import POWERS, moments, transform
from metail2.conversions.checks import Array
from metail2.conversions.fits import Fit, Unfit, least, refuse_for_transforming
from metail2.conversions.formulas import FORMULAS, Rule, Scenario, luo_wan

CAI = (
    "Cai S, Zhou J, Pan J. Estimating the sample mean and standard deviation from order statistics and sample size in "
    "meta-analysis. Stat Methods Med Res 2021;30:2701–2719. doi:10.1177/09622802211047348"
)

LIKELIHOOD = FORMULAS.add(
    "cai2021_mln",
    Rule(
        "cai2021_mln",
        "Box–Cox: the power λ of greatest likelihood of the figures as order statistics, with mean (Luo 2018) and SD "
        "(Wan 2014) of the transformed values; then the mean and SD of greatest likelihood at that λ; mean and SD of "
        "the back-transformed normal distribution by quadrature over what 10,000 draws span (no draws, no seed)",
        CAI,
    ),
)


def _between(scenario: Scenario, n: float) -> Array:
    """People below, between and above the figures; whole numbers for n = 4Q + 1 (range: any odd n)."""
    quarter = (n - 5) / 4
    outside = (n - 1) / 4
    return {
        "range": np.array([0, (n - 3) / 2, (n - 3) / 2, 0]),
        "quartiles": np.array([outside, quarter, quarter, outside]),
        "five": np.array([0, quarter, quarter, quarter, quarter, 0]),
    }[scenario]


def _gaps(z: Array) -> Array:
    """Normal probabilities between ascending scores, shape (..., figures − 1), with their digits kept in both tails."""
    upper, lower = ndtr(-z), ndtr(z)
    gaps = np.where(z[..., :-1] > 0, upper[..., :-1] - upper[..., 1:], lower[..., 1:] - lower[..., :-1])
    return np.maximum(gaps, 0.0)  # neighbours closer than a rounding step may come out reversed


def log_likelihood(z: Array, sd: Array, between: Array) -> Array:
    """Log-likelihood of order statistics with `between` people in the gaps, up to a constant.

    Parameters
    ----------
    z : ndarray, shape (rows, figures)
        Standardised figures, ascending.
    sd : ndarray, shape (rows,)
        SD of the distribution.
    between : ndarray, shape (figures + 1,)
        People below, between and above the figures.

    Returns
    -------
    ndarray, shape (rows,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        # a gap without people says nothing, also where it has no probability
        counted = np.where(between[1:-1] > 0, between[1:-1] * np.log(_gaps(z)), 0.0).sum(axis=-1)
    outer = between[0] * (log_ndtr(z[..., 0]) + log_ndtr(-z[..., -1]))
    total: Array = counted + outer - 0.5 * (z**2).sum(axis=-1) - z.shape[-1] * np.log(sd)
    return total


def _score(z: Array, between: Array) -> Array:
    """Derivatives of the log-likelihood by the mean and by the log SD, times −SD and −1."""
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    slope = -z
    share = between[1:-1] / _gaps(z)
    slope[:-1] -= share * density[:-1]
    slope[1:] += share * density[1:]
    slope[0] += between[0] * np.exp(-(z[0] ** 2) / 2 - log_ndtr(z[0])) / np.sqrt(2 * np.pi)
    slope[-1] -= between[-1] * np.exp(-(z[-1] ** 2) / 2 - log_ndtr(-z[-1])) / np.sqrt(2 * np.pi)
    return np.array([slope.sum(), (slope * z).sum() + len(z)])


def _likely_power(scenario: Scenario, figures: Array, n: float) -> float:
    """Find the power of greatest likelihood with the plug-in mean and SD."""
    between = _between(scenario, n)
    logs = np.log(figures)
    width = float(logs[-1] - logs[0])

    def deviance(powers: Array) -> Array:
        y = transform(figures, powers / width)
        means, sds = luo_wan(scenario, y, n)
        jacobian = (powers / width - 1) * logs.sum()
        likelihood = log_likelihood((y - means[:, None]) / sds[:, None], sds, between) + jacobian
        return np.where(np.isfinite(likelihood), -likelihood, np.inf)

    power, _, converged = least(deviance, POWERS)
    if not converged:
        raise Unfit("no Box–Cox power has the greatest likelihood")
    return power / width


def _likely_normal(y: Array, start: tuple[float, float], between: Array) -> tuple[float, float]:
    """Find mean and SD of greatest likelihood; the likelihood is log-concave, so there is one maximum."""
    mean, sd = start

    def score(parameters: Array) -> Array:
        return _score((y - mean - sd * parameters[0]) / (sd * np.exp(parameters[1])), between)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = root(score, np.zeros(2), method="hybr", options={"xtol": 1e-12})
    if not found.success or not np.isfinite(found.fun).all():
        raise Unfit("the search for the greatest likelihood of the transformed figures did not converge")
    return mean + sd * float(found.x[0]), sd * float(np.exp(found.x[1]))


def fit_likelihood(scenario: Scenario, values: Array, n: float) -> Fit:
    """Estimate mean and SD by the method for unknown non-normal distributions.

    Parameters
    ----------
    scenario : str
        What is printed.
    values : ndarray, shape (figures,)
        The figures in ascending order, above zero and different from each other.
    n : float
        Number of people. The likelihood is exact for n = 4Q + 1, where the quartiles are order statistics.

    Returns
    -------
    Fit

    Raises
    ------
    Unfit
        When a figure is not above zero, two are equal, a search does not converge, or the moments do not exist.
    """
    refuse_for_transforming(values)
    median = values[len(values) // 2]
    power = _likely_power(scenario, values / median, n)
    y = transform(values / median, np.array([power]))
    means, sds = luo_wan(scenario, y, n)
    mean, sd = _likely_normal(y[0], (float(means[0]), float(sds[0])), _between(scenario, n))
    centre, spread = moments(mean, sd, power)
    return Fit(median * centre, median * spread, LIKELIHOOD.name)
