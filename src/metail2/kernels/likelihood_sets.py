"""The set of τ² that a profile likelihood does not reject; with several peaks it may be several intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from metail2.kernels.likelihood import Profile, local_maxima
from metail2.kernels.wls import fitter

Floats = NDArray[np.float64]

GRID_STEP = 0.5
"""Spacing of the knots in log(1 + τ²/min v)."""
VALLEY_KNOTS = 50
"""Further knots between neighbouring maxima, where the set may have a hole."""
BLOCK = 2_000_000
"""Largest number of elements in one array of a curve."""
MAX_STEPS = 100
STEP = 1e-8
"""Step in log(1 + τ²/min v) at which Newton ends; as it converges quadratically, the error is then far below."""


@dataclass(frozen=True, slots=True)
class LikelihoodSet:
    """The τ² whose log-likelihood is within half a χ²₁ quantile of the highest.

    Attributes
    ----------
    pieces : ndarray, shape (pieces, 2)
        Disjoint intervals, ascending.
    maxima, heights : ndarray, shape (maxima,)
        Local maxima, ascending, and their log-likelihoods.
    """

    pieces: Floats
    maxima: Floats
    heights: Floats


def curve(profile: Profile, yi: Floats, vi: Floats, x: Floats, tau2: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood and score at many τ², shape (m,), for one problem, in blocks that bound the memory."""
    rows, fit = max(1, BLOCK // yi.size), fitter(x, 1 / vi)
    heights, scores = np.empty(tau2.shape), np.empty(tau2.shape)
    for i in range(0, len(tau2), rows):
        found = fit(yi, 1 / (vi + tau2[i : i + rows, None]))
        heights[i : i + rows] = profile.value(found, x)
        scores[i : i + rows] = 0.5 * (found.q_slope() - profile.trace(found))
    return heights, scores


def likelihood_set(profile: Profile, yi: Floats, vi: Floats, x: Floats, level: float) -> LikelihoodSet:
    """Confidence set of τ² for one problem.

    Between knots (a grid, and all local maxima) that lie on different sides of the critical height there is one
    crossing, found by Newton's method; beyond the largest maximum the likelihood falls without end, so the set is
    bounded.

    Parameters
    ----------
    profile : Profile
        `profile_ml` or `profile_reml`.
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances.
    x : ndarray, shape (k, p)
        Design.
    level : float
        Confidence level.
    """
    maxima = np.sort(local_maxima(profile, yi[None], vi[None], x).tau2)
    heights, _ = curve(profile, yi, vi, x, maxima)
    critical = heights.max() - 0.5 * float(chdtri(1, 1 - level))
    knots = _knots(profile, yi, vi, x, maxima, critical)
    inside = curve(profile, yi, vi, x, knots)[0] >= critical
    cross = np.flatnonzero(inside[1:] != inside[:-1])
    limits = _crossings(profile, yi, vi, x, critical, knots[cross], knots[cross + 1], inside[cross])
    if inside[0]:
        limits = np.concatenate([[0.0], limits])
    return LikelihoodSet(limits.reshape(-1, 2), maxima, heights)


def _knots(profile: Profile, yi: Floats, vi: Floats, x: Floats, maxima: Floats, critical: float) -> Floats:
    """Values of τ² from 0 to one beyond the set."""
    unit = vi.min()
    last = np.log1p(maxima[-1] / unit) + 1
    while curve(profile, yi, vi, x, unit * np.expm1(np.array([last])))[0][0] >= critical:
        last += 1
    places = [np.linspace(0, last, int(np.ceil(last / GRID_STEP)) + 1)]
    peaks = np.log1p(maxima / unit)
    places += [np.linspace(a, b, VALLEY_KNOTS) for a, b in pairwise(peaks)]
    return np.unique(np.concatenate([unit * np.expm1(np.concatenate(places)), maxima]))


def _crossings(
    profile: Profile, yi: Floats, vi: Floats, x: Floats, critical: float, low: Floats, high: Floats, falling: Floats
) -> Floats:
    """Where the log-likelihood meets the critical height, one bracket a row; bisects where a step would leave it."""
    unit = vi.min()
    low, high = np.log1p(low / unit), np.log1p(high / unit)
    place, step = 0.5 * (low + high), np.full(low.shape, np.inf)
    for _ in range(MAX_STEPS):
        if (np.abs(step) <= STEP).all():
            break
        height, score = curve(profile, yi, vi, x, unit * np.expm1(place))
        before = (height >= critical) == falling
        low, high = np.where(before, place, low), np.where(before, high, place)
        with np.errstate(divide="ignore"):
            target = place + (critical - height) / (score * unit * np.exp(place))
        target = np.where((target >= low) & (target <= high), target, 0.5 * (low + high))
        place, step = target, target - place
    return np.asarray(unit * np.expm1(place))
