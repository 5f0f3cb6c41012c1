"""Why an effect or its variance cannot be computed, in words for warnings and trails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells
from metail2.effects.definition import Measure
from metail2.wording import some

Floats = NDArray[np.float64]

DROPPED = "left out on request (drop00): both arms have no events, or both have nothing but events"
_SMALLEST_P = 1e-300
"""P values below it are at the edge of what a number can hold; their t statistic is not known."""


def undefined_reasons(
    chosen: Measure, inputs: Mapping[str, Floats], options: ZeroCells, yi: Floats, vi: Floats
) -> dict[int, str]:
    """Say for each row with complete figures but no usable variance what is not defined.

    Parameters
    ----------
    chosen : Measure
        What was computed.
    inputs : mapping of str to ndarray
        The set of columns that it was computed from, each of shape (k,), already found possible.
    options : ZeroCells
        Treatment of zero cells.
    yi, vi : ndarray, shape (k,)
        Effects and variances.
    """
    known = ~np.any([np.isnan(values) for values in inputs.values()], axis=0)
    lost = np.flatnonzero(known & np.isnan(vi))
    if not len(lost):
        return {}
    dropped = _dropped(chosen, inputs, options)
    reasons = {}
    for row in map(int, lost):
        figures = {name: float(values[row]) for name, values in inputs.items()}
        if not np.isnan(yi[row]):
            reasons[row] = chosen.no_variance
        else:
            reasons[row] = DROPPED if dropped[row] else (_of_test(chosen, figures) or chosen.undefined)
    return reasons


def _dropped(chosen: Measure, inputs: Mapping[str, Floats], options: ZeroCells) -> NDArray[np.bool_]:
    """Mark the rows whose cells `ZeroCells.drop00` has emptied."""
    k = len(next(iter(inputs.values())))
    if not options.drop00:
        return np.zeros(k, dtype=bool)
    with np.errstate(all="ignore"):
        ready = chosen.family.prepare(inputs, chosen, options)
    cells = [ready[name] for name in ("a", "events1") if name in ready]
    return np.isnan(cells[0]) if cells else np.zeros(k, dtype=bool)


def _of_test(chosen: Measure, figures: Mapping[str, float]) -> str:
    """Say what is wrong with the test or correlation that stands for the moments; empty if there is nothing."""
    if figures.get("p", 1.0) < _SMALLEST_P:
        return "the P value is too small to give a test statistic"
    if "d" in {name for names in chosen.family.columns for name in names} and abs(figures.get("r", 0.0)) == 1:
        return "a correlation of 1 or −1 has no finite test statistic"
    return ""


def missing_message(chosen: Measure, labels: Sequence[str], reasons: Mapping[int, str], yi: Floats) -> str:
    """Name the studies without a usable variance, each with its reason, and what is left of them.

    Parameters
    ----------
    chosen : Measure
        What was computed.
    labels : sequence of str, k studies
        All of them.
    reasons : mapping of int to str
        Row → reason.
    yi : ndarray, shape (k,)
        Effects.
    """
    groups: dict[str, list[str]] = {}
    for row, reason in reasons.items():
        groups.setdefault(reason, []).append(labels[row])
    lost = some([labels[row] for row in reasons])
    each = "; ".join(f"{some(studies)}: {reason}" for reason, studies in groups.items())
    told = each if len(groups) > 1 else next(iter(groups))
    kept = [labels[row] for row in reasons if not np.isnan(yi[row])]
    if not kept:
        left = "it stays in the table as NaN"
    elif len(kept) == len(reasons):
        left = "the effect stays in the table, its variance is NaN"
    else:
        left = f"of {some(kept)} only the variance is NaN, the others stay in the table as NaN"
    return f"The {chosen.name} of {lost} cannot be computed with its variance from the figures given ({told}); {left}."
