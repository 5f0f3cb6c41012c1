"""Linear combinations of coefficients: each by itself, several together, and the pairs of levels of a factor."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.refits import kind_of, random_effects
from metail2.errors import ModelError, UnknownChoice
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.inference import JointTest, wald
from metail2.models.checks import chosen_level
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.results import STATUS
from metail2.wording import MINUS, listed

Floats = NDArray[np.float64]
Weights = Mapping[str, Mapping[str, float] | Sequence[float]]
"""Combinations by name: weights of the terms they need, or one weight for every term."""

ADJUSTMENTS = (
    "none", "bonferroni", "sidak", "holm-sidak", "holm", "simes-hochberg", "hommel", "fdr_bh", "fdr_by", "fdr_tsbh",
    "fdr_tsbky", "fdr_gbs",
)  # fmt: skip
"""How P values may be adjusted for their number, by the names of statsmodels' `multipletests`."""


def contrasts(
    result: RandomEffectsResult, combinations: Weights, adjust: str = "none", level: float | None = None
) -> pd.DataFrame:
    """Test combinations of the coefficients against 0, as the model tests its coefficients.

    Parameters
    ----------
    result : RandomEffectsResult
        A fitted model.
    combinations : mapping
        ``{"name": {"term": weight, …}}``, terms left out having weight 0, or ``{"name": [weight of every term]}``.
    adjust : str
        One of `ADJUSTMENTS`: how the P values are adjusted for their number. The intervals are not adjusted.
    level : float, optional
        Of the intervals; by default that of the model.

    Returns
    -------
    DataFrame
        ``contrast estimate se statistic df p_value p_adjusted ci_lower ci_upper note``, one row a combination, on the
        pooled scale; `df` is NaN for the normal, and the note says why a standard error is 0.

    Raises
    ------
    UnknownChoice
        If a term or the adjustment does not exist.
    ModelError
        If the result is of another model, the fit has one study, the combinations are no mapping, or one has no weight
        but 0, one that is not a number, or not one for every term.
    """
    random_effects(result, "contrasts")
    matrix = _matrix(result, combinations)
    return _table(result, list(combinations), matrix, adjust, level)


def joint_contrast_test(result: RandomEffectsResult, combinations: Weights) -> JointTest:
    """Test that several combinations of the coefficients are all 0, as the model tests its moderators.

    Parameters
    ----------
    result : RandomEffectsResult
        A fitted model.
    combinations : mapping
        As in `contrasts`.

    Returns
    -------
    JointTest

    Raises
    ------
    UnknownChoice, ModelError
        As in `contrasts`, and if one combination follows from the others.
    """
    random_effects(result, "joint_contrast_test")
    matrix = _matrix(result, combinations)
    size = np.linalg.norm(matrix, axis=1, keepdims=True)
    if np.linalg.matrix_rank(matrix / size) < len(matrix):
        raise ModelError(f"Of the contrasts {listed(list(combinations))} one follows from the others; leave it out.")
    return result.joint_test(matrix)


def pairwise(
    result: RandomEffectsResult, factor: str, adjust: str = "none", level: float | None = None
) -> pd.DataFrame:
    """Compare every two levels of a factor, the other moderators being equal.

    Parameters
    ----------
    result : RandomEffectsResult
        A meta-regression whose formula names the column.
    factor : str
        Column of `EffectSizes.moderators`, e.g. ``"alloc"`` also where the formula says ``C(alloc)``.
    adjust, level
        As in `contrasts`.

    Returns
    -------
    DataFrame
        As from `contrasts`; the row ``"b − a"`` is how much larger the effect is at level b than at level a.

    Raises
    ------
    UnknownChoice
        If the formula does not name the column.
    ModelError
        If the result is of another model, the column has one level, enters as a number, or interacts with another
        moderator, so that the differences depend on the values of that one.
    """
    random_effects(result, "pairwise")
    levels, differences = _differences(result, factor)
    pairs = list(itertools.combinations(range(len(levels)), 2))
    names = [f"{levels[j]} {MINUS} {levels[i]}" for i, j in pairs]
    matrix = np.array([differences[j] - differences[i] for i, j in pairs])
    return _table(result, names, matrix, adjust, level)


def _table(
    result: RandomEffectsResult, names: list[str], matrix: Floats, adjust: str, level: float | None
) -> pd.DataFrame:
    rule = TESTS[result.spec.test]
    df = rule.contrast_df(result.fitted, result.reference, matrix)
    variance = np.einsum("ij,jk,ik->i", matrix, result.covariance, matrix)
    found = wald(matrix @ result.wald.estimate, variance, df, chosen_level(level, result.spec.level))
    return pd.DataFrame(
        {
            "contrast": names,
            "estimate": found.estimate,
            "se": found.se,
            "statistic": found.statistic,
            "df": found.df if np.isfinite(found.df).all() else np.nan,
            "p_value": found.p_value,
            "p_adjusted": _adjusted(found.p_value, adjust),
            "ci_lower": found.lower,
            "ci_upper": found.upper,
            "note": np.where(found.se == 0, STATUS["zero_se"], ""),
        }
    )


def _matrix(result: RandomEffectsResult, combinations: Weights) -> Floats:
    """Weights of all terms, one row a combination; shape (m, p)."""
    if not isinstance(combinations, Mapping):
        raise ModelError(
            f"Contrasts are weights by name, e.g. {_example('x', result.terms)}, but this is {kind_of(combinations)}."
        )
    if not combinations:
        raise ModelError(f"No contrast was given; give at least one, e.g. {_example('x', result.terms)}.")
    return np.array([_row(name, given, result.terms) for name, given in combinations.items()])


def _example(name: object, terms: tuple[str, ...]) -> str:
    """A contrast of the last term, as it is to be given."""
    return str({name: {terms[-1]: 1}})


def _row(name: object, given: object, terms: tuple[str, ...]) -> Floats:
    if isinstance(given, Mapping):
        for term in given:
            if term not in terms:
                raise UnknownChoice("term", term, terms)
        weights = [given.get(term, 0.0) for term in terms]
    elif isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) and getattr(given, "ndim", 1) == 1:
        weights = list(given)
    else:
        raise ModelError(
            f"The contrast {name!r} is {given!r}; give the weights of its terms, e.g. {_example(name, terms)}, or one "
            "weight for every term."
        )
    if len(weights) != len(terms):
        raise ModelError(
            f"The contrast {name!r} has {len(weights)} weights, but the model has {len(terms)} terms "
            f"({listed([*terms])}); give one for each."
        )
    numbers = all(isinstance(weight, Real) for weight in weights)
    row = np.array(weights if numbers else np.nan, dtype=float)
    if not np.isfinite(row).all() or not row.any():
        raise ModelError(f"The contrast {name!r} has the weights {weights}; give finite numbers that are not all 0.")
    return row


def _adjusted(p_value: Floats, adjust: str) -> Floats:
    """P values adjusted for the number of those that are defined."""
    from statsmodels.stats.multitest import multipletests

    if adjust not in ADJUSTMENTS:
        raise UnknownChoice("adjustment", adjust, ADJUSTMENTS)
    adjusted, defined = p_value.copy(), ~np.isnan(p_value)
    if adjust != "none" and defined.any():
        adjusted[defined] = multipletests(p_value[defined], method=adjust)[1]
    return adjusted


def _differences(result: RandomEffectsResult, factor: str) -> tuple[list[object], Floats]:
    """Levels of a factor, and how the design row of each differs from that of the first; shape (levels, p)."""
    named = sorted(result.design.moderators)
    if not named:
        raise ModelError(f"The model has no moderators, so there are no levels of {factor!r} to compare.")
    if factor not in named:
        raise UnknownChoice("factor", factor, named)
    frame = result.effects.moderators.iloc[result.used]
    levels = pd.Categorical(frame[factor]).remove_unused_categories().categories.tolist()
    if len(levels) < 2:
        raise ModelError(f"{factor!r} is {levels[0]!r} in every study, so there is nothing to compare.")
    rows = [result.design.encode(frame.assign(**{factor: _constant(frame[factor], one)})) for one in levels]
    differences = np.array(rows) - rows[0]
    if (differences != differences[:, :1]).any():
        raise ModelError(
            f"{factor!r} interacts with another moderator, so differences between its levels depend on the value of "
            "that one; give the differences you mean to contrasts()."
        )
    if np.linalg.matrix_rank(differences[:, 0]) < len(levels) - 1:
        written = factor if factor.isidentifier() else f"`{factor}`"
        raise ModelError(
            f"{factor!r} enters the model as a number, not as a factor; write C({written}) in the formula."
        )
    return levels, differences[:, 0]


def _constant(column: pd.Series, level: object) -> pd.Series:
    return pd.Series([level] * len(column), index=column.index, dtype=column.dtype)
