"""Many fits in blocks that bound the memory, with a progress bar for those who wait."""

from __future__ import annotations

from collections.abc import Iterator

NUMBERS = 250_000
"""Numbers in the designs of one block; a fit needs some tens of arrays of this size."""


def blocks(count: int, size: int, progress: bool) -> Iterator[tuple[int, int]]:
    """Cut 0 … count − 1 into ranges of fits whose designs hold at most `NUMBERS` numbers together.

    Parameters
    ----------
    count : int
        Number of fits.
    size : int
        Numbers in the design of one.
    progress : bool
        Show a bar that counts the fits done.

    Yields
    ------
    tuple of int
        First of the block, and first after it.
    """
    from tqdm import tqdm

    step = max(1, NUMBERS // size)
    with tqdm(total=count, unit="fit", disable=not progress) as bar:
        for first in range(0, count, step):
            last = min(first + step, count)
            yield first, last
            bar.update(last - first)
