"""Permutation tests of a pooled mean and of moderators."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.blocks import blocks
from metail2.errors import ModelError
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import Fitted
from metail2.kernels.permutation import RowOrders, Scheme, SignFlips, reaching, statistics
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import number

Floats = NDArray[np.float64]

MOST_LISTED = 2**16
"""Arrangements up to this many are all computed, unless the caller says otherwise."""
DRAWN = 10_000
"""Random arrangements where there are more."""


def permutation_test(
    result: RandomEffectsResult, permutations: int | None = None, seed: int | None = None, progress: bool = False
) -> pd.DataFrame:
    """Test a mean by changing signs, or moderators by reordering them, with τ² estimated anew in every arrangement.

    Parameters
    ----------
    result : RandomEffectsResult
        Its model decides the statistic: the t (or z) of each coefficient as `spec.test` makes it, and β′C⁻¹β of all
        moderators together (over their number where the test is an F test).
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
        observed one (within 1e-8 of it, so that rounding breaks no tie and the observed arrangement counts itself); of
        B random ones with b that reach it, (b + 1)/(B + 1). `mc_se` is its Monte Carlo standard error, 0 when exact.
        `note` says when there are too few arrangements for a P value below 1 − `spec.level`.

    Raises
    ------
    ModelError
        For one study, which has no arrangement but its own, or fewer than 1 permutation.

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
    if permutations is not None and permutations < 1:
        raise ModelError(f"{permutations} permutations were asked for; give at least 1.")
    if result.k == 1:
        raise ModelError("One study has the same statistic with either sign, so a permutation test says nothing.")
    moderated = result.design.has_intercept and len(result.terms) > 1
    scheme: Scheme = RowOrders.of(result.design.x) if moderated else SignFlips(result.k)
    tested = [j for j, term in enumerate(result.terms) if not (moderated and term == "intercept")]
    exact = scheme.count <= (MOST_LISTED if permutations is None else permutations)
    size = scheme.distinct if exact else permutations or DRAWN
    read = partial(statistics, rule=TESTS[result.spec.test], level=result.spec.level, tested=tested)
    observed = read(result.fitted)
    rearranged = _arrangements(result.fitted, scheme, size, exact, seed, progress)
    reached = np.sum([reaching(read(fitted), observed) for fitted in rearranged], axis=0)
    p_value = reached / size if exact else (reached + 1) / (size + 1)
    table = pd.DataFrame(
        {
            "term": [*(result.terms[j] for j in tested), "joint"],
            "statistic": _shown(result, tested, observed),
            "p_value": p_value,
            "mc_se": 0.0 if exact else np.sqrt(p_value * (1 - p_value) / (size + 1)),
            "exact": exact,
            "permutations": scheme.count if exact else size,
            "note": _note(scheme, result.spec.level),
        }
    )
    return table.iloc[:-1] if result.terms == ("intercept",) else table


def _arrangements(
    own: Fitted, scheme: Scheme, size: int, exact: bool, seed: int | None, progress: bool
) -> Iterator[Fitted]:
    """Refit in every distinct arrangement, or in `size` random ones, block by block."""
    rng = np.random.default_rng(seed)
    for first, last in blocks(size, own.x.size, progress):
        yield scheme.listed(first, last, own) if exact else scheme.drawn(last - first, rng, own)


def _shown(result: RandomEffectsResult, tested: list[int], observed: Floats) -> Floats:
    """The observed statistics with the signs of their estimates; the joint one as an F where the test has finite df."""
    over = len(tested) if np.isfinite(result.reference.df).all() else 1
    return np.append(np.copysign(observed[:-1], result.wald.estimate[tested]), observed[-1] / over)


def _note(scheme: Scheme, level: float) -> str:
    """Say when even the most extreme arrangement has no small P value."""
    smallest = scheme.count // scheme.distinct / scheme.count
    if smallest <= 1 - level:
        return ""
    return f"there are only {scheme.count} arrangements, so P cannot be below {number(smallest, 3)}"
