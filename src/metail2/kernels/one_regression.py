"""The likelihood of τ² for one meta-regression, from a few sums over the studies.

With Q an orthonormal basis of the design and e the residuals of the unweighted fit, all that the score needs are sums
of products of the columns Z = (Q, e): with N₁ = Z′WZ and N₂ = Z′W²Z, whose parts for Q are A₁ and A₂,

    β = A₁⁻¹Q′We,   y′PPy = (−β, 1)N₂(−β, 1)′,   tr P = Σw − tr(A₁⁻¹A₂),

so that a scan of the likelihood is one product of matrices. Unlike in `one_mean` differences cancel: A₁ is as ill
conditioned as the variances are unequal, and y′PPy may be smaller than its terms by the square of that. `is_steady`
says where that is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.likelihood import BLOCK, profile_ml, profile_reml
from metail2.kernels.one_search import weighted_sums
from metail2.kernels.wls import dot, orthonormal, weighted_fit

Floats = NDArray[np.float64]

MOST_UNEQUAL = 1e4
"""Largest ratio of two variances: y′PPy then errs by about 1e-8 at the very most."""


@dataclass(frozen=True, slots=True)
class OneRegression:
    """One of the two likelihoods of one regression, as `one_search.highest` reads it.

    Attributes
    ----------
    yi, vi, x : ndarray, shapes (k,), (k,) and (k, p)
        Effects, sampling variances and design.
    products : ndarray, shape (m + 1, k)
        The m products of any two columns of Z, and ones.
    smallest, largest : float
        Smallest and largest sampling variance.
    s2 : float
        Unweighted residual variance.
    restricted : bool
        REML, else ML.
    """

    yi: Floats
    vi: Floats
    x: Floats
    products: Floats
    smallest: float
    largest: float
    s2: float
    restricted: bool

    def excess(self, tau2: Floats) -> list[float]:
        """1 − trace/y′PPy at each τ² of shape (points,)."""
        sums, squares = weighted_sums(self.vi, tau2, self.products)
        place = _pairs(self.x.shape[-1] + 1)[2]
        first, second = sums[:, place], squares[:, place]
        right = second[:, :-1].copy()  # A₂, and Q′We in the last column
        right[..., -1] = first[:, :-1, -1]
        solved = np.linalg.solve(first[:, :-1, :-1], right)
        residual = np.concatenate([-solved[..., -1], np.ones((len(tau2), 1))], axis=1)
        slope = dot(residual, (second @ residual[..., None])[..., 0])
        trace = sums[:, -1] - (np.trace(solved, axis1=1, axis2=2) if self.restricted else 0)
        excess = 1 - np.divide(trace, slope, out=np.full_like(slope, np.inf), where=slope > 0)
        return list(excess.tolist())

    def height(self, tau2: float) -> float:
        """Twice the profile log-likelihood, but for constants."""
        fit = weighted_fit(self.yi, 1 / (self.vi + tau2), self.x)
        profile = profile_reml if self.restricted else profile_ml
        return 2 * float(profile.value(fit, self.x))


@lru_cache
def _pairs(columns: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Which two columns make each product, shapes (m,), and which product two make, shape (columns, columns)."""
    first, second = np.triu_indices(columns)
    place = np.empty((columns, columns), dtype=np.intp)
    place[first, second] = place[second, first] = np.arange(len(first))
    return first, second, place


def is_steady(vi: Floats, x: Floats) -> bool:
    """Whether the sums keep enough digits, and take no more memory than a scan of `likelihood.maximise`."""
    k, p = x.shape
    equal = float(np.maximum.reduce(vi)) <= MOST_UNEQUAL * float(np.minimum.reduce(vi))
    return equal and k * (p + 1) * (p + 2) <= BLOCK


def one_regression(yi: Floats, vi: Floats, x: Floats, *, restricted: bool) -> OneRegression:
    """Prepare the sums; `yi` and `vi` of shape (k,), `x` of shape (k, p), k > p."""
    k, p = x.shape
    basis = orthonormal(x.T.copy())[0]
    residual = yi - basis @ (basis.T @ yi)
    rows = np.empty((p + 1, k))
    rows[:-1], rows[-1] = basis.T, residual
    first, second, _ = _pairs(p + 1)
    products = np.empty((len(first) + 1, k))
    np.multiply(rows[first], rows[second], out=products[:-1])
    products[-1] = 1
    smallest, largest = float(np.minimum.reduce(vi)), float(np.maximum.reduce(vi))
    s2 = float(dot(residual, residual)) / (k - p)
    return OneRegression(yi, vi, x, products, smallest, largest, s2, restricted)
