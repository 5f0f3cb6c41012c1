"""What the functions share that fit a result again to fewer studies."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import MetailError, ModelError
from metail2.kernels.heterogeneity import i2_from_q, i2_from_tau2
from metail2.kernels.inference import Wald
from metail2.models.base import PooledResult
from metail2.models.design import check_rank
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.models.studies_only import StudiesOnlyResult
from metail2.models.subgroup_result import SubgroupResult
from metail2.results import STATUS, Grouped

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FIGURES = ("estimate", "se", "statistic", "p_value", "ci_lower", "ci_upper")
SPREAD = ("tau2", "i2", "q", "i2_q")
IN_THE_FIT = ("used", "no_events")
"""States of `studies()` whose studies a model of tables reads."""
NO_I2 = "the model has no I² from τ², only from Q"
NEARLY_ALONE = 1e-4
"""Designs whose rank is checked without a study are those in which its leverage is within this of 1."""


def pooled(result: object, name: str) -> PooledResult:
    """Return the result, or say that the function called `name` reads pooled results only.

    Raises
    ------
    ModelError
        If it is something else, or nothing is pooled.
    """
    if isinstance(result, StudiesOnlyResult):
        raise ModelError("Nothing is pooled here, so there is no fit to repeat without some of the studies.")
    if not isinstance(result, PooledResult):
        raise ModelError(f"{name} reads a pooled result, such as pool() returns, but this is {kind_of(result)}.")
    return result


def random_effects(result: object, name: str, otherwise: str = "") -> RandomEffectsResult:
    """Return the result, or say that the function called `name` reads random-effects results only.

    Parameters
    ----------
    result : object
        What the caller was given.
    name : str
        Of the function.
    otherwise : str
        What there is for pooled results of other models; may be empty.

    Raises
    ------
    ModelError
        If the result is of another kind, or of one study.
    """
    if not isinstance(result, RandomEffectsResult):
        advice = f"; {otherwise}" if otherwise and isinstance(result, PooledResult) else ""
        if isinstance(result, SubgroupResult):
            advice = "; take result.overall, or one group by result.group(label)"
        raise ModelError(f"{name} reads a result of pool() or RandomEffects, but this is {kind_of(result)}{advice}.")
    if result.k == 1:
        raise ModelError(f"{name} compares studies, and {labels(result)[0]} is the only one in the fit.")
    return result


def kind_of(thing: object) -> str:
    """What a thing is, as a sentence names it: "a list", "an EffectSizes", "None"."""
    name = type(thing).__name__
    return "None" if thing is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def members(result: PooledResult) -> Integers:
    """Positions of the effects that are in the fit, shape (k,)."""
    if isinstance(result, RandomEffectsResult):
        return result.used
    return np.flatnonzero(result.studies()["state"].isin(IN_THE_FIT))


def labels(result: PooledResult) -> list[str]:
    """Labels of the effects in the fit."""
    study = result.effects.study
    return [study[i] for i in members(result)]


def is_mean(result: PooledResult) -> bool:
    """Whether the result is one pooled effect."""
    if isinstance(result, RandomEffectsResult):
        return result.terms == ("intercept",)
    return list(result.tidy()["term"]) == ["intercept"]


def deletable(result: RandomEffectsResult) -> tuple[NDArray[np.bool_], list[str]]:
    """Which studies can be left out, shape (k,), and for the others why not (else empty)."""
    x, notes = result.design.x, [""] * result.k
    if result.terms == ("intercept",):
        if result.k == 2:
            notes = ["one study would be left, and nothing pooled"] * 2
    else:
        for i in _suspects(x):
            reason = undetermined(np.delete(x, i, axis=0), result.terms)
            notes[i] = f"without this study: {reason[0].lower()}{reason[1:]}" if reason else ""
    return np.array([not note for note in notes]), notes


def _suspects(x: Floats) -> Integers:
    k, p = x.shape
    if k - 1 <= p:
        return np.arange(k)
    basis = np.linalg.qr(x / np.linalg.norm(x, axis=0))[0]
    return np.flatnonzero((basis**2).sum(axis=1) > 1 - NEARLY_ALONE)


def undetermined(x: Floats, terms: tuple[str, ...]) -> str:
    """Why a design does not determine its coefficients; empty if it does."""
    try:
        check_rank(x, terms)
    except ModelError as error:
        return str(error)
    return ""


def figures(coefficients: Wald, j: int) -> dict[str, Floats]:
    """The columns `FIGURES` of coefficient j of many fits."""
    w = coefficients
    values = (w.estimate, w.se, w.statistic, w.p_value, w.lower, w.upper)
    return {name: value[..., j] for name, value in zip(FIGURES, values, strict=True)}


def spread_figures(estimator: str, tau2: Floats, q: Floats, typical: Floats, df: float) -> dict[str, Floats]:
    """The columns `SPREAD` of many fits; a common effect has no I² from τ²."""
    i2 = np.full(tau2.shape, np.nan) if estimator == "CE" else i2_from_tau2(tau2, typical)
    i2_q = np.where(np.isnan(q), np.nan, i2_from_q(q, df))
    return dict(zip(SPREAD, (tau2, i2, q, i2_q), strict=True))


def by_refits(result: PooledResult, names: Sequence[str], subsets: Sequence[Integers]) -> pd.DataFrame:
    """Fit `result.spec` to each subset of the effects (positions); one row a subset, or a subset and term."""
    rows = [row for name, kept in zip(names, subsets, strict=True) for row in _refit(result, name, kept)]
    order = ["study", "term", *FIGURES, *SPREAD, "note"]
    table = pd.DataFrame(rows, columns=order)
    return table.drop(columns="term") if is_mean(result) else table


def _refit(result: PooledResult, name: str, kept: Integers) -> list[dict[str, object]]:
    mask = np.zeros(len(result.effects), dtype=bool)
    mask[kept] = True
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = result.spec.fit(result.effects.subset(mask))
            rows, spreads = found.tidy().to_dict("records"), _spreads(found)
    except MetailError as error:
        return [{"study": name, "term": "", "note": str(error)}]
    warned = [str(warning.message) for warning in caught]
    return [{"study": name} | _row(row, spread, warned) for row, spread in zip(rows, spreads, strict=True)]


def _row(row: Mapping[Hashable, Any], spread: Mapping[Hashable, Any], warned: list[str]) -> dict[str, object]:
    """One row of the table, from that of `tidy()` and what tells its heterogeneity."""
    found = {name: row[name] for name in FIGURES} | {name: spread[name] for name in SPREAD}
    said = _said(spread, lacks=bool(np.isnan(list(found.values())).any()))
    return found | {"term": row["term"], "note": "; ".join(filter(None, dict.fromkeys([said, *warned])))}


def _spreads(found: PooledResult) -> list[dict[Hashable, Any]]:
    """What tells the heterogeneity of each row of `tidy()`: that of its own group, or of the whole model."""
    whole = found.glance().to_dict("records")
    if isinstance(found, Grouped):
        return found.groups().to_dict("records") + whole
    return whole * len(found.tidy())


def _said(spread: Mapping[Hashable, Any], lacks: bool) -> str:
    """Say why a fit is no ordinary one or lacks a figure; empty where neither is so."""
    status: str = spread["status"]
    if lacks and status != "one_study":
        return spread["status_reason"] or NO_I2
    return "" if status == "ok" else STATUS[status]


def noted(notes: Sequence[str], where: NDArray[np.bool_], sentence: str) -> list[str]:
    """Add a sentence to the notes of the rows where it holds."""
    return ["; ".join(filter(None, (note, sentence * bool(here)))) for note, here in zip(notes, where, strict=True)]
