"""A plain table, one row a study, as views: its comparisons, and the arms that they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from string import whitespace

import numpy as np
import pandas as pd

from metail2.checks.view import Cells, Texts, View, Whole
from metail2.effects.definition import Measure
from metail2.effects.measures import MEASURES
from metail2.records.mixed_columns import known_columns as columns_of
from metail2.records.study_table import MISSING, ROW

ARM_QUANTITIES = ("n", "mean", "sd", "se", "mean_lower", "mean_upper", "median", "q1", "q3", "min", "max", "events",
                  "percent", "time")  # fmt: skip
SUFFIXES = {"1": "arm 1", "2": "arm 2", "_post": "after", "_pre": "before", "": "group"}
OF_ROWS = ("scale_items", "icc", "design_effect", "level")
"""What a row says of all its arms."""
PERCENT_SIGN = "% \u00a0\u202f"
TABLES = {"1": ("a", "b"), "2": ("c", "d")}
"""Cells of a two-by-two table that an arm is made of; in matched pairs they are no arms."""
CONTRAST_QUANTITIES = ("estimate", "se", "ci_lower", "ci_upper", "p", "t", "f", "direction", "d", "g", "r", "yi", "vi",
                       "sei", "mean_change", "sd_change", "se_change", "level", "scale_items", "icc",
                       "design_effect", "baseline_mean1", "baseline_sd1", "baseline_mean2",
                       "baseline_sd2")  # fmt: skip


def arm_column(quantity: str, suffix: str) -> str:
    """Name the column of one arm's quantity: ``sd`` of arm 1 is ``sd1``, ``q1`` of arm 1 is ``q1_1``."""
    if quantity.startswith("mean_"):
        return f"mean{suffix}_{quantity.removeprefix('mean_')}"
    if suffix in ("1", "2") and quantity[-1].isdigit():
        return f"{quantity}_{suffix}"
    return quantity + suffix


def known_columns(measure: Measure | None) -> tuple[str, ...]:
    """Every name of a column that the checks understand, those of the measure first."""
    return _known_columns(measure.code if measure else "")


@cache
def _known_columns(code: str) -> tuple[str, ...]:
    measures = [MEASURES[code]] if code else list(MEASURES.values())
    own = [name for measure in measures for names in measure.family.columns for name in names]
    own += [name for measure in measures for name in columns_of(measure)]
    arms = [arm_column(quantity, suffix) for suffix in SUFFIXES for quantity in ARM_QUANTITIES]
    return tuple(dict.fromkeys([*own, *arms, *CONTRAST_QUANTITIES]))


def cells_of(table: pd.DataFrame, names: Mapping[str, str]) -> dict[str, Cells]:
    """Read the columns of a table as cells, by metail2's names.

    Parameters
    ----------
    table : DataFrame, k rows
        Cells as text or as numbers; for its index see `rows_of`.
    names : mapping of str to str
        metail2's name of a column → its name in the table.
    """
    rows = rows_of(table)
    return {
        name: _column(table[column], column, rows, PERCENT_SIGN if name.startswith("percent") else "")
        for name, column in names.items()
    }


def rows_of(table: pd.DataFrame) -> Whole:
    """Rows as a spreadsheet counts them, with a header in row 1.

    An index that is called `ROW` holds them. One of whole numbers without that name is what pandas counts from 0, of
    which rows may have been left out or sorted, so that 2 is added. Any other says nothing of a file.
    """
    index = table.index
    if pd.api.types.is_integer_dtype(index.dtype) and index.is_unique and (index.name == ROW or not (index < 0).any()):
        return index.to_numpy(dtype=np.int64) + (0 if index.name == ROW else 2)
    return np.arange(2, len(table) + 2, dtype=np.int64)


def _column(series: pd.Series, column: str, rows: Whole, sign: str) -> Cells:
    cells = zip(series.tolist(), series.isna().tolist(), strict=True)
    printed = np.full(len(rows), "", dtype=object)
    printed[:] = ["" if missing else _text(cell, sign) for cell, missing in cells]
    value = np.asarray(pd.to_numeric(printed, errors="coerce"), dtype=float)
    return Cells(value, printed, rows, np.full(len(rows), column, dtype=object))


def _text(cell: object, sign: str) -> str:
    """A cell as printed, without a sign behind it; the number 27.0 does not tell that a decimal was printed."""
    text = (str(cell).strip(whitespace) or str(cell)).rstrip(sign)
    if text in MISSING:
        return ""
    return text.removesuffix(".0") if isinstance(cell, float) else text


def comparisons(
    file: str, cells: Mapping[str, Cells], labels: pd.DataFrame, measure: Measure | None, options: Mapping[str, object]
) -> View:
    """One entry a row."""
    return View(file, labels, cells, measure, options=options)


def arms(
    file: str, cells: Mapping[str, Cells], labels: pd.DataFrame, measure: Measure | None, options: Mapping[str, object]
) -> View:
    """One entry an arm (or time) of a row: all first arms, then all second ones and so on."""
    shared = "n" if any(f"mean{s}" in cells for s in ("_post", "_pre")) else ""
    tables = TABLES if measure is not None and measure.family.name == "two_by_two" else {}
    parts = {suffix: _arm(cells, suffix, shared, tables.get(suffix)) for suffix in SUFFIXES if suffix or not shared}
    parts = {suffix: part for suffix, part in parts.items() if part}
    joined = pd.DataFrame({name: np.tile(labels[name], len(parts)) for name in labels})
    joined["arm"] = np.repeat([SUFFIXES[suffix] for suffix in parts], len(labels)).astype(object)
    quantities = dict.fromkeys(name for part in parts.values() for name in part)
    stacked = {name: _stack([part.get(name) for part in parts.values()], len(labels)) for name in quantities}
    return View(file, joined, stacked, measure, options=options)


def _arm(cells: Mapping[str, Cells], suffix: str, shared: str, table: tuple[str, str] | None) -> dict[str, Cells]:
    found = {q: cells[arm_column(q, suffix)] for q in ARM_QUANTITIES if arm_column(q, suffix) in cells}
    if suffix in ("_post", "_pre") and found and shared in cells:
        found["n"] = cells[shared]
    if table and all(name in cells for name in table):
        found |= {"events": cells[table[0]], "n": _sum(cells[table[0]], cells[table[1]])}
    if found:
        found |= {name: cells[name] for name in OF_ROWS if name in cells}
    return found


def _sum(one: Cells, other: Cells) -> Cells:
    """Patients as events and others together; worked out, so not printed, it stands where the others stand."""
    return Cells(one.value + other.value, _texts(len(one.value)), other.row, other.column)


def _stack(parts: Sequence[Cells | None], k: int) -> Cells:
    empty = Cells(np.full(k, np.nan), _texts(k), np.zeros(k, dtype=np.int64), _texts(k))
    filled = [part or empty for part in parts]
    return Cells(
        np.concatenate([part.value for part in filled]),
        np.concatenate([part.printed for part in filled]),
        np.concatenate([part.row for part in filled]),
        np.concatenate([part.column for part in filled]),
    )


def _texts(k: int) -> Texts:
    return np.full(k, "", dtype=object)
