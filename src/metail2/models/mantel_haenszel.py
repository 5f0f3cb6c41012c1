"""Mantel–Haenszel pooling of two-by-two tables and of rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.two_by_two import cells
from metail2.kernels.tables import MANTEL_HAENSZEL
from metail2.models.base import check_level
from metail2.models.tables import RATIOS, TableResult, counted, effects_from_counts, event_columns, table_result
from metail2.wording import listed, some


@dataclass(frozen=True, slots=True)
class MantelHaenszel:
    """Specification: a common effect from sparse tables, without correcting zero cells.

    Attributes
    ----------
    measure : {"OR", "RR", "RD", "IRR", "IRD"}
        What is pooled. RD keeps the weight of tables without events (variance of Sato, Greenland & Robins 1989).
    level : float
        Confidence level.

    Notes
    -----
    Mantel N, Haenszel W (1959). JNCI 22:719–748. Robins J, Breslow N, Greenland S (1986). Biometrics 42:311–323.
    Greenland S, Robins JM (1985). Biometrics 41:55–68. Sato T (1989). Biometrics 45:1323.
    """

    measure: str = "OR"
    level: float = 0.95

    def __post_init__(self) -> None:
        MANTEL_HAENSZEL[self.measure]
        check_level(self.level)

    def fit(self, data: pd.DataFrame | EffectSizes) -> TableResult:
        """Pool the tables.

        Parameters
        ----------
        data : DataFrame or EffectSizes
            ``events1 n1 events2 n2`` (or ``a b c d``); for IRR and IRD ``events1 time1 events2 time2``.

        Returns
        -------
        TableResult
            Where no events occurred in one of the arms of all studies, a ratio is undefined: NaN, with the reason.
        """
        effects = effects_from_counts(data, self.measure)
        used = counted(effects)
        pooled = MANTEL_HAENSZEL[self.measure](*(column[used] for column in _columns(effects)))
        if not np.isfinite(pooled.variance):
            return table_result(self, effects, used, pooled, "MH", _undefined(effects))
        notes = [_weightless(effects, used, pooled.weights), _corrected(effects, self.measure)]
        return table_result(self, effects, used, pooled, "MH", "; ".join(filter(None, notes)))


def _columns(effects: EffectSizes) -> list[NDArray[np.float64]]:
    if "time1" in effects.inputs:
        return [np.asarray(effects.inputs[name]) for name in ("events1", "time1", "events2", "time2")]
    table = cells(effects.inputs)
    return [table[name] for name in "abcd"]


def _weightless(effects: EffectSizes, used: NDArray[np.bool_], weights: NDArray[np.float64]) -> str:
    """Explain a weight of 0 %: the pooled ratio is a weighted mean of ratios only of studies with control events."""
    names = [effects.study[i] for i in np.flatnonzero(used)[(weights == 0) & effects.complete[used]]]
    if not names:
        return ""
    return (
        f"{listed(names)} {'has' if len(names) == 1 else 'have'} a weight of 0 %, having no event in the control arm, "
        "yet the events of the experimental arm count in the pooled ratio"
    )


def _corrected(effects: EffectSizes, measure: str) -> str:
    """Say which studies are shown with a correction that the pooled estimate does not use."""
    columns = [np.asarray(column) for column in _columns(effects)]
    counts = columns if "time1" not in effects.inputs else [columns[0], columns[2]]
    names = [effects.study[i] for i in np.flatnonzero(np.any([column == 0 for column in counts], axis=0))]
    if not names:
        return ""
    what = "the effect and interval" if measure in RATIOS else "the interval"
    return f"{what} shown for {some(names)}, and Q, use 0.5 added to every cell; the pooled estimate does not"


def _undefined(effects: EffectSizes) -> str:
    first, second = (float(np.nansum(effects.inputs[name])) for name in event_columns(effects))
    if first == second == 0:
        return "nothing can be pooled, because no event occurred in either arm of any study"
    if second == 0:
        return "the Mantel–Haenszel ratio is undefined, because no event occurred in any control arm"
    if first == 0:
        return (
            "the Mantel–Haenszel ratio is 0, because no event occurred in any experimental arm, so its logarithm and "
            "interval are undefined"
        )
    return "the Mantel–Haenszel ratio is undefined, because one of its sums is 0"
