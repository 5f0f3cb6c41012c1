"""Answer each question of a specification from the records: effects, models, states and reasons."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES
from metail2.errors import MetailError, ReportError, UnknownChoice
from metail2.models.base import PooledResult
from metail2.models.mantel_haenszel import MantelHaenszel
from metail2.models.peto import Peto, peto_conditions
from metail2.models.random_effects import RandomEffects
from metail2.models.studies_only import StudiesOnly, interval_name
from metail2.models.subgroups import Subgroups
from metail2.models.tables import TableResult
from metail2.records.builders import STUDY_COLUMNS
from metail2.records.harmonise import harmonise
from metail2.records.trial_records import TrialRecords
from metail2.report.display import Display
from metail2.report.specification import Analysis, Beside, Outcome, Part
from metail2.results import Result
from metail2.wording import listed, some

Floats = NDArray[np.float64]

STATES = {
    "pooled": "two or more studies of one question, design and unit, pooled",
    "one_study": "one study: shown, not pooled",
    "not_comparable": "figures that must not be pooled together: shown side by side",
    "direction_only": "a review says up or down; no figures were found",
    "not_found": "nothing was found",
}
"""The five states of an outcome, each with its meaning."""

DESIGNS = {
    "controlled": ("two_by_two", "two_means", "person_time", "generic"),
    "before_after": ("change",),
    "single_arm": ("proportion",),
}
"""Families of measures that answer a question of each design; the designs are never mixed."""


@dataclass(frozen=True, slots=True)
class AnalysisAnswer:
    """One analysis, carried out.

    Attributes
    ----------
    spec : Analysis
        What was asked.
    effects : EffectSizes
        What it rests on.
    result : Result
        The fitted model, or the studies side by side.
    display : Display
        How its effects are shown.
    """

    spec: Analysis
    effects: EffectSizes
    result: Result
    display: Display

    @property
    def pooled(self) -> PooledResult | None:
        """The model if anything was pooled."""
        return self.result if isinstance(self.result, PooledResult) else None

    @property
    def trail(self) -> pd.DataFrame:
        """The audit trail of what enters the result: up to the counts where the model pools the counts themselves."""
        trail = self.effects.trail
        if not isinstance(self.result, TableResult):
            return trail
        return trail[~trail["quantity"].isin(["yi", "vi"])].reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class BesideAnswer:
    """One study that stands beside: its label, what it shows (or "no figures"), why it is not pooled."""

    label: str
    shown: str
    state: str
    reason: str
    effects: EffectSizes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One outcome, answered.

    Attributes
    ----------
    spec : Outcome
        The question.
    state, reason : str
        One of `STATES`, and why.
    analyses : tuple of AnalysisAnswer
        The primary one first.
    beside : tuple of BesideAnswer
        What is shown beside.
    sensitivity : DataFrame or None
        The primary analysis over the assumed correlation: ``r k estimate ci_lower ci_upper tau2 shown``.
    risks : DataFrame or None
        Each trial's control risk: ``study events n risk ci_lower ci_upper``.
    peto : tuple of str
        Conditions of Peto's method that do not hold.
    """

    spec: Outcome
    state: str
    reason: str
    analyses: tuple[AnalysisAnswer, ...]
    beside: tuple[BesideAnswer, ...]
    sensitivity: pd.DataFrame | None
    risks: pd.DataFrame | None
    peto: tuple[str, ...]

    @property
    def primary(self) -> AnalysisAnswer:
        """The primary analysis."""
        return self.analyses[0]

    def analysis(self, key: str) -> AnalysisAnswer:
        """Return the analysis with this id."""
        return next(found for found in self.analyses if found.spec.id == key)


def answer(records: TrialRecords, spec: Outcome) -> Answer:
    """Carry out all analyses of one outcome.

    Raises
    ------
    ReportError
        If the records do not support what the specification asks; the message names the outcome and the analysis.
    """
    analyses = tuple(_analysis(records, spec, analysis) for analysis in spec.analyses)
    for asked, name in ((spec.control_risks, "control_risks"), (spec.peto, "peto")):
        if asked and "events2" not in analyses[0].effects.inputs:
            raise ReportError(
                f"Outcome {spec.id!r}: {name} needs events in two arms, which {analyses[0].effects.measure} does not "
                "have; leave it out."
            )
    state, reason = _state(spec, analyses[0])
    return Answer(
        spec,
        state,
        reason,
        analyses,
        tuple(_beside(records, spec, beside, analyses[0].pooled is not None) for beside in spec.beside),
        _sensitivity(records, spec) if spec.r_values else None,
        _control_risks(analyses[0].effects) if spec.control_risks else None,
        tuple(peto_conditions(analyses[0].effects)) if spec.peto else (),
    )


def _analysis(records: TrialRecords, spec: Outcome, analysis: Analysis, r: float | None = None) -> AnalysisAnswer:
    measure = analysis.measure or spec.measure
    _check_design(spec, measure)
    try:
        assumed = r if r is not None else analysis.r if analysis.r is not None else spec.r
        effects = _effects(records, spec, analysis.parts or spec.parts, measure, assumed)
        result = _fit(effects, spec, analysis)
        same = analysis.measure in (None, spec.measure)
        fitted = str(result.glance()["measure"].iloc[0])  # Peto's model has a measure of its own
        display = Display.of(fitted, analysis.transform or (spec.transform if same else None))
    except MetailError as error:
        raise ReportError(f"Outcome {spec.id!r}, analysis {analysis.id!r}: {error}") from error
    return AnalysisAnswer(analysis, effects, result, display)


def _check_design(spec: Outcome, measure: str) -> None:
    try:
        family = MEASURES[measure].family.name
    except UnknownChoice as error:
        raise ReportError(f"Outcome {spec.id!r}: {error}") from None
    if family not in DESIGNS[spec.design]:
        raise ReportError(
            f"Outcome {spec.id!r} is {spec.design.replace('_', '/')}, but {measure} measures something else "
            f"({family.replace('_', ' ')}); the designs are never mixed."
        )


def _effects(records: TrialRecords, spec: Outcome, parts: Sequence[Part], measure: str, r: float | None) -> EffectSizes:
    """Harmonise all parts and join them, refusing to join different units unless nothing is pooled."""
    if not parts:
        raise ReportError("nothing says where the figures come from; add [[outcome.parts]].")
    joined = EffectSizes.concat([_part(records, part, measure, r) for part in parts])
    kinds = list(dict.fromkeys(joined.moderators["unit_kind"]))
    people = {"patients", "percent"}
    if len(kinds) > 1 and not set(kinds) <= people and not spec.not_comparable:
        raise ReportError(f"the parts measure different things ({listed(kinds)}), which are never pooled")
    if spec.heading and spec.heading not in joined.moderators:
        raise UnknownChoice("heading", spec.heading, STUDY_COLUMNS)
    return joined.assign(group=joined.moderators[spec.heading]) if spec.heading else joined


def _part(records: TrialRecords, part: Part, measure: str, r: float | None) -> EffectSizes:
    effects = harmonise(
        records,
        part.outcome,
        measure,
        timepoint=part.timepoint,
        population=part.population,
        studies=part.studies,
        baseline=part.baseline,
        arms=part.arms,
        role=part.role,
        r=r,
        arm_sizes=part.arm_sizes,
    )
    return effects.reversed() if part.turn else effects


def _fit(effects: EffectSizes, spec: Outcome, analysis: Analysis) -> Result:
    if analysis.model == "show" or (analysis.model == "random_effects" and effects.complete.sum() < 2):
        interval = f"intervals are {interval_name(effects.measure)}"
        reason = analysis.reason.rstrip(".") if analysis.model == "show" else "one study"
        reason = f"{reason}; {interval}" if effects.complete.any() else "one patient, without variance"
        return StudiesOnly(reason, small_sample=True).fit(effects)
    if analysis.model == "mantel_haenszel":
        return MantelHaenszel(analysis.measure or spec.measure).fit(effects)
    if analysis.model == "peto":
        return Peto().fit(effects)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the state of every study says what the warning would
        model = RandomEffects(analysis.tau2, analysis.test)
        if analysis.subgroup is None:
            return model.fit(effects)
        return Subgroups(analysis.subgroup, model, analysis.common_tau2).fit(effects)


def _state(spec: Outcome, primary: AnalysisAnswer) -> tuple[str, str]:
    effects = primary.effects
    known = [label for label, value in zip(effects.study, effects.yi, strict=True) if not np.isnan(value)]
    studies = list(dict.fromkeys(effects.moderators["study_id"]))
    if spec.not_comparable:
        return "not_comparable", spec.not_comparable
    if len(studies) > 1 and primary.spec.model == "show":
        return "not_comparable", primary.spec.reason or "The studies are shown side by side, as the report asks."
    if len(studies) > 1 and primary.pooled is None:
        whole = some(list(effects.subset(effects.complete).study)) or "none"
        return "one_study", f"{some(known)} print figures, but only {whole} with a variance, so nothing is pooled."
    if len(studies) > 1:
        return "pooled", f"{len(studies)} studies: {some(known, len(known))}."
    single = str(effects.moderators["study_id"].iloc[0])
    why = "its variance is undefined (n = 1)" if np.isnan(effects.vi).all() else "there is no second study"
    return "one_study", f"Only {_label(effects, single)} prints figures for this question; {why}, so nothing is pooled."


def _label(effects: EffectSizes, study_id: str) -> str:
    return effects.study[0].split(", ")[0] if len(effects) > 1 else effects.study[0]


def _beside(records: TrialRecords, spec: Outcome, beside: Beside, pooled: bool) -> BesideAnswer:
    label = str(records.study(beside.study)["label"]) + (", control arm" if beside.role == "control" else "")
    if beside.measure is None:
        return BesideAnswer(label, "no usable figures", beside.state, beside.reason, None)
    part = Part(
        outcome=beside.outcome,
        studies=[beside.study],
        timepoint=beside.timepoint,
        baseline=beside.baseline,
        role=beside.role,
        turn=beside.turn,
    )
    try:
        effects = _part(records, part, beside.measure, beside.r if beside.r is not None else spec.r)
    except MetailError as error:
        raise ReportError(f"Outcome {spec.id!r}, {label} beside: {error}") from error
    if "events" in effects.inputs:
        return BesideAnswer(label, _proportion(effects), "not_comparable", beside.reason, effects)
    display = Display.of(beside.measure, spec.transform if beside.measure == spec.measure else None)
    # beside a pool the interval is of the kind its studies have
    table = StudiesOnly("", small_sample=not pooled).fit(effects).studies().iloc[0]
    shown = f"{display.name} {display.triple(table['yi'], table['ci_lower'], table['ci_upper'])}"
    if table["state"] != "variance_undefined":
        shown += f", {'normal (z)' if pooled else interval_name(beside.measure)}"
    state = "variance_undefined" if table["state"] == "variance_undefined" else "not_comparable"
    return BesideAnswer(label, shown, state, beside.reason, effects)


def _proportion(effects: EffectSizes) -> str:
    """Events of patients with Wilson's interval, which stays between 0 and 100 % also for very few patients."""
    events, n = float(effects.inputs["events"][0]), float(effects.inputs["n"][0])
    lower, upper = wilson(np.array([events]), np.array([n]))
    return f"{events:g} of {n:g} patients, {100 * events / n:.0f} % ({100 * lower[0]:.0f} to {100 * upper[0]:.0f} %)"


def wilson(events: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return Wilson's 95 % interval of proportions (Wilson 1927), shapes (k,)."""
    from statsmodels.stats.proportion import proportion_confint

    lower, upper = proportion_confint(events, n, method="wilson")
    return np.asarray(lower), np.asarray(upper)


def _sensitivity(records: TrialRecords, spec: Outcome) -> pd.DataFrame:
    """Repeat the primary analysis for each assumed correlation."""
    rows = []
    for r in spec.r_values:
        found = _analysis(records, spec, spec.analyses[0], r)
        if found.pooled is None and len(found.effects) > 1:
            raise ReportError(
                f"Outcome {spec.id!r}: r_values needs one estimate, but the primary analysis shows several side "
                "by side; leave r_values out."
            )
        if found.pooled is None:
            row = found.result.studies().iloc[0]
            values = (row["yi"], row["ci_lower"], row["ci_upper"], float("nan"))
        else:
            tidy = found.pooled.tidy().iloc[-1]  # the row of all studies together
            values = (
                tidy["estimate"],
                tidy["ci_lower"],
                tidy["ci_upper"],
                float(found.pooled.glance()["tau2"].iloc[0]),
            )
        rows.append((r, int(found.effects.complete.sum()), *values, found.display.triple(*values[:3])))
    return pd.DataFrame(rows, columns=["r", "k", "estimate", "ci_lower", "ci_upper", "tau2", "shown"])


def _control_risks(effects: EffectSizes) -> pd.DataFrame:
    """Risk in each control arm with its Wilson interval."""
    events, n = (np.asarray(effects.inputs[name]) for name in ("events2", "n2"))
    lower, upper = wilson(events, n)
    return pd.DataFrame(
        {"study": effects.study, "events": events, "n": n, "risk": events / n, "ci_lower": lower, "ci_upper": upper}
    )
