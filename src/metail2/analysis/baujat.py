"""Baujat's coordinates: which studies make the heterogeneity, and which move the result."""

from __future__ import annotations

import pandas as pd

from metail2.analysis.refits import deletable, labels, random_effects
from metail2.kernels.influence import influence_measures, own_fit
from metail2.kernels.leave_one_out import without_each
from metail2.models.random_effects_result import RandomEffectsResult


def baujat(result: RandomEffectsResult) -> pd.DataFrame:
    """Return the coordinates of a Baujat plot.

    Parameters
    ----------
    result : RandomEffectsResult
        With or without moderators. Studies that are not in the fit do not appear.

    Returns
    -------
    DataFrame
        ``study contribution influence note``. `contribution` (the abscissa) is (y − x′β)²/(v + τ²), which for a common
        effect are the terms of Cochran's Q; `influence` (the ordinate) is the squared change of the study's fitted
        value when it is left out, over the variance of that value without it. `note` says why a figure is NaN.

    Raises
    ------
    ModelError
        If the result is of another model, or the fit has one study.

    Notes
    -----
    Baujat B, Mahé C, Pignon J-P, Hill C (2002). Statistics in Medicine 21:2641–2652.
    """
    result = random_effects(result, "baujat")
    spec, (estimable, notes) = result.spec, deletable(result)
    without = without_each(result.fitted, spec.test, spec.level, estimable)
    found = influence_measures(result.fitted, result.reference, without)
    contribution = own_fit(result.fitted).residual ** 2 * result.fit.weights
    return pd.DataFrame(
        {"study": labels(result), "contribution": contribution, "influence": found.shift, "note": notes}
    )
