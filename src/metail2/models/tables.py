"""What models of count tables share: reading a frame or EffectSizes, and a result without a between-study variance."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.compute import effect_sizes
from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import MetailWarning, ModelError
from metail2.kernels.heterogeneity import i2_from_q
from metail2.kernels.inference import chi2_upper, wald
from metail2.kernels.tables import TablePool
from metail2.models.base import PooledResult, study_table
from metail2.results import GLANCE_COLUMNS
from metail2.wording import some

Floats = NDArray[np.float64]
NAN = float("nan")


NO_TAU2 = "a common effect is assumed, so there is no τ², prediction interval or likelihood"
NO_Q = "heterogeneity needs an estimate and at least 2 studies with events"
RATIOS = ("RR", "OR", "IRR", "PETO")


def effects_from_counts(data: pd.DataFrame | EffectSizes, measure: str, add: float | None = None) -> EffectSizes:
    """Compute study-level effects from counts; as a ratio, a table without events is not estimable.

    Parameters
    ----------
    data : DataFrame or EffectSizes
        A frame of counts, or effects that carry their counts.
    measure : str
        Code of the measure.
    add : float, optional
        Added to tables with a zero cell; None is the measure's default of 0.5.
    """
    if isinstance(data, EffectSizes):
        if not data.inputs:
            raise ModelError("These effects carry no counts; give a frame with events1, n1, events2 and n2.")
        data = data.moderators.assign(**data.frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # studies() says of each study what the warning would
        return effect_sizes(data, measure, drop00=measure in RATIOS, add=add)


def counted(effects: EffectSizes) -> NDArray[np.bool_]:
    """Which tables are whole, shape (k,); the others are named in a warning and left out."""
    whole = np.isfinite(np.array([np.asarray(values, dtype=float) for values in effects.inputs.values()])).all(axis=0)
    if not whole.any():
        raise ModelError("No study has all its counts, so there is nothing to pool.")
    if not whole.all():
        lost = some([effects.study[i] for i in np.flatnonzero(~whole)])
        warnings.warn(f"{lost}: left out of the fit, because a count is missing.", MetailWarning, stacklevel=4)
    return np.asarray(whole)


@dataclass(frozen=True, eq=False, repr=False)
class TableResult(PooledResult):
    """A result of pooling count tables.

    Attributes
    ----------
    used : ndarray of bool
        Which studies have all their counts.
    pooled : TablePool
        Estimate, variance and weights.
    q, q_df : float
        Cochran's Q of the study-level effects around the pooled estimate, and its degrees of freedom.
    method : str
        ``"MH"`` or ``"PETO"``.
    reason : str
        Why the estimate is undefined, or what its studies show that it does not use; may be empty.
    """

    used: NDArray[np.bool_]
    pooled: TablePool
    q: float
    q_df: int
    method: str
    reason: str

    @property
    def i2_q(self) -> float:
        """I² from Q, percent."""
        return NAN if math.isnan(self.q) or self.q_df == 0 else float(i2_from_q(np.asarray(self.q), self.q_df))

    def studies(self) -> pd.DataFrame:
        """Return one row a study, also of those left out; weights in percent.

        Differences are those of the raw counts, whose weighted mean the estimate is; the interval of a study with a
        zero cell uses the variance with 0.5 added, since the raw one would be too small or 0.
        """
        shown, k = self.effects, len(self.effects)
        if shown.measure not in RATIOS:
            shown = replace(shown, yi=effects_from_counts(shown, shown.measure, add=0).yi)
        weight, total = np.full(k, NAN), self.pooled.weights.sum()
        if total > 0:
            weight[self.used] = 100 * self.pooled.weights / total
        state = np.full(k, "missing", dtype=object)
        counts = self.effects.complete[self.used] | (self.pooled.weights > 0)
        state[self.used] = np.where(counts, "used", "no_events")
        return study_table(shown, self.spec.level, weight, np.full(k, self.wald.estimate[0]), state)

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then ``level``."""
        values: dict[str, Any] = dict.fromkeys(GLANCE_COLUMNS, NAN)
        values |= {
            "k": int(self.effects.complete.sum()), "p": 1, "measure": self.effects.measure,
            "method": self.method, "test": "z",
            "i2_q": self.i2_q, "q": self.q, "q_df": self.q_df,
            "q_p": float(chi2_upper(np.asarray(self.q), self.q_df)) if self.q_df > 0 else NAN,
            "pi_method": "", "status": "undefined" if math.isnan(self.wald.estimate[0]) else "ok",
            "status_reason": "; ".join(filter(None, [self.reason, NO_TAU2, NO_Q if math.isnan(self.q) else ""])),
        }  # fmt: skip
        return pd.DataFrame([values | {"level": self.spec.level}])


def table_result(
    spec: Any, effects: EffectSizes, used: NDArray[np.bool_], pooled: TablePool, method: str, reason: str
) -> TableResult:
    """Assemble the result: Wald interval of the estimate, and Q over the studies with an event.

    Q weighs the study-level effects by their inverse variances around the pooled estimate.
    """
    coefficients = wald(np.atleast_1d(pooled.estimate), np.atleast_1d(pooled.variance), np.inf, spec.level)
    known = effects.complete & _with_events(effects)
    deviation = effects.yi[known] - coefficients.estimate[0]
    q = float((deviation**2 / effects.vi[known]).sum()) if known.sum() > 1 and np.isfinite(deviation).all() else NAN
    df = max(0, int(known.sum()) - 1)
    return TableResult(spec, effects, ("intercept",), coefficients, used, pooled, q, df, method, reason)


def _with_events(effects: EffectSizes) -> NDArray[np.bool_]:
    first, second = (np.asarray(effects.inputs[name]) for name in event_columns(effects))
    return np.asarray((first + second) > 0)


def event_columns(effects: EffectSizes) -> tuple[str, str]:
    """Names of the two columns of events among the inputs."""
    return ("a", "c") if "a" in effects.inputs else ("events1", "events2")
