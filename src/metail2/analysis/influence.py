"""Which studies a random-effects fit rests on."""

from __future__ import annotations

import pandas as pd

from metail2.analysis.deletions import compared
from metail2.analysis.refits import labels
from metail2.kernels.influence import influential, own_fit
from metail2.models.random_effects_result import RandomEffectsResult


def influence(result: RandomEffectsResult) -> pd.DataFrame:
    """Return what leaving out each study does to the fit.

    Parameters
    ----------
    result : RandomEffectsResult
        With or without moderators. Studies that are not in the fit do not appear.

    Returns
    -------
    DataFrame
        One row a study of the fit, in its order:

        ``rstudent``
            Externally studentised residual: how far the effect is from what the others predict, in standard errors.
        ``dffits``
            Change of the study's fitted value when it is left out, in standard errors of that value.
        ``cooks_distance``, ``cov_ratio``
            Squared change of all coefficients in the metric of their covariance; determinant of the covariance without
            the study over that with it (below 1: the study makes the result less precise).
        ``tau2_deleted``, ``q_deleted``
            τ² (0 for a common effect) and Cochran's Q of the others.
        ``hat``, ``weight``
            Diagonal of the hat matrix, a fraction, and weight in percent.
        ``dfbeta_<term>``
            Change of each coefficient in standard errors.
        ``influential``
            Whether |DFFITS| > 3√(p/(k − p)), Cook's distance lies beyond the median of χ² with p df, the hat value is
            above 3p/k, or a |DFBETAS| is above 1.
        ``note``
            Why figures are NaN or infinite.

        Formulas are in `kernels.influence.Influence`; tests that scale the covariance (Hartung–Knapp) scale the
        variance of effects and coefficients alike. Moderators stay encoded as in the fit.

    Raises
    ------
    ModelError
        If the result is of another model, or the fit has one study.

    Notes
    -----
    Viechtbauer W, Cheung MW-L (2010). Research Synthesis Methods 1:112–125.
    """
    compare = compared(result, "influence")
    without, found, own = compare.without, compare.found, own_fit(result.fitted)
    hat = own.leverage()
    figures = {
        "study": labels(result),
        "rstudent": found.rstudent,
        "dffits": found.dffits,
        "cooks_distance": found.cooks_distance,
        "cov_ratio": found.cov_ratio,
        "tau2_deleted": without.tau2,
        "q_deleted": without.q,
        "hat": hat,
        "weight": 100 * own.weights / own.weights.sum(),
    }
    dfbetas = {f"dfbeta_{term}": found.dfbetas[:, j] for j, term in enumerate(result.terms)}
    flags = {"influential": influential(found, hat, len(result.terms)), "note": compare.notes}
    return pd.DataFrame(figures | dfbetas | flags)
