"""The lists of data sets and of measures, as text that fits the terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from metail2.wording import MINUS

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
    scales += [f"shown as {measure.shown}"] * bool(measure.shown)
    text = f"{measure.code:<7} {measure.name}" + (f"; {', '.join(scales)}" if scales else "")
    return textwrap.fill(text, terminal_width(), initial_indent="  ", subsequent_indent=" " * 10)


def _card(measure: Measure) -> str:
    low, high = measure.bounds
    facts = {
        "columns": ", or ".join(" ".join(names) for names in measure.family.columns),
        "pooled as": measure.scale,
        "shown as": measure.shown or UNCHANGED,
        "range": ""
        if math.isinf(low) and math.isinf(high)
        else f"{low:g} to {high:g}".replace("-", MINUS).replace("inf", "∞"),
        "effect": measure.formula,
        **_variances(measure),
        "source": measure.citation,
    }
    others = [
        f"{effect}; {variance} (from {' '.join(columns)})"
        for columns, (effect, variance) in measure.from_columns.items()
    ]
    facts["otherwise"] = ", or ".join(others)
    lines = [
        textwrap.fill(f"{name:<10} {text}", terminal_width(), initial_indent="  ", subsequent_indent=" " * 13)
        for name, text in facts.items()
        if text
    ]
    return "\n".join([f"{measure.code}  {measure.name}", *lines]) + "\n"


def _variances(measure: Measure) -> dict[str, str]:
    """Each variance with its formula and, where it is another one, its source; the default first."""
    if len(measure.variances) == 1:
        return {"variance": measure.variance().formula}
    texts = {"variances": f"{', '.join(measure.vtypes)} (the first by default)"}
    for vtype, variance in measure.variances.items():
        source = f" ({variance.citation})" if variance.citation else ""
        texts[f"vtype {vtype}"] = variance.formula + source
    return texts


def _cells(measure: Measure) -> tuple[str, ...]:
    shown = measure.shown or UNCHANGED
    several = len(measure.variances) > 1
    told = [f"{vtype}: {one.formula}" if several else one.formula for vtype, one in measure.variances.items()]
    told += [f"from {' '.join(columns)}: {'; '.join(texts)}" for columns, texts in measure.from_columns.items()]
    sources = [f"{vtype}: {one.citation}" for vtype, one in measure.variances.items() if one.citation]
    cells = (measure.code, measure.name, measure.scale, shown, ", ".join(measure.vtypes),
             "; ".join([measure.formula, *told]), "; ".join([measure.citation, *sources]))  # fmt: skip
    return tuple(cell.replace("|", r"\|") for cell in cells)


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, terminal_width(), initial_indent=indent, subsequent_indent="  ")


def terminal_width() -> int:
    """Columns that text may take: those of the terminal, within limits."""
    return max(60, min(WIDEST, shutil.get_terminal_size().columns))
