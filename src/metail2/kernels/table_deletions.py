"""Pooled count tables without each of them, in blocks that bound the memory.

Every deletion is pooled like any other set of tables, with the same rule; nothing is subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from metail2.kernels.leave_one_out import BLOCK, left_out
from metail2.kernels.tables import TablePool

Floats = NDArray[np.float64]


def tables_without_each(rule: Callable[..., TablePool], columns: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Pool the other tables, for every table.

    Parameters
    ----------
    rule : callable
        One of `tables.MANTEL_HAENSZEL`, or `tables.one_step`.
    columns : tuple of ndarray, shape (k,)
        What it reads, k > 1.

    Returns
    -------
    estimate, variance : ndarray, shape (k,)
        NaN where undefined.
    """
    others, (estimate, variance) = [left_out(column) for column in columns], np.empty((2, len(columns[0])))
    for rows in _blocks(len(columns[0])):
        pool = rule(*(values[rows] for values in others))
        estimate[rows], variance[rows] = pool.estimate, pool.variance
    return estimate, variance


def q_without_each(yi: Floats, vi: Floats, centre: Floats) -> Floats:
    """Σ(yⱼ − centreᵢ)²/vⱼ over all j but i, shape (k,).

    Parameters
    ----------
    yi, vi : ndarray, shape (k,)
        Effects and variances.
    centre : ndarray, shape (k,)
        What the others are compared with, where i is left out.
    """
    y, v = left_out(yi), left_out(vi)
    parts = [((y[rows] - centre[rows, None]) ** 2 / v[rows]).sum(-1) for rows in _blocks(len(yi))]
    return np.concatenate(parts)


def _blocks(k: int) -> Iterator[slice]:
    size = max(1, BLOCK // k)
    return (slice(i, i + size) for i in range(0, k, size))
