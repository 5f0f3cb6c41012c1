"""Figures as arrays, and the one way in which this layer refuses an impossible one."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from metail2.errors import EffectSizeError

Array: TypeAlias = npt.NDArray[np.float64]


def figures(*values: npt.ArrayLike | None) -> list[Array]:
    """Bring figures to float64 arrays of one shape; None and NaN mean "not printed".

    Parameters
    ----------
    *values : array_like or None
        Figures of shapes that broadcast against each other.

    Returns
    -------
    list of ndarray
        Read-only views, all of the broadcast shape.

    Raises
    ------
    EffectSizeError
        When the shapes do not fit together or an entry is not a number.
    """
    try:
        arrays = [np.asarray(np.nan if value is None else value, dtype=np.float64) for value in values]
        return list(np.broadcast_arrays(*arrays))
    except (TypeError, ValueError, OverflowError) as error:
        raise EffectSizeError(f"The printed figures are not numbers of matching shapes: {error}.") from None


def refuse(bad: npt.NDArray[np.bool_], message: str, **values: npt.ArrayLike) -> None:
    """Raise for the first entry marked in `bad`, naming its values and, in an array, its index.

    Parameters
    ----------
    bad : ndarray of bool
        True where a figure is impossible. Comparisons with NaN are False, so what was not printed passes.
    message : str
        A clause with a ``{name}`` for each of `values`, without its full stop.
    **values : array_like
        The figures to name; they broadcast to the shape of `bad`.

    Raises
    ------
    EffectSizeError
        When any entry of `bad` is True.
    """
    if not bad.any():
        return
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    shown = {name: f"{np.broadcast_to(value, bad.shape)[index]:.15g}" for name, value in values.items()}
    place = f" (index {index[0] if len(index) == 1 else index})" if index else ""
    raise EffectSizeError(f"{message.format(**shown)}{place}.")


def refuse_outside_open_interval(value: float, name: str) -> None:
    """Raise an EffectSizeError unless `value` lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise EffectSizeError(f"The {name} {value:.15g} is not between 0 and 1.")
