"""What a model of counts says: its tables, and how its likelihood was maximised."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.kernels.count_densities import own_maximum
from metail2.kernels.count_fit import STABLE, CountFit
from metail2.kernels.count_likelihood import CountModel
from metail2.kernels.count_models import HeterogeneityTests
from metail2.kernels.heterogeneity import h2_from_tau2, heterogeneity, i2_from_q, i2_from_tau2
from metail2.kernels.inference import chi2_upper, joint_test, wald
from metail2.kernels.prediction import ScaledT
from metail2.models.base import PooledResult, likelihood_columns, no_new_study, study_table
from metail2.models.checks import chosen_level
from metail2.models.count_arms import common_events_note, corrected_note
from metail2.models.design import Design, NewData
from metail2.models.doubts import few_studies
from metail2.results import GLANCE_COLUMNS, STATUS
from metail2.wording import some

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
NAN = float("nan")
FEW = 10
"""Number of studies below which normal intervals with τ² by maximum likelihood hold too little."""
OWN_COLUMNS = (
    "level", "coding", "tau2_method", "sigma2", "q_wald", "q_wald_p", "q_lrt", "q_lrt_p", "iterations", "gradient",
    "points", "maxima",
)  # fmt: skip
"""Columns of `glance` after the shared ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """The maxima that a result rests on.

    Attributes
    ----------
    model : CountModel
        With τ, also where τ is 0 by assumption; its design is an orthonormal basis of the moderators.
    back : ndarray, shape (p, p)
        From coefficients of that basis to those of the moderators.
    common : CountFit
        The maximum with τ = 0.
    chosen : CountFit
        The one reported.
    tests : HeterogeneityTests
        Of one effect against an effect of every study.
    """

    model: CountModel
    back: Floats
    common: CountFit
    chosen: CountFit
    tests: HeterogeneityTests

    @property
    def _own(self) -> slice:
        """Where the coefficients of the effect are: the last shared ones."""
        return slice(self.model.coefficients - len(self.back), self.model.coefficients)

    @property
    def effect(self) -> tuple[Floats, Floats]:
        """Coefficients of the effect, and their covariance."""
        own = self._own
        covariance = self.back @ self.chosen.covariance[own, own] @ self.back.T
        return self.back @ self.chosen.at.point.shared[own], (covariance + covariance.T) / 2

    def information(self, coefficient: int) -> Floats:
        """What each study says about one coefficient of the effect with the other parameters given, shape (k,)."""
        direction = np.zeros(len(self.chosen.free))
        direction[self._own] = np.linalg.inv(self.back)[:, coefficient]
        return self.chosen.at.information_on(direction)

    @property
    def tau(self) -> tuple[float, float]:
        """τ and its variance, both 0 where the model without τ is best or assumed."""
        if self.chosen.sigma.shape[0] < self.model.dimensions:
            return 0.0, 0.0
        return float(self.chosen.sigma[-1]), float(self.chosen.covariance[-1, -1])

    @property
    def sigma2(self) -> float:
        """Variance of the study intercepts; NaN in models without random ones."""
        return float(self.chosen.sigma[0] ** 2) if self.model.dimensions > 1 else NAN

    @property
    def counts(self) -> int:
        """Number of counts that the likelihood is of."""
        return int(self.model.offset.size)


@dataclass(frozen=True, eq=False, repr=False)
class MixedCountsResult(PooledResult):
    """A fitted model of counts.

    Attributes
    ----------
    design : Design
        Design matrix of the effect and the formula's encoding.
    covariance : ndarray, shape (p, p)
        Of the coefficients.
    says : ndarray of bool, shape (k,)
        Which studies have all their counts, and a likelihood that depends on the effect.
    used : ndarray of int
        Positions of those that have all moderators, too.
    fits : Fits or None
        The maxima; None where the estimate is infinite.
    reason : str
        Why the estimate is undefined; empty if it is not.
    """

    design: Design
    covariance: Floats
    says: Flags
    used: NDArray[np.int64]
    fits: Fits | None
    reason: str

    @property
    def k(self) -> int:
        """Number of studies whose likelihood depends on the effect."""
        return len(self.used)

    @property
    def _whole(self) -> Flags:
        """Which studies have all their counts."""
        counts = np.array([np.asarray(values, dtype=float) for values in self.effects.inputs.values()])
        return np.asarray(np.isfinite(counts).all(axis=0))

    @property
    def _in_fit(self) -> Flags:
        return np.isin(np.arange(len(self.effects)), self.used)

    @property
    def status(self) -> str:
        """``"ok"`` or a code of `results.STATUS`."""
        return "undefined" if self.reason else "one_study" if self.k == 1 else "ok"

    @property
    def tau2(self) -> float:
        """Between-study variance; 0 for a common effect, NaN for one study."""
        if self.fits is None or self.status != "ok":
            return NAN
        return self.fits.tau[0] ** 2

    @property
    def tau2_se(self) -> float:
        """Standard error of τ² by the delta method, 2τ·SE(τ); NaN at τ² = 0, where it has none."""
        if self.fits is None or not self.tau2 > 0:
            return NAN
        tau, variance = self.fits.tau
        return 2 * tau * math.sqrt(variance)

    @property
    def i2(self) -> float:
        """I² from τ², percent: τ² beside the typical variance of the inverse-variance effects that `studies` shows."""
        return NAN if self.spec.tau2 == "CE" else float(i2_from_tau2(np.asarray(self.tau2), self._typical_variance))

    @property
    def q(self) -> float:
        """Likelihood-ratio statistic of (residual) heterogeneity, χ² with k − p degrees of freedom."""
        return NAN if self.fits is None or self._df == 0 else self.fits.tests.likelihood_ratio

    @property
    def _df(self) -> int:
        return max(0, self.k - len(self.terms))

    @property
    def i2_q(self) -> float:
        """I² from Q, percent."""
        return float(i2_from_q(np.asarray(self.q), self._df)) if self._df else NAN

    @property
    def information(self) -> Floats:
        """What each study used says about its own effect, the other parameters given; shape (used,), NaN if unknown."""
        if self.fits is None or self.reason or not self.design.has_intercept:
            return np.full(self.k, NAN)
        return self.fits.information(self.terms.index("intercept"))

    @cached_property
    def _typical_variance(self) -> Floats:
        known = self.effects.complete[self.used]
        at = self.used[known]
        if len(at) <= len(self.terms):
            return np.asarray(NAN)
        return heterogeneity(self.effects.yi[at], self.effects.vi[at], self.design.x[known]).typical_variance

    def prediction_interval(self, level: float | None = None) -> tuple[float, float]:
        """Return where the true effect of a new study would lie: t with k − 1 df times √(SE² + τ²); NaN for k < 3.

        Parameters
        ----------
        level : float, optional
            Coverage; by default the level of the fit.
        """
        level = chosen_level(level, self.spec.level)
        if self._no_prediction():
            return NAN, NAN
        scale = np.sqrt(self.wald.se[0] ** 2 + self.tau2)
        lower, upper = ScaledT(self.wald.estimate[0], scale, self.k - 1).interval(level)
        return float(lower), float(upper)

    def _no_prediction(self) -> str:
        """Why there is no prediction interval; empty if there is one."""
        if self.reason:
            return "there is no estimate"
        if self.terms != ("intercept",):
            return "with moderators it depends on their values (use predict)"
        return no_new_study(self.k, self.spec.tau2)

    def predict(self, new: NewData | None = None, level: float | None = None) -> pd.DataFrame:
        """Return the expected effect at new values of the moderators.

        Parameters
        ----------
        new : DataFrame or mapping of columns, optional
            One row a prediction, as in `RandomEffectsResult.predict`; without it, the studies used.
        level : float, optional
            Of both intervals; by default the level of the fit.

        Returns
        -------
        DataFrame
            ``estimate se ci_lower ci_upper pi_lower pi_upper note``, on the pooled scale; the prediction interval by t
            with k − p df and √(SE² + τ²); `note` says why there is none.
        """
        level = chosen_level(level, self.spec.level)
        x = self.design.x if new is None else self.design.encode(new)
        variance = np.einsum("ij,jk,ik->i", x, self.covariance, x)
        found = wald(x @ self.wald.estimate, variance, np.inf, level)
        why = "there is no estimate" if self.reason else no_new_study(self.k, self.spec.tau2)
        df = 0 if why else self._df
        lower, upper = ScaledT(found.estimate, np.sqrt(variance + self.tau2), df).interval(level)
        return pd.DataFrame({
            "estimate": found.estimate, "se": found.se, "ci_lower": found.lower, "ci_upper": found.upper,
            "pi_lower": lower, "pi_upper": upper, "note": f"no prediction interval: {why}" if why else "",
        })  # fmt: skip

    def studies(self) -> pd.DataFrame:
        """Return one row a study, also of those left out.

        `yi`, `vi` and the interval are the inverse-variance effect's (0.5 added where a cell is 0), which the model
        does not use. `weight` is the share, in percent, of the information on the effect.
        """
        weight, fitted = (np.full(len(self.effects), NAN) for _ in range(2))
        information = self.information
        weight[self.used] = 100 * information / information.sum()
        fitted[self.used] = self.design.x @ self.wald.estimate
        state = np.where(self._whole, "no_events", "missing").astype(object)
        state[self.says] = "missing_moderator"
        state[self.used] = "used"
        return study_table(self.effects, self.spec.level, weight, fitted, state)

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then `OWN_COLUMNS`.

        `q` is the likelihood-ratio test of heterogeneity, repeated as `q_lrt`; `q_wald` is Wald's. `sigma2` is the
        variance of study intercepts (UM.RS). `gradient` is the distance from the maximum by the last Newton step, in
        standard errors; `points` are the quadrature points in each dimension.
        """
        values: dict[str, object] = dict.fromkeys((*GLANCE_COLUMNS, *OWN_COLUMNS), NAN)
        lower, upper = self.prediction_interval()
        typical = self._typical_variance
        values |= {
            "k": self.k, "p": len(self.terms), "measure": self.effects.measure, "method": self._method, "test": "z",
            "tau2": self.tau2, "tau2_se": self.tau2_se, "i2": self.i2, "i2_q": self.i2_q,
            "h2": NAN if self.spec.tau2 == "CE" else float(h2_from_tau2(np.asarray(self.tau2), typical)),
            "pi_lower": lower, "pi_upper": upper, "pi_method": "" if math.isnan(lower) else "t_k1",
            "status": self.status, "status_reason": self._reasons(), "level": self.spec.level,
            "coding": self.spec.coding, "tau2_method": self.spec.tau2,
        }  # fmt: skip
        return pd.DataFrame([values | self._likelihood_row() | self._test_row() | self._moderator_row()])

    @property
    def _method(self) -> str:
        """The model's code; models of one arm are named by their estimator of τ²."""
        return str(self.spec.model if self.effects.measure in ("OR", "IRR") else self.spec.tau2)

    def _test_row(self) -> dict[str, object]:
        df = self._df
        if self.fits is None or df == 0:
            return {"q_df": df}
        own, lrt = self.fits.tests.wald, self.fits.tests.likelihood_ratio
        p_wald, p_lrt = (float(chi2_upper(np.asarray(q), df)) for q in (own, lrt))
        return {"q": lrt, "q_df": df, "q_p": p_lrt, "q_wald": own, "q_wald_p": p_wald, "q_lrt": lrt, "q_lrt_p": p_lrt}

    def _moderator_row(self) -> dict[str, object]:
        tested = [j for j, term in enumerate(self.terms) if term != "intercept"]
        if not tested or self.reason:
            return {}
        found = joint_test(self.wald.estimate[tested], self.covariance[np.ix_(tested, tested)], np.inf)
        return {"qm": found.statistic, "qm_df": found.df, "qm_p": found.p_value, "r2": self._r2}

    @cached_property
    def _r2(self) -> float:
        """Share of τ² that the moderators account for, percent (Raudenbush 1994); not below 0."""
        if self.spec.tau2 == "CE" or not self.design.has_intercept:
            return NAN
        total = replace(self.spec, moderators=None).fit(self.effects.subset(self._in_fit)).tau2
        return max(0.0, 100 * (1 - self.tau2 / total)) if total > 0 else NAN

    def _likelihood_row(self) -> dict[str, object]:
        """Log-likelihood, its criteria, and how it was maximised; the deviance is from a rate of its own a count."""
        if self.fits is None or self.reason:
            return {}
        fit, n = self.fits.chosen, self.fits.counts
        ll, count = fit.at.value, self._parameters
        deviance = 2 * (float(own_maximum(self.fits.model.density).value.sum()) - ll)
        return {
            **likelihood_columns(ll, deviance, count, n),
            "sigma2": self.fits.sigma2, "iterations": fit.iterations, "gradient": fit.distance, "points": fit.points,
            "maxima": fit.maxima,
        }  # fmt: skip

    @property
    def _parameters(self) -> int:
        """Number of estimated parameters: coefficients, variances (also one estimated as 0), study intercepts."""
        assert self.fits is not None
        model, assumed = self.fits.model, self.spec.tau2 == "CE" or self.k == 1
        return model.coefficients + model.dimensions - assumed + (model.k if model.own is not None else 0)

    def _reasons(self) -> str:
        """Why what is NaN in `glance` is NaN, and what else a reader must know."""
        reasons = [self.reason, STATUS["one_study"] if self.status == "one_study" else "", self._silent()]
        if not self.reason:
            reasons += [self._about_tau2(), self._about_level(), self._about_tests()]
            reasons += [self._about_rarity(), corrected_note(self.effects, self._in_fit), self._about_quadrature()]
            if self._no_prediction():
                reasons.append(f"no prediction interval: {self._no_prediction()}")
            if self.terms != ("intercept",) and math.isnan(self._r2):
                reasons.append("R² needs an intercept, and a τ² above 0 without the moderators")
        return "; ".join(filter(None, reasons))

    def _silent(self) -> str:
        labels = self.effects.study
        lost = [labels[i] for i in np.flatnonzero(self._whole & ~self.says)]
        if not lost:
            return ""
        alone = " or only events" if self.effects.measure == "OR" else ""
        says = "says" if len(lost) == 1 else "say"
        return f"{some(lost)} {says} nothing in this model, having no event{alone} in either arm"

    def _about_tau2(self) -> str:
        if self.spec.tau2 == "CE":
            return "τ² is 0 by assumption, so it has no standard error or H², and I² only from Q"
        if self.fits is not None and self.fits.chosen.maxima == 0:
            return "every τ² has the same likelihood, so these counts say nothing about it; 0 is shown"
        if self.tau2 == 0:
            predicted = "; prediction intervals take every study's true effect as the same"
            predicted += "" if self.terms == ("intercept",) else " at the same moderators"
            return "τ² is estimated as 0, so it has no standard error" + predicted * (self.k > 2)
        return "" if self.k == 1 else "I² from τ² sets it beside the typical variance of the inverse-variance effects"

    def _about_level(self) -> str:
        return few_studies(self.k) if self.spec.tau2 != "CE" and 2 <= self.k < FEW else ""

    def _about_rarity(self) -> str:
        approximate = self.effects.measure == "OR" and self.spec.model == "CM.AL"
        return common_events_note(self.effects, self._in_fit) if approximate else ""

    def _about_tests(self) -> str:
        if self.fits is None or self._df == 0:
            return ""
        missing = "; Wald's test needs more studies whose own estimate is finite" * math.isnan(self.fits.tests.wald)
        return f"Q is the likelihood-ratio test of heterogeneity{missing}"

    def _about_quadrature(self) -> str:
        if self.fits is None or self.fits.chosen.change <= STABLE:
            several = self.fits is not None and self.fits.chosen.maxima > 1
            return "the likelihood has more than one maximum; the highest is reported" if several else ""
        change, points = self.fits.chosen.change, self.fits.chosen.points
        return f"the log-likelihood still changed by {change:.1g} when the quadrature points were doubled to {points}"
