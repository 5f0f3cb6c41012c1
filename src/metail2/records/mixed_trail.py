"""The audit trail of a table of mixed statistics, built for all studies at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.effects.effect_sizes import TRAIL_COLUMNS
from metail2.effects.measures import Measure
from metail2.effects.moments import CORRECTION_TOLD
from metail2.records.mixed_columns import column_sets
from metail2.records.mixed_sheet import Derivation, Floats, Mask, Rows, Sheet
from metail2.records.moments import HANDBOOK
from metail2.records.trail import ASSUMED, DERIVED, PRINTED

_FROM_T: Mapping[str, str] = {
    "two_means": "(m1 − m2)/sd_pooled = t·√(1/n1 + 1/n2), df = n1 + n2 − 2",
    "change": "(m_post − m_pre)/sd_change = t/√n, df = n − 1",
    "correlation": "r = t/√(t² + df), df = n − 2",
    "partial_correlation": "r = t/√(t² + df), df = n − predictors − 1",
}
"""Family → how t leads to what its measures are made of."""
_TO_T: Mapping[str, str] = {"t": "", "f": "t = direction·√F; ", "p": "t = direction·quantile of P/2; "}
"""First column of a set from a test → how it leads to t."""
_EXACT_P = "P is exact, two-sided and comes from a t test"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to an effect.

    Attributes
    ----------
    names : tuple of str
        The figures it is computed from.
    measure : Measure
        With what; GEN for an effect that only needs its variance.
    """

    names: tuple[str, ...]
    measure: Measure


@dataclass(frozen=True, slots=True)
class Variant:
    """What was asked for beside the measure.

    Attributes
    ----------
    vtype : str or None
        Code of the variance; None for the default.
    correction : str
        Small-sample correction.
    """

    vtype: str | None
    correction: str


@dataclass(frozen=True, slots=True)
class _Step:
    """The same step of several studies."""

    rows: Rows
    values: Floats
    quantity: str
    texts: Mapping[str, str]


def trail(
    sheet: Sheet,
    ways: Sequence[tuple[Way, Rows]],
    effects: tuple[Floats, Floats],
    added: Floats,
    reasons: Mapping[int, str],
    variant: Variant,
) -> pd.DataFrame:
    """Tell for every study which figures were used, what was made of them, and how the effect was computed.

    Parameters
    ----------
    sheet : Sheet
        Figures and conversions.
    ways : sequence of (Way, ndarray of int)
        Each way with its rows.
    effects : tuple of ndarray, shape (k,)
        Effects and variances.
    added : ndarray, shape (k,)
        What was added to the cells of each row.
    reasons : mapping of int to str
        Row → why it has no effect or no variance.
    variant : Variant
        Which variance and small-sample correction of the measure.

    Returns
    -------
    DataFrame
        Columns `TRAIL_COLUMNS`, the studies in the order of the table. `records` is the row, `quotes` the column of a
        printed figure.
    """
    used = _used(sheet, ways)
    steps = [*_printed_steps(sheet, used), *_derived_steps(sheet, used)]
    for way, rows in ways:
        steps += _effect_steps(way, variant, rows[~np.isnan(effects[0][rows])], effects, added)
    steps += _failures(reasons, effects[0])
    return _frame(sheet, steps)


def _used(sheet: Sheet, ways: Iterable[tuple[Way, Rows]]) -> dict[str, Mask]:
    """Mark for every figure the rows whose effect rests on it, printed or had from others."""
    used: dict[str, Mask] = {}

    def mark(name: str, rows: Rows) -> None:
        used.setdefault(name, np.zeros(len(sheet), dtype=bool))[rows] = True

    for way, rows in ways:
        for name in way.names:
            mark(name, rows)
    for derivation in reversed(sheet.derivations):
        for source in derivation.sources:
            mark(source, _rested_on(derivation, used))
    return used


def _rested_on(derivation: Derivation, used: Mapping[str, Mask]) -> Rows:
    """Keep the rows of a derivation whose effect uses it."""
    if derivation.quantity not in used:
        return derivation.rows[:0]
    return derivation.rows[used[derivation.quantity][derivation.rows] & ~np.isnan(derivation.values)]


def _printed_steps(sheet: Sheet, used: Mapping[str, Mask]) -> list[_Step]:
    steps = []
    for name, place in sheet.places.items():
        if name in used:
            rows = np.flatnonzero(used[name] & (sheet.printed[name] == sheet[name]))
            texts = {"conversion": "as printed", "quotes": f"column {place!r}", "basis": PRINTED}
            steps.append(_Step(rows, sheet.printed[name][rows], name, texts))
    return steps


def _derived_steps(sheet: Sheet, used: Mapping[str, Mask]) -> list[_Step]:
    steps = []
    for derivation in sheet.derivations:
        rows = _rested_on(derivation, used)
        texts = {
            "conversion": derivation.conversion, "formula": derivation.formula, "citation": derivation.citation,
            "assumption": derivation.assumption, "basis": ASSUMED if derivation.assumption else DERIVED,
        }  # fmt: skip
        steps.append(_Step(rows, sheet[derivation.quantity][rows], derivation.quantity, texts))
    return steps


def _effect_steps(way: Way, variant: Variant, rows: Rows, effects: tuple[Floats, Floats], added: Floats) -> list[_Step]:
    """Record effect and variance with their formulas, unless they are in the trail as printed."""
    known = rows[~np.isnan(effects[1][rows])]
    variance = {"conversion": "sampling variance", "formula": "SE²", "basis": DERIVED}
    if "vi" in way.names:
        return []
    if "yi" in way.names:
        return [_Step(known, effects[1][known], "vi", variance)]
    steps = []
    texts = _computed_texts(way)
    for amount in np.unique(added[rows]):
        those = rows[added[rows] == amount]
        told = CORRECTION_TOLD[variant.correction] + (f", {amount:g} added to every cell" if amount else "")
        steps.append(_Step(those, effects[0][those], "yi", texts | {"conversion": way.measure.name + told}))
    variance["formula"] = way.measure.formulas(way.names, variant.vtype)[1]
    variance["citation"] = way.measure.variance(variant.vtype).citation
    return [*steps, _Step(known, effects[1][known], "vi", variance)]


def _computed_texts(way: Way) -> dict[str, str]:
    """Word the formula, source and assumption of an effect that the measure computed."""
    measure, first, family = way.measure, way.names[0], way.measure.family.name
    formula = measure.formulas(way.names)[0]
    to_t = "t = r·√(df/(1 − r²)); " if (first, family) == ("r", "two_means") else _TO_T.get(first)
    if to_t is None or family not in _FROM_T or way.names == column_sets(measure)[0]:
        printed = "(m1 − m2)/sd_pooled = d; " if (first, family) == ("d", "two_means") else ""
        return {"formula": printed + formula, "citation": measure.citation, "basis": DERIVED}
    return {
        "formula": f"{to_t}{_FROM_T[family]}; {formula}",
        "citation": f"{HANDBOOK}; {measure.citation}",
        "assumption": _EXACT_P if first == "p" else "",
        "basis": ASSUMED if first == "p" else DERIVED,
    }


def _failures(reasons: Mapping[int, str], yi: Floats) -> list[_Step]:
    """Record what could not be computed, and why."""
    steps = []
    for reason in dict.fromkeys(reasons.values()):
        rows = np.array([row for row, why in reasons.items() if why == reason], dtype=np.intp)
        for quantity, those in (("yi", rows[np.isnan(yi[rows])]), ("vi", rows[~np.isnan(yi[rows])])):
            texts = {"conversion": "not computed", "notes": reason, "basis": DERIVED}
            steps.append(_Step(those, np.full(len(those), np.nan), quantity, texts))
    return steps


def _frame(sheet: Sheet, steps: Sequence[_Step]) -> pd.DataFrame:
    """Put the steps of each study together, in the order of the table."""
    lengths = [len(step.rows) for step in steps]
    rows = np.concatenate([step.rows for step in steps])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    block = np.repeat(np.arange(len(steps)), lengths)[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    numbers = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows))) + 1
    texts = {
        name: np.array([step.texts.get(name, "") for step in steps], dtype=object)[block]
        for name in TRAIL_COLUMNS
    }  # fmt: skip
    texts |= {
        "study": np.array(sheet.labels, dtype=object)[rows],
        "step": numbers,
        "quantity": np.array([step.quantity for step in steps], dtype=object)[block],
        "value": np.concatenate([step.values for step in steps])[order],
        "records": np.array([f"row {row}" for row in sheet.index], dtype=object)[rows],
    }
    return pd.DataFrame(texts)
