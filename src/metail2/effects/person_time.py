"""Measures from events in person-time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells, check_not_negative, check_positive, corrected, marked
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.two_by_two import NOT_ADDED

Floats = NDArray[np.float64]


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    check_not_negative(columns, "events1", "events2")
    check_positive(columns, "time1", "time2", rule="must be a person-time above 0")
    events = {name: columns[name] for name in ("events1", "events2")}
    none1, none2 = events["events1"] == 0, events["events2"] == 0
    ready = corrected(events, none1 | none2, options, chosen.add)
    ready = marked(ready, none1 & none2) if options.drop00 else ready
    return ready | {name: columns[name] for name in ("time1", "time2")}


PERSON_TIME = Family("person_time", (("events1", "time1", "events2", "time2"),), _prepare)
_CITATION = "Rothman KJ, Greenland S, Lash TL (2008). Modern Epidemiology, 3rd ed., ch. 14"


@measure(
    "IRR",
    "incidence rate ratio",
    PERSON_TIME,
    formulas=("ln(x1/t1) − ln(x2/t2)", "1/x1 + 1/x2"),
    scale="log incidence rate ratio",
    transform="exp",
    citation=_CITATION,
)
def rate_ratio(events1: Floats, events2: Floats, time1: Floats, time2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log incidence rate ratio."""
    return np.log(events1 / time1) - np.log(events2 / time2), 1 / events1 + 1 / events2


@measure(
    "IRD",
    "incidence rate difference",
    PERSON_TIME,
    formulas=("x1/t1 − x2/t2", "x1/t1² + x2/t2²"),
    citation=_CITATION,
    no_variance=f"neither arm has an event, {NOT_ADDED}",
)
def rate_difference(
    events1: Floats, events2: Floats, time1: Floats, time2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Incidence rate difference, events a unit of person-time."""
    return events1 / time1 - events2 / time2, events1 / time1**2 + events2 / time2**2


@measure(
    "IRSD", "difference of square-root incidence rates", PERSON_TIME,
    formulas=("√(x1/t1) − √(x2/t2)", "1/(4t1) + 1/(4t2)"),
    add=0.0, citation="Bartlett MS (1936). Supplement to the Journal of the Royal Statistical Society 3:68–78",
)  # fmt: skip
def root_rate_difference(
    events1: Floats, events2: Floats, time1: Floats, time2: Floats, vtype: str
) -> tuple[Floats, Floats]:
    """Difference of the variance-stabilised rates √(x/t)."""
    return np.sqrt(events1 / time1) - np.sqrt(events2 / time2), 1 / (4 * time1) + 1 / (4 * time2)
