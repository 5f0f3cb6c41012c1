"""Figures of one row of a mixed sheet that cannot all be true: refused before one of them is chosen in silence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from metail2.conversions import se_from_interval
from metail2.effects.measures import Measure
from metail2.records.mixed_columns import own_columns, standardised_sizes
from metail2.records.mixed_sheet import Floats, Rows, Sheet
from metail2.wording import MINUS, number

SE_APART = 0.05
"""How far, relatively, a printed standard error may lie outside what the printed interval allows."""


def refuse_cells_against_sizes(sheet: Sheet, chosen: Measure) -> None:
    """Raise where the cells of a table do not add up to the printed events and sizes."""
    if not {"a", "b", "c", "d", "n1"} <= {*own_columns(chosen)}:
        return
    for name, cells in (("events1", "a"), ("n1", "ab"), ("events2", "c"), ("n2", "cd")):
        total = np.sum([sheet[cell] for cell in cells], axis=0)
        wrong = np.abs(total - sheet[name]) > 1e-9 * np.abs(total)
        for row in np.flatnonzero(wrong)[:1]:
            sheet.refuse(wrong, name, f"must be {' + '.join(cells)} of the table, which is {total[row]:g}")


def refuse_two_estimates(sheet: Sheet, own: str) -> None:
    """Raise where the estimate is printed under both of its names with two values."""
    wrong = sheet["estimate"] != sheet[own]
    wrong &= sheet.has("estimate", own)
    for row in np.flatnonzero(wrong)[:1]:
        name = sheet.places.get(own, own)
        sheet.refuse(wrong, "estimate", f"must be that of column {name!r}, which is {sheet[own][row]:g}")


def refuse_out_of_bounds(sheet: Sheet, chosen: Measure, name: str, rows: Rows) -> None:
    """Raise for an estimate that no effect of the measure can be, such as a percentage for a fraction."""
    low, high = chosen.bounds
    values = np.full(len(sheet), np.nan)
    values[rows] = sheet[name][rows]
    below, above = values < low, values > high
    for row in np.flatnonzero(below | above)[:1]:
        hint = " (is it the log of the ratio?)" if chosen.transform.log_axis else ""
        hint = " (is it in percent?)" if high == 1 and 1 < abs(values[row]) <= 100 else hint
        sheet.refuse(below | above, name, f"must be {_within(low, high)}, as a {chosen.name} is{hint}")


def _within(low: float, high: float) -> str:
    if math.isinf(high):
        return f"above {low:g}"
    most = f"{high:.4g}"
    return f"{most} or less" if math.isinf(low) else f"from {low:.4g} to {most}".replace("-", MINUS)


def refuse_raw_difference(sheet: Sheet, chosen: Measure, rows: Rows) -> None:
    """Raise for an estimate of a standardised difference that is the plain difference of the means beside it."""
    if chosen.transform.code != "identity" or (chosen.df is None and not standardised_sizes(chosen)):
        return
    for first, second, sds in (("mean1", "mean2", ("sd1", "sd2")), ("mean_post", "mean_pre", ("sd_post", "sd_pre"))):
        difference = sheet[first] - sheet[second]
        wrong = np.isin(np.arange(len(sheet)), rows) & (difference != 0)
        wrong &= np.abs(sheet["estimate"] - difference) <= 1e-9 * np.abs(difference)
        wrong &= ~np.logical_or.reduce([sheet.has(name) for name in sds])
        if {first, second, "estimate"} <= sheet.places.keys():
            rule = f"must be in SDs, and this is {first} − {second}; give the SDs or the standardised estimate"
            sheet.refuse(wrong, "estimate", rule)


def refuse_error_of_other_scale(sheet: Sheet, chosen: Measure, rows: Iterable[int], levels: Floats) -> None:
    """Raise for a standard error that is not the one of the pooled scale, which the interval beside it tells.

    Parameters
    ----------
    sheet : Sheet
        Holds ``se``, ``ci_lower`` and ``ci_upper`` in these rows.
    chosen : Measure
        Its transform leads to the pooled scale.
    rows : iterable of int
        Which rows.
    levels : ndarray, shape (k,)
        Confidence level of each row of the sheet.
    """
    for row in rows:
        lower, upper, printed = (float(sheet[name][row]) for name in ("ci_lower", "ci_upper", "se"))
        half = _half_unit(lower, upper)
        narrow = _error(chosen, lower + half, upper - half, levels[row])
        wide = _error(chosen, lower - half, upper + half, levels[row])
        own = _half_unit(printed)
        least, most = (1 - SE_APART) * narrow - own, (1 + SE_APART) * wide + own
        if printed < least or printed > most:
            wrong = np.arange(len(sheet)) == row
            rule = (
                f"must be the standard error of the {chosen.scale}, which the interval from {lower:g} to {upper:g} "
                f"puts at {number(_error(chosen, lower, upper, levels[row]), 3)}"
            )
            sheet.refuse(wrong, "se", rule)


def _error(chosen: Measure, lower: float, upper: float, level: float) -> float:
    """Standard error of limits brought to the pooled scale: 0 for reversed ones, infinite beyond the scale's end."""
    if upper <= lower:
        return 0.0
    with np.errstate(all="ignore"):
        limits = np.asarray(chosen.transform.backward(np.array([lower, upper])), dtype=float)
    return float(se_from_interval(*limits, level=level)) if np.isfinite(limits).all() else math.inf


def _half_unit(*values: float) -> float:
    """Half a unit of the last printed decimal, the finest of the figures."""
    exponents = [Decimal(repr(value)).normalize().as_tuple().exponent for value in values]
    return 0.5 * 10.0 ** min(0, *(exponent for exponent in exponents if isinstance(exponent, int)))
