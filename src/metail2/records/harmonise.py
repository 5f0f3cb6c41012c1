"""harmonise(): from printed figures to effect sizes of one measure, with the trail of every step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np
import pandas as pd

from metail2.conversions import SUMMARY_METHODS, shared_control_covariance, shared_control_matrix
from metail2.effects.compute import check_choices, computed, prepared
from metail2.effects.counts import ZeroCells, added
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES, Measure
from metail2.effects.moments import CORRECTION_TOLD
from metail2.errors import EffectSizeError, RecordError, UnknownChoice
from metail2.records.builders import BUILDERS, Entry, Question
from metail2.records.mixed import harmonise_table
from metail2.records.selection import Chosen, Selection
from metail2.records.trail import ASSUMED, DERIVED
from metail2.records.trial_records import TrialRecords
from metail2.records.units import guard
from metail2.wording import number, some

GEARY = 3.0
"""Below this ratio of a mean to its standard error a log ratio of means is unreliable."""


@overload
def harmonise(
    records: TrialRecords,
    outcome: str | Sequence[str],
    measure: str,
    *,
    timepoint: Chosen = None,
    population: Chosen = None,
    studies: Sequence[str] | None = None,
    baseline: str = "baseline",
    arms: str = "combine",
    role: str = "experimental",
    r: float | None = None,
    arm_sizes: Chosen = "printed",
    method: str = "recommended",
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str | None = None,
    correction: str = "exact",
) -> EffectSizes: ...
@overload
def harmonise(
    records: pd.DataFrame,
    *,
    measure: str,
    study: str | None = None,
    r: float | str | None = None,
    level: float | str = 0.95,
    method: str = "recommended",
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str | None = None,
    correction: str = "exact",
    **columns: str,
) -> EffectSizes: ...
def harmonise(
    records: TrialRecords | pd.DataFrame,
    outcome: str | Sequence[str] | None = None,
    measure: str = "",
    *,
    timepoint: Chosen = None,
    population: Chosen = None,
    studies: Sequence[str] | None = None,
    baseline: str = "baseline",
    arms: str = "combine",
    role: str = "experimental",
    r: float | str | None = None,
    arm_sizes: Chosen = "printed",
    method: str = "recommended",
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str | None = None,
    correction: str = "exact",
    study: str | None = None,
    level: float | str = 0.95,
    **columns: str,
) -> EffectSizes:
    """Turn printed figures into effect sizes.

    The figures are trial records with their quotes, or a plain table with one row a study in which every study may
    print other statistics.

    Parameters
    ----------
    records : TrialRecords or DataFrame
        From `load_records` or `read_records`; or a table, for instance from `read_table` (see Notes).
    outcome : str or sequence of str
        Which outcome; several only where they are one thing under several names (their units must agree). Not for a
        table, which holds one.
    measure : str
        Code in `MEASURES`. Of trial records: a contrast of two arms (RR, OR, RD, MD, SMD, ROM), a change in one group
        (MC, SMCC, SMCR, ROMC), a proportion (PR, PLO, PFT) or a printed estimate (GEN). Of a table: any.
    timepoint, population : str or mapping of study_id to str, optional
        When, and which patients; needed only where a study prints several.
    studies : sequence of study_id, optional
        Which studies, in this order; all that print the outcome by default.
    baseline : str
        The time a change is measured from.
    arms : {"combine", "separate"}
        Several experimental arms against one control: combined into one, or one effect an arm with their sampling
        covariance in `V` (such effects are not pooled as if independent).
    role : {"experimental", "control"}
        Whose change or proportion, for measures of one group.
    r : float, optional
        Assumed correlation of the values before and after, needed for measures of change; in a table, for the rows that
        have nothing better, or else the name of the column of printed ones.
    arm_sizes : str or mapping of study_id to str
        ``"printed"``; ``"allocation"``: the total is shared by the allocation ratio; ``"randomised"``: all randomised
        patients, those without an outcome counted as not having the event. The last two are marked as assumed.
    method : str
        How medians, quartiles and ranges become means and SDs; a name in `conversions.SUMMARY_METHODS`.
    add, to, drop00, vtype, correction
        As in `effect_sizes`.
    study : str, optional
        A table's column of study labels, each once; by default ``study``, else "study 1" …
    level : float or str
        Confidence level of a table's intervals, for rows whose column ``level`` is empty; or the name of that column.
    **columns : str
        ``mean1="m_exp"``: where to find a figure of a table under another name.

    Returns
    -------
    EffectSizes
        One effect a study (or arm), in the order asked; `trail` says what each rests on. A single patient has an
        effect but no variance. A row of a table that prints too little is NaN, with a warning that says what is
        missing.

    Raises
    ------
    RecordError
        If a study prints too little or something ambiguous, a cohort would be entered twice, or units do not agree;
        if a cell of a table is no number, figures of a row are impossible or contradict each other, an estimate lies
        outside the bounds of its measure, or percentages fit several counts. The message names the study and what to
        do.
    EffectSizeError
        If a measure cannot take a table's figure; the message names study and column.
    UnknownChoice
        If a name is not among the choices.

    Notes
    -----
    A table may have these columns, of which each row fills those its study prints. A suffix says whose figure it is: 1
    and 2 (experimental and control arm), _post, _pre and _change (one group), none (one group at one time).

    ==================================  ==============================================================================
    ``n1``                              number of patients (one group: ``n``, for all times)
    ``mean1 sd1``                       mean and SD
    ``se1``                             standard error of the mean
    ``mean1_lower mean1_upper``         confidence interval of the mean (t, n − 1 df)
    ``median1 q1_1 q3_1 min1 max1``     median, quartiles, range (``q1_post``; one group: ``q1``)
    ``events1 percent1 time1``          events, their percentage of ``n1``, person-time
    ``mean_change sd_change r``         change in one group; correlation of before and after
    ``estimate``                        the effect as displayed: a ratio for RR, OR, ROM …
    ``se``                              standard error on the pooled scale (log ratio); beside ``mean``, of the mean
    ``sei``                             standard error on the pooled scale, never that of a mean
    ``ci_lower ci_upper level``         interval of the estimate, as displayed; its confidence level, 0.95
    ``p t f direction``                 two-sided P, t (or z), F with 1 df; 1 or −1, the sign of the effect
    ``d g r``                           Cohen's d, Hedges' g, point-biserial correlation (or r itself, for COR)
    ``yi vi``                           effect and variance on the pooled scale
    …                                   any other column of the measure (``metail2 measures`` lists them)
    ==================================  ==============================================================================

    A row's effect comes from one way only, the first that it has all figures for: (1) the measure's own columns, where
    an SD may come from a standard error, else an interval, else (with the mean) from quartiles or range, and counts
    from percentages that only one count fits, and a printed SD of the change comes before one from ``r``; then ``d`` or
    ``g``; (2) ``yi vi``, ``yi se``, or the estimate with its interval or standard error; (3) ``t``, ``f`` or the
    point-biserial ``r`` with the numbers of patients, or the estimate with its t; (4) an exact P; (5) the measure's own
    columns with the assumed `r`. An interval or P of a mean difference or change is taken as that of a t test where the
    numbers of patients are printed, any other as normal on the pooled scale; the trail marks that as assumed. On a
    transformed scale (ratios) an interval comes before a standard error, which must agree with it. No figure is
    borrowed from other rows, and `vtype` does not change a printed variance.
    """
    if isinstance(records, pd.DataFrame):
        if isinstance(outcome, str) and outcome in MEASURES and not measure:
            raise RecordError(f'A table has one outcome, so give the measure by its name: measure="{outcome}".')
        _refuse_options(
            "a table, which has one outcome and one row a study", outcome=outcome, timepoint=timepoint,
            population=population, studies=studies, baseline=baseline, arms=arms, role=role, arm_sizes=arm_sizes,
        )  # fmt: skip
        return harmonise_table(
            records, measure, study=study, r=r, level=level, method=method, zero_cells=ZeroCells(add, to, drop00),
            vtype=vtype, correction=correction, columns=columns,
        )  # fmt: skip
    _refuse_options("trial records", study=study, level=level, **columns)
    definition = MEASURES[measure]
    if outcome is None:
        raise RecordError("Trial records need an outcome: which of theirs is to be taken.")
    if isinstance(r, str):
        raise RecordError("Trial records need r as a number.")
    for kind, given, choices in (
        ("way to treat several arms", arms, ("combine", "separate")),
        ("role", role, ("experimental", "control")),
    ):
        if given not in choices:
            raise UnknownChoice(kind, given, choices)
    check_choices(definition, vtype, correction)
    _check_choices(records, definition, method, (timepoint, population, arm_sizes))
    names = [outcome] if isinstance(outcome, str) else list(outcome)
    selections = _selections(records, names, studies)
    entries = []
    for selection in selections:
        question = Question(
            selection.outcome, definition, timepoint, population, baseline, arms, role, r, arm_sizes, method
        )  # fmt: skip
        entries.append(BUILDERS[definition.family.name](selection, question))
    flat = [entry for group in entries for entry in group]
    guard([entry.unit for entry in flat], measure)
    return _effects(flat, entries, definition, ZeroCells(add, to, drop00), (vtype, correction))


def _refuse_options(what: str, /, **options: object) -> None:
    """Raise for the first option given that has no meaning."""
    usual = {"baseline": "baseline", "arms": "combine", "role": "experimental", "arm_sizes": "printed", "level": 0.95}
    for name, given in options.items():
        left_out = given is None or (isinstance(given, str | float) and given == usual.get(name))
        if not left_out:
            raise RecordError(f"{name}={given!r} has no meaning for {what}; leave it out.")


def _check_choices(records: TrialRecords, definition: Measure, method: str, options: Sequence[Chosen]) -> None:
    """Refuse names that no study or registry has, also where this question would not use them."""
    if definition.family.name not in BUILDERS:
        usable = [code for code, measure in MEASURES.items() if measure.family.name in BUILDERS]
        raise UnknownChoice("measure of printed figures", definition.code, usable)
    SUMMARY_METHODS[method]
    for option in options:
        for study_id in option if isinstance(option, Mapping) else ():
            records.study(study_id)


def _selections(records: TrialRecords, outcomes: Sequence[str], studies: Sequence[str] | None) -> list[Selection]:
    studies = [studies] if isinstance(studies, str) else studies
    if studies is not None and not len(studies):
        raise RecordError("studies names no study; name at least one, or leave it out for all.")
    found: dict[str, Selection] = {}
    for outcome in outcomes:
        ids = list(dict.fromkeys(records.outcome(outcome)["study_id"]))
        for study_id in ids:
            if studies is not None and study_id not in studies:
                continue
            if study_id in found:
                label = records.study(study_id)["label"]
                raise RecordError(f"{label} would be entered twice, for {found[study_id].outcome!r} and {outcome!r}.")
            found[study_id] = Selection.of(records, study_id, outcome)
    order = list(found) if studies is None else list(studies)
    for study_id in order:
        if study_id not in found:
            found[study_id] = Selection.of(records, study_id, outcomes[0])
    if len(set(order)) < len(order):
        raise RecordError("studies names a study twice; a study is entered once in an outcome.")
    _refuse_shared_cohort([found[study_id] for study_id in order])
    return [found[study_id] for study_id in order]


def _refuse_shared_cohort(selections: Sequence[Selection]) -> None:
    seen: dict[str, str] = {}
    for selection in selections:
        cohort = str(selection.study.get("cohort") or selection.study_id)
        if cohort in seen:
            raise RecordError(
                f"{seen[cohort]} and {selection.label} may be the same patients (cohort {cohort!r}); "
                "keep one with studies."
            )
        seen[cohort] = selection.label


def _effects(
    entries: Sequence[Entry],
    groups: Sequence[Sequence[Entry]],
    definition: Measure,
    zero_cells: ZeroCells,
    variant: tuple[str | None, str],
) -> EffectSizes:
    labels = tuple(entry.label for entry in entries)
    names = list(dict.fromkeys(name for entry in entries for name in entry.inputs))
    inputs = {name: np.array([entry.inputs.get(name, math.nan) for entry in entries]) for name in names}
    folds = entries[0].unit.kind == "fold"
    rule = MEASURES["MD"] if folds else definition  # the moments of folds are on the log scale already
    variant = (None, "exact") if folds else variant
    yi, vi = computed(rule, _single_patients(inputs), zero_cells, variant[0], labels, correction=variant[1])
    counts = any(name.startswith("events") for name in inputs)
    amounts = added(inputs, prepared(definition, inputs, zero_cells)) if counts else np.zeros(len(entries))
    for entry, effect, variance, amount in zip(entries, yi, vi, amounts, strict=True):
        _close(entry, (float(effect), float(variance)), definition, float(amount), variant)
    V = _covariance(groups, definition, vi, zero_cells) if any(len(group) > 1 for group in groups) else None
    facts = pd.DataFrame([{"study": entry.label, **entry.facts} for entry in entries])
    trail = pd.concat([entry.trail.frame() for entry in entries], ignore_index=True)
    shown = {} if folds else inputs
    return EffectSizes(yi, vi, definition.code, V, shown, labels, facts, trail, added=amounts)


def _single_patients(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give single patients an SD of 0, so that their effect can be computed; its variance of 0 then becomes NaN."""
    one = inputs["n"] == 1 if "sd_pre" in inputs else None
    if one is None:
        return dict(inputs)
    return {name: np.where(one, 0.0, values) if name.startswith("sd") else values for name, values in inputs.items()}


def _close(
    entry: Entry, effects: tuple[float, float], definition: Measure, added: float, variant: tuple[str | None, str]
) -> None:
    """Record the last steps: effect and variance with their formulas, what was added, and what makes them doubtful."""
    (effect, variance), (vtype, correction) = effects, variant
    folds = entry.unit.kind == "fold"
    rule = MEASURES["MD"] if folds else definition
    for_effect, for_variance = rule.formulas(tuple(entry.inputs), vtype)
    name = "ratio of geometric mean folds" if folds else definition.name + CORRECTION_TOLD[correction]
    one = math.isnan(variance) and 1 in (entry.inputs.get(name) for name in ("n", "n1", "n2"))
    doubts = ["one patient: the variance is undefined"] if one else _near_zero(entry, definition, folds)
    entry.trail.step(
        "yi", effect, name + (f", {added:g} added to every cell" if added else ""), formula=for_effect,
        citation=rule.citation, assumption="; ".join(doubts), basis=ASSUMED if doubts and not one else DERIVED,
    )  # fmt: skip
    if not math.isnan(variance):
        conversion = f"sampling variance, SE {number(math.sqrt(variance), 4)}"
        entry.trail.step("vi", variance, conversion, formula=for_variance, citation=rule.variance(vtype).citation)


def _near_zero(entry: Entry, definition: Measure, folds: bool) -> list[str]:
    """Apply Geary's rule: the log of a mean is close to normal only if mean·√n/SD is at least 3 (Lajeunesse 2015)."""
    if definition.code not in ("ROM", "ROMC") or folds:
        return []
    found = []
    for suffix, n in (("1", "n1"), ("2", "n2"), ("_pre", "n"), ("_post", "n")):
        if f"mean{suffix}" in entry.inputs:
            mean, sd = entry.inputs[f"mean{suffix}"], entry.inputs[f"sd{suffix}"]
            if mean * math.sqrt(entry.inputs[n]) < GEARY * sd:
                found.append(f"the log of mean{suffix} is close to normal, although mean·√n/SD is below {GEARY:g}")
    return found


def _covariance(
    groups: Sequence[Sequence[Entry]], definition: Measure, vi: np.ndarray, zero_cells: ZeroCells
) -> np.ndarray:
    V = np.diag(vi)
    start = 0
    for group in groups:
        block = slice(start, start + len(group))
        if len(group) > 1:
            V[block, block] = shared_control_matrix(vi[block], _shared(group, definition, zero_cells))
        start += len(group)
    return V


def _shared(group: Sequence[Entry], definition: Measure, zero_cells: ZeroCells) -> float:
    """Covariance of the contrasts of one study: the part of the variance that comes from the shared control."""
    one = group[0].inputs
    try:
        if "events2" not in one:
            return float(shared_control_covariance(definition.code, n=one["n2"], mean=one["mean2"], sd=one["sd2"]))
        cells = [e.inputs[k] for e in group for k in ("events1", "events2")]
        cells += [e.inputs["n1"] - e.inputs["events1"] for e in group] + [one["n2"] - one["events2"]]
        if min(cells) == 0 and zero_cells.to != "none":
            raise EffectSizeError(
                "a table has a zero cell, so the shared part of the variance depends on its correction"
            )
        return float(shared_control_covariance(definition.code, n=one["n2"], events=one["events2"]))
    except (EffectSizeError, UnknownChoice) as error:
        labels = some([entry.label for entry in group])
        raise RecordError(f"{labels} share a control arm: {error}; combine the arms instead.") from None
