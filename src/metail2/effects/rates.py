"""Measures of a single incidence rate: events in person-time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells, check_not_negative, check_positive, corrected
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.transforms import RATE_INVERSES
from metail2.effects.two_by_two import NOT_ADDED

Floats = NDArray[np.float64]
NO_NULL = float("nan")


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    check_not_negative(columns, "events")
    check_positive(columns, "time", rule="must be a person-time above 0")
    events = corrected({"events": columns["events"]}, columns["events"] == 0, options, chosen.add)
    return events | {"time": columns["time"]}


RATE = Family("rate", (("events", "time"),), _prepare)
_CITATION = "Rothman KJ, Greenland S, Lash TL (2008). Modern Epidemiology, 3rd ed., ch. 14"


@measure(
    "IR", "incidence rate", RATE, formulas=("x/t", "x/t²"), null=NO_NULL, bounds=(0, np.inf),
    no_variance=f"there is no event, {NOT_ADDED}", citation=_CITATION,
)  # fmt: skip
def raw_rate(events: Floats, time: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Incidence rate, events a unit of person-time."""
    return events / time, events / time**2


@measure(
    "IRLN", "incidence rate (log)", RATE,
    formulas=("ln(x/t)", "1/x"),
    scale="log incidence rate", transform="antilog", shown="incidence rate", null=NO_NULL, citation=_CITATION,
)  # fmt: skip
def log_rate(events: Floats, time: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log incidence rate."""
    return np.log(events / time), 1 / events


@measure(
    "IRS", "incidence rate (square root)", RATE,
    formulas=("√(x/t)", "1/(4t)"),
    scale="square root of the rate", transform="square", null=NO_NULL,
    add=0.0, citation="Bartlett MS (1936). Supplement to the Journal of the Royal Statistical Society 3:68–78",
)  # fmt: skip
def root_rate(events: Floats, time: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Square root of the rate, whose variance hardly depends on the rate."""
    return np.sqrt(events / time), 1 / (4 * time)


@measure(
    "IRFT", "incidence rate (Freeman–Tukey)", RATE,
    formulas=("½(√(x/t) + √((x + 1)/t))", "1/(4t)"),
    scale="mean of two square roots", transform="square", null=NO_NULL, inverses=RATE_INVERSES,
    add=0.0, citation="Freeman MF, Tukey JW (1950). Annals of Mathematical Statistics 21:607–611",
)  # fmt: skip
def freeman_tukey_rate_root(events: Floats, time: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Mean of two roots; `transforms.freeman_tukey_rate` inverts it exactly, its square only for long person-time."""
    return 0.5 * (np.sqrt(events / time) + np.sqrt((events + 1) / time)), 1 / (4 * time)
