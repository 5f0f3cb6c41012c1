"""The pooled result without each study in turn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metail2.analysis.refits import (
    FIGURES,
    NO_I2,
    SPREAD,
    deletable,
    figures,
    is_mean,
    labels,
    members,
    noted,
    pooled,
    spread_figures,
)
from metail2.analysis.table_refits import refits_without_each
from metail2.errors import ModelError
from metail2.kernels.inference import wald
from metail2.kernels.leave_one_out import without_each
from metail2.models.base import PooledResult
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.results import STATUS


def leave_one_out(result: PooledResult) -> pd.DataFrame:
    """Fit the model again without each of its studies.

    Parameters
    ----------
    result : PooledResult
        Of any model: the same specification is fitted to the studies that remain. Studies that are not in the fit do
        not appear.

    Returns
    -------
    DataFrame
        ``study estimate se statistic p_value ci_lower ci_upper tau2 i2 q i2_q note``: one row a study left out, in the
        order of the fit, on the pooled scale. `i2` is from τ², `i2_q` from Q, both percent; a common effect has a
        `tau2` of 0 and no `i2`, models without a between-study variance have neither, and one study has no Q. With
        moderators, where no single effect exists, one row a study left out and coefficient, with the column ``term``
        after ``study``; with subgroups one row a study left out and group, each with the heterogeneity of its own
        studies, and the row ``overall``. `note` says why a figure is NaN, and what the refit warned of.

        The moderators of `RandomEffects` stay encoded as in the fit (centring, splines, levels). Other models are
        fitted from their formula again, so that the centre of ``center``, the polynomials of ``poly``, the knots of
        splines and the levels of factors are those of the studies that remain, and coefficients that depend on them are
        not comparable from row to row.

    Raises
    ------
    ModelError
        If this is no pooled result, or the fit has one study.

    Notes
    -----
    Equal to fitting each subset, with the global maximum of the likelihood, for any number of studies in memory linear
    in it; a mean by (restricted) maximum likelihood also in time linear in it.
    """
    result = pooled(result, "leave_one_out")
    names, used = labels(result), members(result)
    if len(used) < 2:
        raise ModelError(f"{names[0]} is the only study in the fit, so it cannot be left out.")
    if isinstance(result, RandomEffectsResult) and (result.k > 2 or not is_mean(result)):
        return _from_arrays(result, names)
    return refits_without_each(result, names, used)


def _from_arrays(result: RandomEffectsResult, names: list[str]) -> pd.DataFrame:
    spec, (estimable, notes) = result.spec, deletable(result)
    found = without_each(result.fitted, spec.test, spec.level, estimable)
    variance = np.diagonal(found.covariance, axis1=-2, axis2=-1)
    coefficients = wald(found.beta, variance, found.df, spec.level)
    spread = spread_figures(spec.tau2, found.tau2, found.q, found.typical_variance, result.fitted.df - 1)
    said = noted(notes, estimable & np.isnan(spread["i2"]), NO_I2)
    parts = [
        pd.DataFrame(
            {"study": names, "term": term, **figures(coefficients, j), **spread}
            | {"note": noted(said, coefficients.se[:, j] == 0, STATUS["zero_se"])}
        )
        for j, term in enumerate(result.terms)
    ]
    table = pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
    return table[["study", *(() if is_mean(result) else ("term",)), *FIGURES, *SPREAD, "note"]]
