"""The pooled result as studies are added one by one."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metail2.analysis.refits import (
    FIGURES,
    NO_I2,
    SPREAD,
    by_refits,
    figures,
    is_mean,
    members,
    noted,
    pooled,
    spread_figures,
    undetermined,
)
from metail2.analysis.table_refits import cheapest_refits
from metail2.errors import ModelError, UnknownChoice
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.inference import wald
from metail2.models.base import PooledResult
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.results import STATUS
from metail2.wording import some

Integers = NDArray[np.int64]


def cumulative(result: PooledResult, order: str | ArrayLike | None = None) -> pd.DataFrame:
    """Fit the model to the first study, the first two, and so on.

    Parameters
    ----------
    result : PooledResult
        Of any model: the same specification is fitted to the studies so far. Studies that are not in the fit do not
        appear.
    order : str or array_like of int, optional
        In which order studies enter: a column of `EffectSizes.moderators`, from its smallest value (studies with equal
        values in the order given), or positions in `result.effects` (0 is the first), of each study in the fit once. By
        default the order given.

    Returns
    -------
    DataFrame
        ``study estimate se statistic p_value ci_lower ci_upper tau2 i2 q i2_q note``: in row n the result of the first
        n studies, named after the one added; columns as in `leave_one_out`. The first row is the study itself, with
        its normal interval. With moderators or subgroups one row a study and coefficient or group, with the column
        ``term``, and rows of too few studies are NaN with the reason in `note`. Moderators are encoded as
        `leave_one_out` says.

    Raises
    ------
    ModelError
        If the order leaves out, repeats or cannot place a study of the fit, or has a position where there is no effect;
        or if this is no pooled result.

    Notes
    -----
    Lau J, Antman EM, Jimenez-Silva J, et al. (1992). New England Journal of Medicine 327:248–254.
    """
    result = pooled(result, "cumulative")
    placed = _placed(result, order)
    study = result.effects.study
    names = [study[i] for i in placed]
    if isinstance(result, RandomEffectsResult):
        return _from_arrays(result, names, placed)
    return cheapest_refits(result, names, [placed[: n + 1] for n in range(len(placed))])


def _placed(result: PooledResult, order: str | ArrayLike | None) -> Integers:
    """Positions of the effects in the fit, in the order in which they enter."""
    used = members(result)
    if order is None:
        return used
    if isinstance(order, str):
        return used[_by_column(result, order, used)]
    given, study = _positions(order, len(result.effects)), result.effects.study
    times = np.bincount(given, minlength=len(study))
    wrong = [study[i] for i in np.flatnonzero((times > 1) | ((times == 0) & np.isin(np.arange(len(study)), used)))]
    if wrong:
        raise ModelError(f"The order must hold the position of {some(wrong)} once.")
    return given[np.isin(given, used)]


def _positions(order: ArrayLike, count: int) -> Integers:
    """The order as positions among `count` effects."""
    given = np.array(order, dtype=object)
    whole = [isinstance(place, Integral) and not isinstance(place, bool) for place in given.ravel()]
    if given.ndim != 1 or not all(whole):
        raise ModelError("The order must be a column of the moderators or a list of positions (whole numbers from 0).")
    if nowhere := [str(place) for place in given if not 0 <= place < count]:
        where = f"position {nowhere[0]}" if len(nowhere) == 1 else f"positions {some(nowhere)}"
        raise ModelError(f"The order has {where}, but the effects have the positions 0 to {count - 1}.")
    return given.astype(np.int64)


def _by_column(result: PooledResult, column: str, used: Integers) -> Integers:
    """The order of the studies in the fit by the values of a column."""
    table = result.effects.moderators
    if column not in table:
        raise UnknownChoice("column to order by", column, map(str, table.columns))
    values = table[column].iloc[used]
    if values.isna().any():
        study = result.effects.study
        lost = [study[i] for i in used[values.isna().to_numpy()]]
        raise ModelError(f"{some(lost)}: {column!r} is missing, so the study has no place in the order.")
    try:
        sorted_values = values.reset_index(drop=True).sort_values(kind="stable")
    except TypeError:
        raise ModelError(f"The column {column!r} mixes numbers and text, so it has no order; use one kind.") from None
    return np.asarray(sorted_values.index, dtype=np.int64)


def _from_arrays(result: RandomEffectsResult, names: list[str], placed: Integers) -> pd.DataFrame:
    rank = {position: row for row, position in enumerate(result.used)}
    rows = np.array([rank[position] for position in placed])
    mean = is_mean(result)
    first = by_refits(result, names[:1], [placed[:1]]) if mean else None
    parts = [_prefix(result, names[n - 1], rows[:n]) for n in range(1 + mean, len(rows) + 1)]
    table = pd.DataFrame([row for part in parts for row in part])
    table = table if first is None else pd.concat([first.assign(term="intercept"), table], ignore_index=True)
    return table[["study", *(() if mean else ("term",)), *FIGURES, *SPREAD, "note"]]


def _prefix(result: RandomEffectsResult, name: str, rows: Integers) -> list[dict[str, Any]]:
    """Rows of the table for the fit to some rows of the design."""
    own, spec, terms = result.fitted, result.spec, result.terms
    yi, vi, x = own.yi[rows], own.vi[rows], own.x[rows]
    reason = undetermined(x, terms)
    if reason:
        return [
            {"study": name, "term": term, "note": reason} | dict.fromkeys(FIGURES + SPREAD, np.nan) for term in terms
        ]
    fitted = fit_random_effects(yi, vi, x, spec.tau2, None if own.weights is None else own.weights[rows])
    reference, spread = TESTS[spec.test].reference(fitted, spec.level), heterogeneity(yi, vi, x)
    coefficients = wald(fitted.beta, reference.variance, reference.df, spec.level)
    common = spread_figures(spec.tau2, fitted.tau2.value, spread.q, spread.typical_variance, spread.df)
    said = NO_I2 if np.isnan(common["i2"]) else ""
    notes = noted([said] * len(terms), coefficients.se == 0, STATUS["zero_se"])
    return [
        {"study": name, "term": term, "note": notes[j]}
        | {column: float(value) for column, value in (common | figures(coefficients, j)).items()}
        for j, term in enumerate(terms)
    ]
