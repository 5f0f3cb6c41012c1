"""One builder a family of measures: from a study's figures to the columns of its effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from metail2.conversions import se_from_interval
from metail2.effects.measures import Measure
from metail2.errors import EffectSizeError, RecordError, UnknownChoice
from metail2.records.moments import HANDBOOK, Moments, arm_moments, combined_moments
from metail2.records.patients import ARM_SIZES, patients
from metail2.records.selection import Cell, Chosen, Selection, chosen
from metail2.records.tallies import Tally, arm_tallies
from metail2.records.trail import ASSUMED, Trail
from metail2.records.units import Unit, guard
from metail2.wording import listed

STUDY_COLUMNS = ("study_id", "cohort", "disease", "disease_group", "year", "country", "centre", "design", "schedule")


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
BUILDERS: Mapping[str, Builder] = {
    "two_by_two": _two_by_two,
    "two_means": _two_means,
    "change": _change,
    "proportion": _proportion,
    "generic": _generic,
}
