"""Best linear unbiased predictions of the studies' true effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metail2.analysis.refits import labels, random_effects
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.inference import quantiles
from metail2.models.random_effects_result import RandomEffectsResult


def blup(result: RandomEffectsResult) -> pd.DataFrame:
    """Return empirical Bayes predictions of the true effects: each effect drawn towards its fitted value.

    Parameters
    ----------
    result : RandomEffectsResult
        With or without moderators. Studies that are not in the fit do not appear.

    Returns
    -------
    DataFrame
        ``study estimate se pi_lower pi_upper deviation deviation_se deviation_lower deviation_upper``, on the pooled
        scale. With λ = τ²/(τ² + v), `estimate` is λy + (1 − λ)x′β and its squared standard error λv + (1 − λ)²x′Σx;
        `deviation` is the predicted random effect λ(y − x′β) alone, with λv + λ²x′Σx. Σ is the covariance as tested,
        and the intervals, of the level of the fit, use the quantile of its test; that τ² is estimated is not allowed
        for. At τ² = 0, and for a common effect, every true effect is the fitted value and the deviations are exactly 0.

    Raises
    ------
    ModelError
        If the result is of another model, or the fit has one study.

    Notes
    -----
    Morris CN (1983). JASA 78:47–55. Raudenbush SW, Bryk AS (1985). Journal of Educational Statistics 10:75–98. The
    standard errors hold for the user's weights too: what λ leaves of the errors is uncorrelated with any weighted mean.
    """
    result = random_effects(result, "blup")
    own, x, spec = result.fitted, result.design.x, result.spec
    share = result.tau2 / (result.tau2 + own.vi)
    fitted = x @ own.beta
    fitted_variance = np.einsum("ij,jk,ik->i", x, result.covariance, x)
    critical = quantiles(spec.level, TESTS[spec.test].contrast_df(own, result.reference, x))
    deviation = share * (own.yi - fitted)
    estimate = fitted + deviation
    within = share * own.vi
    se, deviation_se = (
        np.sqrt(within + (1 - share) ** 2 * fitted_variance),
        np.sqrt(within + share**2 * fitted_variance),
    )
    return pd.DataFrame(
        {
            "study": labels(result),
            "estimate": estimate,
            "se": se,
            "pi_lower": estimate - critical * se,
            "pi_upper": estimate + critical * se,
            "deviation": deviation,
            "deviation_se": deviation_se,
            "deviation_lower": deviation - critical * deviation_se,
            "deviation_upper": deviation + critical * deviation_se,
        }
    )
