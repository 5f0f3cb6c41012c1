"""Tests that results of count tables report beside their estimate: which apply, what they say, which studies enter."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.two_by_two import cells
from metail2.kernels.table_tests import RATE_TESTS, TABLE_TESTS, TableTest, association, informative
from metail2.wording import listed, number, p_value, some

Floats = NDArray[np.float64]

HYPOTHESES = {
    "cmh": "no association, hypergeometric variance, not corrected for continuity",
    "cmh_corrected": "no association, hypergeometric variance, corrected for continuity",
    "cochran": "no association, binomial variance, not corrected for continuity",
    "cochran_corrected": "no association, binomial variance, corrected for continuity",
    "breslow_day": "equal odds ratios, by Breslow & Day at the Mantel–Haenszel odds ratio",
    "tarone": "equal odds ratios, by Breslow & Day with Tarone's correction",
}
"""What each test of `TABLE_TESTS` asks of two-by-two tables, in words for its note."""
RATE_HYPOTHESES = {
    "cmh": "equal rates, variance given the events of both arms, not corrected for continuity",
    "cmh_corrected": "equal rates, variance given the events of both arms, corrected for continuity",
}
SCORE_HYPOTHESES = {"cmh": "no association, (Σ(O − E))²/ΣV, the square of z"}
HOMOGENEITY = ("breslow_day", "tarone")
GLANCE_TESTS = ("cmh", *HOMOGENEITY)
"""The tests that stand in `glance`, each with its P value."""


def table_columns(effects: EffectSizes) -> tuple[Floats, ...]:
    """Return O − E and V, or events and person-time, or a, b, c and d, of every study, each of shape (k,)."""
    for names in (("o_minus_e", "v"), ("events1", "time1", "events2", "time2")):
        if all(name in effects.inputs for name in names):
            return tuple(np.asarray(effects.inputs[name]) for name in names)
    table = cells(effects.inputs)
    return tuple(table[name] for name in "abcd")


def informed(effects: EffectSizes) -> NDArray[np.bool_]:
    """Which studies enter tests, shape (k,): some have the event and, of patients, some not; V is above 0."""
    columns = table_columns(effects)
    if "v" in effects.inputs:
        return np.asarray(columns[1] > 0)
    return np.asarray(columns[0] + columns[2] > 0) if "time1" in effects.inputs else informative(*columns)


def computed_tests(effects: EffectSizes, used: NDArray[np.bool_]) -> dict[str, TableTest]:
    """Compute the tests that exist for these data and this measure, over the studies in the fit, by name."""
    columns = tuple(column[used] for column in table_columns(effects))
    if "v" in effects.inputs:
        return {"cmh": association(columns[0], columns[1])}
    if "time1" in effects.inputs:
        return {name: RATE_TESTS[name](*columns) for name in RATE_TESTS}
    names = [name for name in TABLE_TESTS if name not in HOMOGENEITY or effects.measure == "OR"]
    return {name: TABLE_TESTS[name](*columns) for name in names}


def tests_table(effects: EffectSizes, used: NDArray[np.bool_]) -> pd.DataFrame:
    """Build ``test statistic df p_value note``, one row a name in `TABLE_TESTS`, also where there is no such test."""
    found, outside = computed_tests(effects, used), _outside(effects, used)
    hypotheses = HYPOTHESES | _own_hypotheses(effects)
    rows = []
    for name in TABLE_TESTS:
        statistic, df, p = _figures(found.get(name))
        reason = _undefined(effects, name, found) if math.isnan(statistic) else ""
        note = "; ".join(filter(None, [hypotheses[name], reason, outside if name in found else ""]))
        rows.append({"test": name, "statistic": statistic, "df": df, "p_value": p, "note": note})
    return pd.DataFrame(rows)


def glance_figures(effects: EffectSizes, used: NDArray[np.bool_]) -> dict[str, float | str]:
    """Return statistic and P value of each of `GLANCE_TESTS`, then ``tests_reason``: why some are NaN, or nothing."""
    found = computed_tests(effects, used)
    values: dict[str, float | str] = {}
    reasons: dict[str, list[str]] = {}
    for name in GLANCE_TESTS:
        values[name], _, values[f"{name}_p"] = _figures(found.get(name))
        if np.isnan(values[name]):
            reasons.setdefault(_undefined(effects, name, found), []).append(name)
    told = [f"{listed(names)}: {reason}" for reason, names in reasons.items()]
    return values | {"tests_reason": "; ".join(told)}


def _own_hypotheses(effects: EffectSizes) -> dict[str, str]:
    return SCORE_HYPOTHESES if "v" in effects.inputs else RATE_HYPOTHESES if "time1" in effects.inputs else {}


def _figures(test: TableTest | None) -> tuple[float, float, float]:
    if test is None or np.isnan(test.statistic):
        return (float("nan"),) * 3
    return float(test.statistic), float(test.df), float(test.p_value)


def _undefined(effects: EffectSizes, name: str, found: Mapping[str, TableTest]) -> str:
    """Say why a test has no figures."""
    if name in found and name not in HOMOGENEITY:
        return "undefined, because no study enters"
    if name in found:
        enough = float(found[name].df) > 0
        odds = "undefined, because the Mantel–Haenszel odds ratio is"
        return odds if enough else "undefined, because fewer than 2 studies enter"
    if "v" in effects.inputs:
        return "not computed, because the tables are needed and only O − E and V are given"
    if "time1" in effects.inputs:
        return "not computed, because numbers of patients are needed, not their time"
    return f"not computed, because odds ratios are compared and this result pools {effects.measure}"


def _outside(effects: EffectSizes, used: NDArray[np.bool_]) -> str:
    """Name the studies that enter no test, with the reason."""
    outside = used & ~informed(effects)
    columns = table_columns(effects)
    if "v" in effects.inputs:
        reasons = {"V is 0": outside}
    else:
        none = columns[0] + columns[2] == 0
        reasons = {"no event occurred in either arm": outside & none, "every patient had the event": outside & ~none}
    reasons["a figure is missing"] = ~used
    labels = effects.study if any(rows.any() for rows in reasons.values()) else ()
    told = []
    for reason, rows in reasons.items():
        names = [labels[i] for i in np.flatnonzero(rows)]
        if names:
            told.append(f"{some(names)} {'does' if len(names) == 1 else 'do'} not enter, because {reason}")
    return "; ".join(told)


def summary_lines(effects: EffectSizes, used: NDArray[np.bool_]) -> list[str]:
    """Write the tests for `summary`, one line a hypothesis; none where nothing is defined."""
    found = {name: _figures(test) for name, test in computed_tests(effects, used).items()}
    known = {name: figures for name, figures in found.items() if not math.isnan(figures[0])}
    lines = []
    if "cmh" in known:
        name = "Mantel–Haenszel, person-time" if "time1" in effects.inputs else "Cochran–Mantel–Haenszel"
        name = "stratified log-rank" if effects.measure == "HR" else name
        corrected = (
            f"; corrected for continuity {_written(*known['cmh_corrected'])}" if "cmh_corrected" in known else ""
        )
        lines.append(f"  Test of no association ({name}): {_written(*known['cmh'])}{corrected}")
    if "breslow_day" in known:
        both = f"{_written(*known['breslow_day'])}; with Tarone's correction {_written(*known['tarone'])}"
        lines.append(f"  Test of equal odds ratios (Breslow–Day): {both}")
    return lines


def _written(statistic: float, df: float, p: float) -> str:
    return f"χ² = {number(statistic)} on {df:g} df, {p_value(p)}"
