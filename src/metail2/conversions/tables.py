"""Two-by-two tables rebuilt from a printed figure and the margins.

With the margins known, one cell fixes the table: row 1 has `a` people with the event and `b` without, row 2 `c` and
`d`. Every whole table with these margins is looked at, and the one whose figure lies nearest to the printed one is
returned with that figure, so that nobody need trust the rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse

Cells = tuple[Array, Array, Array, Array]


class Table(NamedTuple):
    """Two-by-two tables and what they print; ndarrays of one shape, NaN (False, 0) where a figure is NaN.

    Attributes
    ----------
    a, b : ndarray
        People of row 1 with and without the event.
    c, d : ndarray
        People of row 2 with and without the event.
    figure : ndarray
        The printed figure recomputed from the table.
    reproduces : ndarray of bool
        Whether it rounds to the printed figure.
    tables : ndarray of int
        How many tables with these margins do: with 0 the margins or the figure are wrong (or come from other people);
        with more than 1 the counts are not known, and the returned ones are only the nearest.
    """

    a: Array
    b: Array
    c: Array
    d: Array
    figure: Array
    reproduces: npt.NDArray[np.bool_]
    tables: npt.NDArray[np.int_]


def table_from_or(
    or_: npt.ArrayLike,
    n: npt.ArrayLike,
    row1: npt.ArrayLike,
    column1: npt.ArrayLike,
    *,
    decimals: npt.ArrayLike | None = None,
) -> Table:
    """Rebuild a table from its odds ratio ad/(bc).

    Parameters
    ----------
    or_ : array_like
        Odds ratio of row 1 against row 2, not logged.
    n, row1, column1 : array_like
        People in all, in row 1, and with the event (column 1).
    decimals : array_like, optional
        Printed decimals. Without them a figure counts as printed with the digits that its float needs: 2.1 with one,
        so give ``decimals=2`` for a printed 2.10.

    Returns
    -------
    Table

    Raises
    ------
    EffectSizeError
        When a margin is not a whole number or leaves a row or column empty, or the ratio is negative or infinite.

    Examples
    --------
    >>> table = table_from_or(2.15, 120, 60, 33)
    >>> f"{table.a:g} {table.b:g} {table.c:g} {table.d:g}: {table.figure:.3f} {table.reproduces} {table.tables}"
    '21 39 12 48: 2.154 True 1'
    """
    (printed,) = figures(or_)
    refuse((printed < 0) | np.isinf(printed), "The odds ratio {value} is not a number from 0 up", value=printed)
    return _nearest(_odds_ratio, or_, n, row1, column1, decimals)


def table_from_rr(
    rr: npt.ArrayLike,
    n: npt.ArrayLike,
    row1: npt.ArrayLike,
    column1: npt.ArrayLike,
    *,
    decimals: npt.ArrayLike | None = None,
) -> Table:
    """Rebuild a table from its risk ratio [a/(a + b)]/[c/(c + d)].

    Parameters
    ----------
    rr : array_like
        Risk ratio of row 1 against row 2, not logged.
    n, row1, column1, decimals : array_like
        As in `table_from_or`. Two arms of n1 and n2 people with `events` in all are ``n=n1 + n2, row1=n1,
        column1=events``.

    Returns
    -------
    Table

    Raises
    ------
    EffectSizeError
        As `table_from_or`.
    """
    (printed,) = figures(rr)
    refuse((printed < 0) | np.isinf(printed), "The risk ratio {value} is not a number from 0 up", value=printed)
    return _nearest(_risk_ratio, rr, n, row1, column1, decimals)


def table_from_rd(
    rd: npt.ArrayLike,
    n: npt.ArrayLike,
    row1: npt.ArrayLike,
    column1: npt.ArrayLike,
    *,
    decimals: npt.ArrayLike | None = None,
) -> Table:
    """Rebuild a table from its risk difference a/(a + b) − c/(c + d).

    Parameters
    ----------
    rd : array_like
        Risk difference of row 1 against row 2 as a proportion, not in percentage points.
    n, row1, column1, decimals : array_like
        As in `table_from_or`.

    Returns
    -------
    Table

    Raises
    ------
    EffectSizeError
        As `table_from_or` for the margins, and when the difference is outside [−1, 1].
    """
    (printed,) = figures(rd)
    refuse(np.abs(printed) > 1, "The risk difference {value} is outside [−1, 1]: give a proportion", value=printed)
    return _nearest(_risk_difference, rd, n, row1, column1, decimals)


def table_from_phi(
    phi: npt.ArrayLike,
    n: npt.ArrayLike,
    row1: npt.ArrayLike,
    column1: npt.ArrayLike,
    *,
    decimals: npt.ArrayLike | None = None,
) -> Table:
    """Rebuild a table from its φ coefficient (ad − bc)/√(product of the four margins).

    Parameters
    ----------
    phi : array_like
        φ, above zero when row 1 has the larger share of events.
    n, row1, column1, decimals : array_like
        As in `table_from_or`.

    Returns
    -------
    Table

    Raises
    ------
    EffectSizeError
        As `table_from_or` for the margins, and when φ is outside [−1, 1].
    """
    (printed,) = figures(phi)
    refuse(np.abs(printed) > 1, "The coefficient φ = {value} is outside [−1, 1]", value=printed)
    return _nearest(_phi, phi, n, row1, column1, decimals)


def table_from_chi2(
    chi2: npt.ArrayLike,
    n: npt.ArrayLike,
    row1: npt.ArrayLike,
    column1: npt.ArrayLike,
    *,
    direction: npt.ArrayLike,
    yates: bool = False,
    decimals: npt.ArrayLike | None = None,
) -> Table:
    """Rebuild a table from its χ² statistic with 1 degree of freedom, n(ad − bc)²/(product of the four margins).

    Parameters
    ----------
    chi2 : array_like
        Pearson's χ²; with `yates` with Yates's correction, n(max(|ad − bc| − n/2, 0))²/(product of the margins).
    n, row1, column1, decimals : array_like
        As in `table_from_or`.
    direction : array_like
        1 where row 1 has the larger share of events, −1 where it has the smaller: χ² does not say, so it is asked for.
    yates : bool
        Whether the printed χ² has the continuity correction.

    Returns
    -------
    Table
        The nearest on a scale on which χ² has the sign of its side of independence.

    Raises
    ------
    EffectSizeError
        As `table_from_or` for the margins, when χ² is negative or infinite, or a direction is neither 1 nor −1.
    """
    printed, side = figures(chi2, direction)
    refuse((printed < 0) | np.isinf(printed), "The χ² {value} is not a number from 0 up", value=printed)
    refuse((side != 1) & (side != -1), "The direction {value} is neither 1 nor −1", value=side)

    def signed(cells: Cells) -> Array:
        return _chi2(cells, yates)

    # with its sign χ² rises with a, so printed and recomputed figure carry it until the end
    table = _nearest(signed, printed * side, n, row1, column1, decimals)
    return table._replace(figure=np.abs(table.figure))


def _odds_ratio(cells: Cells) -> Array:
    a, b, c, d = cells
    with np.errstate(divide="ignore"):
        return a * d / (b * c)


def _risk_ratio(cells: Cells) -> Array:
    a, b, c, d = cells
    with np.errstate(divide="ignore"):
        return a / (a + b) / (c / (c + d))


def _risk_difference(cells: Cells) -> Array:
    a, b, c, d = cells
    return a / (a + b) - c / (c + d)


def _phi(cells: Cells) -> Array:
    a, b, c, d = cells
    return (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))


def _chi2(cells: Cells, yates: bool) -> Array:
    """χ² with the sign of ad − bc."""
    a, b, c, d = cells
    n, cross = a + b + c + d, a * d - b * c
    size = np.maximum(np.abs(cross) - (n / 2 if yates else 0), 0)
    signed: Array = np.sign(cross) * n * size**2 / ((a + b) * (c + d) * (a + c) * (b + d))
    return signed


def _nearest(
    figure: Callable[[Cells], Array],
    printed: npt.ArrayLike,
    n: npt.ArrayLike,
    row1: npt.ArrayLike,
    column1: npt.ArrayLike,
    decimals: npt.ArrayLike | None,
) -> Table:
    """Find for each entry the table with the nearest figure, and count those that print as given."""
    value, total, row, column, digits = figures(printed, n, row1, column1, decimals)
    _refuse_bad_margins(total, row, column)
    digits = np.where(np.isnan(digits), _own_decimals(value), digits)
    refuse((digits < 0) | (digits % 1 != 0), "The number of decimals {decimals} is not a whole number", decimals=digits)
    found = [
        _one(figure, *entry) for entry in zip(*(x.ravel() for x in (value, total, row, column, digits)), strict=True)
    ]
    a, recomputed, tables = np.array(found, dtype=float).reshape(*value.shape, 3).transpose(-1, *range(value.ndim))
    return Table(
        a,
        row - a,
        column - a,
        total - row - column + a,
        recomputed,
        np.abs(recomputed - value) <= _half_unit(digits, value),
        tables.astype(int),
    )


def _one(
    figure: Callable[[Cells], Array], value: float, total: float, row: float, column: float, digits: float
) -> tuple[float, float, int]:
    """Cell a, recomputed figure and number of tables for one entry."""
    if np.isnan(value + total + row + column):
        return np.nan, np.nan, 0
    a = np.arange(max(0.0, row + column - total), min(row, column) + 1)
    recomputed = figure((a, row - a, column - a, total - row - column + a))
    away = np.abs(recomputed - value)
    best = int(np.argmin(away))
    return float(a[best]), float(recomputed[best]), int((away <= _half_unit(digits, value)).sum())


def _half_unit(digits: npt.ArrayLike, value: npt.ArrayLike) -> Array:
    """Half a unit of the last printed digit, and what floating-point arithmetic may add to it."""
    half: Array = 0.5 * 10.0 ** -np.asarray(digits, dtype=np.float64) + 1e-12 * (1 + np.abs(value))
    return half


def _own_decimals(value: Array) -> Array:
    """Decimals of the shortest text that reads back as each float."""
    texts = [np.format_float_positional(x, trim="-") for x in value.ravel()]
    return np.array([float(len(text.partition(".")[2])) for text in texts]).reshape(value.shape)


def _refuse_bad_margins(total: Array, row: Array, column: Array) -> None:
    """Refuse margins that are not whole numbers, exceed the total, or leave a row or column empty."""
    for name, margin in (("people in all", total), ("people in row 1", row), ("people in column 1", column)):
        bad = (margin < 1) | np.isinf(margin) | (np.floor(margin) < margin)
        refuse(bad, f"The number of {name}, {{value}}, is not a whole number of at least 1", value=margin)
    for name, margin in (("row 1", row), ("column 1", column)):
        refuse(
            margin >= total,
            f"The {{margin}} people in {name} leave none of {{total}} for the other one",
            margin=margin,
            total=total,
        )
