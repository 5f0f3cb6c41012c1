"""The lists of data sets and of measures, as text that fits the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metail2.effects.measures import Measure

WIDEST = 110
UNCHANGED = "as it is"
HEADER = ("code", "name", "pooled as", "shown as")


def datasets_text() -> str:
    """List the shipped data sets, each with its title and source."""
    from metail2 import list_datasets

    return "\n\n".join(map(_dataset, list_datasets().to_dict("records"))) + "\n"


def _dataset(entry: dict[Any, Any]) -> str:
    held = f"{entry['rows']} studies, {entry['measure']}" if entry["kind"] == "table" else f"{entry['rows']} figures"
    paragraphs = (_filled(entry["title"], "  "), _filled(entry["source"], "  "))
    return "\n".join([f"{entry['name']}  ({entry['kind']}: {held})", *paragraphs])


def measures_text() -> str:
    """List the effect measures under the columns they need, each with its pooled and its displayed scale."""
    from metail2 import MEASURES

    groups: dict[str, list[tuple[str, ...]]] = {}
    for measure in MEASURES.values():
        groups.setdefault(_heading(measure), []).append(_described(measure))
    widths = [max(map(len, column)) for column in zip(HEADER, *chain(*groups.values()), strict=True)]
    code, _, *scales = widths
    widths[1] = min(widths[1], _width() - code - sum(scales) - 2 * len(scales) - 2)  # the names give way
    blocks = [f"{heading}\n{_table(rows, widths)}" for heading, rows in groups.items()]
    return "\n\n".join([_table([HEADER], widths), *blocks]) + "\n"


def _described(measure: Measure) -> tuple[str, ...]:
    pooled = UNCHANGED if measure.scale == measure.name else measure.scale
    return measure.code, measure.name, pooled, measure.transform.label or UNCHANGED


def _heading(measure: Measure) -> str:
    ways = ", or ".join(" ".join(names) for names in measure.family.columns)
    return _filled(f"{measure.family.name.replace('_', ' ')}: columns {ways}", "")


def _table(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    """Set cells in columns; one that is too long goes on in the next line."""
    lines = []
    for row in rows:
        cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            lines.append("  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, _width(), initial_indent=indent, subsequent_indent="  ")


def _width() -> int:
    return max(60, min(WIDEST, shutil.get_terminal_size().columns))
