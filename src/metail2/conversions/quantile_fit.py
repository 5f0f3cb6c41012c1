"""Quantile estimation: the distribution whose quantiles lie nearest to the printed figures (McGrath 2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import betaincinv, expit, gammaincinv, gammaln, ndtri

from metail2.conversions.checks import Array
from metail2.conversions.fits import Fit, Unfit, least
from metail2.conversions.formulas import FORMULAS, Rule, Scenario

MCGRATH = (
    "McGrath S, Zhao X, Steele R, Thombs BD, Benedetti A. Estimating the sample mean and standard deviation from "
    "commonly reported quantiles in meta-analysis. Stat Methods Med Res 2020;29:2520–2537. "
    "doi:10.1177/0962280219889080"
)


@dataclass(frozen=True)
class _Fitted:
    """A distribution of one family at its least distance: moments, squared distance, and whether that is a minimum."""

    family: str
    mean: float
    sd: float
    distance: float
    converged: bool


@dataclass(frozen=True)
class _ScaleFamily:
    """A family on the positive half-line with a scale and one shape.

    Attributes
    ----------
    quantiles : callable
        Log shapes (rows, 1) and probabilities (figures,) to quantiles at scale 1, (rows, figures).
    shapes : ndarray
        Log shapes from almost no spread (a coefficient of variation of about 0.0001) to more than a mean can describe.
    moments : callable
        Log shape to mean and SD at scale 1.
    """

    quantiles: Callable[[Array, Array], Array]
    shapes: Array
    moments: Callable[[float], tuple[float, float]]


def _lognormal_moments(shape: float) -> tuple[float, float]:
    variance = np.exp(2 * shape)
    mean = np.exp(variance / 2)
    return mean, mean * np.sqrt(np.expm1(variance))


def _weibull_moments(shape: float) -> tuple[float, float]:
    inverse = np.exp(-shape)
    mean = np.exp(gammaln(1 + inverse))
    return mean, mean * np.sqrt(np.expm1(gammaln(1 + 2 * inverse) - 2 * gammaln(1 + inverse)))


_SCALE_FAMILIES = {
    "log-normal": _ScaleFamily(lambda s, p: np.exp(np.exp(s) * ndtri(p)), np.linspace(-9, 2, 45), _lognormal_moments),
    "gamma": _ScaleFamily(
        lambda s, p: gammaincinv(np.exp(s), p) / np.exp(s), np.linspace(-5, 18, 47), lambda s: (1.0, np.exp(-s / 2))
    ),
    "Weibull": _ScaleFamily(lambda s, p: (-np.log1p(-p)) ** np.exp(-s), np.linspace(-2, 9, 45), _weibull_moments),
}


def fit_quantiles(scenario: Scenario, values: Array, n: float) -> Fit:
    """Fit the families by least squares of quantiles, and take mean and SD of the nearest one.

    Parameters
    ----------
    scenario : str
        What is printed. The quartiles stand at 0.25, 0.5 and 0.75, minimum and maximum at 1/n and 1 − 1/n.
    values : ndarray, shape (figures,)
        The figures in ascending order. With one below zero only the normal distribution is fitted; the beta
        distribution only where all lie between 0 and 1.
    n : float
        Number of people.

    Returns
    -------
    Fit
        Its rule names the family.

    Raises
    ------
    Unfit
        When the nearest family has no minimum within the range of shapes, or its search did not converge.
    """
    probabilities = {
        "range": np.array([1 / n, 0.5, 1 - 1 / n]),
        "quartiles": np.array([0.25, 0.5, 0.75]),
        "five": np.array([1 / n, 0.25, 0.5, 0.75, 1 - 1 / n]),
    }[scenario]
    fitted = [_fit_normal(values, probabilities)]
    if values[0] >= 0 and values[-1] > 0:
        fitted += [_fit_scale(name, values, probabilities) for name in _SCALE_FAMILIES]
    if values[0] > 0 and values[-1] < 1:
        fitted.append(_fit_beta(values, probabilities))
    nearest = min(fitted, key=lambda candidate: candidate.distance)
    if not nearest.converged:
        raise Unfit(f"the {nearest.family} distribution comes nearest to the figures, but without a best fit")
    return Fit(nearest.mean, nearest.sd, RULES[nearest.family].name)


def _fit_normal(values: Array, probabilities: Array) -> _Fitted:
    """Least squares is a regression on the normal scores, which sum to zero."""
    scores = ndtri(probabilities)
    mean = values.mean()
    sd = (scores @ (values - mean)) / (scores @ scores)
    return _Fitted("normal", mean, sd, _distance(mean + sd * scores, values), True)


def _fit_scale(name: str, values: Array, probabilities: Array) -> _Fitted:
    """Least squares in the shape alone: for each shape the best scale has a closed form."""
    family, unit = _SCALE_FAMILIES[name], values[-1]
    target = values / unit

    def profile(shapes: Array) -> Array:
        quantiles = family.quantiles(shapes[:, None], probabilities)
        scale = (quantiles @ target) / (quantiles**2).sum(axis=1)
        squares: Array = ((scale[:, None] * quantiles - target) ** 2).sum(axis=1)
        return squares

    shape, squares, converged = least(profile, family.shapes)
    quantiles = family.quantiles(np.array([[shape]]), probabilities)[0]
    scale = unit * (quantiles @ target) / (quantiles @ quantiles)
    mean, sd = family.moments(shape)
    return _Fitted(name, scale * mean, scale * sd, unit**2 * squares, converged)


def _fit_beta(values: Array, probabilities: Array) -> _Fitted:
    """Least squares in the logit of the mean and the log of a + b, from the moments of the normal fit."""
    start = _fit_normal(values, probabilities)
    mean = min(max(start.mean, 0.01), 0.99)
    total = max(mean * (1 - mean) / start.sd**2 - 1, 0.1) if start.sd > 0 else np.exp(17)
    lower, upper = np.array([-12.0, -7.0]), np.array([12.0, 18.0])

    def residuals(parameters: Array) -> Array:
        centre, size = expit(parameters[0]), np.exp(parameters[1])
        return betaincinv(size * centre, size * (1 - centre), probabilities) - values

    found = least_squares(
        residuals,
        np.clip([np.log(mean / (1 - mean)), np.log(total)], lower + 0.5, upper - 0.5),
        bounds=(lower, upper),
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    centre, size = expit(found.x[0]), np.exp(found.x[1])
    converged = found.status > 0 and not found.active_mask.any()
    return _Fitted("beta", centre, np.sqrt(centre * (1 - centre) / (size + 1)), 2 * found.cost, bool(converged))


def _distance(fitted: Array, values: Array) -> float:
    return float(((fitted - values) ** 2).sum())


QUANTILE_FIT = Rule(
    "mcgrath2020_qe",
    "mean and SD of the normal, log-normal, gamma, Weibull or beta distribution whose quantiles at 1/n, 0.25, 0.5, "
    "0.75 and 1 − 1/n have the least squared distance to the printed figures",
    MCGRATH,
)


def _rule(family: str) -> Rule:
    """Register the rule of one family."""
    name = f"{QUANTILE_FIT.name}_{family.lower().replace('-', '')}"
    return FORMULAS.add(name, Rule(name, f"{QUANTILE_FIT.text}: here the {family} distribution", MCGRATH))


RULES = {family: _rule(family) for family in ("normal", *_SCALE_FAMILIES, "beta")}
