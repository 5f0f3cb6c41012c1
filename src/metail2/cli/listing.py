"""The lists of data sets and of measures, as text that fits the terminal."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metail2.effects.measures import Measure

WIDEST = 110
UNCHANGED = "as it is"
TABLE = ("code", "effect measure", "pooled as", "shown as", "variances", "effect; variance", "source")
"""Headings of the documentation's table."""


def datasets_text() -> str:
    """List the shipped data sets, each with its title and source."""
    from metail2 import list_datasets

    return "\n\n".join(map(_dataset, list_datasets().to_dict("records"))) + "\n"


def _dataset(entry: dict[Any, Any]) -> str:
    held = f"{entry['rows']} studies, {entry['measure']}" if entry["kind"] == "table" else f"{entry['rows']} figures"
    paragraphs = (_filled(entry["title"], "  "), _filled(entry["source"], "  "))
    return "\n".join([f"{entry['name']}  ({entry['kind']}: {held})", *paragraphs])


def measures_text(code: str | None = None) -> str:
    """List the effect measures under the columns they need, or say all about one.

    Parameters
    ----------
    code : str, optional
        Key of `MEASURES`.
    """
    from metail2 import MEASURES

    if code is not None:
        return _card(MEASURES[code])
    blocks = [
        "\n".join([_filled(heading, ""), *(_line(measure) for measure in group)])
        for heading, group in _families().items()
    ]
    return "\n\n".join(blocks) + "\n"


def measures_markdown() -> str:
    """Write the registry as the documentation's page: one table a set of columns."""
    blocks = []
    for heading, group in _families().items():
        rows = ["| " + " | ".join(row) + " |" for row in [TABLE, ["---"] * len(TABLE), *map(_cells, group)]]
        blocks.append(f"## {heading[0].upper()}{heading[1:]}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(blocks)


def _families() -> dict[str, list[Measure]]:
    """Group the measures by what they are computed from, in the order of registration."""
    from metail2 import MEASURES

    groups: dict[str, list[Measure]] = {}
    for measure in MEASURES.values():
        groups.setdefault(_heading(measure), []).append(measure)
    return groups


def _heading(measure: Measure) -> str:
    ways = ", or ".join(" ".join(names) for names in measure.family.columns)
    return f"{measure.family.name.replace('_', ' ')}: columns {ways}"


def _line(measure: Measure) -> str:
    scales = [f"pooled as {measure.scale}"] * (measure.scale != measure.name)
    scales += [f"shown as {measure.transform.label}"] * bool(measure.transform.label)
    text = f"{measure.code:<7} {measure.name}" + (f"; {', '.join(scales)}" if scales else "")
    return textwrap.fill(text, _width(), initial_indent="  ", subsequent_indent=" " * 10)


def _card(measure: Measure) -> str:
    effect, variance = measure.formulas
    facts = {
        "columns": ", or ".join(" ".join(names) for names in measure.family.columns),
        "pooled as": measure.scale,
        "shown as": measure.transform.label or UNCHANGED,
        "effect": effect,
        "variance": variance,
        "variances": f"{', '.join(measure.vtypes)} (the first by default)" if len(measure.vtypes) > 1 else "",
        "source": measure.citation,
    }
    lines = [
        textwrap.fill(f"{name:<11}{text}", _width(), initial_indent="  ", subsequent_indent=" " * 13)
        for name, text in facts.items()
        if text
    ]
    return "\n".join([f"{measure.code}  {measure.name}", *lines]) + "\n"


def _cells(measure: Measure) -> tuple[str, ...]:
    shown = measure.transform.label or UNCHANGED
    cells = (measure.code, measure.name, measure.scale, shown, ", ".join(measure.vtypes),
             "; ".join(measure.formulas), measure.citation)  # fmt: skip
    return tuple(cell.replace("|", r"\|") for cell in cells)


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, _width(), initial_indent=indent, subsequent_indent="  ")


def _width() -> int:
    return max(60, min(WIDEST, shutil.get_terminal_size().columns))
