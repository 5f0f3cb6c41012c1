"""Random-effects meta-analysis and meta-regression of independent effects; the common-effect model is τ² = 0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import NO_NUMBERS, EffectSizes
from metail2.errors import ModelError, UnknownChoice
from metail2.kernels.coefficient_tests import TESTS, Reference
from metail2.kernels.fitted import at_tau2, fit_random_effects
from metail2.kernels.inference import wald
from metail2.kernels.tau2 import TAU2, WEIGHTED, Tau2Estimate, unmeasured
from metail2.kernels.wls import weighted_fit
from metail2.models.base import refuse_dependence, warn_left_out, warn_repeated
from metail2.models.checks import check_effects, check_level
from metail2.models.corrections import refuse_corrections_alone
from metail2.models.design import Design, check_rank, formula_design, intercept_design
from metail2.models.doubts import check_kenward_roger
from metail2.models.random_effects_result import RandomEffectsResult

Floats = NDArray[np.float64]
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Specification of a random-effects model.

    Attributes
    ----------
    tau2 : str
        Estimator of the between-study variance: a code in `TAU2`; ``"CE"`` is the common-effect model.
    test : str
        ``"z"``, ``"t"``, ``"knapp_hartung"``, ``"knapp_hartung_adhoc"``, ``"iqwig"`` (ad hoc corrected only where the
        interval is narrower than DerSimonian and Laird's; without moderators) or ``"kenward_roger"`` (REML).
    moderators : str, optional
        Right-hand side of a formula over the columns of `EffectSizes.moderators`.
    level : float
        Confidence level of all intervals.
    weights : str, optional
        Column of `EffectSizes.moderators` with the user's own positive weights. They replace 1/(v + τ²) in the
        coefficients, whose standard errors follow from the model, and define Q for ``"GENQ"`` and ``"GENQM"``.

    Notes
    -----
    DerSimonian R, Laird N (1986). Controlled Clinical Trials 7:177–188. Raudenbush SW (2009), in The Handbook of
    Research Synthesis and Meta-Analysis, 2nd ed., 295–315. Hartung J, Knapp G (2001). Statistics in Medicine
    20:3875–3889.
    """

    tau2: str = "REML"
    test: str = "knapp_hartung"
    moderators: str | None = None
    level: float = 0.95
    weights: str | None = None

    def __post_init__(self) -> None:
        TAU2[self.tau2], TESTS[self.test]
        check_level(self.level)
        if self.test == "kenward_roger":
            check_kenward_roger(self)
        if self.test == "iqwig" and self.moderators is not None:
            raise ModelError("IQWiG's rule is for one pooled effect; with moderators use 'knapp_hartung_adhoc'.")
        if self.tau2 in WEIGHTED and self.weights is None:
            raise ModelError(f"{self.tau2} is defined by weights: name their column, e.g. weights='w'.")

    def fit(self, effects: EffectSizes) -> RandomEffectsResult:
        """Fit the model.

        Parameters
        ----------
        effects : EffectSizes
            Effects without a value, a variance or a moderator are left out, with a warning that names them.

        Raises
        ------
        ModelError
            If no effect is left, effects share patients (`effects.V`), there are not more studies than coefficients,
            moderators are collinear, or a weight is not a positive number.
        """
        check_effects(effects)
        refuse_dependence(effects)
        warn_repeated(effects)
        used = effects.complete.nonzero()[0]
        warn_left_out(effects, used)
        if self.moderators is None:
            design = intercept_design(len(used))
        else:
            design = formula_design(self.moderators, effects, used)
            used = used[design.complete]
        yi, vi = effects.yi[used], effects.vi[used]
        if len(used) == 0 and effects.complete.any():
            raise ModelError(f"No study has all moderators of {self.moderators!r}, so there is nothing to fit.")
        if len(used) == 0:
            raise ModelError("No effect has both a value and a variance, so there is nothing to pool.")
        refuse_corrections_alone(effects, used)
        if len(used) == 1 and design.terms == ("intercept",):
            return _single(self, effects, design, used)
        check_rank(design.x, design.terms)
        fitted = fit_random_effects(yi, vi, design.x, self.tau2, self._weights(effects, used))
        reference = TESTS[self.test].reference(fitted, self.level)
        coefficients = wald(fitted.beta, reference.variance, reference.df, self.level)
        return RandomEffectsResult(self, effects, design.terms, coefficients, design, used, fitted, reference)

    def _weights(self, effects: EffectSizes, used: NDArray[np.int64]) -> Floats | None:
        """Return the user's weights of the studies used."""
        if self.weights is None:
            return None
        if self.weights not in effects.moderators:
            raise UnknownChoice("column of weights", self.weights, map(str, effects.moderators.columns))
        given = effects.moderators[self.weights].iloc[used]
        if (kind := NO_NUMBERS.get(getattr(given.dtype, "kind", ""))) is not None:
            raise ModelError(f"The weights in {self.weights!r} are {kind}; give numbers above 0.")
        weights = np.asarray(pd.to_numeric(given, errors="coerce"), dtype=float)
        wrong = ~((weights > 0) & np.isfinite(weights))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ModelError(
                f"{effects.study[used[i]]}: the weight in {self.weights!r} is {given.tolist()[i]!r}; give a number "
                "above 0."
            )
        return weights


def _single(spec: RandomEffects, effects: EffectSizes, design: Design, used: NDArray[np.int64]) -> RandomEffectsResult:
    """One study: its own normal interval; nothing about heterogeneity can be said."""
    yi, vi, undefined = effects.yi[used], effects.vi[used], np.asarray(NAN)
    fit = weighted_fit(yi, 1 / vi, design.x)
    tau2 = Tau2Estimate(undefined, 0, np.asarray(0), partial(unmeasured, undefined), fit)
    fitted = at_tau2(yi, vi, design.x, spec.tau2, tau2)
    reference = Reference(fitted.covariance, np.inf, np.asarray(1.0), np.asarray(1.0))
    coefficients = wald(yi, vi, np.inf, spec.level)
    return RandomEffectsResult(spec, effects, design.terms, coefficients, design, used, fitted, reference)
