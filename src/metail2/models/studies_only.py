"""Studies side by side, not pooled: the three tables with an empty tidy(), so that plots need no second path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.effects.effect_sizes import EffectSizes
from metail2.kernels.inference import quantile
from metail2.models.base import check_level, study_table
from metail2.results import GLANCE_COLUMNS, TIDY_COLUMNS

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class StudiesOnly:
    """Specification of showing effects without pooling them.

    Attributes
    ----------
    reason : str
        Why they are not pooled, in a sentence; printed wherever they are shown.
    level : float
        Confidence level of each study's interval.
    small_sample : bool
        Intervals of changes in one group by t with n − 1 degrees of freedom instead of the normal.
    """

    reason: str
    level: float = 0.95
    small_sample: bool = False

    def __post_init__(self) -> None:
        check_level(self.level)

    def fit(self, effects: EffectSizes) -> StudiesOnlyResult:
        """Wrap the effects; nothing is computed but each study's own interval."""
        return StudiesOnlyResult(self, effects)


@dataclass(frozen=True, slots=True)
class StudiesOnlyResult:
    """Effects shown side by side."""

    spec: StudiesOnly
    effects: EffectSizes

    def tidy(self, exponentiate: bool = False) -> pd.DataFrame:
        """Return no row: nothing is pooled."""
        return pd.DataFrame(columns=list(TIDY_COLUMNS))

    def glance(self) -> pd.DataFrame:
        """Return one row with the measure, the number of studies and the reason."""
        values = dict.fromkeys(GLANCE_COLUMNS, NAN) | {
            "k": int(self.effects.complete.sum()), "p": 0, "measure": self.effects.measure, "method": "", "test": "",
            "pi_method": "", "status": "not_pooled", "status_reason": self.spec.reason, "level": self.spec.level,
        }  # fmt: skip
        return pd.DataFrame([values])

    def studies(self) -> pd.DataFrame:
        """Return one row a study; no weights, because nothing is pooled."""
        nothing = np.full(len(self.effects), NAN)
        state = np.where(np.isnan(self.effects.yi), "missing", "shown").astype(object)
        state[np.isfinite(self.effects.yi) & np.isnan(self.effects.vi)] = "variance_undefined"
        table = study_table(self.effects, self.spec.level, nothing, nothing, state)
        return _with_t_intervals(table, self.spec.level) if self.spec.small_sample else table


def _with_t_intervals(table: pd.DataFrame, level: float) -> pd.DataFrame:
    half = [
        quantile(level, n - 1) * np.sqrt(vi) if n > 1 else NAN for n, vi in zip(table["n"], table["vi"], strict=True)
    ]
    return table.assign(ci_lower=table["yi"] - half, ci_upper=table["yi"] + half)
