"""The unit guard: percentage points, percentage change, folds, counts and fractions are never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metail2.errors import RecordError

WORDS = {
    "score": "a score",
    "count": "a count of cells",
    "cell_fraction": "a fraction of cells",
    "percentage_points": "percentage points",
    "percent_change": "a percentage change",
    "fold": "a fold change",
    "ratio": "a ratio",
    "patients": "patients",
    "percent": "a percentage of patients",
    "events": "events, not patients",
}
_PEOPLE = {"patients", "percent"}
_UNIT_BEARING = ("MD", "MC")
_RATIOS = ("ROM", "ROMC")


@dataclass(frozen=True, slots=True)
class Unit:
    """What one study's figures are measured in.

    Attributes
    ----------
    study : str
        Label, for messages.
    kind : str
        One of the closed list of unit kinds.
    text : str
        The unit as printed.
    """

    study: str
    kind: str
    text: str


def guard(units: Sequence[Unit], measure: str) -> None:
    """Raise unless all figures may enter one effect measure together, naming two studies that may not."""
    first = units[0]
    for unit in units:
        if _group(unit.kind) != _group(first.kind):
            raise RecordError(
                f"{first.study} prints {_words(first)} but {unit.study} prints {_words(unit)}; these never mix, so "
                "harmonise them apart."
            )
        if measure in _UNIT_BEARING and unit.text != first.text:
            raise RecordError(
                f"{first.study} is in {first.text!r} but {unit.study} in {unit.text!r}; {measure} needs one unit, so "
                "use a standardised measure or a ratio, or harmonise them apart."
            )
        _guard_measure(unit, measure)


def _group(kind: str) -> str:
    return "people" if kind in _PEOPLE else kind


def _guard_measure(unit: Unit, measure: str) -> None:
    if measure in _RATIOS and unit.kind in ("percentage_points", "percent_change"):
        raise RecordError(
            f"{unit.study} prints {_words(unit)}; a ratio of changes has no meaning, so {measure} is refused."
        )
    if unit.kind == "fold" and measure != "ROM":
        raise RecordError(f"{unit.study} prints {_words(unit)}, which is a ratio already; harmonise it with ROM.")
    if unit.kind == "events":
        raise RecordError(f"{unit.study} counts {_words(unit)}, so no proportion of patients can be had; leave it out.")


def _words(unit: Unit) -> str:
    return WORDS.get(unit.kind, unit.kind)
