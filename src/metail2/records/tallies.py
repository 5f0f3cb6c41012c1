"""Events and number of patients of the arms of one study, from counts or printed percentages."""

from __future__ import annotations

from dataclasses import dataclass

from metail2.conversions import events_from_percent, splits_from_percents, unique
from metail2.errors import EffectSizeError, RecordError
from metail2.records.patients import patients, randomised
from metail2.records.selection import Cell, Selection
from metail2.records.trail import Figure, Trail


@dataclass(frozen=True, slots=True)
class Tally:
    """Events among n patients; `how` says by which convention a percentage gives them, empty for printed counts."""

    events: float
    n: float
    how: str = ""


def arm_tallies(
    arms: list[Cell],
    both: Cell | None,
    selection: Selection,
    trails: list[Trail],
    suffixes: list[str],
    sizes: str,
    total: int,
) -> list[Tally]:
    """Return one tally an arm, recording every step.

    Parameters
    ----------
    arms : list of Cell
        The arms, experimental first.
    both : Cell or None
        What is printed for the arms together (the total number of patients).
    selection : Selection
        The study.
    trails, suffixes : list
        For each arm, where its steps go and how its quantities are named (``events1``).
    sizes : str
        One of `patients.ARM_SIZES`.
    total : int
        How many arms the study has, `arms` among them.

    Raises
    ------
    RecordError
        If counts are not printed and cannot be had from percentages; the message lists the possibilities.
    """
    if sizes == "printed" and both is not None and not any(arm.has("n") for arm in arms):
        return _split(arms, both, trails, suffixes, total)
    tallies = [
        _tally(arm, selection, trail, suffix, sizes, total)
        for arm, trail, suffix in zip(arms, trails, suffixes, strict=True)
    ]
    _refuse_mixed_conventions(arms[0], tallies)
    return tallies


def _refuse_mixed_conventions(first: Cell, tallies: list[Tally]) -> None:
    """One article prints its percentages by one convention, rounding or truncation."""
    hows = [tally.how for tally in tallies if tally.how]
    if not any(all(convention in how for how in hows) for convention in ("rounding", "truncation")):
        raise RecordError(
            f"{first.label}, {first.timepoint}: the counts fit one arm only by rounding and another only by "
            "truncation, so the percentages do not tell them; add the counts to the records or leave the study out."
        )


def _tally(arm: Cell, selection: Selection, trail: Trail, suffix: str, sizes: str, arms: int) -> Tally:
    n = patients(arm, selection, trail, f"n{suffix}", sizes, arms)
    events, how = _events(arm, n, trail, f"events{suffix}")
    if events > n:
        raise RecordError(f"{arm.place()}: {events:g} events among {n:g} patients are impossible; correct the records.")
    return Tally(events, randomised(arm, selection, trail, f"n{suffix}", n) if sizes == "randomised" else n, how)


def _events(arm: Cell, n: float, trail: Trail, quantity: str) -> tuple[float, str]:
    """Return the events and, where a percentage gives them, by which convention."""
    if arm.has("events"):
        return trail.printed(quantity, arm["events"]), ""
    if not arm.has("percent"):
        raise RecordError(f"{arm.place()}: neither events nor a percentage is printed ({arm.printed()}); leave it out.")
    percent = arm["percent"]
    try:
        found = unique(events_from_percent(percent.printed, int(n)))
    except EffectSizeError as error:
        raise RecordError(f"{arm.place()}: {error}") from None
    events = trail.step(
        quantity, float(found.events), "events from percentage", [percent],
        formula=f"the only count of {n:g} that prints as {percent.printed} % ({found.how})",
    )  # fmt: skip
    return events, found.how


def _split(arms: list[Cell], both: Cell, trails: list[Trail], suffixes: list[str], total: int) -> list[Tally]:
    """Return the only split of the total that reproduces the printed percentages."""
    where = f"{both.label}, {both.timepoint}"
    if len(arms) != 2 or total != 2 or not all(arm.has("percent") for arm in arms) or not both.has("n"):
        raise RecordError(f"{where}: two percentages and the total number of patients are needed to find the counts.")
    percents: list[Figure] = [arm["percent"] for arm in arms]
    try:
        found = unique(splits_from_percents(percents[0].printed, percents[1].printed, int(both["n"].value)))
    except EffectSizeError as error:
        raise RecordError(
            f"{where}: the arm sizes are not printed, and {_lower(str(error))} "
            "Add the arm sizes to the records, or assume equal arms with arm_sizes='allocation'."
        ) from None
    tallies = [Tally(found.events1, found.n1), Tally(found.events2, found.n2)]
    rule = f"the only split of {both['n'].printed} that prints as {percents[0].printed} and {percents[1].printed} %"
    for tally, trail, suffix in zip(tallies, trails, suffixes, strict=True):
        for quantity, value in ((f"n{suffix}", tally.n), (f"events{suffix}", tally.events)):
            trail.step(
                quantity, value, "counts from percentages and total", [*percents, both["n"]],
                formula=f"{rule} ({found.how})",
            )  # fmt: skip
    return tallies


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
