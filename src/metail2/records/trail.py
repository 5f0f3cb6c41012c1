"""The audit trail: every step from printed figures to an effect, one row a step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from metail2.effects.effect_sizes import TRAIL_COLUMNS

PRINTED, DERIVED, ASSUMED = "printed", "derived", "assumed"
"""On what a step rests: a printed figure, arithmetic on printed figures, or an assumption."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One printed figure.

    Attributes
    ----------
    value : float
        As a number.
    printed : str
        The digits as printed.
    record_id, quote : str
        Where it stands in the records, and the words around it.
    qualifier : str
        ``"<"`` and the like, or empty.
    note : str
        How the records' keeper read it, e.g. "+/- taken as SD (not stated)".
    """

    value: float
    printed: str
    record_id: str
    quote: str
    qualifier: str = ""
    note: str = ""


@dataclass(slots=True)
class Trail:
    """Collects the steps for one study.

    Attributes
    ----------
    study : str
        Label of the effect the steps lead to.
    """

    study: str
    _rows: list[dict[str, object]] = field(default_factory=list)

    def step(
        self,
        quantity: str,
        value: float,
        conversion: str,
        figures: Iterable[Figure] = (),
        *,
        formula: str = "",
        citation: str = "",
        assumption: str = "",
        basis: str = DERIVED,
    ) -> float:
        """Record one step and return its value."""
        used = list(figures)
        values = (
            self.study, len(self._rows) + 1, quantity, value, "; ".join(f.record_id for f in used),
            " | ".join(dict.fromkeys(f.quote for f in used)), conversion, formula, citation, assumption, basis,
            "; ".join(dict.fromkeys(f.note for f in used if f.note)),
        )  # fmt: skip
        self._rows.append(dict(zip(TRAIL_COLUMNS, values, strict=True)))
        return value

    def printed(self, quantity: str, figure: Figure, unit: str = "") -> float:
        """Record a figure that is used as printed and return its value."""
        return self.step(quantity, figure.value, f"as printed{f' ({unit})' if unit else ''}", [figure], basis=PRINTED)

    def frame(self) -> pd.DataFrame:
        """Return the steps, columns `TRAIL_COLUMNS`."""
        return pd.DataFrame(self._rows, columns=list(TRAIL_COLUMNS))
