"""Peto's one-step odds ratio."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES
from metail2.effects.two_by_two import cells
from metail2.errors import ModelError, UnknownChoice
from metail2.kernels.tables import hypergeometric_variance, observed_minus_expected, one_step
from metail2.models.checks import check_level
from metail2.models.table_tests import table_columns
from metail2.models.tables import TableResult, check_data, counted, effects_from_counts, table_result

SCORES = ("o_minus_e", "v")
MEASURES_OF_PETO = ("PETO", "HR")


@dataclass(frozen=True, slots=True)
class Peto:
    """Specification: Σ(O − E)/ΣV, for rare events, arms of similar size and small effects only.

    Attributes
    ----------
    level : float
        Confidence level.
    measure : {"PETO", "HR"}, optional
        What O − E and V are of: "PETO", an odds ratio (from counts, or as printed), "HR", a hazard ratio (of log-rank
        tests). None is the odds ratio of counts and the hazard ratio of O − E and V.

    Notes
    -----
    z = Σ(O − E)/√ΣV, and Q = Σ(O − E)²/V − (Σ(O − E))²/ΣV. Counts need not be whole numbers.

    Yusuf S, Peto R, Lewis J, Collins R, Sleight P (1985). Progress in Cardiovascular Diseases 27:335–371. Outside its
    conditions the odds ratio is biased: Greenland S, Salvan A (1990). Statistics in Medicine 9:247–252. From log-rank
    tests: Early Breast Cancer Trialists' Collaborative Group (1990). Treatment of Early Breast Cancer I, OUP.
    """

    level: float = 0.95
    measure: str | None = None

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.measure not in (None, *MEASURES_OF_PETO):
            raise UnknownChoice("measure of Peto", self.measure, MEASURES_OF_PETO, _meant(self.measure))

    def fit(self, data: pd.DataFrame | EffectSizes) -> TableResult:
        """Pool the studies.

        Parameters
        ----------
        data : DataFrame or EffectSizes
            ``events1 n1 events2 n2`` or ``a b c d``, or ``o_minus_e v``: observed minus expected events in the
            experimental arm and its variance.

        Returns
        -------
        TableResult
            `studies` shows ``o_minus_e`` and ``v``. A study with V = 0 (nobody or everybody had the event) has no
            weight; without any V above 0 the estimate is undefined: NaN, with the reason.

        Raises
        ------
        ModelError
            If the data hold both counts and O − E with V and `measure` does not say which, or O − E is not 0 where V
            is.
        """
        if self._printed(data):
            effects = _from_scores(data, self.measure or "HR")
            needed = "no study has a V above 0"
        else:
            effects = effects_from_counts(data, "PETO", add=0)
            needed = "no study has patients with and patients without the event"
        used = counted(effects)
        scores = dict(zip(SCORES, _scores(effects), strict=True))
        pooled = one_step(*(column[used] for column in scores.values()))
        name = "hazard ratio" if effects.measure == "HR" else "odds ratio"
        reason = f"Peto's {name} is undefined, because {needed}"
        if np.isfinite(pooled.estimate):
            reason = "" if self._printed(data) else _outside(effects, float(np.exp(pooled.estimate)))
        return table_result(self, effects, used, pooled, "PETO", reason, scores)

    def _printed(self, data: pd.DataFrame | EffectSizes) -> bool:
        """Whether O − E and V are given rather than computed from counts."""
        check_data(data)
        given = data.inputs if isinstance(data, EffectSizes) else data.columns
        printed, counts = _has(given, SCORES), any(_has(given, names) for names in MEASURES["PETO"].family.columns)
        if self.measure is None and printed and counts:
            raise ModelError(
                'The table holds counts and also o_minus_e and v; say which are pooled: Peto(measure="PETO") for the '
                'odds ratio of the counts, Peto(measure="HR") for the hazard ratio of o_minus_e and v.'
            )
        if not counts and not printed and "o_minus_e" in given:
            raise ModelError("Peto pools O − E with its variance, but beside o_minus_e there is no column v.")
        if self.measure == "HR" and not printed:
            raise ModelError("A hazard ratio is pooled from the columns o_minus_e and v; give both.")
        return printed and (self.measure == "HR" or not counts)


def _meant(measure: str) -> str | None:
    """What another measure of two-by-two tables is asked for instead of: Peto's odds ratio."""
    code, tables = str(measure).upper(), MEASURES["PETO"].family
    return "PETO" if code in MEASURES and MEASURES[code].family == tables else None


def _has(given: Iterable[object], names: tuple[str, ...]) -> bool:
    return set(names) <= set(given)


def _scores(effects: EffectSizes) -> tuple[NDArray[np.float64], ...]:
    columns = table_columns(effects)
    return columns if "v" in effects.inputs else observed_minus_expected(*columns)


def _from_scores(data: pd.DataFrame | EffectSizes, measure: str) -> EffectSizes:
    """Compute (O − E)/V a study; where V is 0 there is none, and nothing was observed beyond what was expected."""
    frame = data.moderators.assign(**data.frame) if isinstance(data, EffectSizes) else data
    unique = frame.columns.is_unique  # otherwise refused by name where effects are computed
    zero = np.asarray(pd.to_numeric(frame["v"], errors="coerce") == 0) if unique else np.zeros(len(frame), dtype=bool)
    known = frame.assign(v=frame["v"].mask(zero)) if zero.any() else frame
    effects = effects_from_counts(known, "HR", columns=SCORES)
    o_minus_e = effects.inputs["o_minus_e"]
    wrong = np.flatnonzero(zero & (o_minus_e != 0) & ~np.isnan(o_minus_e))
    if len(wrong):
        i = int(wrong[0])
        raise ModelError(
            f"{effects.study[i]}: column 'o_minus_e' is {o_minus_e[i]:g} although column 'v' is 0; without variance "
            "nothing can differ from what is expected, so correct one of them."
        )
    inputs = {"o_minus_e": o_minus_e, "v": np.where(zero, 0.0, effects.inputs["v"])}
    return replace(effects, measure=measure, inputs=inputs, _columns=frame.reset_index(drop=True))


def peto_conditions(effects: EffectSizes) -> list[str]:
    """Say which conditions of Peto's method do not hold, one sentence each; an empty list where all hold.

    The conditions, after the Cochrane Handbook (section 10.4.4.1) and Greenland & Salvan (1990): events are rare (here:
    at most 1 % over all arms), the arms of each study are of similar size (at most 2 : 1), and the effect is small (the
    pooled odds ratio between 0.5 and 2).

    Parameters
    ----------
    effects : EffectSizes
        Effects that carry two-by-two tables.
    """
    return _broken_conditions(effects, float(np.exp(Peto().fit(effects).estimate)))


def _outside(effects: EffectSizes, odds: float) -> str:
    """Say in one clause that conditions do not hold; empty where all hold."""
    broken = "; ".join(told[0].lower() + told[1:].rstrip(".") for told in _broken_conditions(effects, odds))
    return f"outside the conditions of Peto's method, whose estimate may be biased ({broken})" if broken else ""


def _broken_conditions(effects: EffectSizes, odds: float) -> list[str]:
    table = cells(effects.inputs)
    events, n1, n2 = table["a"] + table["c"], table["a"] + table["b"], table["c"] + table["d"]
    risk = 100 * float(np.nansum(events)) / float(np.nansum(n1 + n2))
    ratio = np.maximum(n1 / n2, n2 / n1)
    informative = hypergeometric_variance(*(table[name] for name in "abcd")) > 0
    worst = int(np.nanargmax(np.where(informative, ratio, 0)))
    broken = []
    if risk > 1:
        broken.append(f"Events are not rare: {risk:.1f} % of all patients had one (rare: at most 1 %).")
    if ratio[worst] > 2 and informative[worst]:
        broken.append(
            f"Arms are not of similar size: {n1[worst]:g} v {n2[worst]:g} in {effects.study[worst]} (at most 2 : 1)."
        )
    if math.isfinite(odds) and not 0.5 <= odds <= 2:
        broken.append(f"The effect is not small: Peto's odds ratio would be {odds:.2f} (small: 0.5 to 2).")
    return broken
