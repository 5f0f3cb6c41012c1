"""Maximum likelihood of beta-binomial counts: groups of arms with one probability each and a common correlation.

In an arm the patients' events are exchangeable with correlation ρ: its probability of an event is beta-distributed
between arms with mean π. With γ = ρ/(1 − ρ) the probability of y events among n is

    C(n, y) Π_{r<y} (π + rγ) Π_{r<n−y} (1 − π + rγ) / Π_{r<n} (1 + rγ),

which is the binomial at γ = 0 and has simple derivatives there, too (Griffiths 1973). Summed over the arms of a group
each r stands once, with the number of arms that reach it; where that number stays the same for long, a Gauss rule for
sums stands for the terms, to full precision. For fixed γ the log-likelihood is concave in π; γ is scanned
from 0 upwards, each fall of the profile score through 0 is polished by Newton's method, and the highest maximum taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import expit, gammaln

Floats = NDArray[np.float64]

FIRST = 0.01
"""Where the scan of γ begins, times the largest arm: correlation then adds 1 % to the variance."""
FACTOR = 3.0
LAST = 1e4
"""Where it ends: ρ = 0.9999."""
DIRECT = 64
"""Terms that are added one by one, and the length from which a run of terms is worth a rule."""
RULE = 14
"""Points of a rule for a run within a factor of 2, where it leaves a relative error of 5.8⁻²⁸ (Bernstein ellipse)."""
STEP, COARSE = 1e-11, 1e-4
"""Relative steps at which Newton ends at a maximum, and while scanning."""
MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class Reached:
    """For r = 0, 1, 2 …: in how many arms a count is above r.

    Attributes
    ----------
    r, arms : ndarray, shape (terms,)
        The r themselves, or points of a Gauss rule for a run of them; number of arms, times the point's weight.
    """

    r: Floats
    arms: Floats


@dataclass(frozen=True, slots=True)
class Group:
    """Arms with one probability of an event.

    Attributes
    ----------
    events, others, patients : Reached
        Of the counts of events, of patients without, and of all.
    largest : float
        Size of the largest arm.
    constant : float
        Sum of log C(n, y).
    start : float
        Log-odds of all arms together.
    """

    events: Reached
    others: Reached
    patients: Reached
    largest: float
    constant: float
    start: float


def group(events: Floats, n: Floats) -> Group:
    """Summarise arms.

    Parameters
    ----------
    events, n : ndarray, shape (arms,)
        Whole numbers, with at least one event and one patient without.
    """
    others = n - events
    constant = float((gammaln(n + 1) - gammaln(events + 1) - gammaln(others + 1)).sum())
    start = float(np.log(events.sum()) - np.log(others.sum()))
    return Group(reached(events), reached(others), reached(n), float(n.max()), constant, start)


def reached(counts: Floats) -> Reached:
    """Number of counts above r, for r = 0 … the largest − 1, in runs between the counts and powers of 2."""
    doubled = 2.0 ** np.arange(np.log2(DIRECT), np.log2(max(counts.max(), DIRECT)) + 1)
    edges = np.unique(np.concatenate([[0.0], counts, doubled[doubled < counts.max()]]))
    parts = [_run(start, stop) for start, stop in pairwise(edges)]
    arms = [float((counts > start).sum()) for start in edges[:-1]]
    r = np.concatenate([points for points, _ in parts])
    return Reached(r, np.concatenate([many * weight for many, (_, weight) in zip(arms, parts, strict=True)]))


def _run(start: float, stop: float) -> tuple[Floats, Floats]:
    """Points and weights for the sum of a smooth function over start, start + 1 … stop − 1.

    The rule is that of the polynomials orthogonal over equally spaced points (Gram; Gautschi 2004, Orthogonal
    Polynomials, table 1.2), by the eigenvalues of their recurrence (Golub & Welsch 1969).
    """
    count = stop - start
    if start < DIRECT or count <= DIRECT:
        return np.arange(start, stop), np.ones(int(count))
    n = np.arange(1.0, RULE)
    beta = n**2 * (count**2 - n**2) / (4 * (4 * n**2 - 1))
    points, vectors = eigh_tridiagonal(np.zeros(RULE), np.sqrt(beta))
    return np.asarray(start + (count - 1) / 2 + points, dtype=float), np.asarray(count * vectors[0] ** 2)


@dataclass(frozen=True, slots=True)
class _Slopes:
    """Log-likelihood of a group with derivatives in the log-odds and in γ."""

    value: float
    eta: float
    gamma: float
    eta_eta: float
    eta_gamma: float
    gamma_gamma: float


def _slopes(arms: Group, eta: float, gamma: float) -> _Slopes:
    up, down = float(expit(eta)), float(expit(-eta))
    parts = [
        _sums(reach, base, gamma) for reach, base in ((arms.events, up), (arms.others, down), (arms.patients, 1.0))
    ]
    (a, a1, ar, a2, a2r, a2rr), (b, b1, br, b2, b2r, b2rr), (c, _, cr, _, _, c2rr) = parts
    spread, tilt = up * down, down - up
    first = a1 - b1
    return _Slopes(
        a + b - c + arms.constant,
        first * spread,
        ar + br - cr,
        -(a2 + b2) * spread**2 + first * spread * tilt,
        (b2r - a2r) * spread,
        c2rr - a2rr - b2rr,
    )


def _sums(reach: Reached, base: float, gamma: float) -> tuple[float, ...]:
    """Σ w·log t, Σ w/t, Σ wr/t, Σ w/t², Σ wr/t², Σ wr²/t² with t = base + rγ."""
    inverse = 1 / (base + reach.r * gamma)
    once = reach.arms * inverse
    twice, times = once * inverse, once * reach.r
    return (
        -float((reach.arms * np.log(inverse)).sum()),
        float(once.sum()),
        float(times.sum()),
        float(twice.sum()),
        float((twice * reach.r).sum()),
        float((times * inverse * reach.r).sum()),
    )


def _best_eta(arms: Group, gamma: float, start: float, tolerance: float) -> tuple[float, _Slopes]:
    """Maximise over the log-odds at one γ: Newton's method within the bracket that the slope's signs leave."""
    low, high, eta = -np.inf, np.inf, start
    for _ in range(MAX_STEPS):
        at = _slopes(arms, eta, gamma)
        low, high = (eta, high) if at.eta > 0 else (low, eta)
        step = at.eta / -at.eta_eta if at.eta_eta < 0 else np.sign(at.eta)
        following = eta + float(np.clip(step, -2.0, 2.0))
        if not low <= following <= high:
            following = (low + high) / 2
        if abs(following - eta) <= tolerance * (1 + abs(eta)):
            break
        eta = following
    return eta, at


@dataclass(frozen=True, slots=True)
class _Profile:
    """All groups at one γ, each at its best log-odds."""

    gamma: float
    eta: tuple[float, ...]
    groups: tuple[_Slopes, ...]

    @property
    def value(self) -> float:
        return sum(at.value for at in self.groups)

    @property
    def score(self) -> float:
        return sum(at.gamma for at in self.groups)

    @property
    def information(self) -> float:
        """Minus the second derivative of the profile log-likelihood in γ."""
        return -sum(at.gamma_gamma - at.eta_gamma**2 / at.eta_eta for at in self.groups)


def _profile(arms: Sequence[Group], gamma: float, start: Sequence[float], tolerance: float = STEP) -> _Profile:
    found = [_best_eta(one, gamma, eta, tolerance) for one, eta in zip(arms, start, strict=True)]
    return _Profile(gamma, tuple(eta for eta, _ in found), tuple(at for _, at in found))


@dataclass(frozen=True, slots=True)
class BetaBinomialFit:
    """The global maximum.

    Attributes
    ----------
    eta : ndarray, shape (groups,)
        Log-odds of the event in each group.
    rho : float
        Intraclass correlation.
    covariance : ndarray, shape (groups + 1, groups + 1)
        Of (η, ρ), by the observed information; 0 for ρ where it is on the boundary.
    log_likelihood, binomial : float
        At the maximum, and at the best fit with ρ = 0.
    iterations : int
        Newton steps in γ.
    distance : float
        What the last step left to go, in standard errors of γ.
    maxima : int
        Number of local maxima in ρ, the boundary included.
    bounded : bool
        False if the likelihood still rises at ρ = 0.9999.
    """

    eta: Floats
    rho: float
    covariance: Floats
    log_likelihood: float
    binomial: float
    iterations: int
    distance: float
    maxima: int
    bounded: bool


def fit_beta_binomial(arms: Sequence[Group]) -> BetaBinomialFit:
    """Find the maximum over the groups' probabilities and their common correlation.

    Parameters
    ----------
    arms : sequence of Group
        One or two groups, each with events and patients without.
    """
    scan = [_profile(arms, 0.0, [one.start for one in arms])]
    gamma = FIRST / max(one.largest for one in arms)
    while gamma < LAST * FACTOR:
        scan.append(_profile(arms, gamma, scan[-1].eta, COARSE))
        gamma *= FACTOR
    falls = [i for i in range(len(scan) - 1) if scan[i].score > 0 >= scan[i + 1].score]
    found = [_polish(arms, scan[i], scan[i + 1]) for i in falls]
    if scan[0].score <= 0:
        found.insert(0, (scan[0], 0))
    bounded = scan[-1].score <= 0 or not found
    best, steps = max(found, key=lambda pair: pair[0].value) if found else (scan[-1], 0)
    return _fit(best, scan[0].value, steps, len(found), bounded and bool(found))


def _polish(arms: Sequence[Group], low: _Profile, high: _Profile) -> tuple[_Profile, int]:
    """Newton's method on the profile score between two γ, bisecting where a step would leave."""
    at, steps, bottom, top = high, 0, low.gamma, high.gamma
    while steps < MAX_STEPS:
        steps += 1
        bottom, top = (at.gamma, top) if at.score > 0 else (bottom, at.gamma)
        following = at.gamma + at.score / at.information if at.information > 0 else -1.0
        if not bottom < following < top:
            following = np.sqrt(bottom * top) if bottom > 0 else top / 2
        moved = abs(following - at.gamma)
        at = _profile(arms, float(following), at.eta)
        if moved <= STEP * following:
            break
    return at, steps


def _fit(best: _Profile, binomial: float, steps: int, maxima: int, bounded: bool) -> BetaBinomialFit:
    size, gamma = len(best.eta), best.gamma
    information = np.zeros((size + 1, size + 1))
    for j, at in enumerate(best.groups):
        information[j, j] = -at.eta_eta
        information[j, size] = information[size, j] = -at.eta_gamma
        information[size, size] -= at.gamma_gamma
    free = size + (gamma > 0)
    covariance = np.zeros_like(information)
    covariance[:free, :free] = np.linalg.inv(information[:free, :free])
    scale = np.append(np.ones(size), 1 / (1 + gamma) ** 2)  # dρ/dγ
    distance = abs(best.score) / float(np.sqrt(abs(best.information))) if gamma > 0 else 0.0
    return BetaBinomialFit(
        np.array(best.eta), gamma / (1 + gamma), covariance * np.outer(scale, scale), best.value, binomial, steps,
        distance, maxima, bounded,
    )  # fmt: skip
