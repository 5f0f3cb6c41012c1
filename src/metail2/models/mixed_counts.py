"""Random-effects models with the exact likelihood of the counts (generalised linear mixed models)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import ModelError
from metail2.kernels.count_densities import Binomial, NoncentralHypergeometric, Poisson
from metail2.kernels.count_fit import FAR, SETTLED, maximise, maximise_over_tau
from metail2.kernels.count_likelihood import CountModel
from metail2.kernels.count_models import (
    CODINGS,
    fixed_intercepts,
    heterogeneity_tests,
    one_cell,
    orthonormal,
    random_intercepts,
    separated,
)
from metail2.kernels.inference import wald
from metail2.models.checks import check_level
from metail2.models.count_arms import arms, check_whole
from metail2.models.design import Design, check_rank, formula_design, intercept_design
from metail2.models.mixed_counts_result import Fits, MixedCountsResult
from metail2.models.tables import counted, effects_from_counts
from metail2.registry import Registry

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

Build = Callable[[Floats, Floats, Floats, Floats], CountModel]
"""``(events, patients or time, design of the effect, coding) → model``; shapes (k, arms) twice, (k, p), (arms,)."""

ESTIMATED: Registry[bool] = Registry("estimator of τ² for counts")
"""Whether τ² is estimated (by maximum likelihood), or 0 by assumption (a common effect)."""
ESTIMATED.add("ML", True)
ESTIMATED.add("CE", False)


@dataclass(frozen=True, slots=True)
class CountLikelihood:
    """One of the models of a measure.

    Attributes
    ----------
    build : callable
        From counts to the predictors and their densities.
    coded : bool
        Whether the coding of the treatment effect makes a difference.
    every_study : bool
        Whether studies without any event (or with nothing else) say something, too.
    """

    build: Build
    coded: bool
    every_study: bool


LIKELIHOODS: Registry[Registry[CountLikelihood]] = Registry("measure with a likelihood of counts")
"""The models of each measure, by their codes in the literature."""


def _likelihood(
    measure: str, model: str, *, coded: bool = False, every_study: bool = False
) -> Callable[[Build], Build]:
    if measure not in LIKELIHOODS:
        LIKELIHOODS.add(measure, Registry(f"model of {measure}"))

    def register(build: Build) -> Build:
        LIKELIHOODS[measure].add(model, CountLikelihood(build, coded, every_study))
        return build

    return register


@_likelihood("OR", "UM.FS", coded=True)
def _binomial_fixed(events: Floats, n: Floats, x: Floats, coding: Floats) -> CountModel:
    return fixed_intercepts(Binomial(events, n), np.zeros(n.shape), coding, x)


@_likelihood("OR", "UM.RS", coded=True, every_study=True)
def _binomial_random(events: Floats, n: Floats, x: Floats, coding: Floats) -> CountModel:
    return random_intercepts(Binomial(events, n), np.zeros(n.shape), coding, x)


@_likelihood("OR", "CM.EL")
def _exact_conditional(events: Floats, n: Floats, x: Floats, coding: Floats) -> CountModel:
    total = events.sum(1, keepdims=True)
    density = NoncentralHypergeometric(events[:, :1], n[:, :1], n[:, 1:], total)
    return one_cell(density, np.zeros(total.shape), x)


@_likelihood("IRR", "UM.FS", coded=True)
def _poisson_fixed(events: Floats, time: Floats, x: Floats, coding: Floats) -> CountModel:
    return fixed_intercepts(Poisson(events), np.log(time), coding, x)


@_likelihood("IRR", "UM.RS", coded=True, every_study=True)
def _poisson_random(events: Floats, time: Floats, x: Floats, coding: Floats) -> CountModel:
    return random_intercepts(Poisson(events), np.log(time), coding, x)


@_likelihood("OR", "CM.AL")
@_likelihood("IRR", "CM.EL")
def _binomial_conditional(events: Floats, size: Floats, x: Floats, coding: Floats) -> CountModel:
    total = events.sum(1, keepdims=True)
    return one_cell(Binomial(events[:, :1], total), np.log(size[:, :1]) - np.log(size[:, 1:]), x)


@_likelihood("PLO", "UM.FS", every_study=True)
def _binomial_one(events: Floats, n: Floats, x: Floats, coding: Floats) -> CountModel:
    return one_cell(Binomial(events, n), np.zeros(n.shape), x)


@_likelihood("IRLN", "UM.FS", every_study=True)
def _poisson_one(events: Floats, time: Floats, x: Floats, coding: Floats) -> CountModel:
    return one_cell(Poisson(events), np.log(time), x)


@dataclass(frozen=True, slots=True)
class MixedCounts:
    """Specification: true log effects are normal, and the counts have their own distribution given them.

    Attributes
    ----------
    measure : {"OR", "IRR", "PLO", "IRLN"}
        Log odds ratio and log incidence rate ratio of two arms; log odds and log rate of one.
    model : str
        ``"UM.FS"``: both arms, with an intercept of every study that is estimated; ``"UM.RS"``: both arms, study
        intercepts being normal and independent of the effects; ``"CM.EL"``: the events of the first arm given the
        total (noncentral hypergeometric for OR, binomial for IRR); ``"CM.AL"``: for rare events, the binomial
        approximation of it. PLO and IRLN have one model, and leave the default.
    coding : {"half", "treatment", "control"}
        What the random effect θ of a study adds to the two arms of the unconditional models: ±½θ, θ and 0, or 0 and
        −θ. It defines the model: with ½ both arms vary equally between studies, else one varies more.
    level : float
        Confidence level.
    tau2 : {"ML", "CE"}
        Maximum likelihood, or no differences beyond chance and moderators (τ² = 0).
    moderators : str, optional
        Right-hand side of a formula over the columns of the data, which then explains the effect.

    Notes
    -----
    The log-likelihood is that of the counts with all its constants, and the random effects integrated out. Standard
    errors are from the observed information of all parameters, τ among them, unless τ is 0. UM.RS keeps studies without
    events; the other models of two arms learn nothing from them.

    van Houwelingen HC, Zwinderman KH, Stijnen T (1993). Statistics in Medicine 12:2273–2284. Turner RM, Omar RZ, Yang
    M, Goldstein H, Thompson SG (2000). Statistics in Medicine 19:3417–3432. Stijnen T, Hamza TH, Özdemir P (2010).
    Statistics in Medicine 29:3046–3067. Jackson D, Law M, Stijnen T, Viechtbauer W, White IR (2018). Statistics in
    Medicine 37:1059–1085 (the coding).
    """

    measure: str = "OR"
    model: str = "UM.FS"
    coding: str = "half"
    level: float = 0.95
    tau2: str = "ML"
    moderators: str | None = None

    def __post_init__(self) -> None:
        chosen = LIKELIHOODS[self.measure][self.model]
        CODINGS[self.coding], ESTIMATED[self.tau2]
        check_level(self.level)
        if self.coding != "half" and not chosen.coded:
            raise ModelError(
                f"The coding {self.coding!r} makes no difference to {self.model} of {self.measure}, which has no study "
                "intercepts; leave it out."
            )

    def fit(self, data: pd.DataFrame | EffectSizes) -> MixedCountsResult:
        """Maximise the likelihood.

        Parameters
        ----------
        data : DataFrame or EffectSizes
            ``events1 n1 events2 n2`` (or ``a b c d``) for OR, ``events1 time1 events2 time2`` for IRR, ``events n`` for
            PLO, ``events time`` for IRLN.

        Returns
        -------
        MixedCountsResult
            Where the estimate is infinite or τ has no finite maximum: NaN, status ``"undefined"`` and the reason.

        Raises
        ------
        EffectSizeError, ModelError
            If a column is missing or a count impossible or not whole, no study has all its counts, or moderators are
            collinear or too many.
        """
        chosen = LIKELIHOODS[self.measure][self.model]
        effects = effects_from_counts(data, self.measure)
        whole = counted(effects)
        check_whole(effects)
        events, size = arms(effects)
        informative = _informative(self.measure, events, size)
        says = whole & (chosen.every_study | informative)
        design = self._design(effects, says)
        used = np.flatnonzero(says)[design.complete]
        fits, reason = None, "" if informative[used].any() else _nothing(self.measure)
        if not reason:
            basis, back = orthonormal(design.x)
            model = chosen.build(events[used], size[used], basis, CODINGS[self.coding])
            only = (events == size) & (self.measure in ("OR", "PLO"))
            reason = _infinite(model, design, (events[used] == 0).all(0), only[used].all(0))
            fits = None if reason else _fits(model, back, ESTIMATED[self.tau2] and len(used) > 1)
            reason = _not_found(fits) if fits else reason
        p = len(design.terms)
        estimate, covariance = fits.effect if fits and not reason else (np.full(p, np.nan), np.full((p, p), np.nan))
        coefficients = wald(estimate, np.diagonal(covariance), np.inf, self.level)
        return MixedCountsResult(
            self, effects, design.terms, coefficients, design, covariance, says, used, fits, reason
        )

    def _design(self, effects: EffectSizes, says: Flags) -> Design:
        if self.moderators is None:
            return intercept_design(int(says.sum()))
        design = formula_design(self.moderators, effects, np.flatnonzero(says))
        check_rank(design.x, design.terms)
        return design


def _fits(model: CountModel, back: Floats, heterogeneous: bool) -> Fits:
    common = maximise(model.common)
    heterogeneous &= common.distance <= SETTLED  # else there is nothing to begin from
    chosen = maximise_over_tau(model, common) if heterogeneous else common
    return Fits(model, back, common, chosen, heterogeneity_tests(model, common.at.value))


def _informative(measure: str, events: Floats, size: Floats) -> Flags:
    """Which studies can say something about the effect, shape (k,); a single arm always does."""
    total = events.sum(1)
    if events.shape[1] == 1:
        return np.asarray(np.isfinite(total))
    return np.asarray((total > 0) & (total < size.sum(1)) if measure == "OR" else total > 0)


def _nothing(measure: str) -> str:
    without = " and patients without" if measure == "OR" else ""
    return f"nothing can be pooled, because no study has patients with{without} the event"


def _infinite(model: CountModel, design: Design, none: Flags, only: Flags) -> str:
    """Why the estimate is infinite; empty if it is not.

    `none` and `only`, shape (arms,), are whether an arm has no event in all studies, and whether it has nothing else.
    """
    if not separated(model):
        return ""
    if none.any():
        return f"the estimate is infinite, because no event occurred{_in_arm('in any', none)}"
    if (design.x != design.x[0]).any():
        return "a coefficient is infinite, because the moderators separate the studies by their events"
    if only.any():
        return f"the estimate is infinite, because everybody{_in_arm('in every', only)} had the event"
    return "the estimate is infinite, because in every study the events are as unequal as their totals allow"


def _in_arm(words: str, arm: Flags) -> str:
    """Name the first arm that is so; nothing where there is one arm only."""
    return "" if len(arm) == 1 else f" {words} {'experimental' if arm[0] else 'control'} arm"


def _not_found(fits: Fits) -> str:
    """Why there is no maximum to report; empty if there is one."""
    if not fits.chosen.bounded:
        return (
            f"the likelihood is largest beyond τ = {FAR:g}: by these counts the studies differ as much as can be, or "
            "the between-study variance is not determined, so they should not be pooled; show them side by side"
        )
    left = max(fits.common.distance, fits.chosen.distance)
    if left <= SETTLED:
        return ""
    if np.isinf(left):
        return (
            "these counts do not determine every coefficient: the studies that could tell them apart have all events "
            "or none; use fewer moderators, or transform one that is extreme in few studies"
        )
    return (
        f"the maximum of the likelihood was not found: the last step was still {left:.1g} standard errors long; check "
        "the counts and moderators for extreme values, or choose another model"
    )
