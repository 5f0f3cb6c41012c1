"""How much collinear moderators inflate the variances of their coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.refits import random_effects
from metail2.errors import ModelError
from metail2.models.random_effects_result import RandomEffectsResult

Floats = NDArray[np.float64]


def vif(result: RandomEffectsResult) -> pd.DataFrame:
    """Variance inflation factors of the terms of a meta-regression, generalised where a term has several columns.

    Parameters
    ----------
    result : RandomEffectsResult
        A meta-regression.

    Returns
    -------
    DataFrame
        ``term df vif se_inflation``, one row a term of the formula: its number of coefficients, how many times larger
        collinearity makes the squared volume of their joint confidence region (for one coefficient its variance), and
        vif^(1/(2·df)), how many times longer an interval is, comparable between terms of different `df`. 1 for
        the only term of a model.

    Raises
    ------
    ModelError
        If the result is of another model, or has no moderators.

    Notes
    -----
    With |R| the determinant of the correlations of all columns, |R₁₁| and |R₂₂| those of a term's columns and of all
    others, the factor is |R₁₁||R₂₂|/|R|. The correlations have the weights of the fit, 1/(v + τ²) or the user's. They
    are taken about the weighted means and leave the intercept out; without an intercept all columns take part as they
    are, about 0, and a factor's levels beside another moderator have large factors that are no fault.

    Fox J, Monette G (1992). Journal of the American Statistical Association 87:178–183.
    """
    groups = _groups(random_effects(result, "vif"))
    if not groups:
        raise ModelError("The model has no moderators, so there is no collinearity to measure.")
    z = _columns(result)
    rows = []
    for term, own in groups.items():
        others = [j for columns in groups.values() for j in columns if columns is not own]
        factor = float(np.exp(_log_volume(z[:, own]) + _log_volume(z[:, others]) - _log_volume(z[:, own + others])))
        rows.append((term, len(own), factor, factor ** (0.5 / len(own))))
    return pd.DataFrame(rows, columns=["term", "df", "vif", "se_inflation"])


def _groups(result: RandomEffectsResult) -> dict[str, list[int]]:
    """Columns of the design that belong to each term of the formula but the intercept."""
    if result.design.encoding is None:
        return {}
    found = {str(term): list(columns) for term, columns in result.design.encoding.term_indices.items()}
    return {term: columns for term, columns in found.items() if term != "1" and columns}


def _columns(result: RandomEffectsResult) -> Floats:
    """The weighted design, about its weighted means where there is an intercept; shape (k, p)."""
    own = result.fitted
    weights = own.fit.weights if own.weights is None else own.weights
    x = own.x - np.average(own.x, axis=0, weights=weights) if result.design.has_intercept else own.x
    return np.asarray(np.sqrt(weights)[:, None] * x)


def _log_volume(z: Floats) -> float:
    """log |Z′Z|, from a triangle whose entries are not squared."""
    return float(2 * np.log(np.abs(np.diagonal(np.linalg.qr(z, mode="r")))).sum())
