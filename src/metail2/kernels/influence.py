"""How much each study moves a random-effects fit, from the fit and its deletions.

Sources: Belsley, Kuh & Welsch 1980, Regression Diagnostics; Cook & Weisberg 1982, Residuals and Influence in
Regression; Viechtbauer & Cheung 2010, Research Synthesis Methods 1:112–125; Baujat et al. 2002, Statistics in Medicine
21:2641–2652.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr

from metail2.kernels.coefficient_tests import Reference
from metail2.kernels.fitted import Fitted
from metail2.kernels.leave_one_out import Deletions
from metail2.kernels.wls import ROUNDING, WeightedFit, weighted_fit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Influence:
    """What leaving out each study does, with β and Σ the coefficients and their covariance as tested, a row x a study.

    A subscript −i marks the fit without the study; φ is the factor by which the test multiplies covariances (1 for z).
    Entries are NaN where a study cannot be left out, and infinite where the others agree exactly (φ₋ᵢ = 0).

    Attributes
    ----------
    residual, residual_se : ndarray, shape (k,)
        Deleted residual y − x′β₋ᵢ and its standard error √(φ₋ᵢ(v + τ²₋ᵢ) + x′Σ₋ᵢx).
    rstudent : ndarray, shape (k,)
        Their ratio, the externally studentised residual.
    dffits : ndarray, shape (k,)
        x′(β − β₋ᵢ)/√(φ₋ᵢ h(v + τ²₋ᵢ)), h being the hat value; with the user's weights φ₋ᵢ times the variance of x′β at
        τ²₋ᵢ stands under the root.
    cooks_distance : ndarray, shape (k,)
        (β − β₋ᵢ)′Σ⁻¹(β − β₋ᵢ).
    cov_ratio : ndarray, shape (k,)
        |Σ₋ᵢ|/|Σ|.
    dfbetas : ndarray, shape (k, p)
        β − β₋ᵢ over the standard errors that the coefficients of all studies have at τ²₋ᵢ and φ₋ᵢ.
    shift : ndarray, shape (k,)
        (x′(β − β₋ᵢ))²/x′Σ₋ᵢx, Baujat's influence on the fitted value.
    """

    residual: Floats
    residual_se: Floats
    rstudent: Floats
    dffits: Floats
    cooks_distance: Floats
    cov_ratio: Floats
    dfbetas: Floats
    shift: Floats


def influence_measures(fitted: Fitted, reference: Reference, without: Deletions) -> Influence:
    """Compare a fit, as `reference` tests it, with its deletions."""
    x = fitted.x
    differs = bool(fitted.fit.q())  # where all effects lie on the fit, so do they on every deletion: no digit is meant
    change = (fitted.beta - without.beta) * differs
    moved = _rows(x, change)
    deleted_variance = _form(x, without.covariance)
    spread = without.factor * (fitted.vi + without.tau2)
    residual = (fitted.yi - _rows(x, without.beta)) * differs
    residual_se = np.sqrt(spread + deleted_variance)
    fitted_variance, own_variance = _variances_at_deleted_tau2(fitted, without)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Influence(
            residual,
            residual_se,
            residual / residual_se,
            moved / np.sqrt(without.factor * fitted_variance),
            _cooks_distance(change, reference.covariance),
            np.exp(_log_det(without.covariance) - _log_det(reference.covariance)),
            change / np.sqrt(without.factor[:, None] * own_variance),
            moved**2 / deleted_variance,
        )


def influential(found: Influence, hat: Floats, p: int) -> NDArray[np.bool_]:
    """Studies that one of the usual rules of thumb points at, shape (k,).

    |DFFITS| > 3√(p/(k − p)), Cook's distance beyond the median of χ² with p df, a hat value > 3p/k, or |DFBETAS| > 1
    (Viechtbauer & Cheung 2010, and the documentation of metafor's `influence`).
    """
    k = len(hat)
    return np.asarray(
        (np.abs(found.dffits) > 3 * np.sqrt(p / (k - p)))
        | (chdtr(p, found.cooks_distance) > 0.5)
        | (hat > 3 * p / k)
        | (np.abs(found.dfbetas) > 1).any(axis=1)
    )


def own_fit(fitted: Fitted) -> WeightedFit:
    """The regression that gives the coefficients: with the user's weights, where there are any."""
    return fitted.fit if fitted.weights is None else weighted_fit(fitted.yi, fitted.weights, fitted.x)


def residuals_and_errors(fitted: Fitted) -> tuple[Floats, Floats]:
    """Residuals y − x′β and their standard errors in the model, both shape (..., k).

    The variance is (v + τ²)(1 − h), and with the user's weights (v + τ²)(1 − 2h) + x′Cov(β)x. Where a study alone
    determines a coefficient (h = 1) its residual is 0 whatever its effect, and its standard error is 0.
    """
    own, total = own_fit(fitted), 1 / fitted.fit.weights
    free = own.complement()
    if fitted.weights is None:
        variance = total * np.where(free > ROUNDING, free, 0.0)
    else:
        variance = total * (1 - 2 * own.leverage()) + _form(fitted.x, fitted.covariance[..., None, :, :])
        variance = np.where(free > ROUNDING, variance, 0.0)
    return own.residual, np.sqrt(variance)


def _rows(x: Floats, values: Floats) -> Floats:
    """x′b for every row, shape (k,)."""
    return np.asarray((x * values).sum(axis=-1))


def _form(x: Floats, matrices: Floats) -> Floats:
    """x′Ax for every row, shape (..., k)."""
    return np.asarray(np.einsum("...i,...ij,...j->...", x, matrices, x))


def _cooks_distance(change: Floats, covariance: Floats) -> Floats:
    if not np.diagonal(covariance).all():
        return np.full(len(change), np.nan)
    return np.asarray((change * np.linalg.solve(covariance, change.T).T).sum(axis=1))


def _log_det(covariance: Floats) -> Floats:
    """log |Σ|, −∞ for a covariance of 0, NaN for a missing one."""
    return np.asarray(np.linalg.slogdet(covariance)[1])


def _variances_at_deleted_tau2(fitted: Fitted, without: Deletions) -> tuple[Floats, Floats]:
    """Variance of the fitted value of each study, as DFFITS scales it, and of the coefficients, all at τ²₋ᵢ.

    With C the covariance without study i and w = 1/(v + τ²₋ᵢ), that of all studies is C − wCxx′C/(1 + wx′Cx).
    """
    x, total = fitted.x, fitted.vi + without.tau2
    if fitted.weights is not None:
        loading = own_fit(fitted).covariance @ (fitted.weights[:, None] * x).T
        fixed, slope = (loading * fitted.vi) @ loading.T, loading @ loading.T
        matrices = fixed + without.tau2[:, None, None] * slope
        return _form(x, matrices), np.diagonal(matrices, axis1=-2, axis2=-1)
    c = without.model_covariance
    along = (c @ x[..., None])[..., 0]
    quadratic, diagonal = _rows(x, along), np.diagonal(c, axis1=-2, axis2=-1)
    spare = diagonal * quadratic[:, None] - along**2
    own_variance = (diagonal + spare / total[:, None]) / (1 + quadratic / total)[:, None]
    return fitted.fit.leverage() * total, own_variance
