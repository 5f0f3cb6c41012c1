"""What a random-effects fit says: its tables, intervals, predictions, and the doubts that stand beside them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import MetailWarning, ModelError
from metail2.kernels.coefficient_tests import TESTS, Reference
from metail2.kernels.fitted import Fitted, fit_random_effects
from metail2.kernels.heterogeneity import Heterogeneity, h2_from_tau2, heterogeneity, i2_from_q, i2_from_tau2
from metail2.kernels.inference import JointTest, quantiles, wald
from metail2.kernels.likelihood import log_likelihood, restricted_log_likelihood
from metail2.kernels.prediction import PREDICTION, SIMULATED, Predictive
from metail2.kernels.tau2 import Tau2Estimate
from metail2.kernels.tau2_intervals import TAU2_INTERVALS
from metail2.kernels.wls import WeightedFit
from metail2.models.base import COMPANION_COLUMNS, PooledResult, likelihood_columns, no_new_study, study_table
from metail2.models.checks import check_count, check_seed, chosen_level
from metail2.models.corrections import correction_notes
from metail2.models.design import Design, NewData
from metail2.models.doubts import cautions, check_kenward_roger, doubts
from metail2.models.summary import joint_text
from metail2.results import GLANCE_COLUMNS, STATUS, HeterogeneityInterval
from metail2.wording import hundredths, number

Floats = NDArray[np.float64]
NAN = float("nan")
ASSUMED = "τ² is 0 by assumption, so it has no standard error, H² or R², and I² only from Q"


@dataclass(frozen=True, eq=False, repr=False)
class RandomEffectsResult(PooledResult):
    """A fitted random-effects model.

    Attributes
    ----------
    design : Design
        Design matrix and the formula's encoding.
    used : ndarray of int
        Positions of the effects in the fit.
    fitted : Fitted
        Effects, τ², the weighted regression at τ², and the model-based covariance of the coefficients.
    reference : Reference
        What the coefficients are tested with.
    """

    design: Design
    used: NDArray[np.int64]
    fitted: Fitted
    reference: Reference

    @cached_property
    def spread(self) -> Heterogeneity:
        """Cochran's Q and the typical sampling variance; NaN for one study."""
        own = self.fitted
        return heterogeneity(own.yi, own.vi, own.x)

    @property
    def tau2_estimate(self) -> Tau2Estimate:
        """τ², its standard error and how the optimum was reached."""
        return self.fitted.tau2

    @property
    def fit(self) -> WeightedFit:
        """The regression with weights 1/(v + τ²)."""
        return self.fitted.fit

    @property
    def k(self) -> int:
        """Number of studies in the fit."""
        return len(self.used)

    @property
    def tau2(self) -> float:
        """Between-study variance, on the squared pooled scale; NaN for one study."""
        return float(self.tau2_estimate.value)

    @property
    def i2(self) -> float:
        """I² from τ², percent; NaN for one study and for a common effect, which has no τ²."""
        if self.spec.tau2 == "CE":
            return NAN
        return float(i2_from_tau2(self.tau2_estimate.value, self.spread.typical_variance))

    @property
    def i2_q(self) -> float:
        """I² from Q, percent."""
        return float(i2_from_q(self.spread.q, self.spread.df)) if self.k > 1 else NAN

    @property
    def q(self) -> float:
        """Cochran's Q (residual Q with moderators)."""
        return float(self.spread.q)

    @property
    def covariance(self) -> Floats:
        """Covariance of the coefficients as the test uses it, shape (p, p)."""
        return self.reference.covariance

    @property
    def status(self) -> str:
        """``"ok"`` or a code of `results.STATUS`."""
        if self.k == 1:
            return "one_study"
        return "zero_se" if bool((self.wald.se == 0).any()) else "ok"

    def prediction_interval(
        self,
        level: float | None = None,
        method: str | None = None,
        *,
        draws: int | None = None,
        seed: int | None = None,
    ) -> tuple[float, float]:
        """Return where the true effect of a new study would lie, (lower, upper) on the pooled scale.

        Parameters
        ----------
        level : float, optional
            Coverage; by default the level of the fit.
        method : str, optional
            A code of `PREDICTION`. By default ``"hk"`` with a Hartung–Knapp test, else ``"t_k1"``, and NaN with a
            warning where `glance` has none (fewer than 3 studies, common effect).
        draws, seed : int, optional
            Of ``"nagashima"``, which simulates: 25,000 draws from a fixed seed by default, so that the same data give
            the same interval.

        Raises
        ------
        ModelError
            If the model has moderators, there is one study, the method is not defined for the model, or `draws` and
            `seed` are given to a method that does not simulate.
        """
        if self._refused(method):
            return NAN, NAN
        lower, upper = self._predictive(method, draws, seed).interval(chosen_level(level, self.spec.level))
        return float(lower), float(upper)

    def _refused(self, method: str | None) -> bool:
        """Warn, and answer True, where there is no predictive distribution."""
        reason = self._no_prediction() if method is None or self.spec.tau2 == "CE" else ""
        if method in ("hts", "hk_pr") and self.k == 2:
            reason = f"{method!r} needs at least 3 studies, and there are 2"
        if reason:
            warnings.warn(f"No prediction interval: {reason}.", MetailWarning, stacklevel=3)
        return bool(reason)

    def probability_above(
        self, threshold: float, method: str | None = None, *, draws: int | None = None, seed: int | None = None
    ) -> float:
        """Return the probability that the true effect of a new study lies above a threshold.

        Parameters
        ----------
        threshold : float
            On the pooled scale (a risk ratio of 0.8 is log 0.8).
        method, draws, seed
            As in `prediction_interval`; NaN with a warning where there is no default, and where the threshold is the
            effect itself and neither it nor others are uncertain.

        Raises
        ------
        ModelError
            If `threshold` is not a finite number, or the model has moderators.
        """
        if not isinstance(threshold, int | float | np.number) or not math.isfinite(threshold):
            raise ModelError(f"The threshold is {threshold!r}; give a finite number on the pooled scale.")
        if self._refused(method):
            return NAN
        found = float(self._predictive(method, draws, seed).above(threshold))
        if math.isnan(found):
            warnings.warn(
                f"No probability: every true effect is estimated as {threshold:g}, the threshold itself.",
                MetailWarning,
                stacklevel=2,
            )
        return found

    def _predictive(self, method: str | None, draws: int | None, seed: int | None) -> Predictive:
        self._only(self.wald.estimate, "estimate")
        name = method or self._prediction_method()
        rule, options = PREDICTION[name], {"draws": draws, "seed": seed}
        given = {option: value for option, value in options.items() if value is not None}
        if given and name not in SIMULATED:
            raise ModelError(f"draws and seed belong to method='nagashima'; {name!r} does not simulate.")
        if draws is not None:
            check_count(draws, "draws", 1)
        check_seed(seed)
        if self.k < 2:
            raise ModelError("One study says nothing about other studies, so there is no prediction interval.")
        if name in ("kr", "kr_pr"):
            check_kenward_roger(self.spec)
        if name in SIMULATED and self.spec.weights is not None:
            raise ModelError("Nagashima's interval has weights of its own; fit the model without the user's weights.")
        return rule(self.fitted, self.reference, **given)

    def _prediction_method(self) -> str:
        return "t_k1" if self.spec.test in ("z", "t") else "kr" if self.spec.test == "kenward_roger" else "hk"

    def _no_prediction(self) -> str:
        """Why no prediction interval is shown by default; empty if one is."""
        if self.terms != ("intercept",):
            return "with moderators it depends on their values (use predict)"
        return no_new_study(self.k, self.spec.tau2)

    def tau2_interval(self, level: float | None = None, method: str = "q_profile") -> HeterogeneityInterval:
        """Return confidence limits for τ², τ, I² and H²; see `HeterogeneityInterval`.

        Parameters
        ----------
        level : float, optional
            Confidence level; by default that of the fit.
        method : str
            A code of `TAU2_INTERVALS`.

        Raises
        ------
        ModelError
            For one study, about whose heterogeneity nothing is known.
        """
        level, rule = chosen_level(level, self.spec.level), TAU2_INTERVALS[method]
        if self.k < 2:
            raise ModelError("One study says nothing about heterogeneity, so τ² has no interval.")
        found = rule(self.fitted, level)
        limits = np.array([found.lower, found.upper], dtype=float)
        i2 = i2_from_tau2(limits, self.spread.typical_variance)
        h2 = h2_from_tau2(limits, self.spread.typical_variance)
        tau = np.sqrt(limits)
        return HeterogeneityInterval(
            lower=float(limits[0]),
            upper=float(limits[1]),
            tau_lower=float(tau[0]),
            tau_upper=float(tau[1]),
            i2_lower=float(i2[0]),
            i2_upper=float(i2[1]),
            h2_lower=float(h2[0]),
            h2_upper=float(h2[1]),
            level=level,
            method=method,
            note=found.note,
        )

    def predict(self, new: NewData | None = None, level: float | None = None) -> pd.DataFrame:
        """Return the expected effect at new values of the moderators.

        Parameters
        ----------
        new : DataFrame or mapping of columns, optional
            One row a prediction, with every column the formula names, holding what it holds in the fit (numbers, True
            and False, or levels of the factor) and encoded exactly as there. Single values make one row. Without it,
            the fitted values of the studies used.
        level : float, optional
            Of both intervals; by default the level of the fit.

        Returns
        -------
        DataFrame
            ``estimate se ci_lower ci_upper pi_lower pi_upper note``, on the pooled scale, one row each. The prediction
            interval uses the quantile of the test (t with k − p df for the normal) and √(SE² + τ²); `note` says why
            there is none.

        Raises
        ------
        ModelError
            If a column or a value is missing, of another kind than in the fit, or a level that the fit has not.
        """
        return self.predict_rows(
            self.design.x if new is None else self.design.encode(new), chosen_level(level, self.spec.level)
        )

    def predict_rows(self, x: Floats, level: float) -> pd.DataFrame:
        """Do what `predict` does for rows of the design, shape (rows, p)."""
        variance = np.einsum("ij,jk,ik->i", x, self.covariance, x)
        found = wald(x @ self.wald.estimate, variance, self._contrast_df(x), level)
        df = found.df if np.isfinite(found.df).all() else float(self.k - len(self.terms))
        why = no_new_study(self.k, self.spec.tau2)
        half = np.full(len(x), NAN) if why else quantiles(level, df) * np.sqrt(variance + self.tau2)
        return pd.DataFrame(
            {
                "estimate": found.estimate,
                "se": found.se,
                "ci_lower": found.lower,
                "ci_upper": found.upper,
                "pi_lower": found.estimate - half,
                "pi_upper": found.estimate + half,
                "note": f"no prediction interval: {why}" if why else "",
            }
        )

    def joint_test(self, contrasts: Floats, test: str | None = None) -> JointTest:
        """Test that several linear combinations of the coefficients, shape (m, p), are all 0.

        By `test`, a code of `TESTS`; by default that of the fit.
        """
        rule = TESTS[test or self.spec.test]
        reference = rule.reference(self.fitted, self.spec.level) if test else self.reference
        return rule.joint(self.fitted, reference, contrasts)

    def _contrast_df(self, contrasts: Floats) -> float | Floats:
        if self.k == 1:
            return np.inf
        return TESTS[self.spec.test].contrast_df(self.fitted, self.reference, contrasts)

    def companions(self) -> pd.DataFrame:
        """Return the intervals that must stand beside the model's own where it may mislead, with the reason.

        Returns
        -------
        DataFrame
            ``term test ci_lower ci_upper p_value pi_lower pi_upper reason``; no rows where the intervals may stand
            alone. The prediction interval is that of the other test, NaN where there is none.
        """
        if self.k < 2:
            return super().companions()
        found = doubts(self.fitted, self.reference, self.spec.test, self.spec.level)
        rows = [row for test, reason in found.items() for row in self._companion(test, reason)]
        return pd.DataFrame(rows, columns=list(COMPANION_COLUMNS))

    def _companion(self, test: str, reason: str) -> Iterator[tuple[object, ...]]:
        level = self.spec.level
        reference = TESTS[test].reference(self.fitted, level)
        other = wald(self.wald.estimate, reference.variance, reference.df, level)
        rule = PREDICTION["t_k1" if test == "z" else "hk"]
        prediction = (NAN, NAN) if self._no_prediction() else rule(self.fitted, reference).interval(level)
        if self.design.has_intercept and sum(self._is_moderator) > 1:
            joint = self.joint_test(np.eye(len(self.terms))[self._is_moderator], test)
            reason = f"{reason}; here all moderators together have {joint_text(joint)}"
        for term, *limits in zip(self.terms, other.lower, other.upper, other.p_value, strict=True):
            yield (term, test, *map(float, (*limits, *prediction)), reason)

    def studies(self) -> pd.DataFrame:
        """Return one row a study, also of those left out; weights in percent of those used."""
        weight, fitted = np.full(len(self.effects), NAN), np.full(len(self.effects), NAN)
        weights = self.fit.weights if self.fitted.weights is None else self.fitted.weights
        weight[self.used] = 100 * weights / weights.sum()
        fitted[self.used] = self.design.x @ self.wald.estimate
        state = np.where(self.effects.complete, "missing_moderator", "missing").astype(object)
        state[np.isfinite(self.effects.yi) & np.isnan(self.effects.vi)] = "variance_undefined"
        state[self.used] = "used"
        return study_table(self.effects, self.spec.level, weight, fitted, state)

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then ``level iterations gradient maxima weights qm_df_error``.

        ``weights`` is the column of the user's weights, ``qm_df_error`` the denominator degrees of freedom of ``qm``.
        """
        return pd.DataFrame([self._glance])

    @cached_property
    def _glance(self) -> dict[str, object]:
        lower, upper = (NAN, NAN) if self._no_prediction() else self.prediction_interval(self.spec.level)
        typical, (se, gradient) = self.spread.typical_variance, self.tau2_estimate.measured()
        values: dict[str, object] = {
            "k": self.k,
            "p": len(self.terms),
            "measure": self.effects.measure,
            "method": self.spec.tau2,
            "test": "z" if self.k == 1 else self.spec.test,
            "tau2": self.tau2,
            "tau2_se": float(se),
            "i2": self.i2,
            "i2_q": self.i2_q,
            "h2": NAN if self.spec.tau2 == "CE" else float(h2_from_tau2(self.tau2_estimate.value, typical)),
            "q": self.q,
            "q_df": self.spread.df,
            "q_p": float(self.spread.p_value),
            **self._moderators,
            **self._likelihood_row(),
            "pi_lower": lower,
            "pi_upper": upper,
            "pi_method": "" if math.isnan(lower) else self._prediction_method(),
            "status": self.status,
            "status_reason": self._reasons(),
        }
        ordered: dict[str, object] = {name: values[name] for name in GLANCE_COLUMNS}
        return ordered | {
            "level": self.spec.level,
            "iterations": self.tau2_estimate.iterations,
            "gradient": float(gradient),
            "maxima": int(self.tau2_estimate.maxima),
            "weights": self.spec.weights or "",
            "qm_df_error": self._moderators["qm_df_error"],
        }

    @cached_property
    def _moderators(self) -> dict[str, float]:
        if not any(self._is_moderator):
            return {"qm": NAN, "qm_df": NAN, "qm_p": NAN, "r2": NAN, "qm_df_error": NAN}
        found = self.joint_test(np.eye(len(self.terms))[self._is_moderator])
        error = found.df_error if math.isfinite(found.df_error) else NAN
        return {"qm": found.statistic, "qm_df": found.df, "qm_p": found.p_value, "r2": self._r2, "qm_df_error": error}

    @property
    def _is_moderator(self) -> list[bool]:
        return [term != "intercept" for term in self.terms]

    @cached_property
    def _r2(self) -> float:
        """Share of τ² that the moderators account for, percent (Raudenbush 1994); not below 0."""
        if self.spec.tau2 == "CE" or not self.design.has_intercept:
            return NAN
        own = self.fitted
        total = float(fit_random_effects(own.yi, own.vi, np.ones((self.k, 1)), own.estimator, own.weights).tau2.value)
        return max(0.0, 100 * (1 - self.tau2 / total)) if total > 0 else NAN

    def _likelihood_row(self) -> dict[str, float]:
        """Log-likelihood (restricted for REML, else ordinary) at the fit, deviance and information criteria."""
        if self.k == 1:
            return dict.fromkeys(("log_likelihood", "deviance", "aic", "bic", "aicc"), NAN)
        restricted, p = self.spec.tau2 == "REML", len(self.terms)
        vi = self.effects.vi[self.used]
        rule = restricted_log_likelihood if restricted else log_likelihood
        ll = float(rule(self.fit, self.design.x)) - 0.5 * self._excess_q()
        saturated = 0.0 if restricted else float(-0.5 * (self.k * np.log(2 * np.pi) + np.log(vi).sum()))
        count, n = p + (self.spec.tau2 != "CE"), self.k - (p if restricted else 0)
        return likelihood_columns(ll, -2 * (ll - saturated), count, n)

    def _excess_q(self) -> float:
        """What the user's weights add to the weighted sum of squares, which is least at the weights 1/(v + τ²)."""
        if self.fitted.weights is None:
            return 0.0
        residual = self.fitted.yi - self.design.x @ self.fitted.beta
        return float(self.fit.weights @ residual**2 - self.fit.q())

    def _no_r2(self) -> list[str]:
        if self.spec.tau2 == "CE" or not math.isnan(self._r2):
            return []
        if not self.design.has_intercept:
            return ["R² is undefined without an intercept"]
        return ["R² is undefined, because τ² is 0 also without the moderators"]

    def _reasons(self) -> str:
        """Why what is NaN in `glance` is NaN, and what else a reader must know."""
        reasons = [] if self.status == "ok" else [STATUS[self.status]]
        reasons += correction_notes(self.effects, self.used)
        if self._no_prediction() and self.k > 1:
            reasons.append(f"no prediction interval: {self._no_prediction()}")
        if self.spec.tau2 == "CE" and self.k > 1:
            reasons.append(ASSUMED)
        if len(self.terms) > 1 or not self.design.has_intercept:
            reasons += self._no_r2()
        if self.tau2 == 0 and self.spec.tau2 != "CE" and not self._no_prediction():
            found = self.tau2_interval(self.spec.level)
            agrees = (
                f"τ² up to {number(found.upper, 3)} agrees with the data ({hundredths(self.spec.level)} % Q-profile)"
                if found.upper
                else "the studies agree so closely that no τ² is compatible with them"
            )
            reasons.append(
                "τ² is estimated as 0, so the prediction interval allows for no difference between true effects; "
                f"{agrees.rstrip('.')}"
            )
        if self.k > 1:
            reasons += cautions(self.fitted, self.reference, self.spec.test)
        if self.spec.test == "kenward_roger" and math.isnan(self._moderators["qm"]) and len(self.terms) > 1:
            reasons.append("the joint test is undefined: τ² is too poorly determined for an F distribution")
        if int(self.tau2_estimate.maxima) > 1:
            reasons.append(
                "the likelihood has more than one maximum; the highest is reported (profile_tau2 shows the fit at each)"
            )
        return "; ".join(filter(None, reasons))
