"""HR: the hazard ratio as trials print it, from its log, its interval, or a log-rank test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import check_finite, check_positive
from metail2.effects.definition import Family, Measure, measure
from metail2.effects.intervals import variance_from_interval

Floats = NDArray[np.float64]


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    if "log_hr" in columns:
        check_finite(columns, "log_hr")
        check_positive(columns, "se")
        return {"log_hr": columns["log_hr"], "variance": columns["se"] ** 2}
    if "hr" in columns:
        check_positive(columns, "hr", "ci_lower", "ci_upper")
        return {"log_hr": np.log(columns["hr"]), "variance": variance_from_interval(columns, "hr", "log")}
    check_finite(columns, "o_minus_e")
    check_positive(columns, "v")
    return {"log_hr": columns["o_minus_e"] / columns["v"], "variance": 1 / columns["v"]}


HAZARD = Family("hazard", (("log_hr", "se"), ("hr", "ci_lower", "ci_upper"), ("o_minus_e", "v")), _prepare)


@measure(
    "HR", "hazard ratio", HAZARD,
    formulas=("log_hr", "se²"),
    from_columns={
        ("hr", "ci_lower", "ci_upper"): ("ln hr", "((ln upper − ln lower)/(2·1.96))²"),
        ("o_minus_e", "v"): ("(O − E)/V of the log-rank test", "1/V"),
    },
    scale="log hazard ratio", transform="exp",
    citation="Parmar MKB, Torri V, Stewart L (1998). Statistics in Medicine 17:2815–2834; Tierney JF, Stewart LA, "
    "Ghersi D, Burdett S, Sydes MR (2007). Trials 8:16",
)  # fmt: skip
def hazard_ratio(log_hr: Floats, variance: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log hazard ratio; a 95 % interval is taken as normal on the log scale, (O − E)/V as Peto's estimate."""
    return log_hr, variance
