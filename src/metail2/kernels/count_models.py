"""Models of counts under random effects: which predictors they have, and their tests of heterogeneity.

The pooled effect is the last shared coefficient and τ the last standard deviation of every model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.count_densities import Density, own_maximum
from metail2.kernels.count_fit import maximise
from metail2.kernels.count_likelihood import CountModel
from metail2.registry import Registry

Floats = NDArray[np.float64]

CODINGS: Registry[Floats] = Registry("coding of the treatment effect")
"""What the effect of a study, μ + τu, adds to the predictors of its two arms."""
CODINGS.add("half", np.array([0.5, -0.5]))
CODINGS.add("treatment", np.array([1.0, 0.0]))
CODINGS.add("control", np.array([0.0, -1.0]))


def one_cell(density: Density, offset: Floats) -> CountModel:
    """One count a study with the predictor offset + μ + τu: single arms, and arms given their totals."""
    ones = np.ones((1, 1))
    return CountModel(density, offset, np.broadcast_to(ones, (len(offset), 1, 1)), ones)


def fixed_intercepts(density: Density, offset: Floats, coding: Floats) -> CountModel:
    """Two arms with an intercept of every study: offset + ν + z(μ + τu)."""
    z = coding[:, None]
    return CountModel(density, offset, np.broadcast_to(z, (len(offset), 2, 1)), z, np.ones(2))


def random_intercepts(density: Density, offset: Floats, coding: Floats) -> CountModel:
    """Two arms with a random intercept, independent of the effect: offset + α + σv + z(μ + τu)."""
    design = np.column_stack([np.ones(2), coding])
    return CountModel(density, offset, np.broadcast_to(design, (len(offset), 2, 2)), design)


@dataclass(frozen=True, slots=True)
class HeterogeneityTests:
    """Tests that all studies have one effect, both χ² with `df` degrees of freedom.

    Attributes
    ----------
    wald : float
        Of the studies' own maximum likelihood estimates; those at infinity (an arm without events) say nothing. NaN
        where fewer than two are finite.
    likelihood_ratio : float
        Twice the difference of the log-likelihoods.
    saturated : float
        Log-likelihood with an effect of every study.
    df : int
        k − 1.
    """

    wald: float
    likelihood_ratio: float
    saturated: float
    df: int


def heterogeneity_tests(model: CountModel, common: float) -> HeterogeneityTests:
    """Compare one effect for all with an effect of every study.

    Parameters
    ----------
    model : CountModel
        The model with τ.
    common : float
        Largest log-likelihood with τ = 0.
    """
    if model.own is None and model.coefficients > 1:
        saturated, wald = _with_random_intercepts(model)
    else:
        saturated, wald = _by_cell(model)
    return HeterogeneityTests(wald, 2 * (saturated - common), saturated, model.k - 1)


def _by_cell(model: CountModel) -> tuple[float, float]:
    """Every cell has its own predictor: two arms with an intercept and an effect each, or one count with an effect."""
    own = own_maximum(model.density)
    finite = np.isfinite(own.eta).all(1)
    predictor = (own.eta - model.offset)[finite]
    effect = predictor[:, 0] if model.own is None else predictor[:, 0] - predictor[:, 1]
    weight = 1 / (1 / own.information[finite]).sum(1)
    if finite.sum() < 2:
        return float(own.value.sum()), float("nan")
    mean = weight @ effect / weight.sum()
    return float(own.value.sum()), float(weight @ (effect - mean) ** 2)


def _with_random_intercepts(model: CountModel) -> tuple[float, float]:
    """An effect of every study, coded as the model codes it, beside the random intercepts.

    Estimates at infinity end so far out that their information is 0.
    """
    coding = model.z[:, -1]
    full = CountModel(model.density, model.offset, model.x[..., :-1], model.z[:, :-1], coding)
    fit = maximise(full).at
    information, cross = fit.own_information, fit.cross
    shared = np.linalg.pinv(-fit.hessian, hermitian=True)

    def product(values: Floats) -> Floats:
        return np.asarray(information * values - cross @ (shared @ (cross.T @ values)))

    ones, effect = np.ones(model.k), fit.point.own
    mean = effect @ product(ones) / (ones @ product(ones))
    away = effect - mean
    return fit.value, float(away @ product(away))


def separated(model: CountModel) -> bool:
    """Whether the effect that fits best is infinite, whatever τ is.

    So it is where every study has the fewest events in the first arm that its total allows, or every study the most;
    with random intercepts, where an arm has no events, or only events, in all studies.
    """
    low, high = model.density.lowest, model.density.highest
    if model.own is not None:
        low, high = low[:, :1] | high[:, 1:], high[:, :1] | low[:, 1:]
    return bool(low.all(0).any() or high.all(0).any())
