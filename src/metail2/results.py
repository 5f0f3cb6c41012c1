"""The small frozen dataclasses that results are made of, and the Result protocol that plots and reports read.

The three tables are the interface of every result (column names are fixed):

``tidy()``     one row a coefficient: ``term estimate se statistic df p_value ci_lower ci_upper``
``glance()``   one row a model: the columns of `GLANCE_COLUMNS`, then the model's own
``studies()``  one row a study: the columns of `STUDY_COLUMNS`, then the measure's input columns
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd

TIDY_COLUMNS = ("term", "estimate", "se", "statistic", "df", "p_value", "ci_lower", "ci_upper")
GLANCE_COLUMNS = (
    "k", "p", "measure", "method", "test", "tau2", "tau2_se", "i2", "i2_q", "h2", "q", "q_df", "q_p", "qm", "qm_df",
    "qm_p", "r2", "log_likelihood", "deviance", "aic", "bic", "aicc", "pi_lower", "pi_upper", "pi_method", "status",
    "status_reason",
)  # fmt: skip
STUDY_COLUMNS = ("study", "yi", "vi", "ci_lower", "ci_upper", "weight", "fitted", "residual", "group", "state")

GROUP_COLUMNS = (
    "group", "k", "estimate", "se", "statistic", "df", "p_value", "ci_lower", "ci_upper", "weight", "tau2", "i2",
    "i2_q", "q", "q_df", "q_p", "pi_lower", "pi_upper", "status", "status_reason",
)  # fmt: skip
"""Columns of ``groups()``, one row a subgroup; `weight` in percent of all studies."""

STATUS = {
    "ok": "the model was fitted",
    "one_study": "one study: its own normal (z) interval is shown and nothing is pooled",
    "not_pooled": "studies are shown side by side and not pooled",
    "undefined": "the pooled estimate is undefined for these tables",
    "zero_se": "all effects agree exactly with the fit: the Hartung–Knapp standard error is 0, so P says nothing",
}
"""The closed list of ``status`` codes in `glance`, each with its meaning."""

STUDY_STATES = {
    "used": "in the model",
    "shown": "shown, not pooled",
    "variance_undefined": "shown without an interval: the variance is undefined (one patient)",
    "missing": "left out: effect or variance is missing",
    "missing_moderator": "left out: a moderator is missing",
    "missing_group": "left out: the group is missing",
    "no_events": "in the totals, without weight: no event at all, or one in every patient, says nothing about a ratio",
}
"""The closed list of ``state`` codes in `studies`, each with its meaning."""


@runtime_checkable
class Result(Protocol):
    """What plots, reports and exports need of a fitted model: its three tables, on the pooled scale."""

    def tidy(self, exponentiate: bool = False) -> pd.DataFrame:
        """One row a coefficient."""
        ...

    def glance(self) -> pd.DataFrame:
        """One row: the model."""
        ...

    def studies(self) -> pd.DataFrame:
        """One row a study."""
        ...


class Pooled(Result, Protocol):
    """A result that pooled something, with the intervals that must stand beside its own."""

    def companions(self) -> pd.DataFrame:
        """Intervals to print beside the result's own, with the reason; often none."""
        ...


@runtime_checkable
class Grouped(Pooled, Protocol):
    """A result of several groups, whose ``tidy()`` has a row for each and one for all studies together, the last."""

    def groups(self) -> pd.DataFrame:
        """One row a group: the columns of `GROUP_COLUMNS`."""
        ...

    def between_text(self) -> str:
        """A sentence on whether the groups differ."""
        ...


@dataclass(frozen=True, slots=True)
class HeterogeneityInterval:
    """Confidence limits for τ² and what follows from it.

    Attributes
    ----------
    lower, upper : float
        Limits for τ², on the squared scale of the effects.
    tau_lower, tau_upper : float
        Limits for τ.
    i2_lower, i2_upper : float
        Limits for I² (from τ²), percent.
    h2_lower, h2_upper : float
        Limits for H².
    level : float
        Confidence level, e.g. 0.95.
    method : str
        The method's code, e.g. ``"q_profile"``.
    note : str
        Empty, or why a limit is what it is (an empty confidence set is shown as 0 to 0).
    """

    lower: float
    upper: float
    tau_lower: float
    tau_upper: float
    i2_lower: float
    i2_upper: float
    h2_lower: float
    h2_upper: float
    level: float
    method: str
    note: str = ""
