"""Measures of reliability: Cronbach's coefficient alpha of a scale with several items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import require
from metail2.effects.definition import Family, Measure, measure

Floats = NDArray[np.float64]
NO_NULL = float("nan")
_COLUMNS = ("alpha", "items", "n")


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    alpha, items, n = (columns[name] for name in _COLUMNS)
    require(columns, "alpha", (alpha <= 1) & np.isfinite(alpha), "must be at most 1")
    require(columns, "items", (items >= 2) & np.isfinite(items), "must be a number of items of at least 2")
    require(columns, "n", (n > 2) & np.isfinite(n), "must be a number of persons above 2")
    return {name: columns[name] for name in _COLUMNS}


RELIABILITY = Family("reliability", (_COLUMNS,), _prepare)


@measure(
    "ARAW", "coefficient alpha", RELIABILITY,
    formulas=("α", "2m(1 − α)²/((m − 1)(n − 2)), m items"),
    null=NO_NULL, bounds=(-np.inf, 1), no_variance="its alpha is 1",
    citation="Bonett DG (2010). Psychological Methods 15:368–385",
)  # fmt: skip
def raw_alpha(alpha: Floats, items: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Coefficient alpha; the variance holds for items with equal variances and equal correlations."""
    return alpha, 2 * items * (1 - alpha) ** 2 / ((items - 1) * (n - 2))


@measure(
    "AHW", "coefficient alpha (Hakstian–Whalen)", RELIABILITY,
    formulas=("1 − (1 − α)^(1/3)", "18m(n − 1)(1 − α)^(2/3)/((m − 1)(9n − 11)²), m items"),
    scale="1 − ∛(1 − alpha)", transform="one_minus_cube", null=NO_NULL, no_variance="its alpha is 1",
    citation="Hakstian AR, Whalen TE (1976). Psychometrika 41:219–231",
)  # fmt: skip
def cube_root_alpha(alpha: Floats, items: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Cube-root transform of coefficient alpha, turned so that it rises with alpha."""
    root = np.cbrt(1 - alpha)
    return 1 - root, 18 * items * (n - 1) * root**2 / ((items - 1) * (9 * n - 11) ** 2)


@measure(
    "ABT", "coefficient alpha (Bonett)", RELIABILITY,
    formulas=("−ln(1 − α)", "2m/((m − 1)(n − 2)), m items"),
    scale="−ln(1 − alpha)", transform="one_minus_exp", null=NO_NULL, undefined="its alpha is 1",
    citation="Bonett DG (2002). Journal of Educational and Behavioral Statistics 27:335–340",
)  # fmt: skip
def log_alpha(alpha: Floats, items: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log transform of coefficient alpha, whose variance does not depend on alpha."""
    return -np.log1p(-alpha), 2 * items / ((items - 1) * (n - 2))
