"""Kenward and Roger's small-sample inference for the coefficients of yᵢ ~ N(xᵢ′β, vᵢ + τ²) after REML.

With V = diag(v + τ²), Φ = (X′V⁻¹X)⁻¹ and W the variance of τ̂², Kenward & Roger (1997, Biometrics 53:983–997) inflate Φ
by what estimating τ² adds, Φ_A = Φ + 2Φ{W(X′V⁻³X − X′V⁻²X Φ X′V⁻²X)}Φ (V is linear in τ², so their term R is 0), and
take the degrees of freedom from the variance of the estimated Φ, whose derivative is dΦ/dτ² = ΦX′V⁻²XΦ. W is the
inverse of the expected information of REML, 2/tr PP. Every sum runs over studies: O(k p²), no k × k matrix. Degrees of
freedom are those of the article (and of R's pbkrtest), with Φ; where software for meta-analysis puts Φ_A in its place
they are fewer.

With equal variances the result is exact and known: Φ_A = Φ and k − p degrees of freedom; for a mean that is
Hartung–Knapp with its ad hoc correction. Where τ² is estimated as 0 the information is that at 0, which treats τ̂² as if
it could fall below 0 too. Where one study is far more precise than the others together, τ² is all but undetermined:
degrees of freedom fall below 1 and intervals become uselessly wide: the method's answer, not a numerical fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.fitted import Fitted
from metail2.kernels.inference import JointTest, joint_test

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KenwardRoger:
    """Adjusted covariance and what degrees of freedom follow from; leading axes (...) are separate problems.

    Attributes
    ----------
    covariance : ndarray, shape (..., p, p)
        Φ_A, the adjusted covariance of the coefficients.
    model : ndarray, shape (..., p, p)
        Φ, the covariance if τ² were known.
    slope : ndarray, shape (..., p, p)
        dΦ/dτ².
    tau2_variance : ndarray, shape (...)
        W = 2/tr PP.
    """

    covariance: Floats
    model: Floats
    slope: Floats
    tau2_variance: Floats

    def df(self, contrasts: Floats) -> Floats:
        """Degrees of freedom of each row l of `contrasts`, shape (..., m): 2(l′Φl)²/var(l′Φ̂l)."""
        variance, slope = (_along(contrasts, matrix) for matrix in (self.model, self.slope))
        return np.asarray(2 * (variance / slope) ** 2 / self.tau2_variance[..., None])


def kenward_roger(fitted: Fitted) -> KenwardRoger:
    """Adjust the covariance of a fit with weights 1/(v + τ²)."""
    fit, x = fitted.fit, fitted.x
    model, weights = fit.covariance, fit.weights[..., None]
    twice = weights * x  # V⁻¹X
    loading = model @ (np.swapaxes(twice, -1, -2) @ twice)
    rest = twice - x @ loading
    middle = np.swapaxes(rest, -1, -2) @ (weights * rest)  # X′V⁻³X − X′V⁻²X Φ X′V⁻²X, as a sum of squares
    tau2_variance = np.asarray(2 / fit.trace_product())
    covariance = model + 2 * tau2_variance[..., None, None] * (model @ middle @ model)
    return KenwardRoger(covariance, model, loading @ model, tau2_variance)


def kenward_roger_joint(fitted: Fitted, contrasts: Floats) -> JointTest:
    """Test that ``contrasts @ beta`` is 0, for one fit: λF on m and ν degrees of freedom (Kenward & Roger, section 3).

    Statistic and P are NaN where τ² is so poorly determined that no F distribution has the moments required.
    """
    found = kenward_roger(fitted)
    beta, covariance = contrasts @ fitted.beta, contrasts @ found.covariance @ contrasts.T
    if len(contrasts) == 1:
        return joint_test(beta, covariance, float(found.df(contrasts)[0]))
    scale, df_error = _scaled_f(found, contrasts)
    if np.isnan(df_error):
        return JointTest(float("nan"), float("nan"), float(len(contrasts)), df_error)
    return joint_test(beta, covariance, df_error, scale)


def _along(contrasts: Floats, matrix: Floats) -> Floats:
    """l′·matrix·l for every row l, shape (..., m)."""
    return np.asarray(np.einsum("mi,...ij,mj->...m", contrasts, matrix, contrasts))


def _scaled_f(found: KenwardRoger, contrasts: Floats) -> tuple[float, float]:
    """λ and the denominator degrees of freedom, by matching mean and variance of the statistic; NaN where none do."""
    m = len(contrasts)
    relative = np.linalg.solve(contrasts @ found.model @ contrasts.T, contrasts @ found.slope @ contrasts.T)
    first = float(found.tau2_variance * np.trace(relative) ** 2)
    second = float(found.tau2_variance * np.trace(relative @ relative))
    b = (first + 6 * second) / (2 * m)
    g = ((m + 1) * first - (m + 4) * second) / ((m + 2) * second)
    c1, c2, c3 = np.array([g, m - g, m + 2 - g]) / (3 * m + 2 * (1 - g))
    shrink = 1 - second / m  # 1/E*
    over = shrink**2 * (1 + c1 * b)
    under = (1 - c2 * b) ** 2 * (1 - c3 * b)
    df_error = float(4 + (m + 2) * under / (over - under))
    if shrink <= 0 or df_error <= 2:
        return float("nan"), float("nan")
    return float(df_error * shrink / (df_error - 2)), df_error
