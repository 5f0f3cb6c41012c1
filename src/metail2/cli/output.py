"""What ``pool`` prints: a result as text, CSV or JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from metail2.cli.guard import WrongUse
from metail2.errors import UnknownChoice
from metail2.results import Grouped

if TYPE_CHECKING:
    import pandas as pd

    from metail2.models.base import PooledResult


FORMATS = ("text", "csv", "json")


def check_format(format: str, transform: str | None, moderators: str | None) -> None:
    """Refuse, before anything is read, a format or a display transform that the result could not be printed in."""
    if format not in FORMATS:
        raise UnknownChoice("format", format, FORMATS)
    if transform is None:
        return
    from metail2.effects.transforms import TRANSFORMS

    _ = TRANSFORMS[transform]
    if format != "text":
        raise WrongUse(
            f"--transform has no meaning with --format {format}, which is on the pooled scale; leave it out."
        )
    if moderators is not None:
        raise WrongUse("--transform has no meaning with --moderators, which have several coefficients; leave it out.")


def result_text(result: PooledResult, format: str, transform: str | None) -> str:
    """Write a result in one of `FORMATS`."""
    return {
        "text": lambda: _as_text(result, transform),
        "csv": lambda: _as_csv(result),
        "json": lambda: _as_json(result),
    }[format]()


def _tables(result: PooledResult) -> dict[str, pd.DataFrame]:
    tables = {
        "tidy": result.tidy(), "glance": result.glance(), "studies": result.studies(),
        "companions": result.companions(),
    }  # fmt: skip
    return tables | {"groups": result.groups()} if isinstance(result, Grouped) else tables


def _as_csv(result: PooledResult) -> str:
    """Write the tables as blocks of CSV, each with its header, an empty line between."""
    return "\n".join(table.to_csv(index=False, lineterminator="\n") for table in _tables(result).values())


def _as_json(result: PooledResult) -> str:
    """Write one object of lists, ``tidy glance studies companions`` and of subgroups ``groups``; not finite is null."""
    lists = {name: [_plain_row(row) for row in table.to_dict("records")] for name, table in _tables(result).items()}
    return json.dumps(lists, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _plain_row(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): None if _is_undefined(value) else value for name, value in row.items()}


def _is_undefined(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _as_text(result: PooledResult, transform: str | None) -> str:
    """Write the summary, and if `transform` is given, estimate and intervals on that scale."""
    parts = [result.summary()] if transform is None else [result.summary(), _on_scale(result, transform)]
    return "\n\n".join(parts) + "\n"


def _on_scale(result: PooledResult, code: str) -> str:
    from metail2.effects.displays import display_transform
    from metail2.wording import TEST_NAMES, hundredths, number

    scale = display_transform(result.effects.definition, code)

    def shown(*values: float) -> str:
        return " to ".join(number(float(scale(value)), 3) + scale.unit for value in values)

    row, model = result.tidy().iloc[-1], result.glance().iloc[0]  # of subgroups, all studies together
    level = f"{hundredths(model['level'])} %"
    lines = [
        f"  As {scale.label or 'pooled, not transformed'}:",
        f"  estimate {shown(row['estimate'])}, {level} interval {shown(row['ci_lower'], row['ci_upper'])}",
    ]
    beside = result.companions().to_dict("records")
    for other in (row for row in beside if not row.get("group")):
        lines.append(f"  beside it, {TEST_NAMES[other['test']]}: {shown(other['ci_lower'], other['ci_upper'])}")
    if not math.isnan(model["pi_lower"]):
        lines.append(f"  {level} prediction interval {shown(model['pi_lower'], model['pi_upper'])}")
    return "\n".join(lines)
