"""harmonise(): from printed figures to effect sizes of one measure, with the trail of every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metail2.conversions import SUMMARY_METHODS, se_from_interval, shared_control_covariance, shared_control_matrix
from metail2.effects.compute import computed
from metail2.effects.counts import ZeroCells
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES, Measure
from metail2.errors import EffectSizeError, RecordError, UnknownChoice
from metail2.records.moments import HANDBOOK, Moments, arm_moments, combined_moments
from metail2.records.patients import ARM_SIZES, patients
from metail2.records.selection import Cell, Chosen, Selection, chosen
from metail2.records.tallies import Tally, arm_tallies
from metail2.records.trail import ASSUMED, Trail
from metail2.records.trial_records import TrialRecords
from metail2.records.units import Unit, guard
from metail2.wording import listed, number

STUDY_COLUMNS = ("study_id", "cohort", "disease", "disease_group", "year", "country", "centre", "design")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the records; see `harmonise` for the meaning of each."""

    outcome: str
    measure: Measure
    timepoint: Chosen
    population: Chosen
    baseline: str
    arms: str
    role: str
    r: float | None
    arm_sizes: Chosen
    method: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect in the making: its label, the measure's columns, its unit, what moderators may name, its trail."""

    label: str
    inputs: Mapping[str, float]
    unit: Unit
    facts: Mapping[str, object]
    trail: Trail


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
) -> EffectSizes:
    """Turn printed figures into effect sizes.

    Parameters
    ----------
    records : TrialRecords
        From `load_records` or `read_records`.
    outcome : str or sequence of str
        Which outcome; several only where they are one thing under several names (their units must agree).
    measure : str
        Code in `MEASURES`: a contrast of two arms (RR, OR, RD, MD, SMD, ROM), a change in one group (MC, SMCC, SMCR,
        ROMC), a proportion (PR, PLO, PFT) or a printed estimate (GEN).
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
        Assumed correlation of the values before and after, needed for measures of change.
    arm_sizes : str or mapping of study_id to str
        ``"printed"``; ``"allocation"``: the total is shared by the allocation ratio; ``"randomised"``: all randomised
        patients, those without an outcome counted as not having the event. The last two are marked as assumed.
    method : str
        How medians, quartiles and ranges become means and SDs; a name in `conversions.SUMMARY_METHODS`.
    add, to, drop00, vtype
        As in `effect_sizes`.

    Returns
    -------
    EffectSizes
        One effect a study (or arm), in the order asked; `trail` says what each rests on. A single patient has an
        effect but no variance.

    Raises
    ------
    RecordError
        If a study prints too little or something ambiguous, a cohort would be entered twice, or units do not agree;
        the message names the study and what to do.
    UnknownChoice
        If a name is not among the choices.
    """
    definition = MEASURES[measure]
    for kind, given, choices in (
        ("way to treat several arms", arms, ("combine", "separate")),
        ("role", role, ("experimental", "control")),
    ):
        if given not in choices:
            raise UnknownChoice(kind, given, choices)
    _check_choices(records, definition, method, vtype, (timepoint, population, arm_sizes))
    names = [outcome] if isinstance(outcome, str) else list(outcome)
    selections = _selections(records, names, studies)
    entries = []
    for selection in selections:
        question = Question(
            selection.outcome, definition, timepoint, population, baseline, arms, role, r, arm_sizes, method
        )  # fmt: skip
        entries.append(_BUILDERS[definition.family.name](selection, question))
    flat = [entry for group in entries for entry in group]
    guard([entry.unit for entry in flat], measure)
    return _effects(flat, entries, definition, ZeroCells(add, to, drop00), vtype)


def _check_choices(
    records: TrialRecords, definition: Measure, method: str, vtype: str | None, options: Sequence[Chosen]
) -> None:
    """Refuse names that no study or registry has, also where this question would not use them."""
    if definition.family.name not in _BUILDERS:
        usable = [code for code, measure in MEASURES.items() if measure.family.name in _BUILDERS]
        raise UnknownChoice("measure of printed figures", definition.code, usable)
    if vtype is not None and vtype not in definition.vtypes:
        raise UnknownChoice(f"variance of {definition.code}", vtype, definition.vtypes)
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


def _cells(selection: Selection, question: Question) -> tuple[str, list[Cell]]:
    when = selection.timepoint(chosen(question.timepoint, selection.study_id))
    who = selection.population(when, chosen(question.population, selection.study_id))
    return when, selection.cells(when, who)


def _with_role(cells: Sequence[Cell], role: str, selection: Selection, when: str) -> list[Cell]:
    found = [cell for cell in cells if cell.role == role]
    if not found:
        raise RecordError(f"{selection.label} has no {role} arm for {selection.outcome!r} at {when}; leave it out.")
    return found


def _control(cells: Sequence[Cell], selection: Selection, when: str) -> Cell:
    found = _with_role(cells, "control", selection, when)
    if len(found) > 1:
        raise RecordError(f"{selection.label} has {len(found)} control arms for {selection.outcome!r}; keep one.")
    return found[0]


def _guard_cells(cells: Sequence[Cell], question: Question) -> None:
    """Raise unless the arms and times of one study are in units that may enter the measure together."""
    told = [Unit(cell.place(), cell.unit_kind, cell.unit) for cell in cells if set(cell.figures) - {"n"}]
    if told:
        guard(told, question.measure.code)


def _entry(selection: Selection, cell: Cell, arms: Sequence[Cell], inputs: Mapping[str, float], trail: Trail) -> Entry:
    study = selection.study
    facts: dict[str, object] = {name: study.get(name, "") for name in STUDY_COLUMNS}
    doses = dict.fromkeys(arm.dose for arm in arms if arm.dose)
    facts |= {
        "outcome": selection.outcome, "timepoint": cell.timepoint, "window": cell.window,
        "arm": ", ".join(arm.arm for arm in arms), "dose": ", ".join(doses), "unit": cell.unit,
        "unit_kind": cell.unit_kind,
    }  # fmt: skip
    return Entry(trail.study, inputs, Unit(trail.study, cell.unit_kind, cell.unit), facts, trail)


def _contrasts(
    selection: Selection, question: Question, experimental: Sequence[Cell]
) -> list[tuple[Trail, list[Cell]]]:
    """One trail and its experimental arms for each effect: all arms together, or each apart."""
    if question.arms == "combine" or len(experimental) == 1:
        return [(Trail(selection.label), list(experimental))]
    doses = {cell.dose for cell in experimental}
    told = [cell.dose if len(doses) == len(experimental) and cell.dose else cell.arm for cell in experimental]
    return [(Trail(f"{selection.label}, {name}"), [cell]) for name, cell in zip(told, experimental, strict=True)]


def _two_by_two(selection: Selection, question: Question) -> list[Entry]:
    when, cells = _cells(selection, question)
    experimental = _with_role(cells, "experimental", selection, when)
    control = _control(cells, selection, when)
    both = next((cell for cell in cells if cell.role == "both"), None)
    _guard_cells([*experimental, control], question)
    total = len(experimental) + 1
    entries = []
    for trail, arms in _contrasts(selection, question, experimental):
        tallies = _tallies([*arms, control], both, selection, question, trail, [*["1"] * len(arms), "2"], total)
        first = _combined(tallies[:-1], trail)
        second = tallies[-1]
        inputs = {"events1": first.events, "n1": first.n, "events2": second.events, "n2": second.n}
        entries.append(_entry(selection, arms[0], arms, inputs, trail))
    return entries


def _tallies(
    arms: list[Cell],
    both: Cell | None,
    selection: Selection,
    question: Question,
    trail: Trail,
    suffixes: list[str],
    total: int,
) -> list[Tally]:
    return arm_tallies(arms, both, selection, [trail] * len(arms), suffixes, _sizes(selection, question), total)


def _sizes(selection: Selection, question: Question) -> str:
    sizes = chosen(question.arm_sizes, selection.study_id) or "printed"
    if sizes not in ARM_SIZES:
        raise UnknownChoice("source of arm sizes", sizes, ARM_SIZES)
    return sizes


def _combined(tallies: Sequence[Tally], trail: Trail) -> Tally:
    if len(tallies) == 1:
        return tallies[0]
    total = Tally(sum(tally.events for tally in tallies), sum(tally.n for tally in tallies))
    trail.step("events1", total.events, f"{len(tallies)} arms combined", formula="sum of the arms")
    trail.step("n1", total.n, f"{len(tallies)} arms combined", formula="sum of the arms")
    return total


def _proportion(selection: Selection, question: Question) -> list[Entry]:
    when, cells = _cells(selection, question)
    arms = _with_role(cells, question.role, selection, when)
    _guard_cells(arms, question)
    trail = Trail(selection.label)
    tally = _combined(_tallies(arms, None, selection, question, trail, [""] * len(arms), len(arms)), trail)
    return [_entry(selection, arms[0], arms, {"events": tally.events, "n": tally.n}, trail)]


def _two_means(selection: Selection, question: Question) -> list[Entry]:
    when, cells = _cells(selection, question)
    experimental = _with_role(cells, "experimental", selection, when)
    control = _control(cells, selection, when)
    _guard_cells([*experimental, control], question)
    entries, total = [], len(experimental) + 1
    for trail, arms in _contrasts(selection, question, experimental):
        parts = [_moments(arm, selection, question, trail, "1", total) for arm in arms]
        first = combined_moments(parts, trail, "1")
        second = _moments(control, selection, question, trail, "2", total)
        inputs = {
            "mean1": first.mean, "sd1": first.sd, "n1": first.n, "mean2": second.mean, "sd2": second.sd, "n2": second.n
        }  # fmt: skip
        entries.append(_entry(selection, arms[0], arms, inputs, trail))
    return entries


def _moments(cell: Cell, selection: Selection, question: Question, trail: Trail, suffix: str, arms: int) -> Moments:
    n = patients(cell, selection, trail, f"n{suffix}", _sizes(selection, question), arms)
    return arm_moments(cell, n, trail, question.method, suffix)


def _change(selection: Selection, question: Question) -> list[Entry]:
    if question.r is None:
        raise RecordError(
            f"{question.measure.code} needs the correlation of the values before and after, which trials seldom print; "
            "assume one with r=0.5 (the trail marks it as assumed) and vary it."
        )
    when, after = _cells(selection, question)
    before = {cell.arm: cell for cell in selection.cells(question.baseline)}
    arms = _with_role(after, question.role, selection, when)
    trail = Trail(selection.label)
    pre, post = [], []
    for arm in arms:
        if arm.arm not in before:
            raise RecordError(
                f"{arm.place()}: nothing is printed at {question.baseline}, so there is no change; leave the study out."
            )
        _guard_cells([before[arm.arm], arm], question)
        pre.append(_moments(_with_n(before[arm.arm], arm), selection, question, trail, "_pre", len(arms)))
        post.append(_moments(_with_n(arm, before[arm.arm]), selection, question, trail, "_post", len(arms)))
    first, last = combined_moments(pre, trail, "_pre"), combined_moments(post, trail, "_post")
    if first.n != last.n:
        raise RecordError(
            f"{selection.label}: {first.n:g} patients at {question.baseline} but {last.n:g} at {when}, so the change "
            "is not that of one group; leave the study out."
        )
    trail.step(
        "r", question.r, "correlation of before and after", basis=ASSUMED,
        assumption=f"r = {question.r:g}; it is not printed",
    )  # fmt: skip
    inputs = {
        "mean_post": last.mean, "sd_post": last.sd, "mean_pre": first.mean, "sd_pre": first.sd, "n": last.n,
        "r": question.r,
    }  # fmt: skip
    return [_entry(selection, arms[0], arms, inputs, trail)]


def _with_n(cell: Cell, other: Cell) -> Cell:
    """Take the number of patients from the other time where this one prints none."""
    if cell.has("n") or not other.has("n"):
        return cell
    return replace(cell, figures={**cell.figures, "n": other["n"]})


def _generic(selection: Selection, question: Question) -> list[Entry]:
    cell = _estimate(selection, question)
    trail = Trail(selection.label)
    estimate = trail.printed("yi", cell["estimate"], cell.unit)
    if cell.has("se"):
        error = trail.printed("sei", cell["se"], cell.unit)
    elif cell.has("ci_low", "ci_high"):
        error = _error_from_interval(cell, trail)
    else:
        raise RecordError(f"{cell.place()}: the estimate has neither a standard error nor an interval; leave it out.")
    return [_entry(selection, cell, [cell], {"yi": estimate, "sei": error}, trail)]


def _error_from_interval(cell: Cell, trail: Trail) -> float:
    low, high = cell["ci_low"], cell["ci_high"]
    try:
        error = float(se_from_interval(low.value, high.value, estimate=cell["estimate"].value))
    except EffectSizeError as wrong:
        raise RecordError(f"{cell.place()}: {wrong}") from None
    return trail.step(
        "sei", error, "SE from 95 % interval", [low, high], formula="(upper − lower)/(2·1.96)", citation=HANDBOOK
    )


def _estimate(selection: Selection, question: Question) -> Cell:
    """Return the one cell that prints an estimate: between arms, or of the arm whose role is asked for."""
    found = [
        cell
        for when in dict.fromkeys(selection.rows["timepoint"])
        for cell in selection.cells(when, chosen(question.population, selection.study_id))
        if cell.has("estimate") and cell.role in ("contrast", question.role)
    ]
    wanted = chosen(question.timepoint, selection.study_id)
    at = [cell for cell in found if wanted in (None, cell.timepoint)]
    if not at:
        when = f" at {wanted}" if wanted else ""
        raise RecordError(f"{selection.label} prints no estimate for {selection.outcome!r}{when}; leave it out.")
    if len(at) > 1:
        places = listed([f"arm {cell.arm}, {cell.timepoint}" for cell in at])
        raise RecordError(
            f"{selection.label} prints several estimates for {selection.outcome!r} ({places}); choose one with "
            "timepoint, or keep one in the records."
        )
    return at[0]


Builder = Callable[[Selection, Question], list[Entry]]
_BUILDERS: Mapping[str, Builder] = {
    "two_by_two": _two_by_two,
    "two_means": _two_means,
    "change": _change,
    "proportion": _proportion,
    "generic": _generic,
}


def _effects(
    entries: Sequence[Entry],
    groups: Sequence[Sequence[Entry]],
    definition: Measure,
    zero_cells: ZeroCells,
    vtype: str | None,
) -> EffectSizes:
    labels = tuple(entry.label for entry in entries)
    names = list(dict.fromkeys(name for entry in entries for name in entry.inputs))
    inputs = {name: np.array([entry.inputs.get(name, math.nan) for entry in entries]) for name in names}
    folds = entries[0].unit.kind == "fold"
    rule = MEASURES["MD"] if folds else definition  # the moments of folds are on the log scale already
    yi, vi = computed(rule, _single_patients(inputs), zero_cells, None if folds else vtype, labels)
    added = _correction(definition, inputs, zero_cells)
    for entry, effect, variance, amount in zip(entries, yi, vi, added, strict=True):
        _close(entry, float(effect), float(variance), definition, float(amount))
    V = _covariance(groups, definition, vi, zero_cells) if any(len(group) > 1 for group in groups) else None
    facts = pd.DataFrame([{"study": entry.label, **entry.facts} for entry in entries])
    trail = pd.concat([entry.trail.frame() for entry in entries], ignore_index=True)
    shown = {} if folds else inputs
    return EffectSizes(yi, vi, definition.code, V, shown, labels, facts, trail)


def _single_patients(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give single patients an SD of 0, so that their effect can be computed; its variance of 0 then becomes NaN."""
    one = inputs["n"] == 1 if "sd_pre" in inputs else None
    if one is None:
        return dict(inputs)
    return {name: np.where(one, 0.0, values) if name.startswith("sd") else values for name, values in inputs.items()}


def _correction(definition: Measure, inputs: Mapping[str, np.ndarray], zero_cells: ZeroCells) -> np.ndarray:
    """Find what was added to the cells of each table or proportion, shape (k,); 0 where nothing was."""
    numbers = [np.asarray(values) for values in inputs.values()]
    if definition.family.name not in ("two_by_two", "proportion"):
        return np.zeros(len(numbers[0]))
    ready = definition.family.prepare(inputs, definition, zero_cells)
    first = "a" if "a" in ready else "events"
    return np.asarray(np.nan_to_num(ready[first] - inputs["events1" if first == "a" else "events"]))


def _close(entry: Entry, effect: float, variance: float, definition: Measure, added: float) -> None:
    """Record the last step: the effect, what was added to its cells, and why it has no variance where it has none."""
    correction = f", {added:g} added to every cell" if added else ""
    one = math.isnan(variance) and 1 in (entry.inputs.get(name) for name in ("n", "n1", "n2"))
    entry.trail.step(
        "yi", effect, definition.name + correction, formula=definition.scale, citation=definition.citation,
        assumption="one patient: the variance is undefined" if one else "",
    )  # fmt: skip
    if not math.isnan(variance):
        entry.trail.step("vi", variance, f"sampling variance, SE {number(math.sqrt(variance), 4)}")


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
        labels = listed([entry.label for entry in group])
        raise RecordError(f"{labels} share a control arm: {error}; combine the arms instead.") from None
