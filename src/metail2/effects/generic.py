"""GEN: effects that come with their variance, standard error or interval."""

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
    check_finite(columns, "yi")
    if "vi" in columns:
        check_positive(columns, "vi")
        return {"yi": columns["yi"], "vi": columns["vi"]}
    if "sei" in columns:
        check_positive(columns, "sei")
        return {"yi": columns["yi"], "vi": columns["sei"] ** 2}
    return {"yi": columns["yi"], "vi": variance_from_interval(columns, "yi")}


GENERIC = Family("generic", (("yi", "vi"), ("yi", "sei"), ("yi", "ci_lower", "ci_upper")), _prepare)


@measure(
    "GEN",
    "effect",
    GENERIC,
    formulas=("as given", "as given"),
    from_columns={
        ("yi", "sei"): ("as given", "sei²"),
        ("yi", "ci_lower", "ci_upper"): ("as given", "((ci_upper − ci_lower)/(2·1.96))²"),
    },
    citation="as given; a 95 % interval is taken as normal",
)
def generic(yi: Floats, vi: Floats, vtype: str) -> tuple[Floats, Floats]:
    """The effect and its variance, as given."""
    return yi, vi
