"""Location–scale models: effects and their between-study variances both depend on moderators.

With yᵢ = xᵢ′β + uᵢ + eᵢ, var eᵢ = vᵢ and var uᵢ = τᵢ², the scale part is log τᵢ² = zᵢ′α (log link) or τᵢ² = zᵢ′α with
τᵢ² ≥ 0 for every study (identity link). β is profiled out; α maximises the ordinary or the restricted log-likelihood.
With P the projection of `wls`, the derivatives by the variances are

    ∂ℓ/∂τᵢ² = ½ ((Py)ᵢ² − Pᵢᵢ),    ∂²ℓ/∂τᵢ²∂τⱼ² = ½ Pᵢⱼ² − (Py)ᵢ Pᵢⱼ (Py)ⱼ

for the restricted likelihood, and with wᵢ and wᵢ² δᵢⱼ in place of Pᵢᵢ and Pᵢⱼ² for the ordinary one; the chain rule
gives those by α. Both are formed in memory linear in k.

Such likelihoods can have several maxima. A coarse scan of levels and slopes of the variances gives starts, each climbs
by a safeguarded Newton method, and the highest end is taken; that no other is higher is certain only as far as the
scan is fine enough. With the log link a likelihood may keep rising while some τᵢ² fall to 0, that is, while
coefficients go to infinity; this is recognised by steps that no longer change any total variance vᵢ + τᵢ² and yet do
not end.

Source: Viechtbauer & López-López 2022, Research Synthesis Methods 13:697–715.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.optimize import nnls

from metail2.kernels.likelihood import BLOCK, STEP, log_likelihood, restricted_log_likelihood
from metail2.kernels.wls import ROUNDING, WeightedFit, weighted_fit
from metail2.registry import Registry

Floats = NDArray[np.float64]

MAX_STEPS = 200
FLAT = 1e-9
"""Relative change of every total variance below which a step changes nothing."""
ENDLESS = 0.1
"""A step at least this long in log τ² that changes nothing is one of an endless climb, in which they have length 1."""
LONGEST = 3.0
"""Longest step in log(v + τ²): Newton's quadratic is not believed beyond a factor of e³."""
FLOOR = 1e-14
"""Ratio of the eigenvalues of the Hessian below which the smaller is rounding."""
NOISE = 1e-13
"""Rounding of the log-likelihood, as a share of k."""
AT_ZERO = 1e-9
"""Share of sampling variance and largest τ² below which τ² is on the boundary."""
VANISHED = 1e-6
"""Share of the sampling variance below which τ² is 0 in the limit of an endless climb."""
SINGULAR = 1e-12
"""Ratio of the eigenvalues of the information below which a direction is undetermined."""
SETTLED = 1e-7
"""Below this a step that does not shrink any more is the rounding of the score."""
RIDGE = 0.01
"""Length of a step along a supposed ridge, as a share of the largest total variance."""
LEVEL_STEP = 0.7
"""Spacing of the scan in the logarithm of the level of τ²."""
SLOPES = (-1.0, -0.7, -0.45, -0.2, 0.0, 0.2, 0.45, 0.7, 1.0)
STEEPEST = 8.0
"""Steepest slope of the scan with the log link: log τ² differs by twice this over the studies."""
MAX_HALVINGS = 60
IDLE = 1e-3
"""Share of the rounding of the log-likelihood below which a step promises nothing."""
MOST_IDLE = 5
"""A maximum is reached in fewer steps that promise nothing; more of them wander about where the likelihood is flat."""
STARTS = (0, 4, 6, 12, 36)
"""How many climbs for 1, 2, … scale coefficients; the last also for more."""
MOST_PATTERNS = 800


@dataclass(frozen=True, slots=True)
class Link:
    """How the linear predictor η = z′α gives τ².

    Attributes
    ----------
    inverse : callable
        ``η → (τ², dτ²/dη, d²τ²/dη²)``.
    pattern : callable
        ``(level, shape, steepness) → η``: a start at variance `level`, in which studies differ along `shape`, as far
        as is worth trying at a steepness of 1.
    bounded : bool
        Whether η ≥ 0 is a constraint.
    """

    inverse: Callable[[Floats], tuple[Floats, Floats, Floats]]
    pattern: Callable[[Floats, Floats, Floats], Floats]
    bounded: bool


LINKS: Registry[Link] = Registry("scale link")


def _exponential(eta: Floats) -> tuple[Floats, Floats, Floats]:
    tau2 = np.exp(np.minimum(eta, 300.0))  # of the unit of `vi`: a τ² that no data set has, and no overflow
    return tau2, tau2, tau2


def _linear(eta: Floats) -> tuple[Floats, Floats, Floats]:
    return np.maximum(eta, 0.0), np.ones_like(eta), np.zeros_like(eta)


def _log_pattern(level: Floats, shape: Floats, steepness: Floats) -> Floats:
    largest = np.maximum(np.abs(shape).max(-1, keepdims=True), 1.0)
    return np.asarray(np.log(level) + STEEPEST * shape / largest)


def _identity_pattern(level: Floats, shape: Floats, steepness: Floats) -> Floats:
    """At steepness 1 the smallest τ² is 0; the steps towards it become smaller."""
    depth = np.minimum(shape.min(-1, keepdims=True), -1e-300)
    return np.asarray(level * (1 - (1 - (1 - steepness) ** 4) * shape / depth))


LINKS.add("log", Link(_exponential, _log_pattern, bounded=False))
LINKS.add("identity", Link(_linear, _identity_pattern, bounded=True))


@dataclass(frozen=True, slots=True)
class LocationScaleFit:
    """A fitted location–scale model.

    Attributes
    ----------
    beta, covariance : ndarray, shapes (p,) and (p, p)
        Location coefficients and their covariance (X′WX)⁻¹.
    alpha, alpha_covariance : ndarray, shapes (q,) and (q, q)
        Scale coefficients and the inverse of their observed information. The covariance is NaN where τ² is 0 in a
        study (`vanished`), and the coefficients too where they are infinite (`status` is ``"endless"``).
    tau2 : ndarray, shape (k,)
        Between-study variance of every study.
    log_likelihood : float
        Its maximum, or, where coefficients are infinite, its limit.
    gradient : float
        Largest entry of the score at the solution, by unit changes of the scale predictor (for the identity link in
        units of the largest τ²), in directions that constraints leave free.
    iterations : int
        Newton steps from the best start.
    status : str
        ``"ok"``; ``"endless"``: the likelihood keeps rising while coefficients go to infinity; ``"undetermined"``: it
        is flat, or the climb did not end.
    vanished : ndarray of bool, shape (k,)
        Studies whose τ² is 0 (on the boundary, or in the limit).
    fit : WeightedFit
        The weighted regression with weights 1/(v + τ²).
    """

    beta: Floats
    covariance: Floats
    alpha: Floats
    alpha_covariance: Floats
    tau2: Floats
    log_likelihood: float
    gradient: float
    iterations: int
    status: str
    vanished: NDArray[np.bool_]
    fit: WeightedFit


def location_scale(
    yi: Floats, vi: Floats, x: Floats, z: Floats, link: str = "log", restricted: bool = True
) -> LocationScaleFit:
    """Fit a location–scale model by (restricted) maximum likelihood.

    Parameters
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances.
    x, z : ndarray, shapes (k, p) and (k, q)
        Designs of the effects and of their variances, of full column rank.
    link : str
        A name in `LINKS`.
    restricted : bool
        Restricted likelihood rather than the ordinary one.

    Returns
    -------
    LocationScaleFit
    """
    problem = _problem(yi, vi, x, z, LINKS[link], restricted)
    ends = [_climb(problem, start) for start in _starts(problem)]
    return _finished(problem, max(ends, key=lambda end: end.height))


@dataclass(frozen=True, slots=True)
class _Problem:
    """The data in a unit in which sampling variances are about 1, and the scale design with orthogonal columns.

    `u` has u′u = k·1 and z = u·triangle, so a coefficient of 1 changes the predictor by about 1. The predictor is
    u·γ + offset, so that for the log link a change of unit needs no intercept in z.
    """

    y: Floats
    v: Floats
    x: Floats
    u: Floats
    triangle: Floats
    unit: float
    link: Link
    restricted: bool

    def predictor(self, gamma: Floats) -> Floats:
        """η in the unit of the problem, shape (..., k), of coefficients of shape (..., q)."""
        return np.asarray(gamma @ self.u.T + self.offset)

    @property
    def offset(self) -> float:
        return 0.0 if self.link.bounded else -2 * float(np.log(self.unit))

    def tau2(self, gamma: Floats) -> Floats:
        return self.link.inverse(self.predictor(gamma))[0]

    def weighted(self, tau2: Floats) -> WeightedFit:
        return weighted_fit(self.y, 1 / (self.v + tau2), self.x)

    def height(self, fit: WeightedFit) -> Floats:
        return (restricted_log_likelihood if self.restricted else log_likelihood)(fit, self.x)


def _problem(yi: Floats, vi: Floats, x: Floats, z: Floats, link: Link, restricted: bool) -> _Problem:
    unit = 2.0 ** float(np.round(np.log2(np.median(vi)) / 2))  # a power of 2 changes no digit
    basis, triangle = np.linalg.qr(z)
    root = np.sqrt(len(yi))
    return _Problem(yi / unit, vi / unit**2, x, basis * root, triangle / root, unit, link, restricted)


def _derivatives(problem: _Problem, gamma: Floats) -> tuple[float, Floats, Floats]:
    """Log-likelihood, score and Hessian by the coefficients of `u`, shapes (), (q,) and (q, q)."""
    tau2, slope, curvature = problem.link.inverse(problem.predictor(gamma))
    fit = problem.weighted(tau2)
    squared, columns = fit.scores**2, problem.u.T
    first = slope * columns
    second = curvature * columns[:, None] * columns
    pulled = first * fit.scores
    spread = pulled @ weighted_fit(pulled, fit.weights, problem.x).scores.T
    own, own_second = first * fit.weights, second * fit.weights
    if problem.restricted:
        trace, bend = fit.trace(own), fit.trace(own_second)
        overlap = fit.trace_product(own[:, None], np.broadcast_to(own, (len(own), *own.shape)))
    else:
        trace, bend, overlap = own.sum(-1), own_second.sum(-1), own @ own.T
    score = 0.5 * (first @ squared - trace)
    return float(problem.height(fit)), score, 0.5 * (second @ squared - bend + overlap) - spread


@dataclass(frozen=True, slots=True)
class _End:
    """Where a climb ended."""

    gamma: Floats
    height: float
    steps: int
    status: str


def _climb(problem: _Problem, gamma: Floats) -> _End:
    """Newton's method with the absolute eigenvalues of the Hessian, and steps halved until they climb."""
    noise, before, idle = NOISE * len(problem.y), np.inf, 0
    height, score, hessian = _derivatives(problem, gamma)
    for steps in range(1, MAX_STEPS + 1):
        step = _newton_step(problem, gamma, score, hessian)
        length, effect = _lengths(problem, gamma, step)
        if effect <= FLAT and length > ENDLESS and not problem.link.bounded:
            return _End(gamma, height, steps, "endless")
        idle = idle + 1 if abs(score @ step) <= IDLE * noise else 0
        lowest = height - noise
        for _ in range(MAX_HALVINGS):
            height, score, hessian = _derivatives(problem, gamma + step)
            if height >= lowest:
                break
            step = step / 2
        gamma = gamma + step
        if length <= STEP or before / 2 <= length <= before <= SETTLED:
            return _End(gamma, height, steps, "ok")
        if idle == MOST_IDLE:
            break
        before = length
    return _End(gamma, height, steps, "undetermined")


def _lengths(problem: _Problem, gamma: Floats, step: Floats) -> tuple[float, float]:
    """Largest change of the predictor (identity: in units of the largest τ²) and of log(v + τ²) by a step."""
    tau2, slope, _ = problem.link.inverse(problem.predictor(gamma))
    move = np.abs(problem.u @ step)
    largest = tau2.max() + move.max() if problem.link.bounded else 1.0
    return float(move.max() / largest) if largest else 0.0, float((slope * move / (problem.v + tau2)).max())


def _newton_step(problem: _Problem, gamma: Floats, score: Floats, hessian: Floats) -> Floats:
    """Maximum of the quadratic with score and minus the absolute Hessian, within the constraints and not too far."""
    values, vectors = np.linalg.eigh(hessian)
    size = np.abs(values)
    root = vectors / np.sqrt(np.maximum(size, FLOOR * size.max()))
    if problem.link.bounded:
        step = root @ _nearest(problem.u @ root, -problem.predictor(gamma), root.T @ score)
        step = _along_face(problem, gamma, step, score, hessian)
    else:
        step = root @ (root.T @ score)
    return _shortened(problem, gamma, step)


def _shortened(problem: _Problem, gamma: Floats, step: Floats) -> Floats:
    """Halve a step until no total variance changes by more than `LONGEST` on the log scale."""
    before = np.log(problem.v + problem.tau2(gamma))
    while np.abs(np.log(problem.v + problem.tau2(gamma + step)) - before).max() > LONGEST:
        step = step / 2
    return step


def _along_face(problem: _Problem, gamma: Floats, step: Floats, score: Floats, hessian: Floats) -> Floats:
    """Newton's own step where the same τ² stay 0: the absolute Hessian would only creep along the face."""
    zero = _vanished(problem, gamma + step)
    if not zero.any() or (zero & ~_vanished(problem, gamma)).any():
        return step
    face = _null_space(problem.u[zero])
    information = -face.T @ hessian @ face
    if (np.linalg.eigvalsh(information) <= 0).any():
        return step
    reached = face @ (face.T @ gamma + np.linalg.solve(information, face.T @ score))
    return reached - gamma if (problem.predictor(reached)[~zero] >= 0).all() else step


def _nearest(constraints: Floats, bounds: Floats, target: Floats) -> Floats:
    """Point nearest to `target` with constraints @ point ≥ bounds: least-distance programming.

    Source: Lawson & Hanson 1974, Solving Least Squares Problems, chapter 23: a problem of non-negative least squares.
    """
    excess = bounds - constraints @ target
    if (excess <= 0).all():
        return target
    scale = np.abs(excess).max()
    rows = np.vstack([constraints.T, excess / scale])
    goal = np.zeros(len(rows))
    goal[-1] = 1.0
    residual = goal - rows @ nnls(rows, goal)[0]
    return np.asarray(target - scale * residual[:-1] / residual[-1])


def _starts(problem: _Problem) -> list[Floats]:
    """Coefficients to climb from: the peaks of a scan over levels and slopes of τ², then those over levels alone."""
    gammas, slopes = _candidates(problem)
    rows = max(1, BLOCK // (gammas.shape[1] * len(problem.y)))
    scanned = [_heights(problem, gammas[i : i + rows]) for i in range(0, len(gammas), rows)]
    heights = np.concatenate(scanned).reshape(*slopes, -1)
    wide = (heights == maximum_filter(heights, size=3, mode="nearest")) & np.isfinite(heights)
    narrow = (heights == maximum_filter(heights, size=(*(1 for _ in slopes), 3), mode="nearest")) & np.isfinite(heights)
    order = np.lexsort((-heights.ravel(), ~narrow.ravel(), ~wide.ravel()))
    highest = order[: min(STARTS[min(gammas.shape[-1], len(STARTS) - 1)], int(narrow.sum()))]
    found = list(gammas.reshape(-1, gammas.shape[-1])[highest])
    return [*found, np.zeros(problem.u.shape[1])] if problem.link.bounded else found


def _heights(problem: _Problem, gammas: Floats) -> Floats:
    """Log-likelihood of starts, shape (patterns, levels); −inf where a bounded predictor is negative."""
    eta = problem.predictor(gammas)
    heights = problem.height(problem.weighted(problem.tau2(gammas)))
    return (
        np.where((eta >= -NOISE * eta.max(-1, keepdims=True)).all(-1), heights, -np.inf)
        if problem.link.bounded
        else heights
    )


def _candidates(problem: _Problem) -> tuple[Floats, tuple[int, ...]]:
    """Coefficients whose predictor comes nearest to each level and slope, shape (patterns, levels, q).

    And the shape of the patterns: one axis a direction of slopes, where all their combinations are tried.
    """
    v, u, k = problem.v, problem.u, len(problem.y)
    spread = float(weighted_fit(problem.y, np.ones_like(v), problem.x).q()) / (k - problem.x.shape[1])
    lowest = 0.01 * v.min()
    highest = 4 * (spread + v.min())
    levels = np.geomspace(lowest, highest, int(np.ceil(np.log(highest / lowest) / LEVEL_STEP)) + 1)
    axes = _axes(u)
    slopes, shape = _combinations(axes.shape[1])
    steepness = np.abs(slopes).max(-1, initial=0.0)[:, None, None]
    eta = problem.link.pattern(levels[:, None], (slopes @ axes.T)[:, None], steepness)
    return (eta - problem.offset) @ u / k, shape


def _axes(u: Floats) -> Floats:
    """Directions of the predictor besides the level of all studies, largest entry 1, shape (k, q − 1 or q)."""
    k, q = u.shape
    level = u @ u.sum(0) / k
    if level @ level < SINGULAR * k:  # no combination of the columns says anything about the level
        return np.asarray(u / np.abs(u).max(0))
    across = u - np.outer(level, level @ u) / (level @ level)
    axes = np.linalg.svd(across, full_matrices=False)[0][:, : q - 1]
    return np.asarray(axes / np.abs(axes).max(0))


def _combinations(axes: int) -> tuple[Floats, tuple[int, ...]]:
    """Slopes to try, shape (patterns, axes): all combinations, or where they are too many, one at a time."""
    if len(SLOPES) ** axes <= MOST_PATTERNS:
        every = np.array(list(product(SLOPES, repeat=axes))).reshape(len(SLOPES) ** axes, axes)
        return every, (len(SLOPES),) * axes
    single = np.concatenate([np.zeros((1, axes)), *(slope * np.eye(axes) for slope in SLOPES if slope)])
    return single, (len(single),)


def _finished(problem: _Problem, end: _End) -> LocationScaleFit:
    """Put the end of the best climb back into the unit of the data, with τ² = 0 where it has vanished."""
    bounded, square = problem.link.bounded, problem.unit**2
    vanished = np.zeros(problem.y.shape, dtype=bool)
    status = _status(problem, end)
    if bounded or status == "endless":
        vanished = _vanished(problem, end.gamma)
    free = _null_space(problem.u[vanished])
    gamma = free @ (free.T @ end.gamma) if bounded else end.gamma
    tau2 = np.where(vanished, 0.0, problem.tau2(gamma))
    _, score, hessian = _derivatives(problem, gamma)
    defined = status == "ok" and not vanished.any()
    covariance = np.linalg.inv(-hessian) if defined else np.full(hessian.shape, np.nan)
    fit = weighted_fit(problem.y * problem.unit, 1 / (square * (problem.v + tau2)), problem.x)
    inverse = np.linalg.inv(problem.triangle) * (square if bounded else 1.0)
    return LocationScaleFit(
        beta=fit.beta,
        covariance=fit.covariance,
        alpha=np.full(len(gamma), np.nan) if status == "endless" else _without_rounding(problem, inverse @ gamma),
        alpha_covariance=inverse @ covariance @ inverse.T,
        tau2=tau2 * square,
        log_likelihood=float(problem.height(fit)),
        gradient=float(np.abs(free.T @ score).max(initial=0.0) * (tau2.max() if bounded else 1.0)),
        iterations=end.steps,
        status=status,
        vanished=vanished,
        fit=fit,
    )


def _vanished(problem: _Problem, gamma: Floats) -> NDArray[np.bool_]:
    """Studies whose τ² is 0, on the boundary or in the limit, shape (k,)."""
    tau2 = problem.tau2(gamma)
    if problem.link.bounded:
        return np.asarray(tau2 <= AT_ZERO * (problem.v + tau2.max()))
    return np.asarray(tau2 <= VANISHED * problem.v)


def _without_rounding(problem: _Problem, alpha: Floats) -> Floats:
    """With the identity link, coefficients that add no digit to any τ² become 0."""
    if not problem.link.bounded:
        return alpha
    added = np.abs(alpha) * np.abs(problem.u @ problem.triangle).max(0)
    return np.where(added <= ROUNDING * added.max(), 0.0, alpha)


def _null_space(rows: Floats) -> Floats:
    """Orthonormal basis of the coefficients that leave the predictor of all `rows` at 0, shape (q, free)."""
    values, vectors = np.linalg.eigh(rows.T @ rows)
    return np.asarray(vectors[:, values <= SINGULAR * max(values[-1], 1.0)])


def _status(problem: _Problem, end: _End) -> str:
    """Where the likelihood is flat around the end: whether it is so only because some τ² are practically 0."""
    values, vectors = np.linalg.eigh(-_derivatives(problem, end.gamma)[2])
    if end.status == "endless" or values[0] > SINGULAR * values[-1]:
        return end.status
    if problem.link.bounded and _vanished(problem, end.gamma).any():
        return "undetermined" if _is_ridge(problem, end, vectors[:, 0]) else end.status
    length, effect = _lengths(problem, end.gamma, vectors[:, 0])
    endless = effect <= VANISHED * length and not problem.link.bounded
    return "endless" if endless else "undetermined"


def _is_ridge(problem: _Problem, end: _End, direction: Floats) -> bool:
    """Whether the likelihood stays as high along a direction that leads from the boundary inwards."""
    reach = RIDGE * (problem.v + problem.tau2(end.gamma)).max() / np.abs(problem.u @ direction).max()
    beside = end.gamma + reach * np.stack([direction, -direction])
    eta = problem.predictor(beside)
    inside = (eta >= -NOISE * eta.max()).all(-1)
    heights = problem.height(problem.weighted(problem.tau2(beside[inside])))
    return bool((heights >= end.height - NOISE * len(problem.y)).any())
