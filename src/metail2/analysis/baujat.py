"""Baujat's coordinates: which studies make the heterogeneity, and which move the result."""

from __future__ import annotations

import pandas as pd

from metail2.analysis.deletions import compared
from metail2.analysis.refits import labels
from metail2.kernels.influence import own_fit
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
    compare = compared(result, "baujat")
    contribution = own_fit(result.fitted).residual ** 2 * result.fit.weights
    influence = compare.found.shift
    return pd.DataFrame(
        {"study": labels(result), "contribution": contribution, "influence": influence, "note": compare.notes}
    )
