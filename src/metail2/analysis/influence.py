"""Which studies a random-effects fit rests on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.refits import deletable, labels, random_effects, zero_se
from metail2.kernels.influence import influence_measures, influential, own_fit
from metail2.kernels.leave_one_out import without_each
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
    result = random_effects(result, "influence")
    spec, (estimable, notes) = result.spec, deletable(result)
    without = without_each(result.fitted, spec.test, spec.level, estimable)
    found = influence_measures(result.fitted, result.reference, without)
    own = own_fit(result.fitted)
    hat = own.leverage()
    table = pd.DataFrame(
        {
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
        | {f"dfbeta_{term}": found.dfbetas[:, j] for j, term in enumerate(result.terms)}
        | {"influential": influential(found, hat, len(result.terms))}
    )
    return table.assign(note=_notes(result, without.factor, notes))


def _notes(result: RandomEffectsResult, factor: NDArray[np.float64], notes: list[str]) -> list[str]:
    if not np.diagonal(result.covariance).all():
        return zero_se(np.zeros(result.k), notes)
    exact = "the other studies agree exactly, so the Hartung–Knapp standard errors without this one are 0"
    return [exact if zero else note for zero, note in zip(factor == 0, notes, strict=True)]
