"""Mantel–Haenszel pooling of two-by-two tables and of rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells
from metail2.effects.effect_sizes import EffectSizes
from metail2.kernels.tables import MANTEL_HAENSZEL
from metail2.models.checks import check_level
from metail2.models.table_tests import informed, table_columns
from metail2.models.tables import (
    RATIOS,
    TableResult,
    counted,
    effects_from_counts,
    in_estimate,
    in_q,
    named,
    table_result,
)
from metail2.wording import some


@dataclass(frozen=True, slots=True)
class MantelHaenszel:
    """Specification: a common effect from sparse tables, without correcting zero cells.

    Attributes
    ----------
    measure : {"OR", "RR", "RD", "IRR", "IRD"}
        What is pooled. RD keeps the weight of tables without events (variance of Sato, Greenland & Robins 1989).
    level : float
        Confidence level.
    add : float, optional
        Added to the cells of a table whose own effect is shown and enters Q; None is the measure's 0.5. The pooled
        estimate and the tests use the counts as they are.
    to : {"only0", "all", "if0all", "none"}
        Which tables are corrected so: those with a zero cell; all; all if any has one; none.

    Notes
    -----
    Counts need not be whole numbers: effective sizes of cluster-randomised trials are pooled as they are.

    Mantel N, Haenszel W (1959). JNCI 22:719–748. Robins J, Breslow N, Greenland S (1986). Biometrics 42:311–323.
    Greenland S, Robins JM (1985). Biometrics 41:55–68. Sato T (1989). Biometrics 45:1323.
    """

    measure: str = "OR"
    level: float = 0.95
    add: float | None = None
    to: str = "only0"

    def __post_init__(self) -> None:
        MANTEL_HAENSZEL[self.measure]
        check_level(self.level)
        ZeroCells(self.add, self.to)

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
        effects = effects_from_counts(data, self.measure, self.add, self.to)
        used = counted(effects)
        columns = table_columns(effects)
        whole = tuple(column[used] for column in columns)
        pooled = MANTEL_HAENSZEL[self.measure](*whole)
        if not np.isfinite(pooled.variance):
            return table_result(self, effects, used, pooled, "MH", _undefined(self.measure, whole))
        weighed = np.zeros_like(used)
        weighed[used] = pooled.weights > 0
        notes = [
            _weightless(effects, columns, in_estimate(effects, used, pooled.weights) & ~weighed),
            _outside_q(effects, weighed & ~informed(effects)),
            *_corrected(self, effects, columns),
        ]
        return table_result(self, effects, used, pooled, "MH", "; ".join(filter(None, notes)))


def _weightless(effects: EffectSizes, columns: tuple[NDArray[np.float64], ...], rows: NDArray[np.bool_]) -> str:
    """Explain a weight of 0 %: the pooled ratio is a weighted mean of ratios of studies whose own is finite."""
    names = named(effects, rows)
    if not names:
        return ""
    if (columns[2][rows] == 0).all():
        why = "no event in the control arm, yet the events of the experimental arm count"
    else:
        why = "no event in the control arm or nothing but events in the experimental arm, yet the other arm counts"
    return f"{some(names)} {'has' if len(names) == 1 else 'have'} a weight of 0 %, having {why} in the pooled ratio"


def _outside_q(effects: EffectSizes, rows: NDArray[np.bool_]) -> str:
    names = named(effects, rows)
    if not names:
        return ""
    had = "no event occurred" if "time1" in effects.inputs else "nobody or everybody had the event"
    return f"{_counts(names)} in the estimate but not in Q, because {had}"


def _counts(names: list[str]) -> str:
    return f"{some(names)} {'counts' if len(names) == 1 else 'count'}"


def _corrected(spec: MantelHaenszel, effects: EffectSizes, columns: tuple[NDArray[np.float64], ...]) -> list[str]:
    """Say which studies are shown with a correction that the pooled estimate does not use, or without an effect."""
    counts = columns if "time1" not in effects.inputs else columns[::2]
    zero = np.any([column == 0 for column in counts], axis=0)
    amount = effects.definition.add if spec.add is None else spec.add
    every = np.full_like(zero, spec.to == "all" or (spec.to == "if0all" and bool(zero.any())))
    corrected = (every | (zero & (spec.to == "only0"))) & effects.complete & (amount > 0)
    lost = zero & ~corrected & ~effects.complete & informed(effects)
    notes = []
    if names := named(effects, corrected):
        what, use = ("the effect and interval", "use") if spec.measure in RATIOS else ("the interval", "uses")
        place = "cell" if "time1" not in effects.inputs else "number of events"
        who = "every study" if every.any() else some(names)
        also = ", and Q, use" if in_q(effects).sum() > 1 else f" {use}"
        notes.append(f"{what} shown for {who}{also} {amount:g} added to every {place}; the pooled estimate does not")
    if names := named(effects, lost):
        notes.append(
            f"{_counts(names)} in the estimate but not in Q, because a zero cell was not corrected, so there is no "
            "effect or variance of its own"
        )
    return notes


def _undefined(measure: str, columns: tuple[NDArray[np.float64], ...]) -> str:
    first, second = (float(column.sum()) for column in columns[::2])
    if first == second == 0:
        return "nothing can be pooled, because no event occurred in either arm of any study"
    certain = "is 0, because in every arm all patients or none had the event"
    if measure in ("RD", "IRD"):
        return f"the variance of the Mantel–Haenszel difference {certain}"
    if second == 0:
        return "the Mantel–Haenszel ratio is undefined, because no event occurred in any control arm"
    if first == 0:
        return (
            "the Mantel–Haenszel ratio is 0, because no event occurred in any experimental arm, so its logarithm and "
            "interval are undefined"
        )
    if measure == "RR":
        return f"the variance of the Mantel–Haenszel ratio {certain}"
    return _one_sided(columns)


def _one_sided(columns: tuple[NDArray[np.float64], ...]) -> str:
    """Explain an odds ratio one of whose sums, Σad/n over Σbc/n, is 0 although both arms have events."""
    a, b, c, d = columns
    above, below = (a * d).any(), (b * c).any()
    if not above and not below:
        return "nothing can be pooled, because no study has patients with and patients without the event"
    if above:
        value, term, full, empty, spared = "infinite", "bc", "experimental", "control", b
    else:
        value, term, full, empty, spared = "0", "ad", "control", "experimental", d
    nobody = f" or nobody in the {empty} arm" if spared.any() else ""
    return (
        f"the Mantel–Haenszel ratio is {value}, because in every study everybody in the {full} arm had the event"
        f"{nobody} (the sum of {term}/n is 0), so its logarithm and interval are undefined"
    )
