"""The marginal log-likelihood of counts under normal random effects, with its exact score and Hessian.

Study i has cells j (its two arms, or one conditional count) with predictors

    η_ij = offset_ij + x_ij′β + s_j ν_i + Σ_r z_jr σ_r b_ir,        b_ir ~ N(0, 1),

where β are shared coefficients, ν_i is a coefficient of its own (a study intercept; in some models none) and σ are
standard deviations. Given η the cells are independent with densities of `count_densities`; the b are integrated out by
adaptive Gauss–Hermite quadrature. The likelihood is even in every σ_r, so its second derivative at σ_r = 0 is twice its
slope in σ_r², and for fixed σ it is concave in (β, ν) (Prékopa 1973).

With posterior shares over the points of the rule, the score is the mean of the scores given b, and the Hessian the mean
of the Hessians given b plus the covariance of the scores (Louis 1982). The information matrix of (β, σ, ν) is an arrow:
ν_i meets only the shared parameters, so every step is linear in the number of studies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.count_densities import Density, Terms, damping
from metail2.kernels.quadrature import Placed, Rule, hermite_rule, log_integral, place

Floats = NDArray[np.float64]

BLOCKS = {0: 4096, 1: 512, 2: 64}
"""Studies that are integrated together, by the number of random effects: bounds the memory."""
MAX_STEPS = 200
CENTRED = 1e-16
"""Squared distance from the mode, in posterior standard deviations, at which the rule is well enough placed."""


@dataclass(frozen=True, eq=False)
class CountModel:
    """Which predictors the counts have.

    Attributes
    ----------
    density : Density
        Of k studies with J cells each.
    offset : ndarray, shape (k, J)
        Known part of the predictors.
    x : ndarray, shape (k, J, p)
        Design of the shared coefficients.
    z : ndarray, shape (J, d)
        Design of the random effects; d is 0, 1 or 2.
    own : ndarray, shape (J,), or None
        Design of each study's own coefficient, if it has one.
    """

    density: Density
    offset: Floats
    x: Floats
    z: Floats
    own: Floats | None = None

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.offset)

    @property
    def coefficients(self) -> int:
        """Number of shared coefficients, p."""
        return int(self.x.shape[-1])

    @property
    def dimensions(self) -> int:
        """Number of random effects, d."""
        return int(self.z.shape[-1])

    @property
    def effect_rows(self) -> Floats:
        """What each shared coefficient adds to the effect of a study, shape (k, p): of two arms, their difference."""
        return np.asarray(self.x[:, 0] - self.x[:, 1] if self.x.shape[1] == 2 else self.x[:, 0])

    @cached_property
    def common(self) -> CountModel:
        """The model without its last random effect, τ: one effect common to all studies."""
        return replace(self, z=self.z[:, :-1])

    @cached_property
    def blocks(self) -> tuple[tuple[slice, CountModel], ...]:
        """The model in runs of studies, each with its place."""
        size = BLOCKS[self.dimensions]
        if self.k <= size:
            return ((slice(0, self.k), self),)
        places = [slice(start, start + size) for start in range(0, self.k, size)]
        return tuple((place, self._rows(place)) for place in places)

    def _rows(self, chosen: slice) -> CountModel:
        return replace(self, density=self.density.rows(chosen), offset=self.offset[chosen], x=self.x[chosen])


@dataclass(frozen=True, slots=True)
class Point:
    """Parameters, and where the rule was placed last.

    Attributes
    ----------
    shared : ndarray, shape (p + d,)
        β, then σ.
    own : ndarray, shape (k,)
        ν; zeros where the model has none.
    modes : ndarray, shape (k, d)
        Modes of b, from which the next search begins.
    """

    shared: Floats
    own: Floats
    modes: Floats


@dataclass(frozen=True, slots=True)
class Marginal:
    """The log-likelihood at a point.

    Attributes
    ----------
    point : Point
        Where, with the modes found there.
    value : float
        Log-likelihood.
    by_study : ndarray, shape (k,)
        Its contributions.
    score : ndarray, shape (p + d,)
        Derivative in the shared parameters.
    curvatures : ndarray, shape (k, p + d, p + d)
        Second derivative in them, study by study.
    own_score, own_information : ndarray, shape (k,)
        Derivative, and minus the second derivative, in ν.
    cross : ndarray, shape (k, p + d)
        Mixed second derivative.
    """

    point: Point
    value: float
    by_study: Floats
    score: Floats
    curvatures: Floats
    own_score: Floats
    own_information: Floats
    cross: Floats

    @property
    def hessian(self) -> Floats:
        """Second derivative in the shared parameters, shape (p + d, p + d)."""
        return np.asarray(self.curvatures.sum(0))

    def information_on(self, direction: Floats) -> Floats:
        """What each study says about a move of the shared parameters along a direction, shape (k,).

        In the normal–normal model it is the weight 1/(v + τ²).
        """
        cross = self.cross @ direction
        lost = np.divide(cross**2, self.own_information, out=np.zeros_like(cross), where=self.own_information > 0)
        return np.asarray(-np.einsum("kab,a,b->k", self.curvatures, direction, direction) - lost)


def marginal(model: CountModel, point: Point, points: int) -> Marginal:
    """Integrate the random effects out, with `points` points in each dimension.

    The derivatives are those of the integral, so they belong to the value only as far as the rule is exact.
    """
    rule = hermite_rule(points, model.dimensions)
    parts = [_block(part, _at(point, place), rule) for place, part in model.blocks]
    modes, by_study, score, hessian = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    shared = slice(0, len(point.shared))
    alone = hessian.shape[-1] > len(point.shared)
    zeros = np.zeros(model.k)
    return Marginal(
        replace(point, modes=modes),
        float(by_study.sum()),
        by_study,
        score[:, shared].sum(0),
        hessian[:, shared, shared],
        score[:, -1] if alone else zeros,
        -hessian[:, -1, -1] if alone else zeros,
        hessian[:, -1, shared] if alone else np.zeros((model.k, len(point.shared))),
    )


def _at(point: Point, chosen: slice) -> Point:
    return Point(point.shared, point.own[chosen], point.modes[chosen])


def _block(model: CountModel, point: Point, rule: Rule) -> tuple[Floats, Floats, Floats, Floats]:
    """Modes, log-likelihoods, scores and Hessians of some studies, the own coefficient last."""
    beta, sigma = np.split(point.shared, [model.coefficients])
    fixed = model.offset + model.x @ beta
    if model.own is not None:
        fixed = fixed + model.own * point.own[:, None]
    loading = model.z * sigma
    modes, precision = posterior_modes(model.density, fixed, loading, point.modes)
    placed = place(rule, modes, precision)
    terms = model.density(fixed[..., None] + loading @ placed.points)
    heights = terms.value.sum(1) - 0.5 * (placed.points**2).sum(1)
    value, share = log_integral(placed, heights - 0.5 * model.dimensions * np.log(2 * np.pi))
    return (modes, value, *_derivatives(model, placed, terms, share))


def _derivatives(model: CountModel, placed: Placed, terms: Terms, share: Floats) -> tuple[Floats, Floats]:
    """Score, shape (k, m), and Hessian, shape (k, m, m), of every study in its m = p + d (+ 1) parameters."""
    (k, cells, points), p, d = terms.value.shape, model.coefficients, model.dimensions
    moved = np.empty((k, p + d + (model.own is not None), cells, points))
    moved[:, :p] = np.moveaxis(model.x, -1, 1)[..., None]
    moved[:, p : p + d] = model.z.T[None, :, :, None] * placed.points[:, :, None, :]
    if model.own is not None:
        moved[:, -1] = model.own[None, :, None]
    given = (moved * terms.slope[:, None]).sum(2)
    score = (given * share[:, None]).sum(-1)
    apart = given - score[..., None]
    curved = moved * (terms.curvature * share[:, None])[:, None]
    # einsum, because threads of BLAS cost more than they save in many small products
    hessian = np.einsum("kajq,kbjq->kab", curved, moved) + np.einsum("kaq,kbq->kab", apart * share[:, None], apart)
    return score, hessian


def posterior_modes(density: Density, fixed: Floats, loading: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Find where each study's random effects have their largest posterior density, and the precision there.

    Parameters
    ----------
    density : Density
        Of the counts.
    fixed : ndarray, shape (k, J)
        Predictors at random effects of 0.
    loading : ndarray, shape (J, d)
        What a random effect of 1 adds to each predictor.
    start : ndarray, shape (k, d)
        Where to begin.

    Returns
    -------
    tuple of ndarray
        Modes, shape (k, d), and minus the second derivatives, shape (k, d, d).
    """
    mode, prior = start, np.eye(loading.shape[-1])
    for _ in range(MAX_STEPS):
        terms = density((fixed + mode @ loading.T)[..., None])
        precision = prior - np.einsum("kj,jr,js->krs", terms.curvature[..., 0], loading, loading)
        gradient = terms.slope[..., 0] @ loading - mode
        step = np.linalg.solve(precision, gradient[..., None])[..., 0]
        if ((step * gradient).sum(-1) <= CENTRED).all():
            break
        change = np.abs(step @ loading.T).max(-1, keepdims=True, initial=0.0)
        mode = mode + damping(change) * step
    return mode, precision
