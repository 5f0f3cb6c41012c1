"""What the page shows of each answer: numbers turned into words and rows, nothing computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from metail2.models.random_effects_result import RandomEffectsResult
from metail2.models.studies_only import interval_name
from metail2.models.subgroup_result import SubgroupResult
from metail2.report.evaluate import STATES, AnalysisAnswer, Answer
from metail2.results import STUDY_STATES
from metail2.wording import PREDICTION_NAMES, TEST_NAMES, number, p_value, percent, sentence

STATE_NAMES = {
    "pooled": "pooled",
    "one_study": "one study",
    "not_comparable": "not comparable",
    "direction_only": "direction only",
    "not_found": "not found",
    "variance_undefined": "no variance (n = 1)",
}
DESIGN_NAMES = {
    "controlled": "Against control",
    "before_after": "Before/after, one group",
    "single_arm": "One group, no control",
}
DESIGN_NOTES = {
    "before_after": "A before/after comparison has no control group. It cannot tell an effect from regression to the "
    "mean, the natural course or background therapy, and it rests on an assumed correlation of the values before and "
    "after. It is never mixed with comparisons against control.",
    "single_arm": "A proportion without a control group cannot show an effect.",
}
BETTER = {"higher": "Higher is better.", "lower": "Lower is better.", "neither": ""}
Row = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture on the page: its file name without suffix, heading, reason, and the image as a data URI."""

    name: str
    title: str
    reason: str
    source: str


def summary_row(answer: Answer) -> Row:
    """One line of the table at the top of the page."""
    return {
        "id": answer.spec.id,
        "title": answer.spec.title,
        "state": answer.state,
        "state_name": STATE_NAMES[answer.state],
        "design": DESIGN_NAMES[answer.spec.design],
        "k": len(set(answer.primary.effects.moderators["study_id"])),
        "shown": _headline(answer.primary, answer.spec.unit),
        "interval": _interval(answer.primary),
    }


def _headline(primary: AnalysisAnswer, unit: str) -> str:
    measured = f"{primary.display.name}{f' ({unit})' if unit else ''}"
    if primary.pooled is not None:
        row = primary.pooled.tidy().iloc[-1]  # the row of all studies together
        return f"{measured} {primary.display.triple(row['estimate'], row['ci_lower'], row['ci_upper'])}"
    table = primary.result.studies()
    if len(table) == 1:
        row = table.iloc[0]
        return f"{measured} {primary.display.triple(row['yi'], row['ci_lower'], row['ci_upper'])}"
    return "shown side by side"


def _interval(primary: AnalysisAnswer) -> str:
    """By what the interval of the primary result is."""
    if primary.pooled is not None:
        return TEST_NAMES[primary.pooled.glance()["test"].iloc[0]]
    if not primary.effects.complete.any():
        return ""
    return interval_name(primary.effects.measure)


def outcome_view(answer: Answer, figures: list[Figure]) -> Row:
    """Everything the page shows of one outcome."""
    spec = answer.spec
    return {
        **summary_row(answer),
        "question": spec.question,
        "reason": answer.reason,
        "state_meaning": STATES[answer.state],
        "better": BETTER[spec.better],
        "design_note": DESIGN_NOTES.get(spec.design, ""),
        "figures": figures,
        "results": _results(answer),
        "shown_studies": _shown(answer),
        "tau2_interval": _tau2_interval(answer.primary),
        "windows": _windows(answer.primary),
        "studies": study_rows(answer.primary),
        "sensitivity": _sensitivity_rows(answer),
        "risks": _risk_rows(answer.risks),
        "peto": list(answer.peto),
        "beside": [
            {
                "label": b.label,
                "shown": b.shown,
                "state": b.state,
                "state_name": STATE_NAMES[b.state],
                "reason": b.reason,
            }
            for b in answer.beside
        ],
        "caveats": spec.caveats,
        "trail": trail_rows(answer.primary),
    }


def _results(answer: Answer) -> list[Row]:
    """Rows of the table of pooled results: each analysis, then the intervals that must stand beside it."""
    rows: list[Row] = []
    for found in answer.analyses:
        if found.pooled is not None:
            glance, tidy = found.pooled.glance().iloc[0], found.pooled.tidy().iloc[-1]
            rows.append(_pooled_row(found, glance, tidy) | {"primary": found is answer.primary})
            beside = found.pooled.companions().to_dict("records")
            rows += [_companion_row(row, found, tidy) for row in beside if not row.get("group")]
            rows += _group_rows(found, beside)
    return rows


def _shown(answer: Answer) -> Row | None:
    """The table of what is shown and not pooled: a row a study, a column an analysis."""
    shown = [found for found in answer.analyses if found.pooled is None]
    if not shown:
        return None
    labels = dict.fromkeys(label for found in shown for label in found.effects.study)
    diseases = {row["study"]: row["disease"] for found in shown for row in found.effects.moderators.to_dict("records")}
    cells = [{row["study"]: _cell(row, found) for row in found.result.studies().to_dict("records")} for found in shown]
    return {
        "columns": [found.spec.title for found in shown],
        "notes": list(dict.fromkeys(found.spec.reason for found in shown if found.spec.reason)),
        "rows": [
            {"study": label, "disease": diseases[label], "cells": [column.get(label, "") for column in cells]}
            for label in labels
        ],
    }


def _cell(row: Row, found: AnalysisAnswer) -> str:
    return found.display.triple(row["yi"], row["ci_lower"], row["ci_upper"])


def _pooled_row(found: AnalysisAnswer, glance: pd.Series, tidy: pd.Series) -> Row:
    values = tidy["estimate"], tidy["ci_lower"], tidy["ci_upper"]
    undefined = math.isnan(tidy["estimate"])
    return {
        "title": found.spec.title + (" (exploratory)" if found.spec.exploratory else ""),
        "note": _join(found.spec.reason, glance["status_reason"]),
        "k": glance["k"],
        "effect": found.display.name,
        "shown": "undefined" if undefined else found.display.triple(*values),
        "ratio": found.display.as_ratio.triple(*values) if found.display.as_ratio else "",
        "p": "" if undefined else p_value(tidy["p_value"]),
        "interval": TEST_NAMES[glance["test"]],
        "prediction": _prediction(found, glance),
        "heterogeneity": _heterogeneity(glance),
    }


def _companion_row(row: Row, found: AnalysisAnswer, tidy: pd.Series) -> Row:
    return {
        "title": f"beside it: {TEST_NAMES[row['test']]}",
        "companion": True,
        "note": f"because {row['reason']}",
        "effect": found.display.name,
        "shown": found.display.triple(tidy["estimate"], row["ci_lower"], row["ci_upper"]),
        "p": p_value(row["p_value"]),
        "interval": TEST_NAMES[row["test"]],
        "prediction": ""
        if math.isnan(row["pi_lower"])
        else f"{found.display.pair(row['pi_lower'], row['pi_upper'])} (t, k − 1 df, its SE)",
    }


def _group_rows(found: AnalysisAnswer, beside: list[Row]) -> list[Row]:
    """A row for each subgroup, followed by what must stand beside its interval, and the test of their difference."""
    if not isinstance(found.result, SubgroupResult):
        return []
    rows: list[Row] = []
    for _, group in found.result.groups().iterrows():
        title = f"{group['group']} ({group['k']} {'study' if group['k'] == 1 else 'studies'})"
        rows.append(_group_row(found, group) | {"title": title, "companion": True})
        rows += [_companion_row(row, found, group) for row in beside if row["group"] == group["group"]]
    tau2 = "one τ² for all" if found.result.spec.common_tau2 else "each with its own τ²"
    compared = f"groups compared ({tau2})"
    test = sentence(found.result.between_text().strip())
    return [*rows, {"title": compared, "companion": True, "effect": "", "shown": "", "note": test}]


def _group_row(found: AnalysisAnswer, group: pd.Series) -> Row:
    method = found.result.glance()["method"].iloc[0]
    limits = group["pi_lower"], group["pi_upper"]
    return {
        "effect": found.display.name,
        "shown": found.display.triple(group["estimate"], group["ci_lower"], group["ci_upper"]),
        "p": p_value(group["p_value"]),
        "note": sentence(group["status_reason"]),
        "prediction": "" if math.isnan(limits[0]) else found.display.pair(*limits),
        "heterogeneity": _heterogeneity(group.to_dict() | {"method": method}),
    }


def _join(*sentences: str) -> str:
    return " ".join(sentence(text) for text in sentences if text)


def _heterogeneity(glance: pd.Series | Row) -> list[str]:
    """τ² with its estimator, I² with its origin, and Q; one line each, those that are defined."""
    if math.isnan(glance["q"]):
        return []
    test = f"Q = {number(glance['q'])}, {glance['q_df']} df, {p_value(glance['q_p'])}"
    if math.isnan(glance["i2"]):
        return [f"I² {percent(glance['i2_q'])} (from Q)", test]
    tau2 = f"τ² = {_variance(glance['tau2'])} ({glance['method']})"
    return [tau2, f"I² {percent(glance['i2'])} (from τ²), {percent(glance['i2_q'])} (from Q)", test]


def _variance(value: float) -> str:
    return number(value, 4 if value < 1 else 2) if value else "0"


def _prediction(found: AnalysisAnswer, glance: pd.Series) -> str:
    if math.isnan(glance["pi_lower"]):
        return ""
    limits = found.display.pair(glance["pi_lower"], glance["pi_upper"])
    return f"{limits} ({PREDICTION_NAMES[glance['pi_method']]})"


def _tau2_interval(found: AnalysisAnswer) -> str:
    """The Q-profile interval of the primary random-effects model, in words."""
    result = found.result
    if not isinstance(result, RandomEffectsResult) or result.k < 2 or result.spec.tau2 == "CE":
        return ""
    limits = result.tau2_interval()
    return (
        f"Q-profile 95 % intervals: τ² {_variance(limits.lower)} to {_variance(limits.upper)}; I² (from τ²) "
        f"{number(limits.i2_lower, 1)} to {percent(limits.i2_upper)}. {limits.note}"
    ).rstrip()


def _windows(found: AnalysisAnswer) -> list[str]:
    table = found.effects.moderators
    return [
        f"{row['study']}: {row['window']}"
        for row in table.to_dict("records")
        if row["window"] and row["timepoint"] == "study"
    ]


def study_rows(found: AnalysisAnswer) -> list[Row]:
    """One row a study of the primary analysis, with its state and facts."""
    facts = found.effects.moderators.to_dict("records")
    return [
        {
            "study": row["study"],
            "disease": fact["disease"],
            "dose": fact["dose"],
            "schedule": fact["schedule"],
            "when": fact["timepoint"],
            "centre": fact["centre"],
            "shown": found.display.triple(row["yi"], row["ci_lower"], row["ci_upper"]),
            "weight": "" if math.isnan(row["weight"]) else percent(row["weight"]),
            "state": STUDY_STATES[row["state"]],
        }
        for row, fact in zip(found.result.studies().to_dict("records"), facts, strict=True)
    ]


def _sensitivity_rows(answer: Answer) -> list[Row]:
    if answer.sensitivity is None:
        return []
    ratio = answer.primary.display.as_ratio
    return [
        {
            "r": f"{row['r']:g}",
            "shown": row["shown"],
            "ratio": ratio.triple(row["estimate"], row["ci_lower"], row["ci_upper"]) if ratio else "",
            "tau2": "" if math.isnan(row["tau2"]) else _variance(row["tau2"]),
        }
        for row in answer.sensitivity.to_dict("records")
    ]


def _risk_rows(risks: pd.DataFrame | None) -> list[Row]:
    if risks is None:
        return []
    return [
        {
            "study": row["study"],
            "counts": f"{row['events']:g}/{row['n']:g}",
            "risk": f"{100 * row['risk']:.1f} % ({100 * row['ci_lower']:.1f} to {100 * row['ci_upper']:.1f})",
        }
        for row in risks.to_dict("records")
    ]


def trail_rows(found: AnalysisAnswer) -> list[Row]:
    """The audit trail of the primary analysis, values as text."""
    rows = found.trail.fillna("").to_dict("records")
    return [{**{str(k): v for k, v in row.items()}, "value": _value(row["value"])} for row in rows]


def _value(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "not defined" if math.isnan(value) else number(value, 0 if value == int(value) else 4)
