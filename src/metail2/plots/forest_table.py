"""The table of a forest plot: its rows, each a name and one line of figures in monospace text."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import pandas as pd

from metail2.effects.measures import MEASURES
from metail2.effects.transforms import Transform
from metail2.plots.fonts import ADVANCE, NBSP, Fonts, broken, left_to_right
from metail2.plots.forest_words import Facts, effect_header, group_heterogeneity, model_label
from metail2.registry import Registry
from metail2.wording import MINUS, hundredths, number

BETWEEN = "   "
"""What parts the blocks of a line."""
SUMMARIES = ("random", "common")
DIAMONDS = ("subtotal", *SUMMARIES)
STUDY_PART = ("heading", "study", "more", "subtotal", "note")
"""Kinds of rows above the totals."""
TEXTS = ("more", "note")
"""Kinds of rows that are nothing but text."""
NAME_ROOM, HANG = 48, 2
"""Characters in a line of a name, and blanks before its further lines."""
FIGURE_SPACE = "\u2007"
"""As wide as a figure: in a font that is not monospace, nearly as wide as a blank of one that is."""
LEADING = 0.72
"""Distance of the lines of one name, in rows."""
YEAR = re.compile(r" (?=\(?\d{4}[a-z]?\)?$)")
"""The blank before the year that a name ends in."""
IN_TOTALS = ("used", "no_events")

FIRST, SECOND = "{0}", "{1}"
Part = tuple[str, tuple[tuple[str, str], ...]]
INPUTS: tuple[tuple[Part, ...], ...] = (
    ((FIRST, (("events1", "Events"), ("n1", "Total"))), (SECOND, (("events2", "Events"), ("n2", "Total")))),
    ((FIRST, (("events1", "Events"), ("time1", "Time"))), (SECOND, (("events2", "Events"), ("time2", "Time")))),
    (
        (FIRST, (("mean1", "Mean"), ("sd1", "SD"), ("n1", "Total"))),
        (SECOND, (("mean2", "Mean"), ("sd2", "SD"), ("n2", "Total"))),
    ),
    (
        ("After", (("mean_post", "Mean"), ("sd_post", "SD"))),
        ("Before", (("mean_pre", "Mean"), ("sd_pre", "SD"))),
        ("", (("n", "Total"),)),
    ),
    (("", (("mean", "Mean"), ("sd", "SD"), ("n", "Total"))),),
    (("", (("events", "Events"), ("n", "Total"))),),
    (("", (("events", "Events"), ("time", "Time"))),),
)
"""Input columns shown, by family: parts with a title ({0}, {1}: the arms' names), and the header of each column."""

SUMMED = re.compile(r"(events|n|time)\d?$")
"""Input columns whose totals mean something."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the picture; numbers on the pooled scale, NaN where there is none.

    Attributes
    ----------
    kind : str
        ``heading study more subtotal note total random common prediction``: "more" goes on with a study's name, and
        the text of a note runs over all columns.
    label : str
        Text of the first column.
    estimate, lower, upper, weight : float
        What is drawn; `weight` in percent.
    inputs : mapping
        Values of the input columns.
    joined : bool
        Whether it goes on with the name of the row above.
    """

    kind: str
    label: str
    estimate: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    weight: float = math.nan
    inputs: dict[str, float] = field(default_factory=dict)
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as text.

    Attributes
    ----------
    rows : list of Row
        From top to bottom.
    names : list of str
        The first column, its header first. How wide they are depends on the fonts.
    lines : list of str
        The figures: one line of equal width a row, empty where the name runs over all columns.
    header : str
        The line over the figures.
    titles : list of tuple of str and float
        Titles over the header, each with its middle in characters from the start of the lines.
    """

    rows: list[Row]
    names: list[str]
    lines: list[str]
    header: str
    titles: list[tuple[str, float]]

    @property
    def width(self) -> int:
        """Characters of a line."""
        return len(self.header)

    @property
    def places(self) -> list[float]:
        """Where the header and every row stand, from the lowest row, in rows."""
        steps = [LEADING if row.joined else 1.0 for row in reversed(self.rows)]
        return [0.0, *accumulate(steps)][::-1]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as text: one cell a row, aligned to the right."""

    header: str
    cells: list[str]

    @property
    def width(self) -> int:
        """Characters of the widest cell."""
        return max(len(text) for text in (self.header, *self.cells))


@dataclass(frozen=True, slots=True)
class Block:
    """Columns under one title (which may be empty), which takes the room of `least` characters."""

    title: str
    columns: list[Column]
    least: int

    def line(self, texts: Iterable[str]) -> str:
        """Join one text a column, padded to the block's width."""
        cells = [text.rjust(column.width) for column, text in zip(self.columns, texts, strict=True)]
        return "  ".join(cells).rjust(self.least)

    @property
    def header(self) -> str:
        """The line of the columns' headers."""
        return self.line(column.header for column in self.columns)


Room = Callable[[str], int]
"""Says how many characters' room a text takes that may hold wider ones."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a layout's columns are made from."""

    rows: list[Row]
    facts: Facts
    transform: Transform
    arms: tuple[str, str]
    room: Room


Columns = Callable[[Context], list[Block]]


@dataclass(frozen=True, slots=True)
class Layout:
    """A table's columns, in order, between the rows' names and the plot."""

    columns: tuple[Columns, ...]


LAYOUTS: Registry[Layout] = Registry("forest plot layout")


def forest_rows(facts: Facts, common: Facts | None) -> list[Row]:
    """List what is drawn from top to bottom: studies in their order under their groups, totals, pooled effects.

    Parameters
    ----------
    facts : Facts
        The result.
    common : Facts or None
        The common-effect result to show beside it.

    Returns
    -------
    list of Row
        The rows.
    """
    rows = _study_rows(facts.studies) if facts.groups is None else _grouped_rows(facts)
    if facts.pooled is None:
        return rows
    rows += _total_row("total", "Total", facts.studies)
    for each in (facts, common):
        if each is not None and each.pooled is not None:
            rows.append(_summary_row(each))
    if facts.has_prediction:
        label = f"{hundredths(facts.model['level'])}% prediction interval"
        rows.append(Row("prediction", label, math.nan, *facts.prediction))
    return rows


def _study_rows(studies: pd.DataFrame) -> list[Row]:
    names = _input_names(studies)
    groups = ["" if pd.isna(group) else str(group) for group in studies["group"]]
    rows, current = [], ""
    for group, (_, study) in zip(groups, studies.iterrows(), strict=True):
        if group and group != current:
            rows.append(Row("heading", plain(group)))
        current = group
        indent = "  " if group else ""
        inputs = {name: float(study[name]) for name in names}
        estimate, lower, upper, weight = (float(study[name]) for name in ("yi", "ci_lower", "ci_upper", "weight"))
        rows.append(Row("study", indent + plain(str(study["study"])), estimate, lower, upper, weight, inputs))
    return rows


def _grouped_rows(facts: Facts) -> list[Row]:
    """List the studies group by group, each group with its pooled effect and its heterogeneity."""
    assert facts.groups is not None
    studies, rows = facts.studies, []
    for _, group in facts.groups.iterrows():
        own = studies[studies["group"] == group["group"]]
        estimate, lower, upper, weight = (float(group[name]) for name in ("estimate", "ci_lower", "ci_upper", "weight"))
        sums = next((row.inputs for row in _total_row("subtotal", "", own)), {})
        rows += [*_study_rows(own), Row("subtotal", "  Subtotal", estimate, lower, upper, weight, sums)]
        spread = group_heterogeneity(group, str(facts.model["method"]))
        rows += [Row("note", f"  {spread}")] if spread else []
    apart = studies[~studies["group"].isin(facts.groups["group"])]
    return rows + _study_rows(apart.assign(group=apart["group"].replace("", "Group missing")))


def plain(label: str) -> str:
    """Write `label` in one line, an accent that came as a character of its own joined to its letter."""
    return unicodedata.normalize("NFC", " ".join(label.split()))


def name_lines(row: Row, fonts: Fonts) -> list[Row]:
    """Break the name of a study or group into as many lines as it needs, each a row; a year is not left alone."""
    if row.kind not in ("heading", "study"):
        return [row]
    text = row.label.lstrip(" ")
    indent = len(row.label) - len(text)
    blank = " " if fonts.composed.isdisjoint(text) else FIGURE_SPACE
    room = (NAME_ROOM - indent) * ADVANCE
    lines = broken(YEAR.sub(NBSP, text), room, fonts, 1, mono=True, bold=row.kind == "heading")
    first = text if len(lines) < 2 else lines[0]
    kind = "more" if row.kind == "study" else row.kind
    further = (Row(kind, blank * (indent + HANG) + line, joined=True) for line in lines[1:])
    return [replace(row, label=blank * indent + first), *further]


def _parts(studies: pd.DataFrame) -> tuple[Part, ...]:
    for parts in INPUTS:
        if all(name in studies for _, columns in parts for name, _ in columns):
            return parts
    return ()


def _input_names(studies: pd.DataFrame) -> list[str]:
    return [name for _, columns in _parts(studies) for name, _ in columns]


def _total_row(kind: str, label: str, studies: pd.DataFrame) -> list[Row]:
    """Sum the counts of the studies that the pooled effect rests on; a sum with a gap is left empty."""
    counted = studies[studies["state"].isin(IN_TOTALS)]
    names = [name for name in _input_names(studies) if SUMMED.match(name)]
    sums = {name: float(counted[name].astype(float).sum(skipna=False)) for name in names}
    return [Row(kind, label, inputs=sums)] if sums else []


def _summary_row(facts: Facts) -> Row:
    row = facts.pooled
    assert row is not None
    method = str(facts.model["method"])
    kind = "common" if model_label(method).startswith("Common") else "random"
    estimate, lower, upper = (float(row[name]) for name in ("estimate", "ci_lower", "ci_upper"))
    return Row(kind, model_label(method), estimate, lower, upper)


def arm_columns(context: Context) -> list[Block]:
    """Show the input columns of the measure's family, by arm."""
    blocks = []
    for part, columns in _parts(context.facts.studies):
        title = part.format(*context.arms)
        cells = [Column(header, _inputs(context.rows, name)) for name, header in columns]
        blocks.append(Block(title, cells, context.room(title)))
    return blocks


def _inputs(rows: list[Row], name: str) -> list[str]:
    values = [row.inputs.get(name, math.nan) for row in rows]
    digits = max((_decimals(value) for value in values if math.isfinite(value)), default=0)
    return ["" if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS) for value in values]


def _decimals(value: float) -> int:
    """Count the decimals that `value` needs, at most two."""
    return next((digits for digits in (0, 1) if math.isclose(value, round(value, digits), rel_tol=1e-9)), 2)


def weight_column(context: Context) -> list[Block]:
    """Show the weights, if there are any."""
    weights = [row.weight for row in context.rows]
    if all(math.isnan(weight) for weight in weights):
        return []
    cells = ["" if math.isnan(weight) else f"{weight:.1f} %" for weight in weights]
    return [Block("", [Column("Weight", cells)], 0)]


def effect_column(context: Context) -> list[Block]:
    """Show the estimates with their intervals, as displayed."""
    transform = context.transform
    shown = [tuple(transform([row.estimate, row.lower, row.upper]).tolist()) for row in context.rows]
    digits = effect_digits([estimate for estimate, _, _ in shown], transform)
    cells = _effect_cells(context.rows, shown, digits)
    unit = f"{transform.unit.strip()} " if transform.unit else ""
    title = effect_header(MEASURES[str(context.facts.model["measure"])], transform)
    header = f"{unit}({context.facts.interval})".center(max(len(title), *map(len, cells)))
    return [Block(title, [Column(header, cells)], len(title))]


def effect_digits(estimates: list[float], transform: Transform) -> int:
    """Choose the decimals of the effects: two for ratios, else by the largest of them."""
    if transform.log_axis and not transform.unit:
        return 2
    largest = max((abs(value) for value in estimates if math.isfinite(value)), default=1.0)
    usual = 1 if transform.unit else 2
    steps = ((1000, 0), (100, 1), (0.1, usual), (0.01, 3), (0.0, 4))
    return usual if largest == 0 else next(digits for least, digits in steps if largest >= least)


def _effect_cells(rows: list[Row], shown: list[tuple[Any, ...]], digits: int) -> list[str]:
    """Write "0.49 (0.34 to 0.70)" with the three numbers in columns of their own."""
    texts = [["" if math.isnan(value) else _effect(value, digits) for value in values] for values in shown]
    first, second, third = (max((len(row[i]) for row in texts), default=0) for i in range(3))
    cells = []
    for row, (estimate, lower, upper) in zip(rows, texts, strict=True):
        interval = f"{'(' + lower:>{second + 1}} to {upper + ')':>{third + 1}}"
        if row.kind in ("heading", "total", *TEXTS):
            cells.append("")
        elif row.kind == "prediction" or (estimate and lower and upper):
            cells.append(f"{estimate:>{first}} {interval}")
        else:
            cells.append(f"{estimate:>{first}} {'(no interval)':<{len(interval)}}" if estimate else "not estimable")
    return cells


def _effect(value: float, digits: int) -> str:
    """Write a number that `wording.number` gives a power of ten with two decimals, all others with `digits`."""
    return number(value, digits if abs(value) < 1e5 else max(digits, 2))


LAYOUTS.add("classic", Layout((arm_columns, weight_column, effect_column)))


def forest_table(
    rows: list[Row], facts: Facts, transform: Transform, arms: tuple[str, str], layout: str, room: Room
) -> Table:
    """Write the figures of every row as one line of text, its columns aligned.

    Parameters
    ----------
    rows : list of Row
        From `forest_rows`.
    facts : Facts
        The result.
    transform : Transform
        From the pooled to the displayed scale.
    arms : tuple of str
        Names of the two arms.
    layout : str
        A key of `LAYOUTS`.
    room : callable
        Says how many characters' room the name of an arm takes.

    Returns
    -------
    Table
        Names and lines.
    """
    context = Context(rows, facts, transform, arms, room)
    blocks = [block for columns in LAYOUTS[layout].columns for block in columns(context)]
    lines = [
        "" if row.kind in TEXTS else _line(block.line(column.cells[i] for column in block.columns) for block in blocks)
        for i, row in enumerate(rows)
    ]
    names = [left_to_right(_blanks(label)) for label in ("Study", *(row.label for row in rows))]
    return Table(rows, names, lines, _line(block.header for block in blocks), _titles(blocks))


def _titles(blocks: list[Block]) -> list[tuple[str, float]]:
    titles, start = [], 0
    for block in blocks:
        width = len(block.header)
        titles.append((block.title, start + width / 2))
        start += width + len(BETWEEN)
    return [(title, middle) for title, middle in titles if title]


def _line(texts: Iterable[str]) -> str:
    return _blanks(BETWEEN.join(texts))


def _blanks(text: str) -> str:
    # SVG drops spaces at the start and in runs.
    return re.sub(r"^ +| {2,}| $", lambda run: NBSP * len(run.group()), text)
