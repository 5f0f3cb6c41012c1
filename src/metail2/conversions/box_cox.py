"""Box–Cox transformed figures: the power that makes them symmetric, and moments on the original scale (McGrath 2020).

The published method draws 10,000 values from the normal distribution of the transformed values and transforms them
back. Here the draws are replaced by quadrature over the part of that distribution which 10,000 draws span, so that the
same figures always give the same result.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from metail2.conversions.checks import Array
from metail2.conversions.fits import Fit, Unfit, least, refuse_for_transforming
from metail2.conversions.formulas import FORMULAS, Rule, Scenario, luo_wan
from metail2.conversions.quantile_fit import MCGRATH

_DRAWS = 10_000
_REACH = -float(ndtri(0.5 / _DRAWS))  # SDs from the mean within which the draws lie
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
_OUTERMOST = -float(ndtri(0.001))

POWERS = np.linspace(-40.0, 40.0, 81)
"""Powers to search, in units of 1/ln(largest figure/smallest figure)."""

BOX_COX = FORMULAS.add(
    "mcgrath2020_bc",
    Rule(
        "mcgrath2020_bc",
        "Box–Cox: the power λ that makes the transformed figures most symmetric about the median; their mean (Luo "
        "2018) and SD (Wan 2014); mean and SD of the back-transformed normal distribution by quadrature over what "
        "10,000 draws span (no draws, no seed)",
        MCGRATH,
    ),
)


def transform(figures: Array, power: Array) -> Array:
    """Box–Cox transform (xᵖ − 1)/p, ln x for p = 0.

    Parameters
    ----------
    figures : ndarray, shape (figures,)
        Above zero.
    power : ndarray, shape (rows,)
        Powers.

    Returns
    -------
    ndarray, shape (rows, figures)
    """
    logs, powers = np.log(figures), power[:, None]
    safe = np.where(powers == 0, 1.0, powers)
    return np.where(powers == 0, logs, np.expm1(safe * logs) / safe)


def moments(mean: float, sd: float, power: float) -> tuple[float, float]:
    """Mean and SD of x whose Box–Cox transform is normal, truncated symmetrically where x would not exist.

    Parameters
    ----------
    mean, sd : float
        Of the transformed values.
    power : float
        The power p.

    Returns
    -------
    tuple of float, float
        Over the central part that 10,000 draws span, ± 3.89 SDs, and not beyond the ± that keeps 1 + p·y above zero.

    Raises
    ------
    Unfit
        When x grows without bound inside that part (a negative power whose limit lies near), or when the outermost
        thousandth carries more than half of the variance: there the moments say nothing about the printed figures.
    """
    end = 1 + power * mean
    if end <= 0:
        raise Unfit("the fitted normal distribution lies where the Box–Cox transformation cannot be undone")
    limit = end / abs(power * sd) if power != 0 and sd > 0 else np.inf
    if power < 0 and limit <= _REACH:
        raise Unfit(f"with the Box–Cox power {power:.3g} the fitted distribution has no finite mean and SD")
    reach = min(_REACH, limit)
    scores = reach * _NODES
    weights = _WEIGHTS * np.exp(-(scores**2) / 2)
    weights /= weights.sum()
    shifted = mean + sd * scores
    # log1p keeps the digits when the power is near zero, and is ln x itself there
    logs = shifted if power == 0 else np.log1p(power * shifted) / power
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.exp(logs)
        centre = weights @ x
        parts = weights * (x - centre) ** 2
        variance = parts.sum()
    if not np.isfinite(variance) or parts[scores > _OUTERMOST].sum() > variance / 2:
        raise Unfit("more than half of the fitted variance comes from its outermost thousandth")
    return float(centre), float(np.sqrt(variance))


def _symmetric_power(figures: Array) -> float:
    """Find the power that makes figures, divided by their median, most symmetric about it.

    The sum of squares of f(b) + f(a) − 2f(m) and f(q3) + f(q1) − 2f(m). Dividing by the median keeps the choice free
    of the unit; with three figures the sum of squares reaches zero, and the unit would not matter.
    """
    half = len(figures) // 2

    def asymmetry(powers: Array) -> Array:
        y = transform(figures, powers / width)
        squares: Array = ((y + y[:, ::-1])[:, :half] ** 2).sum(axis=1)
        return squares

    width = np.log(figures[-1] / figures[0])
    power, _, converged = least(asymmetry, POWERS)
    if not converged:
        raise Unfit("no Box–Cox power makes the figures symmetric")
    return power / float(width)


def fit_box_cox(scenario: Scenario, values: Array, n: float) -> Fit:
    """Estimate mean and SD by the Box–Cox method.

    Parameters
    ----------
    scenario : str
        What is printed.
    values : ndarray, shape (figures,)
        The figures in ascending order, above zero and different from each other.
    n : float
        Number of people.

    Returns
    -------
    Fit

    Raises
    ------
    Unfit
        When a figure is not above zero, two are equal, no power makes them symmetric, or the moments do not exist.
    """
    refuse_for_transforming(values)
    median = values[len(values) // 2]
    power = _symmetric_power(values / median)
    means, sds = luo_wan(scenario, transform(values / median, np.array([power])), n)
    mean, sd = moments(float(means[0]), float(sds[0]), power)
    return Fit(median * mean, median * sd, BOX_COX.name)
