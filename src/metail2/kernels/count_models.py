"""Models of counts under random effects: which predictors they have, and their tests of heterogeneity.

The coefficients of the effect are the last shared ones, and τ is the last standard deviation, of every model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from metail2.kernels.count_densities import Density, own_maximum
from metail2.kernels.count_fit import maximise
from metail2.kernels.count_likelihood import CountModel
from metail2.registry import Registry

Floats = NDArray[np.float64]

CODINGS: Registry[Floats] = Registry("coding of the treatment effect")
"""What the effect of a study, x′β + τu, adds to the predictors of its two arms."""
CODINGS.add("half", np.array([0.5, -0.5]))
CODINGS.add("treatment", np.array([1.0, 0.0]))
CODINGS.add("control", np.array([0.0, -1.0]))


def one_cell(density: Density, offset: Floats, x: Floats | None = None) -> CountModel:
    """One count a study with the predictor offset + x′β + τu: single arms, and arms given their totals.

    In all models `x` is the design of the effect, shape (k, p): a column of ones by default.
    """
    return CountModel(density, offset, _coded(x, np.ones(1), len(offset)), np.ones((1, 1)))


def fixed_intercepts(density: Density, offset: Floats, coding: Floats, x: Floats | None = None) -> CountModel:
    """Two arms with an intercept of every study: offset + ν + z(x′β + τu)."""
    return CountModel(density, offset, _coded(x, coding, len(offset)), coding[:, None], np.ones(2))


def random_intercepts(density: Density, offset: Floats, coding: Floats, x: Floats | None = None) -> CountModel:
    """Two arms with a random intercept, independent of the effect: offset + α + σv + z(x′β + τu)."""
    k = len(offset)
    design = np.concatenate([np.ones((k, 2, 1)), _coded(x, coding, k)], axis=2)
    return CountModel(density, offset, design, np.column_stack([np.ones(2), coding]))


def orthonormal(x: Floats) -> tuple[Floats, Floats]:
    """Return a basis B of the columns of a design, BᵀB = kI, and T with B = xT, so that β = Tγ where xβ = Bγ.

    In this basis neither the unit nor the origin of a moderator makes a difference to an algorithm.

    Parameters
    ----------
    x : ndarray, shape (k, p)
        Of full rank.
    """
    basis, r = np.linalg.qr(x)
    scale = np.where(np.diagonal(r) < 0, -1.0, 1.0) * np.sqrt(len(x))
    return basis * scale, np.asarray(solve_triangular(r, np.diag(scale)))


def _coded(x: Floats | None, coding: Floats, k: int) -> Floats:
    """Design of the predictors, shape (k, cells, p)."""
    effect = np.ones((k, 1)) if x is None else x
    return np.asarray(effect[:, None, :] * coding[:, None])


@dataclass(frozen=True, slots=True)
class HeterogeneityTests:
    """Tests that studies differ by chance alone (and by their moderators), both χ² with `df` degrees of freedom.

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
        k − p.
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
    if _random(model):
        saturated, wald = _with_random_intercepts(model)
        return HeterogeneityTests(wald, 2 * (saturated - common), saturated, model.k - model.coefficients + 1)
    saturated, wald = _by_cell(model)
    return HeterogeneityTests(wald, 2 * (saturated - common), saturated, model.k - model.coefficients)


def _random(model: CountModel) -> bool:
    """Whether the first coefficient is the mean of random study intercepts."""
    return model.own is None and model.x.shape[1] == 2


def _by_cell(model: CountModel) -> tuple[float, float]:
    """Every cell has its own predictor: two arms with an intercept and an effect each, or one count with an effect."""
    own = own_maximum(model.density)
    finite = np.isfinite(own.eta).all(1)
    predictor = (own.eta - model.offset)[finite]
    effect = predictor[:, 0] if model.own is None else predictor[:, 0] - predictor[:, 1]
    root = np.sqrt(1 / (1 / own.information[finite]).sum(1))
    if finite.sum() <= model.coefficients:
        return float(own.value.sum()), float("nan")
    x, y = root[:, None] * model.effect_rows[finite], root * effect
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(own.value.sum()), float(left @ left)


def _with_random_intercepts(model: CountModel) -> tuple[float, float]:
    """An effect of every study, coded as the model codes it, beside the random intercepts.

    Estimates at infinity end so far out that their information is 0.
    """
    coding = model.z[:, -1]
    full = CountModel(model.density, model.offset, model.x[..., :1], model.z[:, :-1], coding)
    fit = maximise(full).at
    information, cross = fit.own_information, fit.cross
    shared = np.linalg.pinv(-fit.hessian, hermitian=True)

    def product(values: Floats) -> Floats:
        return np.asarray((information * values.T).T - cross @ (shared @ (cross.T @ values)))

    rows = model.effect_rows[:, 1:]
    weighted = product(rows)
    away = fit.point.own - rows @ np.linalg.solve(rows.T @ weighted, weighted.T @ fit.point.own)
    return fit.value, float(away @ product(away))


def separated(model: CountModel) -> bool:
    """Whether a coefficient that fits best is infinite, whatever τ is.

    Without moderators it is so where every study has the fewest events in the first arm that its total allows, or every
    study the most; with random intercepts, where an arm has no events, or only events, in all studies. In general there
    is a direction in which no predictor moves away from what was observed, and some move towards an extreme (Albert &
    Anderson 1984); a linear program finds it.
    """
    low, high, rows = model.density.lowest, model.density.highest, model.effect_rows
    if model.own is not None:
        low, high = low[:, :1] | high[:, 1:], high[:, :1] | low[:, 1:]
    elif _random(model):
        rows = model.x.reshape(-1, model.coefficients)
    low, high = low.reshape(-1), high.reshape(-1)
    scaled = rows / np.abs(rows).max(0)
    inner = scaled[~(low | high)]
    if len(inner) and np.linalg.matrix_rank(inner) == rows.shape[1]:
        return False
    return _outward(inner, np.concatenate([scaled[high], -scaled[low]]))


OUTWARD = 1e-7
"""Least movement along a direction of length 1 that is none by rounding."""


def _outward(fixed: Floats, outward: Floats) -> bool:
    """Whether a direction with fixed·δ = 0 and outward·δ ≥ 0 has outward·δ > 0 somewhere."""
    from scipy.optimize import linprog

    bounds = np.concatenate([-outward, fixed, -fixed])
    direction = np.asarray(linprog(-outward.sum(0), A_ub=bounds, b_ub=np.zeros(len(bounds)), bounds=(-1, 1)).x)
    return bool((outward @ direction > OUTWARD).any())
