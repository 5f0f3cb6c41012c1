"""Peto's one-step odds ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.two_by_two import cells
from metail2.kernels.tables import hypergeometric_variance, peto
from metail2.models.base import check_level
from metail2.models.tables import TableResult, counted, effects_from_counts, table_result


@dataclass(frozen=True, slots=True)
class Peto:
    """Specification: Σ(O − E)/ΣV, for rare events, arms of similar size and small effects only.

    Attributes
    ----------
    level : float
        Confidence level.

    Notes
    -----
    Yusuf S, Peto R, Lewis J, Collins R, Sleight P (1985). Progress in Cardiovascular Diseases 27:335–371. Outside its
    conditions the estimate is biased: Greenland S, Salvan A (1990). Statistics in Medicine 9:247–252.
    """

    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)

    def fit(self, data: pd.DataFrame | EffectSizes) -> TableResult:
        """Pool the tables (``events1 n1 events2 n2``, or ``a b c d``); tables without any event have no weight."""
        effects = effects_from_counts(data, "PETO", add=0)
        used = counted(effects)
        table = cells(effects.inputs)
        pooled = peto(*(table[name][used] for name in "abcd"))
        undefined = "Peto's odds ratio is undefined, because no study has patients with and patients without the event"
        return table_result(self, effects, used, pooled, "PETO", "" if np.isfinite(pooled.estimate) else undefined)


def peto_conditions(effects: EffectSizes) -> list[str]:
    """Say which conditions of Peto's method do not hold, one sentence each; an empty list where all hold.

    The conditions, after the Cochrane Handbook (section 10.4.4.1) and Greenland & Salvan (1990): events are rare (here:
    at most 1 % over all arms), the arms of each study are of similar size (at most 2 : 1), and the effect is small (the
    pooled odds ratio between 0.5 and 2).

    Parameters
    ----------
    effects : EffectSizes
        Effects that carry two-by-two tables.
    """
    table = cells(effects.inputs)
    events, n1, n2 = table["a"] + table["c"], table["a"] + table["b"], table["c"] + table["d"]
    risk = 100 * float(np.nansum(events)) / float(np.nansum(n1 + n2))
    ratio = np.maximum(n1 / n2, n2 / n1)
    informative = hypergeometric_variance(*(table[name] for name in "abcd")) > 0
    worst = int(np.nanargmax(np.where(informative, ratio, 0)))
    odds = float(np.exp(Peto().fit(effects).estimate))
    broken = []
    if risk > 1:
        broken.append(f"Events are not rare: {risk:.1f} % of all patients had one (rare: at most 1 %).")
    if ratio[worst] > 2 and informative[worst]:
        broken.append(
            f"Arms are not of similar size: {n1[worst]:g} v {n2[worst]:g} in {effects.study[worst]} (at most 2 : 1)."
        )
    if not 0.5 <= odds <= 2:
        broken.append(f"The effect is not small: Peto's odds ratio would be {odds:.2f} (small: 0.5 to 2).")
    return broken
