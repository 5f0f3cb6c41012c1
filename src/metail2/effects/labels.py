"""Labels of studies that nobody named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload


class Numbered(Sequence[str]):
    """The labels "study 1" … "study k", each written when it is asked for: a million rows need none of them.

    Parameters
    ----------
    k : int
        Number of studies.
    """

    def __init__(self, k: int) -> None:
        self._numbers = range(1, k + 1)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return one label, or those of a slice."""
        chosen = self._numbers[index]
        return f"study {chosen}" if isinstance(chosen, int) else [f"study {number}" for number in chosen]
