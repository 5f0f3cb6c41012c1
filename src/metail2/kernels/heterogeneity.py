"""How much studies differ: Q, I² and H²."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.inference import chi2_upper
from metail2.kernels.wls import weighted_fit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Cochran's Q and the typical within-study variance, shape (...).

    Attributes
    ----------
    q, p_value : ndarray
        Residual weighted sum of squares with weights 1/v, and its χ² tail with `df` degrees of freedom.
    df : int
        k − p.
    typical_variance : ndarray
        (k − p)/tr P, the typical sampling variance (Higgins & Thompson 2002).
    """

    q: Floats
    df: int
    p_value: Floats
    typical_variance: Floats


def heterogeneity(yi: Floats, vi: Floats, x: Floats) -> Heterogeneity:
    """Compute Cochran's Q around the inverse-variance fit (Cochran 1954); NaN without degrees of freedom."""
    df = int(x.shape[-2] - x.shape[-1])
    if df == 0:
        undefined = np.full(yi.shape[:-1], np.nan)
        return Heterogeneity(undefined, df, undefined, undefined)
    fit = weighted_fit(yi, 1 / vi, x)
    q = fit.q()
    return Heterogeneity(q, df, chi2_upper(q, df), df / fit.trace())


def i2_from_tau2(tau2: Floats, typical_variance: Floats) -> Floats:
    """I² = 100 τ²/(τ² + typical variance), percent."""
    return np.asarray(100 * tau2 / (tau2 + typical_variance))


def i2_from_q(q: Floats, df: float | Floats) -> Floats:
    """I² = 100 max(0, (Q − df)/Q), percent (Higgins & Thompson 2002)."""
    return np.asarray(100 * np.maximum(0, np.divide(q - df, q, out=np.zeros_like(q), where=q > 0)))


def h2_from_tau2(tau2: Floats, typical_variance: Floats) -> Floats:
    """H² = τ²/typical variance + 1."""
    return np.asarray(tau2 / typical_variance + 1)
