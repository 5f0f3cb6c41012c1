"""Many fits in blocks that bound the memory, with a progress bar for those who wait."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metail2.errors import ModelError

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


def check_count(count: object, what: str, least: int) -> int:
    """Return how many were asked for, or raise unless it is a whole number of at least `least`."""
    if (
        isinstance(count, bool)
        or not isinstance(count, int | float | np.integer)
        or (isinstance(count, float) and not float(count).is_integer())
        or count < least
    ):
        given = repr(count) if isinstance(count, str) else count
        raise ModelError(f"{given} {what} were asked for; give a whole number of at least {least}.")
    return int(count)


def check_seed(seed: object) -> int | None:
    """Return the seed of random draws, or raise unless it is a whole number of at least 0, or None (a new one)."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ModelError(f"The seed is {seed!r}; give a whole number of at least 0, or None for new draws every time.")
    return int(seed)
