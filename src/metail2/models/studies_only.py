"""Studies side by side, not pooled: the three tables with an empty tidy(), so that plots need no second path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metail2.effects.effect_sizes import EffectSizes
from metail2.kernels.inference import quantile
from metail2.models.base import study_table
from metail2.models.checks import check_level
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
        Intervals of means by t instead of the normal: see `interval_name`.
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
        if not self.spec.small_sample or self.effects.measure not in T_DF:
            return table
        return _with_t_intervals(table, self.effects.measure, self.spec.level)


def _with_t_intervals(table: pd.DataFrame, measure: str, level: float) -> pd.DataFrame:
    half = [
        quantile(level, df) * np.sqrt(vi) if df > 0 else NAN
        for df, vi in zip(T_DF[measure](table), table["vi"], strict=True)
    ]
    return table.assign(ci_lower=table["yi"] - half, ci_upper=table["yi"] + half)


def interval_name(measure: str) -> str:
    """Say by what the intervals of `StudiesOnly(small_sample=True)` are for a measure."""
    if measure not in T_DF:
        return "normal (z)"
    return "by Welch's t" if measure == "MD" else "by t with n − 1 degrees of freedom"


def _one_group(table: pd.DataFrame) -> pd.Series:
    return table["n"] - 1


def _welch(table: pd.DataFrame) -> pd.Series:
    """Degrees of freedom of Welch and Satterthwaite (Welch 1947)."""
    first, second = table["sd1"] ** 2 / table["n1"], table["sd2"] ** 2 / table["n2"]
    return (first + second) ** 2 / (first**2 / (table["n1"] - 1) + second**2 / (table["n2"] - 1))


T_DF: Mapping[str, Callable[[pd.DataFrame], pd.Series]] = {"MC": _one_group, "ROMC": _one_group, "MD": _welch}
"""Degrees of freedom of the t interval of single studies, by measure; the other measures have a normal interval."""
