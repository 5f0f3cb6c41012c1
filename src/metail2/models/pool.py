"""pool(): the front door, from effects or plain arrays to a fitted random-effects model."""

from __future__ import annotations

from typing import TypedDict, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import ModelError
from metail2.models.random_effects import RandomEffects
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.models.subgroup_result import SubgroupResult
from metail2.models.subgroups import Subgroups

Effects = EffectSizes | ArrayLike


class _Options(TypedDict, total=False):
    tau2: str
    test: str
    moderators: str | None
    level: float
    weights: str | ArrayLike | None
    common_tau2: bool


@overload
def pool(
    effects: Effects, vi: ArrayLike | None = None, *, subgroup: None = None, **options: Unpack[_Options]
) -> RandomEffectsResult: ...


@overload
def pool(
    effects: Effects, vi: ArrayLike | None = None, *, subgroup: str, **options: Unpack[_Options]
) -> SubgroupResult: ...


def pool(
    effects: Effects,
    vi: ArrayLike | None = None,
    *,
    tau2: str = "REML",
    test: str = "knapp_hartung",
    moderators: str | None = None,
    level: float = 0.95,
    weights: str | ArrayLike | None = None,
    subgroup: str | None = None,
    common_tau2: bool = False,
) -> RandomEffectsResult | SubgroupResult:
    """Pool effects with a random-effects model: ``RandomEffects(...).fit(effects)``.

    Parameters
    ----------
    effects : EffectSizes, or array_like of shape (k,)
        Effects, or their plain values with `vi`.
    vi : array_like, shape (k,), optional
        Sampling variances, when `effects` are plain values.
    tau2, test, moderators, level
        See `RandomEffects`.
    weights : str or array_like of shape (k,), optional
        The user's weights, or the column of `EffectSizes.moderators` that holds them; see `RandomEffects`.
    subgroup : str, optional
        Column of `EffectSizes.moderators` with groups to pool apart and to compare; see `Subgroups`.
    common_tau2 : bool
        With `subgroup`: one between-study variance for all groups.

    Returns
    -------
    RandomEffectsResult
        With `subgroup` a `SubgroupResult`.

    Raises
    ------
    ModelError, EffectSizeError, UnknownChoice
        See `RandomEffects.fit`, `Subgroups.fit` and `EffectSizes.from_arrays`.
    """
    prepared = _prepared(effects, vi)
    if weights is not None and not isinstance(weights, str):
        prepared, weights = _with_weights(prepared, weights), "weights"
    model = RandomEffects(tau2, test, moderators, level, weights)
    if subgroup is not None:
        return Subgroups(subgroup, model, common_tau2).fit(prepared)
    if common_tau2:
        raise ModelError("common_tau2 says how subgroups share τ²; name their column, e.g. subgroup='disease'.")
    return model.fit(prepared)


def _prepared(effects: EffectSizes | ArrayLike, vi: ArrayLike | None) -> EffectSizes:
    if not isinstance(effects, EffectSizes):
        return EffectSizes.from_arrays(effects, vi)
    if vi is not None:
        raise ModelError("EffectSizes carry their variances; leave vi out.")
    return effects


def _with_weights(effects: EffectSizes, weights: ArrayLike) -> EffectSizes:
    column = np.asarray(weights)
    if column.shape != (len(effects),):
        raise ModelError(f"There are {len(effects)} effects but {column.size} weights; give one for each effect.")
    if "weights" in effects.moderators:
        raise ModelError("The effects have a column 'weights' already; name it, or give the weights in a column.")
    return effects.assign(weights=column)
