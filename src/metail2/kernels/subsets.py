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

from metail2.kernels.heterogeneity import i2_from_q, i2_from_tau2

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
        """Sums of the unions with another part; the mean of nothing is 0."""
        total, product, apart = self.weight + weight, self.weight * weight, mean - self.mean
        share = np.divide(weight, total, out=np.zeros_like(total), where=total > 0)
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
    inside = _parts(z[:low], 1 / vi[:low])
    outside = _parts(z[low:], 1 / vi[low:])
    members = (np.arange(2**low) >> np.arange(low)[:, None] & 1).astype(float)
    found = SubsetMeans.empty(2 ** len(yi))
    for high in range(len(outside.k)):
        parts = inside.joined(*outside.at(high))
        block = slice(high << low, (high + 1) << low)
        fixed = np.flatnonzero(high >> np.arange(len(yi) - low) & 1) + low
        found.k[block] = parts.k
        _fill(found, block, parts, common)
        if not common:
            sums = _weighted(z[:low], vi[:low], members, found.tau2[block])
            sums = sums + _weighted(z[fixed], vi[fixed], 1.0, found.tau2[block])
            moved = found.tau2[block] > 0
            np.divide(sums[1], sums[0], out=found.estimate[block], where=moved)
        found.estimate[block] += centre
    return found


def _fill(found: SubsetMeans, block: slice, parts: _Parts, common: bool) -> None:
    """Everything but the mean at τ², for which the mean at τ² = 0 stands."""
    several = parts.k > 1
    df = np.where(several, parts.k - 1.0, np.nan)
    scale = np.where(several, 2 * parts.pairs, np.nan) / np.where(several, parts.weight, 1.0)  # Σw − Σw²/Σw
    tau2 = np.where(several, 0.0, np.nan) if common else np.maximum(0, (parts.q - df) / scale)
    found.estimate[block], found.tau2[block] = parts.mean, tau2
    found.q[block] = np.where(several, parts.q, np.nan)
    found.i2_q[block] = np.where(several, i2_from_q(parts.q, df), np.nan)
    if not common:
        found.i2[block] = i2_from_tau2(tau2, df / scale)


def _weighted(z: Floats, vi: Floats, members: Floats | float, tau2: Floats) -> Floats:
    """Σw and Σwz with w = 1/(v + τ²) over the members of each subset, shape (2, subsets)."""
    weights = members / (vi[:, None] + tau2)
    return np.stack([np.ones_like(z), z]) @ weights
