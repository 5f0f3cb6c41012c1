"""summary(): a result as text for the terminal, back-transformed, in the words of `wording`."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from metail2.effects.measures import MEASURES, Measure
from metail2.kernels.inference import JointTest
from metail2.results import Pooled
from metail2.wording import PREDICTION_NAMES, TAU2_NAMES, TEST_NAMES, hundredths, interval, number, p_value, percent

Row = dict[Any, Any]


def summary_text(result: Pooled, untested: Collection[str] = ()) -> str:
    """Write what a reader needs to judge a pooled result: model, estimate, heterogeneity, notes.

    Of the terms in `untested` no P value is shown, because 0 is no hypothesis about them.
    """
    glance = result.glance().to_dict("records")[0]
    measure = MEASURES[glance["measure"]]
    lines = [model_line(glance, measure), "", *_coefficients(result, glance, measure, untested)]
    lines += _sized(result, measure)
    lines += _beside(result, measure)
    if not math.isnan(glance["pi_lower"]):
        limits = _displayed(measure, glance["pi_lower"], glance["pi_upper"])
        lines.append(f"  {_level(glance)} prediction interval {limits}  [{_prediction_name(glance)}]")
    lines += ["", *_moderators(glance), _heterogeneity(glance)]
    if glance["status_reason"]:
        lines.append(f"  Note: {glance['status_reason']}")
    return "\n".join(lines)


def _displayed(measure: Measure, lower: float, upper: float) -> str:
    low, high = measure.transform([lower, upper])
    return interval(float(low), float(high), 3) + measure.transform.unit


def estimate_text(measure: Measure, estimate: float, lower: float, upper: float) -> str:
    """Write an estimate with its limits on the scale readers think in."""
    shown = number(float(measure.transform(estimate)), 3) + measure.transform.unit
    return f"{shown} ({_displayed(measure, lower, upper)})"


def _level(glance: Row) -> str:
    return f"{hundredths(glance['level'])} %"


def model_line(glance: Row, measure: Measure) -> str:
    """Name the measure, the number of studies, the estimator of τ² and the test."""
    name = measure.name[0].upper() + measure.name[1:]
    if glance["status"] == "one_study":
        return f"{name}, 1 study: not pooled"
    studies = "1 study" if glance["k"] == 1 else f"{glance['k']} studies"
    weights = f", weights {glance['weights']}" if glance.get("weights") else ""
    return f"{name}, {studies}, {TAU2_NAMES[glance['method']]}, {TEST_NAMES[glance['test']]}{weights}"


def _coefficients(result: Pooled, glance: Row, measure: Measure, untested: Collection[str]) -> list[str]:
    rows = result.tidy().to_dict("records")
    if [row["term"] for row in rows] == ["intercept"]:
        row = rows[0]
        if math.isnan(row["estimate"]):
            return [f"  {measure.name} undefined"]
        estimate = number(float(measure.transform(row["estimate"])), 3) + measure.transform.unit
        limits = _displayed(measure, row["ci_lower"], row["ci_upper"])
        return [f"  {measure.name} {estimate}, {_level(glance)} interval {limits}{_against_null(row, measure)}"]
    lines = [f"  coefficients on the scale of the {measure.scale}, with {_level(glance)} intervals:"]
    for row in rows:
        limits = interval(row["ci_lower"], row["ci_upper"], 4)
        p = "" if row["term"] in untested else _tested(row)
        lines.append(f"  {row['term']} {number(row['estimate'], 4)}, {limits}{p}")
    return lines


def _against_null(row: Row, measure: Measure) -> str:
    """Write the P value where the measure has a value of no effect; a single proportion or mean has none."""
    return "" if math.isnan(measure.null) else _tested(row)


def _tested(row: Row) -> str:
    return ", P not defined" if row.get("se") == 0 else f", {p_value(row['p_value'])}"


def _sized(result: Pooled, measure: Measure) -> list[str]:
    """Show a pooled effect by the back-transforms that need the studies' sizes, where the measure has them."""
    tidy, sizes = result.tidy().iloc[0], result.studies()
    shown = [inverse for inverse in measure.inverses if inverse.column in sizes and tidy["term"] == "intercept"]
    lines = []
    for inverse in shown:
        used = sizes.loc[sizes["state"] == "used", inverse.column].to_numpy(dtype=float)
        values = inverse.compute(
            tidy[["estimate", "ci_lower", "ci_upper"]].to_numpy(dtype=float), used, tidy["se"] ** 2
        )
        estimate, lower, upper = values.tolist()
        lines.append(f"  by {inverse.label}: {number(estimate, 3)}, {interval(lower, upper, 3)}")
    return lines


def _beside(result: Pooled, measure: Measure) -> list[str]:
    """Write what must stand beside the estimate, or beside the coefficients of a regression: theirs on their scale."""
    rows = result.companions().to_dict("records")
    if all(row["term"] == "intercept" for row in rows):
        return [companion_text(row, measure) for row in rows]
    lines = []
    for test in dict.fromkeys(row["test"] for row in rows):
        own = [row for row in rows if row["test"] == test]
        lines.append(f"  beside them, {TEST_NAMES[test]}  [{own[0]['reason']}]")
        for row in own:
            limits = interval(row["ci_lower"], row["ci_upper"], 4)
            lines.append(f"    {row['term']} {limits}, {p_value(row['p_value'])}")
    return lines


def companion_text(row: Row, measure: Measure) -> str:
    """Write an interval that stands beside another, with the reason."""
    limits = _displayed(measure, row["ci_lower"], row["ci_upper"])
    prediction = ""
    if not math.isnan(row["pi_lower"]):
        prediction = f"; prediction interval {_displayed(measure, row['pi_lower'], row['pi_upper'])}"
    p = _against_null(row, measure)
    return f"  beside it, {TEST_NAMES[row['test']]}: {limits}{p}{prediction}  [{row['reason']}]"


def _prediction_name(glance: Row) -> str:
    adhoc = " (ad hoc)" if glance["test"] == "knapp_hartung_adhoc" else ""
    return PREDICTION_NAMES[glance["pi_method"]] + adhoc


def joint_text(found: JointTest) -> str:
    """Write a joint test with its degrees of freedom and P value."""
    kind, df = "χ²", number(found.df, 0)
    if math.isfinite(found.df_error):
        kind, df = "F", f"{df} and {number(found.df_error, 0 if float(found.df_error).is_integer() else 1)}"
    return f"{kind} = {number(found.statistic)} on {df} df, {p_value(found.p_value)}"


def _moderators(glance: Row) -> list[str]:
    """Say what the moderators do together; nothing without moderators."""
    if math.isnan(glance["qm_df"]):
        return []
    share = "" if math.isnan(glance["r2"]) else f"; R² = {percent(glance['r2'])}"
    what = "coefficients" if glance["qm_df"] == glance["p"] else "moderators"
    return [f"  All {what} together: {_joint(glance)}{share}"]


def _joint(glance: Row) -> str:
    if math.isnan(glance["qm"]):
        return "test not defined"
    error = glance.get("qm_df_error", math.nan)
    joint = f"F = {number(glance['qm'])}" if glance["test"] != "z" else f"QM = {number(glance['qm'])}"
    degrees = f"{glance['qm_df']:g}" + (
        "" if math.isnan(error) else f" and {number(error, 0 if error % 1 == 0 else 1)}"
    )
    return f"{joint} on {degrees} df, {p_value(glance['qm_p'])}"


def _heterogeneity(glance: Row) -> str:
    if not math.isnan(glance.get("rho", math.nan)):
        test = p_value(glance["rho_lrt_p"])
        return f"  Heterogeneity: intraclass correlation ρ = {number(glance['rho'], 4)}; test of ρ = 0: {test}"
    if math.isnan(glance["q"]):
        return "  Heterogeneity: not defined (it needs an estimate and at least 2 studies)"
    parts = [f"Q = {number(glance['q'])} on {glance['q_df']} df, {p_value(glance['q_p'])}"]
    if not math.isnan(glance["i2"]):
        parts.append(
            f"τ² = {number(glance['tau2'], 4) if glance['tau2'] else 0}, I² (from τ²) = {percent(glance['i2'])}"
        )
    parts.append(f"I² (from Q) = {percent(glance['i2_q'])}")
    kind = "Heterogeneity" if math.isnan(glance["qm_df"]) else "Residual heterogeneity"
    return f"  {kind}: {'; '.join(parts)}"
