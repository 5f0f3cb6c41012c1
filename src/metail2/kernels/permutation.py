"""Rearrangements of the studies under a hypothesis, and the statistics that a refitted model has in each of them.

A mean is tested by the signs of the effects (Follmann & Proschan 1999), moderators by the order in which the studies
meet the rows of the design (Higgins & Thompson 2004). The design stays where it is and the studies move, each with its
variance and weight, which is the same as moving the moderators.

Sources: Follmann DA, Proschan MA (1999). Biometrics 55:732–737. Higgins JPT, Thompson SG (2004). Statistics in Medicine
23:1663–1682.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.coefficient_tests import TestRule
from metail2.kernels.fitted import Fitted, fit_random_effects
from metail2.kernels.wls import ROUNDING, reciprocal_condition

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TIE = 1e-8
"""Statistics this close, relatively, are equal: the observed arrangement must count itself though τ² is iterated."""


class Scheme(Protocol):
    """A set of arrangements that are equally probable under the hypothesis."""

    @property
    def count(self) -> int:
        """Number of arrangements."""
        ...

    @property
    def distinct(self) -> int:
        """Number of those that `listed` gives: every value of |t| stands for count/distinct of them."""
        ...

    def listed(self, first: int, last: int, own: Fitted) -> Fitted:
        """Arrangements `first` to `last` − 1 of the distinct ones, refitted; leading shape (last − first,)."""
        ...

    def drawn(self, size: int, rng: np.random.Generator, own: Fitted) -> Fitted:
        """Arrangements drawn at random with replacement, refitted; leading shape (size,)."""
        ...

    def repeats(self, size: int, rng: np.random.Generator) -> int:
        """How many of the arrangements that `drawn` gives are the observed one, or the same to every statistic."""
        ...


@dataclass(frozen=True, slots=True)
class SignFlips:
    """The 2^k patterns of signs of k effects: under the hypothesis every effect is symmetric about 0.

    A pattern and its mirror image have the same |t|, so half of them are computed.
    """

    k: int

    @property
    def count(self) -> int:
        """2^k."""
        return int(2**self.k)

    @property
    def distinct(self) -> int:
        """2^(k − 1)."""
        return self.count // 2

    def listed(self, first: int, last: int, own: Fitted) -> Fitted:
        """Read the signs of all effects but the first from the binary digits of the pattern's number."""
        digits = np.arange(first, last)[:, None] >> np.arange(self.k - 1) & 1
        return _refit(own, np.hstack([np.ones((last - first, 1)), 1.0 - 2 * digits]) * own.yi)

    def drawn(self, size: int, rng: np.random.Generator, own: Fitted) -> Fitted:
        """Draw every sign by itself."""
        return _refit(own, self._signs(size, rng) * own.yi)

    def repeats(self, size: int, rng: np.random.Generator) -> int:
        """Count the patterns of k equal signs."""
        return int((np.abs(self._signs(size, rng).sum(-1)) == self.k).sum())

    def _signs(self, size: int, rng: np.random.Generator) -> Floats:
        return rng.choice([-1.0, 1.0], (size, self.k))


@dataclass(frozen=True, slots=True)
class RowOrders:
    """The orders of k studies over the rows of a design; equal rows are not told apart.

    Attributes
    ----------
    row : ndarray of int, shape (k,)
        Number of the distinct row that stands in each row of the design.
    """

    row: Integers

    @classmethod
    def of(cls, x: Floats) -> RowOrders:
        """Orders over the rows of a design, shape (k, p)."""
        return cls(np.unique(x, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64))

    @property
    def count(self) -> int:
        """k! over the factorials of how often each row stands."""
        return factorial(len(self.row)) // prod(map(factorial, np.bincount(self.row).tolist()))

    @property
    def distinct(self) -> int:
        """All of them."""
        return self.count

    def listed(self, first: int, last: int, own: Fitted) -> Fitted:
        """Give every study the row that the arrangement's number says."""
        given = _unranked(np.arange(first, last), np.bincount(self.row), self.count)
        order = np.empty_like(given)
        order[:, np.argsort(self.row, kind="stable")] = np.argsort(given, axis=-1, kind="stable")
        return _reordered(own, order)

    def drawn(self, size: int, rng: np.random.Generator, own: Fitted) -> Fitted:
        """Shuffle the studies."""
        return _reordered(own, self._orders(size, rng))

    def repeats(self, size: int, rng: np.random.Generator) -> int:
        """Count the orders in which every study meets a row equal to its own."""
        return int((self.row[self._orders(size, rng)] == self.row).all(-1).sum())

    def _orders(self, size: int, rng: np.random.Generator) -> Integers:
        return rng.permuted(np.tile(np.arange(len(self.row)), (size, 1)), axis=-1)


def _unranked(rank: Integers, available: Integers, count: int) -> Integers:
    """Sequences of numbers 0 … G − 1, each used as often as available, by their rank in lexicographic order.

    Of `count` sequences the share available[g]/length begins with g, and so on along the sequence.
    """
    length = int(available.sum())
    left = np.tile(available, (len(rank), 1))
    total = np.full(len(rank), count, dtype=np.int64)
    sequence = np.empty((len(rank), length), dtype=np.int64)
    lane = np.arange(len(rank))
    for place in range(length):
        begin = total[:, None] * left // (length - place)
        after = begin.cumsum(-1)
        chosen = (after <= rank[:, None]).sum(-1)
        rank = rank - after[lane, chosen] + begin[lane, chosen]
        total = begin[lane, chosen]
        left[lane, chosen] -= 1
        sequence[:, place] = chosen
    return sequence


def _refit(own: Fitted, yi: Floats) -> Fitted:
    return fit_random_effects(yi, own.vi, own.x, own.estimator, own.weights)


def _reordered(own: Fitted, order: Integers) -> Fitted:
    weights = None if own.weights is None else own.weights[order]
    return fit_random_effects(own.yi[order], own.vi[order], own.x, own.estimator, weights)


def statistics(fitted: Fitted, rule: TestRule, level: float, tested: list[int]) -> Floats:
    """Absolute test statistics of single coefficients, and the joint one of all of them, as the model tests them.

    Parameters
    ----------
    fitted : Fitted
        Leading shape (...).
    rule : TestRule
        How the model tests its coefficients.
    level : float
        Confidence level of the model, which some rules read.
    tested : list of int
        Columns of the design.

    Returns
    -------
    ndarray, shape (..., len(tested) + 1)
        |t| of each coefficient, then β′C⁻¹β. Infinite where the fit is exact, so that the test's variance is 0; 0 where
        the estimate is 0 as well.
    """
    reference = rule.reference(fitted, level)
    beta, covariance = fitted.beta[..., tested], reference.covariance[..., tested, :][..., tested]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(beta) / np.sqrt(reference.variance[..., tested])
    found = np.concatenate([t, _quadratic_form(beta, covariance)], axis=-1)
    return np.asarray(np.nan_to_num(found, nan=0.0, posinf=np.inf))


def _quadratic_form(beta: Floats, covariance: Floats) -> Floats:
    """β′C⁻¹β, shape (..., 1); infinite where a variance is 0 (an exact fit) unless all of β is 0."""
    exact = (np.diagonal(covariance, axis1=-2, axis2=-1) == 0).any(-1)[..., None, None]
    solved = np.linalg.solve(np.where(exact, np.eye(beta.shape[-1]), covariance), beta[..., None])
    value = (beta[..., None, :] @ solved)[..., 0]
    return np.asarray(np.where(exact[..., 0] & (value > 0), np.inf, value))


def threshold(own: Fitted, rule: TestRule, level: float, tested: list[int]) -> Floats:
    """What statistics have to reach to count as no smaller than those observed, shape (len(tested) + 1,).

    That is the observed statistic less `TIE` of it, and less its rounding: an observed 0 is computed as some 1e-16, of
    which no share is wide enough for its ties. An estimate is a sum of terms that may cancel. With C the covariance in
    the model, V = diag(v + τ²) and m = max |y| those of coefficient j are, by Cauchy and Schwarz, together no larger
    than m√(Cⱼⱼ·tr V⁻¹), in whichever order or with whichever signs; and the joint statistic is the square of a length
    of at most m√(tr V⁻¹). Of these bounds, over the standard error that the test uses, `ROUNDING` times the condition
    of the weighted design is no digit of the statistic. All of that scales with the effects. An infinite statistic,
    that of an exact fit, has no rounding.

    Parameters are those of `statistics`, for the observed arrangement alone.
    """
    observed, variance = statistics(own, rule, level, tested), rule.reference(own, level).variance[..., tested]
    weights = own.fit.weights if own.weights is None else own.weights
    share = ROUNDING / reciprocal_condition(np.sqrt(weights)[:, None] * own.x)
    bound = np.abs(own.yi).max() * np.sqrt(own.fit.weights.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(own.covariance.diagonal()[tested] / variance)
        rounding = share * bound * np.append(ratio, ratio.max())
    length = np.append(observed[:-1], np.sqrt(np.maximum(observed[-1], 0))) * (1 - TIE)
    least = length - np.where(np.isfinite(rounding), rounding, 0.0)
    return np.append(least[:-1], least[-1] ** 2 if least[-1] > 0 else -np.inf)


def reaching(found: Floats, least: Floats) -> Integers:
    """How many of the arrangements, shape (n, m), have statistics that reach the `threshold`, shape (m,)."""
    return np.asarray((found >= least).sum(0))
