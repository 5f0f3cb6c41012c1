"""The sentences of a forest plot: what its rows, axis and notes are called."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from metail2.effects.measures import MEASURES, Measure
from metail2.effects.transforms import Transform
from metail2.plots.fonts import NBSP
from metail2.results import STATUS, STUDY_STATES, Grouped, Result
from metail2.wording import (
    PREDICTION_NAMES,
    TAU2_NAMES,
    TEST_NAMES,
    hundredths,
    number,
    p_value,
    percent,
    sentence,
    some,
)

COMMON = ("CE", "MH", "PETO")
"""Methods that assume one true effect: they have no τ²."""

HELD = re.compile(r"(?<=\d) (?=%|df\b|to [−\d])|(?<=\d to) (?=[−\d])|(?<= [=<>−]) | (?=[=<>−] )")
"""Blanks within a figure: before its unit, around a sign, between the ends of an interval."""

HEADER_LENGTH = 28
"""Names of measures up to this length stand in the table's header; of longer ones, the code."""


class Facts:
    """What a result's tables say as a whole.

    Attributes
    ----------
    studies : DataFrame
        One row a study.
    model : Series
        The row of ``glance()``.
    pooled : Series or None
        The pooled effect's row of ``tidy()``; None where nothing is pooled or moderators are in the model.
    groups : DataFrame or None
        One row a subgroup; None where there are none.
    between : str
        Whether the groups differ; empty without groups.
    terms : int
        Number of coefficients.
    """

    def __init__(self, result: Result) -> None:
        self.studies = result.studies()
        self.model: pd.Series[Any] = result.glance().iloc[0]
        grouped = isinstance(result, Grouped)
        self.groups = result.groups() if isinstance(result, Grouped) else None
        self.between = result.between_text().strip() if isinstance(result, Grouped) else ""
        table = result.tidy().tail(1) if grouped else _location(result.tidy())
        self.terms = len(table)
        alone = self.terms == 1 and self.model["status"] != "one_study"
        self.pooled: pd.Series[Any] | None = table.iloc[0] if alone else None

    @property
    def interval(self) -> str:
        """The interval's name, "95% CI"."""
        return f"{hundredths(self.model['level'])}% CI"

    @property
    def prediction(self) -> tuple[float, float]:
        """Ends of the prediction interval on the pooled scale; NaN where there is none."""
        return float(self.model["pi_lower"]), float(self.model["pi_upper"])

    @property
    def has_prediction(self) -> bool:
        """True if a prediction interval belongs in the picture."""
        return self.pooled is not None and not any(math.isnan(end) for end in self.prediction)


def _location(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the coefficients of a between-study variance."""
    return table[[not str(term).startswith("scale:") for term in table["term"]]]


def effect_name(measure: Measure, transform: Transform) -> str:
    """Name what the axis shows, "Risk ratio", "Percentage change"."""
    own = measure.scale if transform.code == "identity" else measure.name
    name = transform.label if transform.unit else own
    return name[:1].upper() + name[1:]


def effect_header(measure: Measure, transform: Transform) -> str:
    """Name the effect in the table's header, without what the name says in brackets or after a comma."""
    name = re.split(r" \(|, ", effect_name(measure, transform))[0]
    return name if len(name) <= HEADER_LENGTH else measure.code


def model_label(method: str) -> str:
    """Name a pooled row: "Random effects (REML)", "Common effect (MH)"."""
    if method == "CE":
        return "Common effect"
    return f"{'Common' if method in COMMON else 'Random'} effect{'' if method in COMMON else 's'} ({method})"


def notes(facts: Facts, common: Facts | None) -> list[str]:
    """Write the lines under the picture."""
    lines = [_not_pooled(facts)] if facts.pooled is None else [_heterogeneity(facts), _overall(facts)]
    if common is not None and common.pooled is not None:
        lines.append(_overall(common))
    if facts.has_prediction:
        lines.append(_prediction(facts))
    if facts.groups is not None:
        lines += [sentence(facts.between), *_group_reasons(facts.groups)]
    if facts.pooled is not None:
        lines += [sentence(_reason(facts)), *_left_out(facts.studies)]
    return [line for line in lines if line]


def held(note: str) -> str:
    """Let no line break part a figure from its unit, its sign or the other end of its interval."""
    return HELD.sub(NBSP, note)


def _reason(facts: Facts) -> str:
    """Say why the status is not "ok": the model's own sentence, else the code's meaning."""
    given, status = facts.model["status_reason"], str(facts.model["status"])
    return given if isinstance(given, str) and given else "" if status == "ok" else STATUS.get(status, "")


def _not_pooled(facts: Facts) -> str:
    if facts.terms > 1:
        return "The model has moderators: there is no single pooled effect to draw."
    reason = _reason(facts)
    if facts.model["status"] == "one_study":
        return sentence(reason)
    return f"Not pooled: {reason.rstrip('.')}." if reason else "Not pooled."


def _group_reasons(groups: pd.DataFrame) -> list[str]:
    """Say of each group what is undefined in it."""
    named: dict[str, list[str]] = {}
    for group, reason in zip(groups["group"], groups["status_reason"], strict=True):
        named.setdefault(reason, []).append(str(group))
    return [f"{some(names)}: {reason.rstrip('.')}." for reason, names in named.items() if reason]


def group_heterogeneity(row: pd.Series[Any], method: str) -> str:
    """Write the line under a subgroup: its τ², Q and I²; empty for one study."""
    return "" if math.isnan(row["q"]) else _spread(row, method)


def _degrees(df: float) -> str:
    return number(df, 0 if float(df).is_integer() else 1)


def _heterogeneity(facts: Facts) -> str:
    """Write τ², Q and I², each with where it comes from."""
    method = str(facts.model["method"])
    spread = _spread(facts.model, method, f" ({TAU2_NAMES.get(method, method)})")
    return f"Heterogeneity: {spread}." if spread else ""


def _spread(model: pd.Series[Any], method: str, estimator: str = "") -> str:
    parts = []
    if method not in COMMON and not math.isnan(model["tau2"]):
        parts.append(f"τ² = {number(model['tau2'], 3) if model['tau2'] else 0}{estimator}")
    if not math.isnan(model["q"]):
        parts.append(f"Q = {number(model['q'])}, df = {_degrees(model['q_df'])}, {p_value(model['q_p'])}")
    return "; ".join([*parts, *_inconsistency(model, method)])


def _inconsistency(model: pd.Series[Any], method: str) -> list[str]:
    sources = [("i2_q", "from Q")] if method in COMMON else [("i2", "from τ²"), ("i2_q", "from Q")]
    shares = [f"{percent(model[column])} ({source})" for column, source in sources if not math.isnan(model[column])]
    return [f"I² = {', '.join(shares)}"] if shares else []


def _overall(facts: Facts) -> str:
    """Write the test of the pooled effect, with its distribution; only the interval's kind where there is no null."""
    row, model = facts.pooled, facts.model
    assert row is not None
    test, method = str(model["test"]), str(model["method"])
    kind = f"interval: {TEST_NAMES.get(test, test)}"
    subject = model_label(method).lower().split(" (")[0]
    if method in COMMON[1:]:
        subject += f" ({TAU2_NAMES[method]})"
    if math.isnan(MEASURES[str(model["measure"])].null):
        return f"Pooled effect, {subject}; {kind}."
    plain = math.isnan(row["df"])
    statistic = f"{'z' if plain else 't'} = {number(row['statistic'])}"
    degrees = "" if plain else f", df = {_degrees(row['df'])}"
    return f"Test of the overall effect, {subject}: {statistic}{degrees}, {p_value(row['p_value'])}; {kind}."


def _prediction(facts: Facts) -> str:
    method = str(facts.model["pi_method"])
    return f"Prediction interval: {PREDICTION_NAMES.get(method, method)}."


def _left_out(studies: pd.DataFrame) -> list[str]:
    """Say why studies that are shown are not in the model."""
    lines = []
    for state, meaning in STUDY_STATES.items():
        names = [str(name) for name in studies.loc[studies["state"] == state, "study"]]
        if names and state != "used":
            lines.append(f"Not in the model: {some(names, len(names))} ({meaning}).")
    return lines
