"""Newton's method for a marginal likelihood of counts, in memory linear in the number of studies.

The information is an arrow: every study's own coefficient meets only the shared parameters, and is eliminated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.count_likelihood import CountModel, Marginal, Point, marginal

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_STEPS = 100
ARRIVED = 1e-10
"""Distance from the maximum, in standard errors, at which Newton ends."""
QUADRATIC = 1e-4
"""Distance below which each step must at least halve what is left; what does not shrink there is rounding."""
HALVINGS = 40
LONGEST = 5.0
"""Largest change of a coefficient in one step."""
SINGULAR = 1e-12
"""Ratio of the least to the largest eigenvalue of an information that is 0 by rounding."""
ROUNDING = 1e-11
"""Relative error of a log-likelihood that no step can improve upon."""


@dataclass(frozen=True, slots=True)
class Ascent:
    """Where Newton's method ended.

    Attributes
    ----------
    at : Marginal
        The likelihood there.
    steps : int
        Number of steps.
    distance : float
        What is left to the maximum by the last step, in standard errors; infinite where a direction has no information.
    """

    at: Marginal
    steps: int
    distance: float


def profiled(at: Marginal, free: Flags) -> tuple[Floats, Floats]:
    """Score and information of the free shared parameters after eliminating every study's own coefficient."""
    weight = np.divide(1, at.own_information, out=np.zeros_like(at.own_score), where=at.own_information > 0)
    cross = at.cross[:, free]
    score = at.score[free] + cross.T @ (weight * at.own_score)
    return score, -at.hessian[np.ix_(free, free)] - cross.T @ (weight[:, None] * cross)


def ascend(model: CountModel, start: Point, points: int, free: Flags) -> Ascent:
    """Maximise over the free shared parameters and all own coefficients by Newton's method.

    Where the likelihood is not concave (in τ far from its maximum) the step uses the absolute eigenvalues of the
    information. A step is halved until the likelihood rises.

    Parameters
    ----------
    model : CountModel
        What is maximised.
    start : Point
        Where to begin.
    points : int
        Quadrature points in each dimension.
    free : ndarray of bool, shape (p + d,)
        Which shared parameters may move.
    """
    at, left, steps = marginal(model, start, points), np.inf, 0
    while steps < MAX_STEPS:
        move = _newton(at, free)
        before, left = left, move.distance
        if left <= ARRIVED or (before < QUADRATIC and left > before / 2):
            break
        steps += 1
        found, uncut = _climb(model, at, move, points)
        if found is None:
            break
        promised, gained, noise = 0.5 * left**2, found.value - at.value, 10 * ROUNDING * (1 + abs(at.value))
        at = found
        if uncut and promised > noise and gained < 0.05 * promised:  # the rule is too coarse to have derivatives
            break
    return Ascent(at, steps, np.inf if move.singular else left)


@dataclass(frozen=True, slots=True)
class _Move:
    shared: Floats
    own: Floats
    distance: float
    singular: bool


def _newton(at: Marginal, free: Flags) -> _Move:
    score, information = profiled(at, free)
    shared, own_gain, singular = np.zeros(len(free)), np.zeros_like(at.own_score), False
    if len(score):
        size, axes = np.linalg.eigh(information)
        least = SINGULAR * np.abs(size).max()
        singular, size = bool((np.abs(size) < least).any()), np.maximum(np.abs(size), least)
        shared[free] = axes @ ((axes.T @ score) / size)
    held = at.own_information > 0
    np.divide(at.own_score + at.cross @ shared, at.own_information, out=own_gain, where=held)
    alone = np.divide(at.own_score**2, at.own_information, out=np.zeros_like(own_gain), where=held).sum()
    return _Move(shared, own_gain, float(np.sqrt(max(0.0, shared[free] @ score + alone))), singular)


def _climb(model: CountModel, at: Marginal, move: _Move, points: int) -> tuple[Marginal | None, bool]:
    """Take the step, or the half, quarter … of it that does not lower the likelihood; None if none does.

    A standard deviation shrinks at most to a tenth, so that none becomes negative; the second value is False where
    that cut the step.
    """
    point, p, floor = at.point, model.coefficients, at.value - ROUNDING * (1 + abs(at.value))
    largest = max(np.abs(move.shared).max(initial=0.0), np.abs(move.own).max(initial=0.0))
    share = min(1.0, LONGEST / largest) if largest > 0 else 1.0
    for _ in range(HALVINGS):
        wanted = point.shared + share * move.shared
        shared = np.concatenate([wanted[:p], np.maximum(wanted[p:], point.shared[p:] / 10)])
        found = marginal(model, Point(shared, point.own + share * move.own, point.modes), points)
        if found.value >= floor:
            return found, bool((shared == wanted).all())
        share /= 2
    return None, False
