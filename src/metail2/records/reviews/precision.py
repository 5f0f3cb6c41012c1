"""How precisely a file stores a column: what must be known before two numbers can be called different."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from metail2.records.reading import NUMBER


@dataclass(frozen=True, slots=True)
class Precision:
    """The finest decimals and the most significant digits that any cell of a column shows.

    A single cell says less: "1.2" may be 1.200000 with its zeros cut off, which the other cells of its column show.

    Attributes
    ----------
    decimals : int
        The most digits after the decimal point (exponents counted in).
    digits : int
        The most significant digits.
    """

    decimals: int
    digits: int

    @classmethod
    def of(cls, cells: Iterable[str]) -> Precision:
        """Read it from the cells of a column; those that hold no number say nothing."""
        shown = [_shown(cell) for cell in cells]
        return cls(max((d for d, _ in shown), default=0), max((s for _, s in shown), default=1))

    def tolerance(self, value: float) -> float:
        """Half a unit of the last digit that the column can show of `value`.

        Parameters
        ----------
        value : float
            A finite stored number.
        """
        last = -self.decimals
        if value != 0:
            last = max(last, math.floor(math.log10(abs(value))) - self.digits + 1)
        return float(0.5 * 10.0**last)


def _shown(cell: str) -> tuple[int, int]:
    match = NUMBER.fullmatch(cell)
    if match is None:
        return 0, 1
    after_point, bare, exponent = match.groups()
    decimals = len(after_point or bare or "") - int(exponent or 0)
    mantissa = cell.lower().partition("e")[0].lstrip("+-").replace(".", "").lstrip("0")
    return max(0, decimals), max(1, len(mantissa))
