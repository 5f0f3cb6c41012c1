"""What a random-effects fit says: its tables, intervals, predictions, and the doubts that stand beside them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import MetailWarning, ModelError
from metail2.kernels.heterogeneity import (
    TAU2_INTERVALS,
    Heterogeneity,
    h2_from_tau2,
    i2_from_q,
    i2_from_tau2,
)
from metail2.kernels.inference import TESTS, moderator_test, quantile, wald
from metail2.kernels.likelihood import log_likelihood, restricted_log_likelihood
from metail2.kernels.prediction import PREDICTION
from metail2.kernels.tau2 import TAU2, Tau2Estimate
from metail2.kernels.wls import WeightedFit
from metail2.models.base import COMPANION_COLUMNS, PooledResult, check_level, study_table
from metail2.models.design import Design
from metail2.results import GLANCE_COLUMNS, STATUS, HeterogeneityInterval
from metail2.wording import number

Floats = NDArray[np.float64]
NAN = float("nan")
ROUNDING = 1e-9
"""With 2 studies and τ² > 0 the Hartung–Knapp factor is 1 but for rounding."""


@dataclass(frozen=True, eq=False, repr=False)
class RandomEffectsResult(PooledResult):
    """A fitted random-effects model.

    Attributes
    ----------
    design : Design
        Design matrix and the formula's encoding.
    used : ndarray of int
        Positions of the effects in the fit.
    tau2_estimate : Tau2Estimate
        τ², its standard error and how the optimum was reached.
    fit : WeightedFit
        The weighted regression at τ².
    factor : float
        What the test multiplies the covariance of the coefficients by.
    spread : Heterogeneity
        Cochran's Q and the typical sampling variance.
    """

    design: Design
    used: NDArray[np.int64]
    tau2_estimate: Tau2Estimate
    fit: WeightedFit
    factor: float
    spread: Heterogeneity

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
        return np.asarray(self.factor * self.fit.covariance)

    @property
    def status(self) -> str:
        """``"ok"`` or a code of `results.STATUS`."""
        if self.k == 1:
            return "one_study"
        return "zero_se" if bool((self.wald.se == 0).any()) else "ok"

    def prediction_interval(self, level: float = 0.95, method: str | None = None) -> tuple[float, float]:
        """Return where the true effect of a new study would lie, (lower, upper) on the pooled scale.

        Parameters
        ----------
        level : float
            Coverage.
        method : str, optional
            A code of `PREDICTION`. By default ``"hk"`` with a Hartung–Knapp test, else ``"t_k1"``, and NaN with a
            warning where `glance` has none (fewer than 3 studies, common effect).
        """
        check_level(level)
        if method is None and self._no_prediction():
            warnings.warn(f"No prediction interval: {self._no_prediction()}.", MetailWarning, stacklevel=2)
            return NAN, NAN
        centre = self.estimate
        plain = float(self.fit.covariance[0, 0])
        knapp_hartung = self.factor if self.spec.test.startswith("knapp") else float(self.fit.q()) / max(self.k - 1, 1)
        rule = PREDICTION[method or self._prediction_method()]
        half = rule(plain, knapp_hartung * plain, self.tau2, self.k, level)
        return centre - half, centre + half

    def _prediction_method(self) -> str:
        return "hk" if self.spec.test.startswith("knapp") else "t_k1"

    def _no_prediction(self) -> str:
        """Why no prediction interval is shown by default; empty if one is."""
        if self.terms != ("intercept",):
            return "with moderators it depends on their values (use predict)"
        if self.spec.tau2 == "CE":
            return "a common-effect model has no between-study variance"
        return f"it needs at least 3 studies, and there {'is' if self.k == 1 else 'are'} {self.k}" if self.k < 3 else ""

    def tau2_interval(self, level: float = 0.95, method: str = "q_profile") -> HeterogeneityInterval:
        """Return confidence limits for τ², τ, I² and H²; see `HeterogeneityInterval`.

        Raises
        ------
        ModelError
            For one study, about whose heterogeneity nothing is known.
        """
        check_level(level)
        rule = TAU2_INTERVALS[method]
        if self.k < 2:
            raise ModelError("One study says nothing about heterogeneity, so τ² has no interval.")
        limits = np.array(
            rule(self.effects.yi[self.used], self.effects.vi[self.used], self.design.x, level), dtype=float
        )
        i2 = i2_from_tau2(limits, self.spread.typical_variance)
        h2 = h2_from_tau2(limits, self.spread.typical_variance)
        note = "" if limits[1] > 0 else "The studies agree so closely that no τ² is compatible with them; 0 is shown."
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
            note=note,
        )

    def predict(self, new: pd.DataFrame | None = None, level: float = 0.95) -> pd.DataFrame:
        """Return the expected effect at new values of the moderators.

        Parameters
        ----------
        new : DataFrame, optional
            One row a prediction, with every column the formula names, encoded exactly as in the fit. Without it, the
            fitted values of the studies used.
        level : float
            Of both intervals.

        Returns
        -------
        DataFrame
            ``estimate se ci_lower ci_upper pi_lower pi_upper``, on the pooled scale, one row each. The prediction
            interval uses the quantile of the test (t with k − 1 df at least) and √(SE² + τ²).
        """
        check_level(level)
        x = self.design.x if new is None else self.design.encode(new)
        variance = np.einsum("ij,jk,ik->i", x, self.covariance, x)
        found = wald(x @ self.wald.estimate, variance, self.wald.df, level)
        df = self.wald.df if np.isfinite(self.wald.df) else float(self.k - len(self.terms))
        half = quantile(level, df) * np.sqrt(variance + self.tau2) if self.k > 2 else np.full(len(x), NAN)
        return pd.DataFrame(
            {
                "estimate": found.estimate,
                "se": found.se,
                "ci_lower": found.lower,
                "ci_upper": found.upper,
                "pi_lower": found.estimate - half,
                "pi_upper": found.estimate + half,
            }
        )

    def companions(self) -> pd.DataFrame:
        """Return the intervals that must stand beside a Hartung–Knapp interval where it may mislead, with the reason.

        Returns
        -------
        DataFrame
            ``test ci_lower ci_upper p_value pi_lower pi_upper reason``; no rows where the interval may stand alone. The
            prediction interval is that of the other test, NaN where there is none.
        """
        if self.terms != ("intercept",) or self.k < 2 or self.spec.test != "knapp_hartung":
            return super().companions()
        rows = [self._companion(test, reason) for test, reason in self._doubts()]
        return pd.DataFrame(rows, columns=list(COMPANION_COLUMNS))

    def _doubts(self) -> list[tuple[str, str]]:
        doubts = []
        if self.k == 2:
            doubts.append(("z", "with 2 studies the Hartung–Knapp interval rests on 1 degree of freedom"))
        elif self.tau2 == 0:
            doubts.append(("z", f"τ² is {'0 by assumption' if self.spec.tau2 == 'CE' else 'estimated as 0'}"))
        if self.factor < 1 - ROUNDING:
            doubts.append(("knapp_hartung_adhoc", "the Hartung–Knapp standard error is smaller than the one behind z"))
        return doubts

    def _companion(self, test: str, reason: str) -> tuple[object, ...]:
        df, level = self.k - 1, self.spec.level
        factor, test_df = TESTS[test](np.asarray(self.fit.q() / df), df)
        other = wald(self.wald.estimate, factor * np.diagonal(self.fit.covariance), test_df, level)
        half = NAN if self._no_prediction() else quantile(level, df) * math.hypot(other.se[0], math.sqrt(self.tau2))
        centre = self.estimate
        limits = (other.lower[0], other.upper[0], other.p_value[0], centre - half, centre + half)
        return (test, *map(float, limits), reason)

    def studies(self) -> pd.DataFrame:
        """Return one row a study, also of those left out; weights in percent of those used."""
        weight, fitted = np.full(len(self.effects), NAN), np.full(len(self.effects), NAN)
        weight[self.used] = 100 * self.fit.weights / self.fit.weights.sum()
        fitted[self.used] = self.design.x @ self.wald.estimate
        state = np.where(self.effects.complete, "missing_moderator", "missing").astype(object)
        state[np.isfinite(self.effects.yi) & np.isnan(self.effects.vi)] = "variance_undefined"
        state[self.used] = "used"
        return study_table(self.effects, self.spec.level, weight, fitted, state)

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then ``level iterations gradient maxima``."""
        return pd.DataFrame([self._glance])

    @cached_property
    def _glance(self) -> dict[str, object]:
        lower, upper = (NAN, NAN) if self._no_prediction() else self.prediction_interval(self.spec.level)
        typical = self.spread.typical_variance
        values: dict[str, object] = {
            "k": self.k,
            "p": len(self.terms),
            "measure": self.effects.measure,
            "method": self.spec.tau2,
            "test": "z" if self.k == 1 else self.spec.test,
            "tau2": self.tau2,
            "tau2_se": float(self.tau2_estimate.se),
            "i2": self.i2,
            "i2_q": self.i2_q,
            "h2": NAN if self.spec.tau2 == "CE" else float(h2_from_tau2(self.tau2_estimate.value, typical)),
            "q": self.q,
            "q_df": self.spread.df,
            "q_p": float(self.spread.p_value),
            **self._moderator_row(),
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
            "gradient": float(self.tau2_estimate.gradient),
            "maxima": int(self.tau2_estimate.maxima),
        }

    def _moderator_row(self) -> dict[str, float]:
        tested = [j for j, term in enumerate(self.terms) if term != "intercept"]
        if not tested:
            return {"qm": NAN, "qm_df": NAN, "qm_p": NAN, "r2": NAN}
        qm, p = moderator_test(self.wald.estimate[tested], self.covariance[np.ix_(tested, tested)], self.wald.df)
        return {"qm": qm, "qm_df": float(len(tested)), "qm_p": p, "r2": self._r2}

    @cached_property
    def _r2(self) -> float:
        """Share of τ² that the moderators account for, percent (Raudenbush 1994); not below 0."""
        if self.spec.tau2 == "CE" or not self.design.has_intercept:
            return NAN
        yi, vi = self.effects.yi[self.used], self.effects.vi[self.used]
        total = float(TAU2[self.spec.tau2](yi, vi, np.ones((self.k, 1))).value)
        return max(0.0, 100 * (1 - self.tau2 / total)) if total > 0 else NAN

    def _likelihood_row(self) -> dict[str, float]:
        """Log-likelihood (restricted for REML, else ordinary) at the fit, deviance and information criteria."""
        if self.k == 1:
            return dict.fromkeys(("log_likelihood", "deviance", "aic", "bic", "aicc"), NAN)
        restricted, p = self.spec.tau2 == "REML", len(self.terms)
        vi = self.effects.vi[self.used]
        rule = restricted_log_likelihood if restricted else log_likelihood
        ll = float(rule(self.fit, self.design.x))
        saturated = 0.0 if restricted else float(-0.5 * (self.k * np.log(2 * np.pi) + np.log(vi).sum()))
        count, n = p + (self.spec.tau2 != "CE"), self.k - (p if restricted else 0)
        enough = max(n, count + 2)
        return {
            "log_likelihood": ll,
            "deviance": -2 * (ll - saturated),
            "aic": -2 * ll + 2 * count,
            "bic": -2 * ll + count * math.log(n),
            "aicc": -2 * ll + 2 * count * enough / (enough - count - 1),
        }

    def _no_r2(self) -> list[str]:
        if self.spec.tau2 == "CE" or not math.isnan(self._r2):
            return []
        if not self.design.has_intercept:
            return ["R² is undefined without an intercept"]
        return ["R² is undefined, because τ² is 0 also without the moderators"]

    def _reasons(self) -> str:
        """Why what is NaN in `glance` is NaN, and what else a reader must know."""
        reasons = [] if self.status == "ok" else [STATUS[self.status]]
        if self._no_prediction() and self.k > 1:
            reasons.append(f"no prediction interval: {self._no_prediction()}")
        if self.spec.tau2 == "CE" and self.k > 1:
            reasons.append("τ² is 0 by assumption, so it has no standard error, I², H² or R²; see I² from Q")
        if len(self.terms) > 1 or not self.design.has_intercept:
            reasons += self._no_r2()
        if self.tau2 == 0 and self.spec.tau2 != "CE" and not self._no_prediction():
            found = self.tau2_interval(self.spec.level)
            agrees = (
                f"τ² up to {number(found.upper, 3)} agrees with the data (Q-profile)" if found.upper else found.note
            )
            reasons.append(
                "τ² is estimated as 0, so the prediction interval allows for no difference between true effects; "
                f"{agrees.rstrip('.')}"
            )
        if int(self.tau2_estimate.maxima) > 1:
            reasons.append("the likelihood has more than one maximum; the highest is reported")
        return "; ".join(reasons)
