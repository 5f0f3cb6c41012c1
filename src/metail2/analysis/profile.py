"""Does the likelihood determine τ²? Its profile, the fit at every peak, and a flag for flat or several-peaked ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from metail2.analysis.refits import labels, random_effects
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import Fitted, at_tau2
from metail2.kernels.heterogeneity import i2_from_tau2
from metail2.kernels.inference import wald
from metail2.kernels.likelihood import Profile, profile_ml, profile_reml
from metail2.kernels.likelihood_sets import LikelihoodSet, curve, likelihood_set
from metail2.kernels.tau2 import Tau2Estimate, unmeasured
from metail2.kernels.wls import weighted_fit
from metail2.models.checks import check_count, chosen_level
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import hundredths, listed, number, percent

Floats = NDArray[np.float64]

FEWEST = 10
"""Smallest number of points of a curve."""
BEYOND = 1.25
"""The curve ends at this multiple of the upper confidence limit."""
FINE = 4
"""Values of the fine grids for each point asked for."""
DEEPEST = 10.0
"""Log units below the maximum beyond which no point is spent on the bend of the curve."""
STRAIGHT = 0.25
"""Share of the points that are spread evenly."""
SPIKE = 1 / 3
"""Share of the integrated likelihood below which a peak is a mere spike; regular profiles have 0.44 (k = 2) or more."""
SPIKE_LEVEL = 0.95
EXPONENT = 1e-4
"""Below this τ² is written with an exponent."""
LOW, HIGH = 25.0, 75.0
"""I² (percent) of low and high heterogeneity (Higgins et al. 2003, BMJ 327:557–560)."""

FLAGS = ("regular", "flat", "two_peaks", "spike")


@dataclass(frozen=True, eq=False, repr=False)
class Tau2Profile:
    """The profile log-likelihood of τ².

    Attributes
    ----------
    likelihood : str
        ``"restricted"`` or ``"ordinary"``.
    level : float
        Confidence level of the set and of all intervals.
    curve : DataFrame
        ``tau2 log_likelihood below``, ascending in τ² from 0 to beyond the upper confidence limit; ``below`` is the
        distance from the maximum in log units.
    coefficients : DataFrame
        ``tau2 term estimate se``: what the model would say at each τ² of the curve, by its own test.
    fits : DataFrame
        ``peak tau2 log_likelihood below term estimate se ci_lower ci_upper``: the fit at every local maximum, the
        highest first, by the model's own test.
    confidence_set : tuple of (float, float)
        All τ² whose log-likelihood is within half a χ²₁ quantile of the maximum: one interval, or several.
    share : float
        How much of the likelihood integrated over τ a normal curve with the height and the curvature of the highest
        peak accounts for; at most 1.
    flag : str
        One of `FLAGS`: ``"spike"`` (`share` below a third: nearly all of the likelihood lies elsewhere),
        ``"two_peaks"`` (several local maxima), ``"flat"`` (the confidence set holds both low and high heterogeneity:
        I² from below 25 % to above 75 %), ``"regular"``.
    sentence : str
        What a reader must know about it.
    """

    likelihood: str
    level: float
    curve: pd.DataFrame
    coefficients: pd.DataFrame
    fits: pd.DataFrame
    confidence_set: tuple[tuple[float, float], ...]
    share: float
    flag: str
    sentence: str

    def __repr__(self) -> str:
        head = f"Profile of the {self.likelihood} likelihood at {len(self.curve)} values of τ²: {self.flag}"
        return f"{head}\n{self.sentence}\n{self.fits.to_string(index=False)}"


def profile_tau2(result: RandomEffectsResult, points: int = 200, level: float | None = None) -> Tau2Profile:
    """Profile the likelihood of the between-study variance τ².

    Parameters
    ----------
    result : RandomEffectsResult
        With or without moderators. A fit by ML has its ordinary likelihood profiled, any other the restricted one.
    points : int
        About how many values of τ² the curve has, at least 10; they lie densest where it bends most.
    level : float, optional
        Confidence level of the set and of the intervals at the peaks; by default that of the model.

    Returns
    -------
    Tau2Profile

    Raises
    ------
    ModelError
        If the result is of another model or of one study, or `points` or `level` makes no sense.

    Notes
    -----
    Hardy RJ, Thompson SG (1996). Statistics in Medicine 15:619–629 (profile likelihood). The likelihood is integrated
    over τ, as a uniform prior on τ does (Gelman A 2006, Bayesian Analysis 1:515–534), but only up to the end of its
    95 % set or, if that is larger, the median sampling variance, because with two studies the whole integral diverges.
    Around a regular maximum the likelihood is nearly a normal curve in τ (a half-normal one at τ = 0), which then
    accounts for most of it; not so where one or two tiny variances make it peak at a τ² as tiny.
    """
    result = random_effects(result, "profile_tau2")
    level, points = chosen_level(level, result.spec.level), check_count(points, "points", FEWEST)
    problem = _Problem(result, level)
    tau2 = _grid(problem, points)
    heights, _ = problem.curve(tau2)
    share = _share(problem)
    flag = _flag(problem, share)
    return Tau2Profile(
        likelihood="ordinary" if problem.profile is profile_ml else "restricted",
        level=level,
        curve=pd.DataFrame({"tau2": tau2, "log_likelihood": heights, "below": problem.highest - heights}),
        coefficients=_coefficients(problem, tau2),
        fits=_fits(problem),
        confidence_set=tuple((low, high) for low, high in problem.found.pieces.tolist()),
        share=share,
        flag=flag,
        sentence=_sentence(problem, flag, share),
    )


@dataclass(frozen=True)
class _Problem:
    """A fit, and the confidence set of its likelihood at a level."""

    result: RandomEffectsResult
    level: float

    @property
    def fitted(self) -> Fitted:
        return self.result.fitted

    @property
    def profile(self) -> Profile:
        return profile_ml if self.fitted.estimator == "ML" else profile_reml

    @cached_property
    def found(self) -> LikelihoodSet:
        return self.set_at(self.level)

    @property
    def highest(self) -> float:
        return float(self.found.heights.max())

    @property
    def upper(self) -> float:
        """Upper confidence limit."""
        return float(self.found.pieces[-1, 1])

    @property
    def ranked(self) -> list[int]:
        """Positions of the local maxima, the highest first."""
        return [int(i) for i in np.argsort(-self.found.heights, kind="stable")]

    def set_at(self, level: float) -> LikelihoodSet:
        return likelihood_set(self.profile, self.fitted.yi, self.fitted.vi, self.fitted.x, level)

    def curve(self, tau2: Floats) -> tuple[Floats, Floats]:
        """Log-likelihood and score."""
        return curve(self.profile, self.fitted.yi, self.fitted.vi, self.fitted.x, tau2)

    def at(self, tau2: Floats) -> Fitted:
        """Return what the model fits at given τ², shape (...)."""
        own = self.fitted
        fit = weighted_fit(own.yi, 1 / (own.vi + tau2[..., None]), own.x)
        found = Tau2Estimate(tau2, 0, np.ones(tau2.shape, dtype=np.int64), partial(unmeasured, tau2), fit)
        return at_tau2(own.yi, own.vi, own.x, own.estimator, found, own.weights)


def _fine(problem: _Problem, last: float, count: int) -> Floats:
    """Values of τ² from 0 to `last`: half of them even in log(1 + τ²/min v), half in τ²."""
    unit = problem.fitted.vi.min()
    bent = unit * np.expm1(np.linspace(0, np.log1p(last / unit), count))
    return np.unique(np.concatenate([bent, np.linspace(0, last, count)]))


def _grid(problem: _Problem, points: int) -> Floats:
    """Values of τ² at which straight lines follow the curve evenly: as dense as the root of its second derivative."""
    last = BEYOND * max(problem.upper, float(problem.found.maxima.max()))
    fine = _fine(problem, last, FINE * points // 2)
    heights, scores = problem.curve(fine)
    middle = 0.5 * (heights[1:] + heights[:-1])
    spread = np.diff(fine)
    bend = np.sqrt(np.abs(np.diff(scores)) * spread) * (problem.highest - middle < DEEPEST)
    density = bend / max(bend.sum(), np.finfo(float).tiny) * (1 - STRAIGHT) + STRAIGHT * spread / last
    reached = np.concatenate([[0.0], np.cumsum(density)])
    chosen = np.interp(np.linspace(0, reached[-1], points), reached, fine)
    return np.unique(np.concatenate([chosen, problem.found.maxima, problem.found.pieces.ravel()]))


def _coefficients(problem: _Problem, tau2: Floats) -> pd.DataFrame:
    fitted, terms = problem.at(tau2), problem.result.terms
    variance = TESTS[problem.result.spec.test].reference(fitted, problem.level).variance
    shape = (len(tau2), len(terms))
    return pd.DataFrame(
        {
            "tau2": np.repeat(tau2, len(terms)),
            "term": list(terms) * len(tau2),
            "estimate": np.broadcast_to(fitted.beta, shape).ravel(),
            "se": np.sqrt(np.broadcast_to(variance, shape)).ravel(),
        }
    )


def _fits(problem: _Problem) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for peak, i in enumerate(problem.ranked, start=1):
        fitted = problem.at(np.asarray(problem.found.maxima[i]))
        reference = TESTS[problem.result.spec.test].reference(fitted, problem.level)
        found = wald(fitted.beta, reference.variance, reference.df, problem.level)
        height = float(problem.found.heights[i])
        for j, term in enumerate(problem.result.terms):
            where = {"peak": peak, "tau2": float(fitted.tau2.value), "log_likelihood": height}
            figures = {"estimate": found.estimate, "se": found.se, "ci_lower": found.lower, "ci_upper": found.upper}
            below = {"below": problem.highest - height, "term": term}
            rows.append(where | below | {name: float(values[j]) for name, values in figures.items()})
    return pd.DataFrame(rows)


def _share(problem: _Problem) -> float:
    """Likelihood under a normal curve at the highest peak over the whole likelihood, both integrated over τ.

    With l(τ²) the log-likelihood, its second derivative in τ is 2l′ + 4τ²l″: at an interior maximum the second term
    only, at τ = 0 the first.
    """
    last = max(float(problem.set_at(SPIKE_LEVEL).pieces[-1, 1]), float(np.median(problem.fitted.vi)))
    tau2 = np.union1d(_fine(problem, last, 500), problem.found.maxima)
    tau2 = tau2[tau2 <= last]
    heights, _ = problem.curve(tau2)
    whole = float(trapezoid(np.exp(heights - problem.highest), np.sqrt(tau2)))
    peak = np.asarray(problem.found.maxima[problem.ranked[0]])
    fit = problem.at(peak).fit
    if peak > 0:
        curvature = 4 * peak * (fit.q_curvature() - 0.5 * problem.profile.trace_slope(fit))
        normal = np.sqrt(2 * np.pi / curvature)
    else:
        normal = np.sqrt(0.5 * np.pi / (problem.profile.trace(fit) - fit.q_slope()))
    return min(1.0, float(normal) / whole)


def _flag(problem: _Problem, share: float) -> str:
    if share < SPIKE:
        return "spike"
    if len(problem.found.maxima) > 1:
        return "two_peaks"
    low, high = _i2(problem)
    return "flat" if low < LOW and high > HIGH else "regular"


def _i2(problem: _Problem) -> Floats:
    """I² at the ends of the confidence set."""
    return i2_from_tau2(problem.found.pieces.ravel()[[0, -1]], problem.result.spread.typical_variance)


def _sentence(problem: _Problem, flag: str, share: float) -> str:
    found, best = problem.found, problem.ranked[0]
    likelihood = f"{'ordinary' if problem.profile is profile_ml else 'restricted'} likelihood"
    pieces = listed([f"{_number(low)} to {_number(high)}" for low, high in found.pieces.tolist()])
    text = f"The {likelihood} is highest at τ² = {_number(found.maxima[best])}"
    text += f" ({hundredths(problem.level)} % set: {pieces})"
    if flag == "spike":
        smallest = labels(problem.result)[int(np.argmin(problem.fitted.vi))]
        text += (
            f", but that peak is a mere spike, which stands for {percent(100 * share, 0)} of the likelihood over τ; "
            f"the smallest variance is that of {smallest}"
        )
    if flag == "flat":
        low, high = (percent(value, 0) for value in _i2(problem).tolist())
        text += f", but hardly tells values of τ² apart: the set reaches from I² = {low} to {high}"
    return f"{text}{_other_peaks(problem)}{_other_estimator(problem)}."


def _other_peaks(problem: _Problem) -> str:
    """Say where the likelihood peaks too, and whether such a peak is within the confidence set."""
    found, texts = problem.found, {True: list[str](), False: list[str]()}
    for i in problem.ranked[1:]:
        within = bool(((found.pieces[:, 0] <= found.maxima[i]) & (found.maxima[i] <= found.pieces[:, 1])).any())
        below = number(problem.highest - float(found.heights[i]), 2)
        texts[within].append(f"τ² = {_number(found.maxima[i])} ({below} log units lower)")
    inside = f"; it also peaks at {listed(texts[True])}: read both fits" if texts[True] else ""
    outside = (
        f"; outside the set it also peaks at {listed(texts[False])}, where a search may stop" if texts[False] else ""
    )
    return inside + outside


def _other_estimator(problem: _Problem) -> str:
    """Say what the fit itself has for τ², if it is no maximum of this likelihood."""
    code = problem.fitted.estimator
    if code in ("ML", "REML"):
        return ""
    return f"; the fit itself has τ² = {_number(problem.result.tau2)} ({code}, which maximises no likelihood)"


def _number(tau2: float) -> str:
    """Write τ² with three digits, and at least two decimals."""
    decimals = max(2, 2 - math.floor(math.log10(tau2))) if tau2 >= EXPONENT else 2
    return "0" if tau2 == 0 else number(float(tau2), decimals)
