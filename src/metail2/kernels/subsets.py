"""A pooled mean of every subset of the studies, for a common effect or by DerSimonian and Laird.

Subset s holds study j if bit j of s is set. The studies are cut into a low part, whose subsets are all in one block,
and a high part, of which every block takes one subset. Weight, mean, Q and the sum of products of two weights follow
for a union from those of its two parts without subtracting (Chan, Golub & LeVeque 1983, The American Statistician
37:242–247), so all of them cost O(1) a subset. Only the weighted mean at the subset's own τ² is a sum over its studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.heterogeneity import i2_from_tau2

Floats = NDArray[np.float64]

LOW = 12
"""Studies in the low part: 2¹² subsets a block stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class SubsetMeans:
    """Pooled means of subsets, one entry each.

    Attributes
    ----------
    k : ndarray of int
        Number of studies.
    estimate, tau2, i2, q, i2_q : ndarray
        Pooled effect, τ², I² from it, Cochran's Q and I² from Q; all but the estimate are NaN for one study.
    """

    k: NDArray[np.int64]
    estimate: Floats
    tau2: Floats
    i2: Floats
    q: Floats
    i2_q: Floats

    @classmethod
    def empty(cls, count: int) -> SubsetMeans:
        """Return room for `count` subsets, NaN so far."""
        return cls(np.zeros(count, dtype=np.int64), *(np.full(count, np.nan) for _ in range(5)))

    def without_first(self) -> SubsetMeans:
        """Leave out the first entry; views."""
        return SubsetMeans(self.k[1:], self.estimate[1:], self.tau2[1:], self.i2[1:], self.q[1:], self.i2_q[1:])


@dataclass(frozen=True, slots=True)
class _Parts:
    """Sums over subsets: studies, weight, mean, Q and Σ over pairs of wᵢwⱼ; one entry a subset."""

    k: NDArray[np.int64]
    weight: Floats
    mean: Floats
    q: Floats
    pairs: Floats

    def joined(self, k: int, weight: float, mean: float, q: float, pairs: float) -> _Parts:
        """Sums of the unions with another part; the union of nothing with nothing has no mean."""
        total, product, apart = self.weight + weight, self.weight * weight, mean - self.mean
        share = weight / total
        joined_q = self.q + q + self.weight * share * apart**2
        return _Parts(self.k + k, total, self.mean + share * apart, joined_q, self.pairs + pairs + product)

    def at(self, i: int) -> tuple[int, float, float, float, float]:
        """Sums of one subset."""
        return int(self.k[i]), float(self.weight[i]), float(self.mean[i]), float(self.q[i]), float(self.pairs[i])


def _parts(z: Floats, weights: Floats) -> _Parts:
    """Sums of all 2ⁿ subsets of n studies."""
    found = _Parts(np.zeros(1, dtype=np.int64), *(np.zeros(1) for _ in range(4)))
    for effect, weight in zip(z, weights, strict=True):
        added = found.joined(1, float(weight), float(effect), 0.0, 0.0)
        pairs = ((getattr(found, name), getattr(added, name)) for name in _Parts.__slots__)
        found = _Parts(*(np.concatenate(pair) for pair in pairs))
    return found


def every_subset(yi: Floats, vi: Floats, *, common: bool) -> SubsetMeans:
    """Pool every subset.

    Parameters
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and sampling variances.
    common : bool
        A common effect (τ² = 0), else τ² by DerSimonian and Laird.

    Returns
    -------
    SubsetMeans
        2^k entries: entry s is the subset in which bit j of s stands for study j; entry 0, the empty set, is undefined.
    """
    centre = yi[np.argmin(vi)]
    z, low = yi - centre, min(len(yi), LOW)
    found = SubsetMeans(np.empty(2 ** len(yi), dtype=np.int64), *(np.empty(2 ** len(yi)) for _ in range(5)))
    with np.errstate(divide="ignore", invalid="ignore"):  # the empty set and single studies, which are undefined
        inside, outside = _parts(z[:low], 1 / vi[:low]), _parts(z[low:], 1 / vi[low:])
        means = None if common else _RandomMeans(z, vi, low)
        for high in range(len(outside.k)):
            block = slice(high << low, (high + 1) << low)
            _fill(found, block, inside.joined(*outside.at(high)), high, means)
            found.estimate[block] += centre
    alone = np.append(0, 1 << np.arange(len(yi)))
    for values in (found.tau2, found.i2, found.q, found.i2_q):
        values[alone] = np.nan
    return found


def _fill(found: SubsetMeans, block: slice, parts: _Parts, high: int, means: _RandomMeans | None) -> None:
    """All figures of a block, measured from the centre."""
    df = parts.k - 1.0
    scale = 2 * parts.pairs / parts.weight  # Σw − Σw²/Σw
    excess = parts.q - df
    found.k[block], found.q[block] = parts.k, parts.q
    found.i2_q[block] = 100 * np.maximum(0, excess / parts.q)
    if means is None:
        found.estimate[block], found.tau2[block], found.i2[block] = parts.mean, 0.0, np.nan
        return
    tau2 = np.maximum(0, excess / scale)
    found.tau2[block], found.i2[block] = tau2, i2_from_tau2(tau2, df / scale)
    found.estimate[block] = np.where(tau2 > 0, means.at(high, tau2), parts.mean)


class _RandomMeans:
    """Weighted means with weights 1/(v + τ²), in arrays that serve block after block."""

    def __init__(self, z: Floats, vi: Floats, low: int) -> None:
        self.vi, self.low = vi[:, None], low
        self.sums = np.stack([np.ones_like(z), z])
        self.members = (np.arange(2**low) >> np.arange(low)[:, None] & 1).astype(float)
        self.weights = np.empty((len(z), 2**low))

    def at(self, high: int, tau2: Floats) -> Floats:
        """Means of the block's subsets, each at its own τ²; bits of `high` stand for the studies of the high part."""
        low, fixed = self.low, np.flatnonzero(high >> np.arange(len(self.vi) - self.low) & 1) + self.low
        weights, studies = self.weights[: low + len(fixed)], np.append(np.arange(low), fixed)
        np.add(self.vi[studies], tau2, out=weights)
        np.divide(self.members, weights[:low], out=weights[:low])
        np.reciprocal(weights[low:], out=weights[low:])
        total, product = self.sums[:, studies] @ weights
        return np.asarray(product / total)
