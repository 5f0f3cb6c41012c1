"""A random-effects fit as tests, intervals and predictions read it, for any number of problems at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.tau2 import TAU2, WEIGHTED, Tau2Estimate
from metail2.kernels.wls import WeightedFit, weighted_fit

Floats = NDArray[np.float64]


class Fitted(NamedTuple):
    """A fit of yᵢ = xᵢ′β + uᵢ + eᵢ with var uᵢ = τ², var eᵢ = vᵢ; leading axes (...) are separate problems.

    Attributes
    ----------
    yi, vi : ndarray, shape (..., k)
        Effects and their sampling variances.
    x : ndarray, shape (k, p) or (..., k, p)
        Design.
    estimator : str
        Code of the estimator of τ².
    tau2 : Tau2Estimate
        τ² and how it was reached.
    fit : WeightedFit
        The regression with weights 1/(v + τ²).
    beta, covariance : ndarray, shapes (..., p) and (..., p, p)
        Coefficients and their model-based covariance: those of `fit`, unless the user weighs the studies.
    weights : ndarray, shape (..., k), or None
        The user's weights.
    """

    yi: Floats
    vi: Floats
    x: Floats
    estimator: str
    tau2: Tau2Estimate
    fit: WeightedFit
    beta: Floats
    covariance: Floats
    weights: Floats | None = None

    @property
    def k(self) -> int:
        """Number of studies."""
        return int(self.yi.shape[-1])

    @property
    def df(self) -> int:
        """k − p."""
        return int(self.x.shape[-2] - self.x.shape[-1])

    @property
    def s2(self) -> Floats:
        """y′Py/(k − p), the factor of Knapp & Hartung (2003), shape (...)."""
        return np.asarray(self.fit.q() / self.df)


def fit_random_effects(yi: Floats, vi: Floats, x: Floats, estimator: str, weights: Floats | None = None) -> Fitted:
    """Estimate τ² and then the coefficients.

    Parameters
    ----------
    yi, vi : ndarray, shape (..., k)
        Effects and sampling variances.
    x : ndarray, shape (k, p) or (..., k, p)
        Design of full column rank, k > p.
    estimator : str
        A code of `TAU2`.
    weights : ndarray, shape (..., k), optional
        Positive weights that replace 1/(v + τ²) in the coefficients, and define Q for GENQ and GENQM.
    """
    rule = TAU2[estimator]
    tau2 = rule(yi, vi, x, weights) if estimator in WEIGHTED else rule(yi, vi, x)
    return at_tau2(yi, vi, x, estimator, tau2, weights)


def at_tau2(
    yi: Floats, vi: Floats, x: Floats, estimator: str, tau2: Tau2Estimate, weights: Floats | None = None
) -> Fitted:
    """Fit the coefficients at a known τ²; arguments as in `fit_random_effects`."""
    fit = tau2.fit or weighted_fit(yi, 1 / (vi + tau2.value[..., None]), x)
    if weights is None:
        return Fitted(yi, vi, x, estimator, tau2, fit, fit.beta, fit.covariance)
    own = weighted_fit(yi, weights, x)
    loading = own.covariance @ np.swapaxes(weights[..., None] * x, -1, -2)
    covariance = (loading / fit.weights[..., None, :]) @ np.swapaxes(loading, -1, -2)
    return Fitted(yi, vi, x, estimator, tau2, fit, own.beta, covariance, weights)
