"""Peto's one-step odds ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.two_by_two import cells
from metail2.kernels.tables import peto
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

    def fit(self, data: pd.DataFrame | EffectSizes) -> TableResult:
        """Pool the tables (``events1 n1 events2 n2``, or ``a b c d``); tables without any event have no weight."""
        effects = effects_from_counts(data, "PETO", add=0)
        used = counted(effects)
        table = cells(effects.inputs)
        pooled = peto(*(table[name][used] for name in "abcd"))
        undefined = "Peto's odds ratio is undefined, because no study has patients with and patients without the event"
        return table_result(self, effects, used, pooled, "PETO", "" if np.isfinite(pooled.estimate) else undefined)
