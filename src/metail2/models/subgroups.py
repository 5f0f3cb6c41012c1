"""Subgroup analysis: the effect in each group, and whether the groups differ."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import MetailWarning, ModelError, UnknownChoice
from metail2.kernels.heterogeneity import heterogeneity, i2_from_q, i2_from_tau2
from metail2.kernels.inference import JointTest, joint_test
from metail2.models.base import group_labels, no_new_study
from metail2.models.checks import check_effects
from metail2.models.doubts import cautions
from metail2.models.random_effects import RandomEffects
from metail2.models.random_effects_result import ASSUMED, RandomEffectsResult
from metail2.models.subgroup_result import OVERALL, SubgroupResult
from metail2.results import STATUS
from metail2.wording import some

Floats = NDArray[np.float64]
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Specification of a subgroup analysis.

    Attributes
    ----------
    by : str
        Column of `EffectSizes.moderators` that holds the groups.
    model : RandomEffects
        How each group, and all studies together, are pooled; without moderators.
    common_tau2 : bool
        One between-study variance for all groups (a meta-regression on the groups) instead of one for each. With few
        studies in a group its own τ² is hardly known.

    Notes
    -----
    Borenstein M, Hedges LV, Higgins JPT, Rothstein HR (2009). Introduction to Meta-Analysis, ch. 19.
    """

    by: str
    model: RandomEffects = field(default_factory=RandomEffects)
    common_tau2: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.by, str):
            raise ModelError(f"The groups are {self.by!r}; give the name of one column, e.g. 'disease'.")
        if not isinstance(self.model, RandomEffects):
            raise ModelError(f"Subgroups are pooled by RandomEffects, not by {type(self.model).__name__}.")
        if self.model.moderators is not None:
            raise ModelError(
                "A subgroup analysis has no moderators; give the groups as a moderator too, e.g. 'C(disease) + year'."
            )

    @property
    def level(self) -> float:
        """Confidence level of all intervals."""
        return self.model.level

    def fit(self, effects: EffectSizes) -> SubgroupResult:
        """Pool each group and all studies together, and test whether the groups differ.

        Parameters
        ----------
        effects : EffectSizes
            Effects without a value, a variance or a group are left out, with a warning that names them.

        Returns
        -------
        SubgroupResult
            Groups in the order in which they first appear.

        Raises
        ------
        ModelError, UnknownChoice
            If there is no such column, or fewer than two groups with an effect.
        """
        check_effects(effects)
        labels = self._labels(effects)
        known = effects.subset(np.array([label is not None for label in labels]))
        own = np.array([label for label in labels if label is not None], dtype=object)
        groups = list(dict.fromkeys(own[known.complete]))
        if len(groups) < 2:
            only = f"one group with an effect ({groups[0]})" if groups else "no group with an effect"
            raise ModelError(
                f"{self.by!r} has {only}, so there is nothing to compare; pool the studies without groups."
            )
        overall = self.model.fit(known)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit of all studies has warned of each already
            parts = (_common if self.common_tau2 else _separate)(self, known, own, groups)
        return SubgroupResult(self, effects, overall.terms, overall.wald, tuple(labels), overall, *parts)

    def _labels(self, effects: EffectSizes) -> list[str | None]:
        if self.by not in effects.moderators:
            raise UnknownChoice("column of groups", self.by, map(str, effects.moderators.columns))
        labels = group_labels(effects.moderators[self.by])
        _check_labels(self.by, effects.moderators[self.by], labels)
        lost = [study for study, label in zip(effects.study, labels, strict=True) if label is None]
        if lost:
            warnings.warn(f"{some(lost)}: left out, because {self.by!r} is missing.", MetailWarning, stacklevel=4)
        return labels


def _check_labels(by: str, column: pd.Series, labels: list[str | None]) -> None:
    """Refuse labels that could not be told apart in tables: empty, ``overall``, or different values of one text."""
    for reserved in ("", OVERALL):
        if reserved in labels:
            raise ModelError(f"{by!r} has a group called {reserved!r}, a name that tables need; give it another.")
    if len({label.strip() for label in labels if label is not None}) != column.nunique():
        raise ModelError(
            f"{by!r} holds different values that read alike, such as 1 and '1', or 'a' and 'a '; make them one."
        )


Parts = tuple[pd.DataFrame, JointTest, Mapping[str, RandomEffectsResult], pd.DataFrame, Mapping[str, JointTest]]
"""The last five attributes of a `SubgroupResult`."""


def _separate(spec: Subgroups, effects: EffectSizes, labels: NDArray[np.object_], groups: list[str]) -> Parts:
    """Fit each group by itself.

    The groups are compared by χ² = Σ (μ_g − μ̄)²/SE_g² with the model's own standard errors, also where a group's
    interval is scaled by Hartung and Knapp: χ² takes standard errors as known, and the scaled one of a group of two
    studies may be near 0 by chance.
    """
    results = {group: spec.model.fit(effects.subset(labels == group)) for group in groups}
    estimate = np.array([result.estimate for result in results.values()])
    variance = np.array([float(result.fitted.covariance[0, 0]) for result in results.values()])
    differences = np.column_stack([-np.ones(len(groups) - 1), np.eye(len(groups) - 1)])
    between = joint_test(differences @ estimate, differences @ np.diag(variance) @ differences.T, math.inf)
    table = pd.DataFrame([_row(group, result) for group, result in results.items()])
    beside = [result.companions().assign(group=group) for group, result in results.items()]
    shown = [rows for rows in beside if len(rows)]
    return table, between, results, pd.concat(shown, ignore_index=True) if shown else beside[0], {}


def _row(group: str, result: RandomEffectsResult) -> dict[str, object]:
    tidy, glance = result.tidy().iloc[0], result.glance().iloc[0]
    own = ("tau2", "i2", "i2_q", "q", "q_df", "q_p", "pi_lower", "pi_upper", "status", "status_reason")
    return {"group": group, "k": result.k, **tidy.drop("term"), **{name: glance[name] for name in own}}


def _common(spec: Subgroups, effects: EffectSizes, labels: NDArray[np.object_], groups: list[str]) -> Parts:
    """Fit one regression on the groups, without an intercept; the differences are tested as the model tests."""
    k = np.count_nonzero(effects.complete)
    if k <= len(groups):
        raise ModelError(
            f"A common τ² needs more studies than groups, and there are {k} studies in {len(groups)} groups of "
            f"{spec.by!r}; join groups, or let each have its own τ²."
        )
    column = "subgroup"
    while column in effects.moderators:
        column += "_"
    result = replace(spec.model, moderators=f"0 + C({column})").fit(effects.assign(**{column: labels}))
    labels = labels[result.used]
    one_a_group = np.array([result.design.x[np.argmax(labels == group)] for group in groups])
    place = one_a_group.argmax(axis=1)
    differences, beside = one_a_group[1:] - one_a_group[0], result.companions()
    group_of = {result.terms[column]: group for column, group in zip(place, groups, strict=True)}
    tidy = result.tidy().iloc[place].reset_index(drop=True).assign(term=groups)
    rows = pd.DataFrame([_within(result, labels == group) for group in groups])
    predicted = result.predict_rows(one_a_group, spec.level)[["pi_lower", "pi_upper"]]
    table = pd.concat([tidy.rename(columns={"term": "group"}), rows, predicted], axis=1)
    tests = {test: result.joint_test(differences, test) for test in beside["test"].unique()}
    return table, result.joint_test(differences), {}, beside.assign(group=beside["term"].map(group_of)), tests


def _within(result: RandomEffectsResult, own: NDArray[np.bool_]) -> dict[str, object]:
    """What a group's own studies say of its heterogeneity, under the common τ²."""
    yi, vi = result.fitted.yi[own], result.fitted.vi[own]
    reasons = [STATUS[result.status]] if result.status != "ok" else []
    if result.spec.tau2 == "CE":
        reasons += [f"no prediction interval: {no_new_study(result.k, result.spec.tau2)}", ASSUMED]
    elif len(yi) == 1:
        reasons.append("one study, whose interval rests on the τ² of all groups")
    reasons += cautions(result.fitted, result.reference, result.spec.test)
    known = {"k": len(yi), "tau2": result.tau2, "status": result.status, "status_reason": "; ".join(reasons)}
    if len(yi) == 1:
        return known
    spread = heterogeneity(yi, vi, np.ones((len(yi), 1)))
    i2 = NAN if result.spec.tau2 == "CE" else float(i2_from_tau2(result.tau2_estimate.value, spread.typical_variance))
    return known | {
        "i2": i2,
        "i2_q": float(i2_from_q(spread.q, spread.df)), "q": float(spread.q), "q_df": spread.df,
        "q_p": float(spread.p_value),
    }  # fmt: skip
