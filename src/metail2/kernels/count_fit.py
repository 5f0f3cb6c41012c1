"""The global maximum of a marginal likelihood of counts, over coefficients and standard deviations.

For fixed standard deviations the log-likelihood is concave in all coefficients, so the only question is about τ. It is
scanned from 0 upwards; every change of sign of the profile score from + to − brackets a maximum, which is polished by
Newton's method in all parameters at once, and the highest is taken. At τ = 0 the slope in τ² decides. The quadrature
points are doubled until the log-likelihood no longer changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.count_likelihood import CountModel, Marginal, Point, marginal
from metail2.kernels.count_optimum import Ascent, ascend, profiled

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCAN_POINTS = {0: 1, 1: 40, 2: 12}
"""Quadrature points in each dimension while scanning, by the number of random effects."""
MOST_POINTS = {0: 1, 1: 1280, 2: 192}
"""Where doubling ends."""
STABLE = 1e-8
"""Change of the log-likelihood on doubling the points below which it is exact enough."""
FACTOR = 1.6
"""Ratio of neighbouring values of τ in the scan."""
SETTLED = 1e-6
"""Distance from the maximum, in standard errors, within which a fit has arrived."""
FAR = 30.0
"""A standard deviation of log ratios that no counts can tell from infinity."""
SMALL = 0.01
"""A standard deviation of study effects below which it is asked whether it is 0."""
BISECTIONS = 12
TIE = 1e-10
"""Relative difference that is none by rounding: then the smaller τ is as good."""


@dataclass(frozen=True, slots=True)
class CountFit:
    """The global maximum.

    Attributes
    ----------
    at : Marginal
        The likelihood there.
    free : ndarray of bool, shape (p + d,)
        Shared parameters that were estimated and are not on the boundary.
    covariance : ndarray, shape (p + d, p + d)
        Inverse of the observed information of the free parameters; 0 for the others.
    iterations : int
        Newton steps from the scan to the maximum.
    distance : float
        What the last step left to go, in standard errors.
    points : int
        Quadrature points in each dimension.
    change : float
        Change of the log-likelihood when the points were last doubled.
    maxima : int
        Number of local maxima found in τ, the boundary included; 1 without τ, 0 where every τ is as good as 0.
    bounded : bool
        False if the likelihood still rises at τ = `FAR` or is largest beyond it.
    """

    at: Marginal
    free: Flags
    covariance: Floats
    iterations: int
    distance: float
    points: int
    change: float
    maxima: int
    bounded: bool

    @property
    def sigma(self) -> Floats:
        """The standard deviations, shape (d,)."""
        return np.asarray(self.at.point.shared[len(self.free) - self.at.point.modes.shape[-1] :])


def begin(model: CountModel) -> Point:
    """Start from crude log-odds or log-rates: the coefficients by least squares, standard deviations of ½."""
    crude, own = model.density.crude - model.offset, np.zeros(model.k)
    if model.own is None:
        beta = _least_squares(model.x, crude)
    else:
        unit = model.own / np.linalg.norm(model.own)
        beta = _least_squares(model.x - unit[:, None] * (unit @ model.x)[:, None], crude - np.outer(crude @ unit, unit))
        own = (crude - model.x @ beta) @ unit / np.linalg.norm(model.own)
    shared = np.concatenate([beta, np.full(model.dimensions, 0.5)])
    return Point(shared, own, np.zeros((model.k, model.dimensions)))


def _least_squares(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(x.reshape(-1, x.shape[-1]), y.reshape(-1), rcond=None)[0])


def maximise(model: CountModel) -> CountFit:
    """Find the maximum over all coefficients and standard deviations, in a model without τ.

    Parameters
    ----------
    model : CountModel
        With no random effect, or random study intercepts only.
    """
    return _refined(model, _settle(model, begin(model), SCAN_POINTS[model.dimensions]))


def maximise_over_tau(model: CountModel, common: CountFit) -> CountFit:
    """Find the global maximum over τ ≥ 0 and all other parameters.

    Parameters
    ----------
    model : CountModel
        Whose last random effect is τ.
    common : CountFit
        Maximum of ``model.common``, i.e. at τ = 0. It is returned, with the number of maxima, where τ = 0 is best.
    """
    scan = _scan(model, common)
    if _flat(scan):
        return replace(common, maxima=0)
    falls = [i for i in range(len(scan) - 1) if scan[i].rises and not scan[i + 1].rises]
    found = [_refined(model, _polish(model, scan[i], scan[i + 1])) for i in falls]
    if not scan[0].rises:
        found.insert(0, common)
    if not found:
        return _unbounded(scan[-1].ascent, SCAN_POINTS[model.dimensions])
    best = found[0]
    for fit in found[1:]:
        best = fit if fit.at.value > best.at.value + TIE * (1 + abs(best.at.value)) else best
    bounded = not scan[-1].rises and (best is common or bool(best.sigma[-1] <= FAR))
    return replace(best, maxima=len(found), bounded=bounded)


def _unbounded(far: Ascent, points: int) -> CountFit:
    """What is left to say where the likelihood rises as far as it was scanned: no estimate."""
    size = len(far.at.score)
    unknown = np.full((size, size), np.nan)
    return CountFit(far.at, np.ones(size, dtype=bool), unknown, far.steps, np.nan, points, np.nan, 0, False)


@dataclass(frozen=True, slots=True)
class _Profile:
    """The best fit at one τ, and whether the likelihood rises from there."""

    tau: float
    ascent: Ascent

    @property
    def rises(self) -> bool:
        return bool(self.ascent.at.score[-1] > 0) if self.tau > 0 else self.slope_at_zero > TIE

    @property
    def slope_at_zero(self) -> float:
        """Slope in τ² at τ = 0, as a share of the sum of the studies' absolute slopes."""
        slopes = self.ascent.at.curvatures[:, -1, -1]
        return float(slopes.sum() / np.abs(slopes).sum()) if slopes.any() else 0.0


def _flat(scan: list[_Profile]) -> bool:
    """Whether the likelihood does not depend on τ, as where each study has one patient: a mixture of yes and no."""
    near = [profile.ascent.at.value for profile in scan if profile.tau < 1]
    return abs(scan[0].slope_at_zero) <= TIE and max(near) - min(near) <= STABLE


def _scan(model: CountModel, common: CountFit) -> list[_Profile]:
    """Profile the likelihood from τ = 0 in steps that begin at half the standard error of the best known effect.

    Features of the profile are not finer than that.
    """
    points, point, rows = SCAN_POINTS[model.dimensions], common.at.point, model.effect_rows
    modes = np.column_stack([point.modes, np.zeros(model.k)])
    at = marginal(model, Point(np.append(point.shared, 0.0), point.own, modes), points)
    scan = [_Profile(0.0, Ascent(at, 0, 0.0))]
    covariance = common.covariance[: model.coefficients, : model.coefficients]
    tau = 0.5 * float(np.sqrt(np.einsum("kp,pq,kq->k", rows, covariance, rows).min()))
    while tau < FAR * FACTOR:
        scan.append(_profile(model, scan[-1].ascent.at.point, tau))
        tau *= FACTOR
    return scan


def _profile(model: CountModel, start: Point, tau: float) -> _Profile:
    shared = start.shared.copy()
    shared[-1] = tau
    free = np.arange(len(shared)) < len(shared) - 1
    return _Profile(tau, _settle(model, replace(start, shared=shared), SCAN_POINTS[model.dimensions], free))


def _settle(model: CountModel, start: Point, points: int, free: Flags | None = None) -> Ascent:
    """Ascend, and put a standard deviation of study effects that becomes small to 0 if the likelihood is higher there.

    From exactly 0 Newton's method cannot leave, so that it always begins above.
    """
    p, mask = model.coefficients, np.ones(len(start.shared), dtype=bool) if free is None else free
    shared = start.shared.copy()
    shared[p:] = np.where(mask[p:], np.maximum(shared[p:], 10 * SMALL), shared[p:])
    found = ascend(model, replace(start, shared=shared), points, mask)
    small = mask & (np.arange(len(shared)) >= p) & (found.at.point.shared < SMALL)
    if not small.any():
        return found
    zero = replace(found.at.point, shared=np.where(small, 0.0, found.at.point.shared))
    other = ascend(model, zero, points, mask & ~small)
    return found if (np.diagonal(other.at.hessian)[small] > 0).any() else other


def _polish(model: CountModel, low: _Profile, high: _Profile) -> Ascent:
    """Ascend in all parameters from within a bracket, which is halved while the ascent leaves it."""
    points, start = SCAN_POINTS[model.dimensions], high
    for _ in range(BISECTIONS):
        middle = _profile(model, start.ascent.at.point, _between(low.tau, high.tau))
        free = np.ones(len(middle.ascent.at.score), dtype=bool)
        free[model.coefficients : -1] = middle.ascent.at.point.shared[model.coefficients : -1] > 0
        found = ascend(model, middle.ascent.at.point, points, free)
        if low.tau <= found.at.point.shared[-1] <= high.tau and found.at.point.shared[-1] > 0:
            return found
        low, high = (middle, high) if middle.rises else (low, middle)
        start = middle
    return middle.ascent


def _between(low: float, high: float) -> float:
    return float(np.sqrt(low * high)) if low > 0 else high / 2


def _refined(model: CountModel, found: Ascent) -> CountFit:
    """Double the points until the log-likelihood is stable, ascending anew each time."""
    points, most, steps = SCAN_POINTS[model.dimensions], MOST_POINTS[model.dimensions], found.steps
    free = (np.arange(len(found.at.score)) < model.coefficients) | (found.at.point.shared > 0)
    change = 0.0
    while points < most:
        points *= 2
        change = abs(marginal(model, found.at.point, points).value - found.at.value)
        found = ascend(model, found.at.point, points, free)
        steps += found.steps
        if change <= STABLE:
            break
    return CountFit(found.at, free, _covariance(found.at, free), steps, found.distance, points, change, 1, True)


def _covariance(at: Marginal, free: Flags) -> Floats:
    covariance = np.zeros((len(free), len(free)))
    covariance[np.ix_(free, free)] = np.linalg.pinv(profiled(at, free)[1], hermitian=True)
    return covariance
