"""What models of count tables share: reading a frame or EffectSizes, and a result without a between-study variance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.compute import computed, effect_sizes
from metail2.effects.counts import ZeroCells
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.measures import MEASURES
from metail2.errors import MetailWarning, ModelError
from metail2.kernels.heterogeneity import i2_from_q
from metail2.kernels.inference import chi2_upper, wald
from metail2.kernels.tables import TablePool
from metail2.models.base import PooledResult, study_table, warn_repeated
from metail2.models.table_tests import glance_figures, informed, summary_lines, table_columns, tests_table
from metail2.results import GLANCE_COLUMNS
from metail2.wording import some

Floats = NDArray[np.float64]
NAN = float("nan")


NO_TAU2 = "a common effect is assumed, so there is no τ², prediction interval or likelihood"
NO_Q = "heterogeneity needs an estimate and at least 2 studies with events"
RATIOS = ("RR", "OR", "IRR", "PETO", "HR")


def effects_from_counts(
    data: pd.DataFrame | EffectSizes,
    measure: str,
    add: float | None = None,
    to: str = "only0",
    columns: Sequence[str] = (),
) -> EffectSizes:
    """Compute study-level effects from counts; as a ratio, a table without events is not estimable.

    Parameters
    ----------
    data : DataFrame or EffectSizes
        A frame of counts, or effects that carry their counts.
    measure : str
        Code of the measure.
    add : float, optional
        Added to the cells of corrected tables; None is the measure's default of 0.5.
    to : {"only0", "all", "if0all", "none"}
        Which tables are corrected.
    columns : sequence of str
        The set of columns to compute from, where a frame holds more than one.
    """
    check_data(data)
    if isinstance(data, EffectSizes):
        if not data.inputs:
            raise ModelError("These effects carry no counts; give a frame with events1, n1, events2 and n2.")
        if own := _own_columns(data, measure):
            return _recomputed(data, measure, own, ZeroCells(add, to, measure in RATIOS))
        data = data.moderators.assign(**data.frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # studies() says of each study what the warning would
        named = {name: name for name in columns}
        return effect_sizes(data, measure, drop00=measure in RATIOS, add=add, to=to, **named)


def check_data(data: object) -> None:
    """Raise unless `data` is a frame or effects."""
    if not isinstance(data, pd.DataFrame | EffectSizes):
        raise ModelError(f"Give a DataFrame of counts, or effects that carry them, not {type(data).__name__}.")


def _own_columns(effects: EffectSizes, measure: str) -> tuple[str, ...]:
    """The effects' inputs, where they are a set of columns of the measure; nothing where they are not."""
    known = [names for names in MEASURES[measure].family.columns if set(names) == set(effects.inputs)]
    return known[0] if known else ()


def _recomputed(effects: EffectSizes, measure: str, columns: Sequence[str], options: ZeroCells) -> EffectSizes:
    """Compute a measure from the counts that effects carry; moderators and labels stay, the trail told of others."""
    inputs = {name: np.asarray(effects.inputs[name], dtype=float) for name in columns}
    yi, vi = computed(MEASURES[measure], inputs, options, None, effects.study)
    return replace(effects, yi=yi, vi=vi, measure=measure, V=None, inputs=inputs, _trail=None)


def counted(effects: EffectSizes) -> NDArray[np.bool_]:
    """Which tables are whole, shape (k,); warnings name the others, which are left out, and labels that stand twice.

    Raises
    ------
    ModelError
        If no table is whole, or one compares nothing: an arm without patients, or one patient in both arms together.
    """
    whole = np.isfinite(np.array([np.asarray(values, dtype=float) for values in effects.inputs.values()])).all(axis=0)
    every, one = ("O − E and V", "O − E or V") if "v" in effects.inputs else ("all its counts", "a count")
    if not whole.any():
        raise ModelError(f"No study has {every}, so there is nothing to pool.")
    _check_arms(effects)
    warn_repeated(effects)
    if not whole.all():
        labels = effects.study
        lost = some([labels[i] for i in np.flatnonzero(~whole)])
        warnings.warn(f"{lost}: left out of the fit, because {one} is missing.", MetailWarning, stacklevel=4)
    return np.asarray(whole)


def _check_arms(effects: EffectSizes) -> None:
    if not {"a", "n1"} & set(effects.inputs):
        return
    a, b, c, d = table_columns(effects)
    wrong = np.flatnonzero((a + b == 0) | (c + d == 0) | (a + b + c + d <= 1))
    if len(wrong):
        i = int(wrong[0])
        raise ModelError(
            f"{effects.study[i]}: the arms have {a[i] + b[i]:g} and {c[i] + d[i]:g} patients, but patients in both and "
            "more than 1 together are needed to compare them; correct the counts or leave the study out."
        )


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
        Why the estimate is undefined, or what its studies show that it does not use, and which it says nothing of; may
        be empty.
    further : mapping of str to ndarray
        Columns that `studies` shows after the inputs, each of shape (k,).
    """

    used: NDArray[np.bool_]
    pooled: TablePool
    q: float
    q_df: int
    method: str
    reason: str
    further: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def i2_q(self) -> float:
        """I² from Q, percent."""
        return NAN if math.isnan(self.q) or self.q_df == 0 else float(i2_from_q(np.asarray(self.q), self.q_df))

    @property
    def k(self) -> int:
        """Number of studies in the estimate; Q may be of fewer, which `reason` then says."""
        return int(in_estimate(self.effects, self.used, self.pooled.weights).sum())

    @property
    def lacks(self) -> str:
        """Why there is no τ² and, where there is none, no Q."""
        return f"{NO_TAU2}; {self._no_q}" if math.isnan(self.q) else NO_TAU2

    @property
    def _no_q(self) -> str:
        alone = math.isnan(self.wald.estimate[0]) or self.k < 2
        return NO_Q if alone else "heterogeneity needs at least 2 studies that enter Q"

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
        state[self.used] = "no_events"
        state[in_estimate(self.effects, self.used, self.pooled.weights)] = "used"
        table = study_table(shown, self.spec.level, weight, np.full(k, self.wald.estimate[0]), state)
        return table.assign(**self.further)

    def tests(self) -> pd.DataFrame:
        """Return tests of the tables, one row a test: ``test statistic df p_value note``.

        ``cmh`` (Cochran–Mantel–Haenszel) and ``cochran`` (the same with the variance of two binomials) ask whether
        there is any association, for every measure; ``_corrected`` means for continuity. Of person-time, ``cmh`` is the
        analogue of Rothman & Greenland; of O − E and V it is the stratified log-rank test, the square of Peto's z.
        ``breslow_day`` and ``tarone`` (Breslow–Day with Tarone's correction) ask whether the odds ratios are equal, and
        exist for ``measure="OR"``.

        The note says what is asked, why a statistic is NaN, and which studies do not enter.

        References
        ----------
        Mantel N, Haenszel W (1959). JNCI 22:719–748. Cochran WG (1954). Biometrics 10:417–451. Breslow NE, Day NE
        (1980). Statistical Methods in Cancer Research I, IARC, p. 142. Tarone RE (1985). Biometrika 72:91–95. Rothman
        KJ, Greenland S, Lash TL (2008). Modern Epidemiology, 3rd ed., ch. 15.
        """
        return tests_table(self.effects, self.used)

    def summary(self) -> str:
        """Return the result as text, with its tests."""
        return "\n".join([super().summary(), *summary_lines(self.effects, self.used)])

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then ``level``, and of `tests` what follows.

        ``cmh cmh_p breslow_day breslow_day_p tarone tarone_p`` are statistics and P values; ``tests_reason`` says why
        some are NaN.
        """
        values: dict[str, Any] = dict.fromkeys(GLANCE_COLUMNS, NAN)
        values |= {
            "k": self.k, "p": 1, "measure": self.effects.measure,
            "method": self.method, "test": "z",
            "i2_q": self.i2_q, "q": self.q, "q_df": self.q_df,
            "q_p": float(chi2_upper(np.asarray(self.q), self.q_df)) if self.q_df > 0 else NAN,
            "pi_method": "", "status": "undefined" if math.isnan(self.wald.estimate[0]) else "ok",
            "status_reason": "; ".join(filter(None, [self.reason, self.lacks])),
        }  # fmt: skip
        return pd.DataFrame([values | {"level": self.spec.level} | glance_figures(self.effects, self.used)])


def in_estimate(effects: EffectSizes, used: NDArray[np.bool_], weights: Floats) -> NDArray[np.bool_]:
    """Which studies the estimate rests on, shape (k,); `weights` are of those used.

    A study is in it if it has a weight, and in a ratio also without one if it has an event: a Mantel–Haenszel weight is
    that of the sum below the line, and a study may add to the one above alone.
    """
    inside = used & informed(effects)
    inside[used] |= weights > 0
    return inside


def _without_weight(effects: EffectSizes, outside: NDArray[np.bool_]) -> list[str]:
    """Name the studies that say nothing about what is pooled, a clause for each reason."""
    columns = table_columns(effects)
    none = np.asarray(columns[1] == 0 if "v" in effects.inputs else columns[0] + columns[2] == 0)
    why = "V is 0" if "v" in effects.inputs else "no event occurred in either arm"
    return [
        f"{some(names)} {'has' if len(names) == 1 else 'have'} no weight, because {reason}"
        for reason, rows in ((why, outside & none), ("everybody had the event", outside & ~none))
        if (names := named(effects, rows))
    ]


def named(effects: EffectSizes, rows: NDArray[np.bool_]) -> list[str]:
    """Labels of the studies in `rows`, shape (k,)."""
    labels = effects.study if rows.any() else ()
    return [labels[i] for i in np.flatnonzero(rows)]


def in_q(effects: EffectSizes) -> NDArray[np.bool_]:
    """Which studies enter Q, shape (k,), if there are two: those with an effect of their own that tell something."""
    return effects.complete & informed(effects)


def table_result(
    spec: Any,
    effects: EffectSizes,
    used: NDArray[np.bool_],
    pooled: TablePool,
    method: str,
    reason: str,
    further: Mapping[str, Floats] | None = None,
) -> TableResult:
    """Assemble the result: Wald interval of the estimate, and Q over the studies that enter its tests.

    Q weighs the study-level effects by their inverse variances around the pooled estimate. The reason goes on to name
    the studies without weight, unless no study has any, which the reason itself then says.
    """
    coefficients = wald(np.atleast_1d(pooled.estimate), np.atleast_1d(pooled.variance), np.inf, spec.level)
    known = in_q(effects)
    deviation = effects.yi[known] - coefficients.estimate[0]
    q = float((deviation**2 / effects.vi[known]).sum()) if known.sum() > 1 and np.isfinite(deviation).all() else NAN
    df = max(0, int(known.sum()) - 1)
    inside = in_estimate(effects, used, pooled.weights)
    silent = _without_weight(effects, used & ~inside) if inside.any() else []
    reason = "; ".join(filter(None, [reason, *silent]))
    return TableResult(spec, effects, ("intercept",), coefficients, used, pooled, q, df, method, reason, further or {})
