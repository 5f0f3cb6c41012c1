"""Gauss–Hermite rules for integrals against a normal density, moved to where the integrand has its mass.

∫ exp h(b) db over R^d, with h concave, is centred at the mode of h and scaled by its curvature there: with
−h″ = LL′ at the mode and b = mode + L′⁻¹t, the integral is |L|⁻¹ ∫ exp{h(b) + ½t′t} exp(−½t′t) dt, whose integrand is
nearly constant wherever h is nearly quadratic (Liu & Pierce 1994; Pinheiro & Bates 1995). One point is Laplace's
approximation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, roots_hermitenorm

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """Points and weights for integrals against the standard normal density in d dimensions.

    Attributes
    ----------
    nodes : ndarray, shape (points, d)
        Where the integrand is evaluated.
    log_weights : ndarray, shape (points,)
        log w + ½|t|² + ½d log 2π: with it, Σ exp(log_weight + h(t)) is ∫ exp h(t) dt.
    """

    nodes: Floats
    log_weights: Floats


@lru_cache(maxsize=32)
def hermite_rule(points: int, dimensions: int) -> Rule:
    """Return the product rule with `points` points a dimension; 0 dimensions give one point of weight 1.

    It integrates polynomials of degree 2·points − 1 in each dimension exactly (Golub & Welsch 1969). Points whose
    weight underflows are left out.
    """
    if dimensions == 0:
        return Rule(np.zeros((1, 0)), np.zeros(1))
    nodes, weights = (np.asarray(values, dtype=float) for values in roots_hermitenorm(points))
    held = weights > 0
    nodes, logs = nodes[held], np.log(weights[held]) + nodes[held] ** 2 / 2
    grid = np.stack(np.meshgrid(*[nodes] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    return Rule(grid, sum(np.meshgrid(*[logs] * dimensions, indexing="ij"), np.zeros(())).reshape(-1))


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule moved to the mass of each study's integrand.

    Attributes
    ----------
    points : ndarray, shape (k, d, points)
        Values of the variables of integration.
    log_weights : ndarray, shape (k, points)
        ∫ exp h(b) db is the sum of exp(log_weight + h) over the points.
    """

    points: Floats
    log_weights: Floats


def place(rule: Rule, mode: Floats, precision: Floats) -> Placed:
    """Centre and scale a rule.

    Parameters
    ----------
    rule : Rule
        In d dimensions.
    mode : ndarray, shape (k, d)
        Where each integrand is largest.
    precision : ndarray, shape (k, d, d)
        Minus the second derivative of its logarithm there, positive definite.
    """
    root = np.linalg.cholesky(precision)
    log_det = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(-1)
    moved = np.swapaxes(np.linalg.inv(root), -1, -2) @ rule.nodes.T
    return Placed(mode[..., None] + moved, rule.log_weights - log_det[:, None])


def log_integral(placed: Placed, heights: Floats) -> tuple[Floats, Floats]:
    """Sum exp(log-weight + height) over the points.

    Parameters
    ----------
    placed : Placed
        Points and weights.
    heights : ndarray, shape (k, points)
        Logarithm of the integrand at them.

    Returns
    -------
    tuple of ndarray
        Logarithm of each integral, shape (k,), and the share of each point in it, shape (k, points).
    """
    terms = placed.log_weights + heights
    total = logsumexp(terms, axis=-1)
    return np.asarray(total), np.asarray(np.exp(terms - total[:, None]))
