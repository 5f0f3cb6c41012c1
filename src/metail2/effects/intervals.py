"""From a printed estimate with its 95 % interval to a variance: what measures of given estimates share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metail2.conversions import se_from_interval
from metail2.effects.counts import Problem, check_finite

Floats = NDArray[np.float64]


def variance_from_interval(
    columns: Mapping[str, Floats], estimate: str, scale: Literal["raw", "log"] = "raw"
) -> Floats:
    """Take the variance from the width of ``ci_lower`` to ``ci_upper``, a normal 95 % interval.

    Parameters
    ----------
    columns : mapping of str to ndarray
        Holds `estimate`, ``ci_lower`` and ``ci_upper``, each of shape (k,), in one unit.
    estimate : str
        Column of the estimate, which must lie inside its interval.
    scale : {"raw", "log"}
        "log" for ratios, already checked to be above 0: the variance is that of the log.

    Raises
    ------
    Problem
        If a limit is infinite, or the interval does not hold the estimate.
    """
    check_finite(columns, "ci_lower", "ci_upper")
    value, lower, upper = (columns[name] for name in (estimate, "ci_lower", "ci_upper"))
    for name, wrong in (("ci_lower", lower >= value), ("ci_upper", upper <= value)):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            rule = f"must leave the estimate {value[row]:g} inside the interval"
            raise Problem(row, name, float(columns[name][row]), rule)
    missing = np.isnan(value + lower + upper)
    return np.asarray(se_from_interval(np.where(missing, np.nan, lower), upper, scale=scale) ** 2)
