"""Permutation tests of a pooled mean and of moderators, and the interval for a mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.blocks import blocks
from metail2.analysis.refits import is_mean, noted, random_effects
from metail2.errors import ModelError
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import Fitted, fit_random_effects
from metail2.kernels.permutation import RowOrders, Scheme, SignFlips, reaching, statistics, threshold
from metail2.models.checks import check_count, check_seed, chosen_level
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import number

Floats = NDArray[np.float64]

MOST_LISTED = 2**16
"""Arrangements up to this many are all computed, unless the caller says otherwise."""
DRAWN = 10_000
"""Random arrangements where there are more."""
BISECTED = 1e-6
"""How near a limit is approached, in standard errors."""
UNWEIGHTED = "however far it is from all effects, as the signs of studies that have hardly any weight do not matter"
NOUGHT = "estimate and standard error are both 0, which counts as a statistic of 0"


def permutation_test(
    result: RandomEffectsResult, permutations: int | None = None, seed: int | None = None, progress: bool = False
) -> pd.DataFrame:
    """Test a mean by changing signs, or moderators by reordering them, with τ² estimated anew in every arrangement.

    Parameters
    ----------
    result : RandomEffectsResult
        Its model decides the statistic: the t (or z) of each coefficient as `spec.test` makes it, and β′C⁻¹β of all
        moderators together (over their number where the test is an F test). Of Kenward and Roger's test C is the
        adjusted covariance, and λ, which scales their F, is left out.
    permutations : int, optional
        Compute all arrangements if there are at most this many, otherwise draw this many at random. By default all of
        up to 65,536, otherwise 10,000 drawn.
    seed : int, optional
        Of the random draws; the same seed gives the same P values.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        ``term statistic p_value mc_se exact permutations note``: one row a coefficient tested, and with moderators a
        last row ``joint``. The P value is the share of arrangements whose statistic, in absolute value, reaches the
        observed one (within 1e-8 of it, and the rounding of the sums that it is formed of, so that rounding breaks no
        tie, not even of an observed 0, and the observed arrangement counts itself); of B random ones with b that reach
        it, (b + 1)/(B + 1). `mc_se` is its Monte Carlo standard error, 0 when exact. `note` says when there are too few
        arrangements, or too many random ones are the observed one, for a P value of 1 − `spec.level`, and when the
        observed statistic is 0/0, which counts as 0.

    Raises
    ------
    ModelError
        If the result is of another model, the fit has one study, `permutations` is not a whole number above 0, or
        `seed` not one of at least 0.

    Notes
    -----
    Without moderators, and in a regression without an intercept, the hypothesis is that the coefficients are 0 and
    every effect is symmetric about 0: the signs change, in 2^k ways. In a regression with an intercept it is that the
    moderators have nothing to do with the effects: their rows are reordered, in k! ways, fewer where rows are equal.
    That says nothing about the intercept, which therefore has no row; and it is a hypothesis about all moderators, so
    the row of one of several has its stated error rate only where none of them matters.

    Follmann DA, Proschan MA (1999). Biometrics 55:732–737. Higgins JPT, Thompson SG (2004). Statistics in Medicine
    23:1663–1682. Phipson B, Smyth GK (2010). Statistical Applications in Genetics and Molecular Biology 9:39.
    """
    random_effects(result, "permutation_test")
    plan = _plan(result, permutations, seed, progress)
    p_value = plan.p_values(result.fitted)
    table = pd.DataFrame(
        {
            "term": [*(result.terms[j] for j in plan.tested), "joint"],
            "statistic": _shown(result, plan),
            "p_value": p_value,
            "mc_se": 0.0 if plan.exact else np.sqrt(p_value * (1 - p_value) / (plan.size + 1)),
            "exact": plan.exact,
            "permutations": plan.count,
            "note": _notes(result, plan),
        }
    )
    return table.iloc[:-1] if is_mean(result) else table


@dataclass(frozen=True)
class PermutationInterval:
    """The means that a permutation test does not contradict.

    Attributes
    ----------
    lower, upper : float
        Limits, on the pooled scale.
    level : float
        Confidence level.
    exact : bool
        Whether all arrangements were computed.
    permutations : int
        Their number, or that of the random ones.
    note : str
        Why a limit is infinite; empty otherwise.
    """

    lower: float
    upper: float
    level: float
    exact: bool
    permutations: int
    note: str


def permutation_interval(
    result: RandomEffectsResult, level: float | None = None, permutations: int | None = None, seed: int | None = None
) -> PermutationInterval:
    """Return a confidence interval for a pooled mean by inverting its permutation test.

    Parameters
    ----------
    result : RandomEffectsResult
        A pooled mean.
    level : float, optional
        Confidence level; by default that of the model.
    permutations, seed
        As in `permutation_test`. Random arrangements are the same for every mean that is tested.

    Returns
    -------
    PermutationInterval
        On either side of the estimate the nearest mean μ at which the P value of the effects less μ falls to 1 −
        `level` or below, found by doubling the distance and then bisection, to about 1e-5 of the standard error
        (ties are wider than rounding). P changes in steps, so the interval covers at least as often as stated. Infinite
        where no P is as small as that, however far the mean: where there are too few arrangements, where too many
        random ones repeat the observed one, and where too many leave the statistic as it is, within 1e-8, because they
        change studies that have hardly any weight.

    Raises
    ------
    ModelError
        As `permutation_test`, and if the model has moderators.

    Notes
    -----
    Follmann DA, Proschan MA (1999). Biometrics 55:732–737.
    """
    random_effects(result, "permutation_interval")
    level = chosen_level(level, result.spec.level)
    plan = _plan(result, permutations, seed, False)
    if not is_mean(result):
        raise ModelError("permutation_interval is about one pooled effect; pool without moderators.")
    own, note = result.fitted, _note(result.fitted, plan, level)
    lower, upper = (side * np.inf if note else _limit(own, plan, level, side) for side in (-1, 1))
    if not note and np.isinf([lower, upper]).any():
        note = f"P of a mean stays at {number(_p_value(own, plan, _beyond(own)), 3)} {UNWEIGHTED}"
    return PermutationInterval(lower, upper, level, plan.exact, plan.count, note)


def _limit(own: Fitted, plan: _Plan, level: float, side: int) -> float:
    """Where the P value of a mean falls to 1 − level, going down (−1) or up (+1) from the estimate; or infinity."""
    unit, last = float(np.sqrt(own.covariance[0, 0])), _beyond(own)
    inside, outside = 0.0, unit
    while _p_value(own, plan, side * outside) > 1 - level:
        if outside > last:
            return side * np.inf
        inside, outside = outside, 2 * outside
    while outside - inside > BISECTED * unit and inside < (middle := (inside + outside) / 2) < outside:
        agrees = _p_value(own, plan, side * middle) > 1 - level
        inside, outside = (middle, outside) if agrees else (inside, middle)
    return float(own.beta[0] + side * (inside + outside) / 2)


def _p_value(own: Fitted, plan: _Plan, distance: float) -> float:
    """P value of the mean at a distance from the estimate."""
    moved = fit_random_effects(own.yi - (own.beta[0] + distance), own.vi, own.x, own.estimator, own.weights)
    return float(plan.p_values(moved)[0])


def _beyond(own: Fitted) -> float:
    """A distance beyond which P is constant: the effects differ from the mean by it alone, and √v is rounding to it."""
    return float(8 * max(np.abs(own.yi).max(), np.sqrt(own.vi.max())) / np.finfo(float).eps)


@dataclass(frozen=True)
class _Plan:
    """Which arrangements are compared, and how.

    Attributes
    ----------
    scheme : Scheme
        All arrangements.
    tested : list of int
        Coefficients that are tested.
    statistics : callable
        ``Fitted → statistics``, see `kernels.permutation.statistics`.
    threshold : callable
        ``Fitted → what statistics have to reach``, see `kernels.permutation.threshold`.
    exact : bool
        Whether all arrangements are computed.
    size : int
        Number of arrangements that are.
    seed : int
        Of the random ones, which are the same every time.
    progress : bool
        Whether a bar is shown.
    """

    scheme: Scheme
    tested: list[int]
    statistics: Callable[[Fitted], Floats]
    threshold: Callable[[Fitted], Floats]
    exact: bool
    size: int
    seed: int
    progress: bool

    @property
    def count(self) -> int:
        """Number of arrangements that the P value rests on."""
        return self.scheme.count if self.exact else self.size

    def p_values(self, own: Fitted) -> Floats:
        """P values of the coefficients tested and of all of them, shape (len(tested) + 1,)."""
        least = self.threshold(own)
        reached = sum(reaching(self.statistics(fitted), least) for fitted in self._arrangements(own))
        return np.asarray(reached / self.size if self.exact else (reached + 1) / (self.size + 1))

    def repeats(self, own: Fitted) -> int:
        """How many arrangements are the observed one, besides itself."""
        if self.exact:
            return 0
        rng = np.random.default_rng(self.seed)  # drawn in the blocks of the fits, the arrangements are theirs
        return sum(self.scheme.repeats(last - first, rng) for first, last in blocks(self.size, own.x.size, False))

    def _arrangements(self, own: Fitted) -> Iterator[Fitted]:
        """Refit in every distinct arrangement, or in random ones, block by block."""
        rng = np.random.default_rng(self.seed)
        for first, last in blocks(self.size, own.x.size, self.progress):
            yield self.scheme.listed(first, last, own) if self.exact else self.scheme.drawn(last - first, rng, own)


def _plan(result: RandomEffectsResult, permutations: int | None, seed: int | None, progress: bool) -> _Plan:
    if result.terms.count("intercept") > 1:
        raise ModelError("A moderator is called 'intercept', as the model's own; rename its column.")
    most = MOST_LISTED if permutations is None else check_count(permutations, "permutations", 1)
    moderated = result.design.has_intercept and len(result.terms) > 1
    scheme: Scheme = RowOrders.of(result.design.x) if moderated else SignFlips(result.k)
    tested = [j for j, term in enumerate(result.terms) if not (moderated and term == "intercept")]
    read, least = (
        partial(function, rule=TESTS[result.spec.test], level=result.spec.level, tested=tested)
        for function in (statistics, threshold)
    )
    exact = scheme.count <= most
    size = scheme.distinct if exact else DRAWN if permutations is None else most
    given = check_seed(seed)
    same = int(np.random.default_rng().integers(2**63)) if given is None else given
    return _Plan(scheme, tested, read, least, exact, size, same, progress)


def _shown(result: RandomEffectsResult, plan: _Plan) -> Floats:
    """The observed statistics with the signs of their estimates; the joint one as an F where the test has finite df."""
    observed, tested = plan.statistics(result.fitted), plan.tested
    over = len(tested) if np.isfinite(result.reference.df).all() else 1
    return np.append(np.copysign(observed[:-1], result.wald.estimate[tested]), observed[-1] / over)


def _notes(result: RandomEffectsResult, plan: _Plan) -> list[str]:
    """Notes of the coefficients tested and of all of them."""
    undefined = np.isnan(result.wald.statistic[plan.tested])
    said = [_note(result.fitted, plan, result.spec.level)] * (len(plan.tested) + 1)
    return noted(said, np.append(undefined, undefined.all()), NOUGHT)


def _note(own: Fitted, plan: _Plan, level: float) -> str:
    """Say when even the most extreme effects have no P value of 1 − level or below."""
    scheme, repeats = plan.scheme, plan.repeats(own)
    smallest = 1 / scheme.distinct if plan.exact else (repeats + 1) / (plan.size + 1)
    if smallest <= 1 - level:
        return ""
    there = f"only {scheme.count} arrangements" if plan.exact else f"only {plan.size} random arrangements"
    same = f", of which {repeats} repeat the observed one" if repeats else ""
    return f"there are {there}{same}, so P cannot be below {number(smallest, 3)}"
