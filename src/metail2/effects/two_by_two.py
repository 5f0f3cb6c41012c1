"""Measures from two-by-two tables: a, b events and non-events in the experimental arm; c, d in the control arm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells, check_events, check_not_negative, corrected, marked
from metail2.effects.definition import Family, Measure, measure
from metail2.kernels.tables import hypergeometric_variance

Floats = NDArray[np.float64]
NOT_ADDED = "and nothing was added to the cells"


def cells(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return a, b, c, d from either way of giving a table, after checking it."""
    if "a" in columns:
        check_not_negative(columns, "a", "b", "c", "d")
        return {name: columns[name] for name in "abcd"}
    check_events(columns, "events1", "n1")
    check_events(columns, "events2", "n2")
    a, n1, c, n2 = (columns[name] for name in ("events1", "n1", "events2", "n2"))
    return {"a": a, "b": n1 - a, "c": c, "d": n2 - c}


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    table = cells(columns)
    a, b, c, d = (table[name] for name in "abcd")
    zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    ready = corrected(table, zero, options, chosen.add)
    return marked(ready, ((a == 0) & (c == 0)) | ((b == 0) & (d == 0))) if options.drop00 else ready


TWO_BY_TWO = Family("two_by_two", (("events1", "n1", "events2", "n2"), ("a", "b", "c", "d")), _prepare)


@measure(
    "RR", "risk ratio", TWO_BY_TWO,
    formulas=("ln(a/n1) − ln(c/n2)", "1/a − 1/n1 + 1/c − 1/n2"),
    scale="log risk ratio", transform="exp", no_variance=f"all patients of both arms have the event, {NOT_ADDED}",
    citation="Katz D, Baptista J, Azen SP, Pike MC (1978). Biometrics 34:469–474",
)  # fmt: skip
def risk_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log risk ratio."""
    n1, n2 = a + b, c + d
    return np.log(a / n1) - np.log(c / n2), b / (a * n1) + d / (c * n2)


@measure(
    "OR", "odds ratio", TWO_BY_TWO,
    formulas=("ln(ad/(bc))", "1/a + 1/b + 1/c + 1/d"),
    scale="log odds ratio", transform="exp",
    citation="Woolf B (1955). Annals of Human Genetics 19:251–253",
)  # fmt: skip
def odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log odds ratio."""
    return np.log(a) - np.log(b) - np.log(c) + np.log(d), 1 / a + 1 / b + 1 / c + 1 / d


@measure(
    "RD", "risk difference", TWO_BY_TWO,
    formulas=("a/n1 − c/n2", "ab/n1³ + cd/n2³"), bounds=(-1, 1),
    no_variance=f"in each arm all patients or none have the event, {NOT_ADDED}",
    citation="Newcombe RG (1998). Statistics in Medicine 17:873–890 (Wald variance)",
)  # fmt: skip
def risk_difference(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Risk difference, as a fraction."""
    n1, n2 = a + b, c + d
    return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3


@measure(
    "PETO", "odds ratio (Peto)", TWO_BY_TWO,
    formulas=("(O − E)/V", "1/V, V hypergeometric"),
    scale="log odds ratio", transform="exp",
    citation="Yusuf S, Peto R, Lewis J, Collins R, Sleight P (1985). Progress in Cardiovascular Diseases 27:335–371",
)  # fmt: skip
def peto_odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log odds ratio by Peto's one step, (O − E)/V."""
    v = hypergeometric_variance(a, b, c, d)
    return (a - (a + c) * (a + b) / (a + b + c + d)) / v, 1 / v


@measure(
    "AS", "arcsine difference", TWO_BY_TWO,
    formulas=("asin √(a/n1) − asin √(c/n2)", "1/(4n1) + 1/(4n2)"),
    add=0.0, bounds=(-np.pi / 2, np.pi / 2),
    citation="Rücker G, Schwarzer G, Carpenter J, Olkin I (2009). Statistics in Medicine 28:721–738",
)  # fmt: skip
def arcsine_difference(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Difference of the variance-stabilised risks asin √p, in radians; tables without events need no correction."""
    n1, n2 = a + b, c + d
    return np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2)), 1 / (4 * n1) + 1 / (4 * n2)
