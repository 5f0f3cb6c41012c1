"""Residuals of a random-effects fit: raw, standardised and deleted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metail2.analysis.deletions import compared
from metail2.analysis.refits import labels, noted
from metail2.kernels.influence import residuals_and_errors
from metail2.models.random_effects_result import RandomEffectsResult

ALONE = "the study alone determines a coefficient, so its residual is 0 whatever its effect"


def residuals(result: RandomEffectsResult) -> pd.DataFrame:
    """Return the residuals of every study.

    Parameters
    ----------
    result : RandomEffectsResult
        With or without moderators. Studies that are not in the fit do not appear.

    Returns
    -------
    DataFrame
        ``study raw standardized deleted raw_se deleted_se note``. `raw` is y − x′β on the pooled scale; `standardized`
        (internally studentised) is it over its standard error `raw_se` in the model, √((v + τ²)(1 − h)) with h the hat
        value; `deleted` (externally studentised) is the distance of the effect from what the fit without it predicts,
        over the standard error of that distance, `deleted_se`. `note` says why a figure is NaN.

    Raises
    ------
    ModelError
        If the result is of another model, or the fit has one study.

    Notes
    -----
    Hedges LV, Olkin I (1985). Statistical Methods for Meta-Analysis, ch. 12. Viechtbauer W, Cheung MW-L (2010).
    Research Synthesis Methods 1:112–125.
    """
    compare = compared(result, "residuals")
    raw, raw_se = residuals_and_errors(result.fitted)
    return pd.DataFrame(
        {
            "study": labels(result),
            "raw": raw,
            "standardized": np.divide(raw, raw_se, out=np.full_like(raw, np.nan), where=raw_se > 0),
            "deleted": compare.found.rstudent,
            "raw_se": raw_se,
            "deleted_se": compare.found.residual_se,
            "note": noted(compare.notes, raw_se == 0, ALONE),
        }
    )
