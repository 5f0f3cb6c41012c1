"""The likelihood of τ² for one meta-regression, from a few sums over the studies.

With Q an orthonormal basis of the design and e the residuals of the unweighted fit, scaled to length 1, all that the
score needs are Σw and sums of products of the columns Z = (Q, e): N₁ = Z′WZ and N₂ = Z′W²Z. The last column of
V = N₁⁻¹ is (−β, 1)/e′Pe by the rule of the inverse of a partitioned matrix, β being the coefficients of e on Q, and so

    e′PPe = v′N₂v/v²,   tr P = Σw − (tr VN₂ − v·e′PPe),

and y′PPy is e′PPe times the residual sum of squares. **v** is that column and v its last entry: a scan of the
likelihood is one product of matrices. Unlike in `one_mean` differences cancel: N₁ is as ill conditioned as the
variances are unequal, and y′PPy may be smaller than its terms by the square of that. The sums therefore serve variances
that differ by no more than `MOST_UNEQUAL`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.likelihood import BLOCK, profile_ml, profile_reml
from metail2.kernels.one_search import weighted_sums
from metail2.kernels.wls import ROUNDING, WeightedFit, dot, orthonormal, weighted_fit

Floats = NDArray[np.float64]

MOST_UNEQUAL = 1e4
"""Largest ratio of two variances: y′PPy then errs by about 1e-8 at the very most."""
FARTHEST = 1e8
"""Largest ratio of the squares of effects and residuals: effects farther from 0 would cost the residuals digits."""


class OneRegression(NamedTuple):
    """One of the two likelihoods of one regression, as `one_search.highest` reads it.

    Attributes
    ----------
    yi, vi, x : ndarray, shapes (k,), (k,) and (k, p)
        Effects, sampling variances and design.
    products : ndarray, shape (m² + 1, k)
        Ones, and the products of any two of the m = p + 1 columns of Z.
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

    def excess(self, tau2: list[float]) -> list[float]:
        """1 − trace/y′PPy at each τ²."""
        if self.s2 == 0:
            return [-math.inf] * len(tau2)
        first, second = weighted_sums(self.vi, tau2, self.products)
        square = (len(tau2), self.x.shape[1] + 1, self.x.shape[1] + 1)
        n1, n2 = first[:, 1:].reshape(square), second[:, 1:].reshape(square)
        return list(excess_of_sums(first[:, 0], n1, n2, self.length2, restricted=self.restricted).tolist())

    @property
    def length2(self) -> float:
        """Residual sum of squares of the unweighted fit, by which those of e were divided."""
        return float(self.s2 * (len(self.yi) - self.x.shape[1]))

    def height(self, tau2: float) -> float:
        """Twice the log-likelihood."""
        return 2 * float((profile_reml if self.restricted else profile_ml).value(self.fit(tau2), self.x))

    def fit(self, tau2: float) -> WeightedFit:
        """The fit with weights 1/(v + τ²)."""
        return weighted_fit(self.yi, 1 / (self.vi + tau2), self.x)


def excess_of_sums(total: Floats, n1: Floats, n2: Floats, length2: float, *, restricted: bool) -> Floats:
    """1 − trace/y′PPy, shape (n,), of n values of τ² or sets of studies.

    Parameters
    ----------
    total : ndarray, shape (n,)
        Σw.
    n1, n2 : ndarray, shape (n, m, m)
        N₁ and N₂.
    length2 : float
        Residual sum of squares by which those of e were divided.
    restricted : bool
        REML, else ML.
    """
    inverse: Floats = np.asarray(np.linalg.inv(n1), dtype=float)
    column, last = inverse[..., -1], inverse[:, -1, -1]
    slope = dot(column, (n2 @ column[..., None])[..., 0]) / (last * last)
    if restricted:
        total = total - dot(inverse.reshape(len(n1), -1), n2.reshape(len(n1), -1)) + last * slope
    return np.asarray(1 - total / (slope * length2))


def one_regression(yi: Floats, vi: Floats, x: Floats, *, restricted: bool) -> OneRegression | None:
    """Prepare the sums; `yi` and `vi` of shape (k,), `x` of shape (k, p), k > p.

    None where they would keep too few digits, or take more memory than a scan of `likelihood.maximise`.
    """
    k, p = x.shape
    smallest, largest = float(np.minimum.reduce(vi)), float(np.maximum.reduce(vi))
    if largest > MOST_UNEQUAL * smallest or k * (p + 2) ** 2 > BLOCK:
        return None
    columns = np.empty((p + 1, k))
    columns[:-1] = basis = orthonormal(x.T.copy())[0].T
    residual = yi - basis.T @ (basis @ yi)
    length2, square = float(dot(residual, residual)), float(dot(yi, yi))
    if length2 <= ROUNDING**2 * k * square:  # no digit of the residuals is meant
        length2 = 0.0
    elif square > FARTHEST * length2:
        return None
    columns[-1] = residual / (math.sqrt(length2) or 1)
    products = np.ones(((p + 1) ** 2 + 1, k))
    np.multiply(columns, columns[:, None], out=products[1:].reshape(p + 1, p + 1, k))
    return OneRegression(yi, vi, x, products, smallest, largest, length2 / (k - p), restricted)
