"""What a location–scale fit says: coefficients of both parts, tests of the scale part, every study's own τ²."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import ModelError
from metail2.kernels.heterogeneity import Heterogeneity, h2_from_tau2, i2_from_q, i2_from_tau2
from metail2.kernels.inference import JointTest, Wald, chi2_upper, joint_test, quantile, wald
from metail2.kernels.location_scale import LINKS, LocationScaleFit
from metail2.models.base import PooledResult, likelihood_columns, no_new_study, study_table
from metail2.models.checks import chosen_level
from metail2.models.corrections import correction_notes
from metail2.models.design import Design, NewData
from metail2.models.summary import summary_text
from metail2.results import GLANCE_COLUMNS, STATUS
from metail2.wording import hundredths, interval, listed, number, some

Floats = NDArray[np.float64]
NAN = float("nan")
IN_SPAN = 1e-9
"""Share of a constant that the scale columns may leave unexplained and still hold it."""


@dataclass(frozen=True, eq=False, repr=False)
class LocationScaleResult(PooledResult):
    """A fitted location–scale model; `terms` and `wald` are those of the location part.

    Attributes
    ----------
    location, scale : Design
        Designs of the effects and of their between-study variances.
    used : ndarray of int
        Positions of the effects in the fit.
    fitted : LocationScaleFit
        Coefficients, likelihood and how the optimum was reached.
    factor : float
        What the test multiplies the covariance of the location coefficients by.
    scale_wald : Wald
        The scale coefficients with their tests and intervals, on the scale of log τ² or of τ².
    spread : Heterogeneity
        Cochran's Q and the typical sampling variance.
    same : LocationScaleFit
        The fit in which τ² is the same in all studies.
    """

    location: Design
    scale: Design
    used: NDArray[np.int64]
    fitted: LocationScaleFit
    factor: float
    scale_wald: Wald
    spread: Heterogeneity
    same: LocationScaleFit

    @property
    def k(self) -> int:
        """Number of studies in the fit."""
        return len(self.used)

    @property
    def tau2(self) -> float:
        """Between-study variance, where it is the same in all studies.

        Raises
        ------
        ModelError
            If it depends on moderators.
        """
        if not self._is_constant:
            raise ModelError(
                f"τ² depends on {listed(list(self.scale.terms))}, so there is no single τ²; read each study's from "
                "studies(), or that at given moderators from predict()."
            )
        return float(self.fitted.tau2[0])

    @property
    def covariance(self) -> Floats:
        """Covariance of the location coefficients as the test uses it, shape (p, p)."""
        return np.asarray(self.factor * self.fitted.covariance)

    @property
    def scale_covariance(self) -> Floats:
        """Covariance of the scale coefficients, shape (q, q); NaN where τ² is 0 in a study."""
        return self.fitted.alpha_covariance

    @property
    def status(self) -> str:
        """``"ok"`` or a code of `results.STATUS`."""
        return "zero_se" if bool((self.wald.se == 0).any()) else "ok"

    @property
    def _is_constant(self) -> bool:
        return self.scale.x.shape[1] == 1 and bool((self.scale.x == self.scale.x[0]).all())

    def tidy(self, exponentiate: bool = False) -> pd.DataFrame:
        """Return one row a coefficient; terms of the scale part begin with ``scale:``.

        Parameters
        ----------
        exponentiate : bool
            Show location coefficients of a log-scale measure as ratios; scale coefficients, which are differences of
            log τ² or τ², stay as they are.

        Notes
        -----
        Every row tests that its coefficient is 0. Of the scale intercept (see `untested`) that is no hypothesis: with
        the log link it says that τ² is 1, which depends on the unit of the effects; with the identity link that τ² is
        0, the edge of what it can be, where z and t do not hold. `summary` therefore shows no P value there.
        """
        names = tuple(f"scale:{term}" for term in self.scale.terms)
        scale = PooledResult(self.spec, self.effects, names, self.scale_wald)
        return pd.concat([super().tidy(exponentiate), scale.tidy()], ignore_index=True)

    @property
    def untested(self) -> tuple[str, ...]:
        """Names in `tidy` of the scale coefficients that hold the level of τ², of which a test against 0 means nothing.

        Effects in another unit have another level of τ². With a constant among the scale columns, only the
        coefficients that make up the constant take it in: the intercept, or those of all levels of a factor. Without
        one, all do.
        """
        z = self.scale.x
        constant = np.linalg.lstsq(z, np.ones(len(z)), rcond=None)[0]
        part = np.abs(constant) * np.abs(z).max(axis=0)
        holds = part > IN_SPAN * part.max() if _holds_constant(z) else np.ones(len(part), dtype=bool)
        return tuple(f"scale:{term}" for term, held in zip(self.scale.terms, holds, strict=True) if held)

    def summary(self) -> str:
        """Return the result as text, on the scale readers think in; without P values for the level of τ²."""
        of, null = (
            ("log τ²", "1, which depends on the unit of the effects")
            if self.spec.link == "log"
            else ("τ²", "0, the least it can be, where the test does not hold")
        )
        lines = [
            summary_text(self, self.untested),
            f"  Rows named scale: are coefficients of {of} ({self.spec.link} link).",
            f"  No P value for {listed(list(self.untested))}: a test of 0 would be one of τ² = {null}.",
        ]
        return "\n".join(lines if self.terms != ("intercept",) else [*lines, self._pooled_text()])

    def _pooled_text(self) -> str:
        """Write the single pooled effect on the scale readers think in, which tables of coefficients do not show."""
        measure = self.effects.definition
        estimate, lower, upper = measure.transform([self.estimate, self.ci_lower, self.ci_upper]).tolist()
        unit, level = measure.transform.unit, f"{hundredths(self.spec.level)} %"
        limits = interval(lower, upper, 3)
        return f"  Pooled {measure.name} {number(estimate, 3)}{unit}, {level} interval {limits}{unit}."

    def scale_test(self) -> JointTest:
        """Wald test that all scale coefficients but the intercept are 0.

        NaN without such coefficients or without an intercept, and where they have no standard errors.
        """
        tested = [j for j, term in enumerate(self.scale.terms) if term != "intercept"]
        df = float(self.scale_wald.df)
        if not tested or not self.scale.has_intercept or np.isnan(self.scale_covariance).any():
            return JointTest(NAN, NAN, float(len(tested)), df)
        return joint_test(self.scale_wald.estimate[tested], self.scale_covariance[np.ix_(tested, tested)], df)

    def scale_likelihood_ratio(self) -> JointTest:
        """Likelihood-ratio test (χ²) that τ² is the same in all studies, by restricted likelihoods under REML.

        NaN where the scale part does not include that model; P is NaN where its τ² is 0, since the χ² distribution
        does not hold there.
        """
        df = float(self.scale.x.shape[1] - 1)
        if df == 0 or not _holds_constant(self.scale.x):
            return JointTest(NAN, NAN, df, np.inf)
        statistic = max(0.0, 2 * (self.fitted.log_likelihood - self.same.log_likelihood))
        p = NAN if self.same.tau2[0] == 0 else float(chi2_upper(np.asarray(statistic), df))
        return JointTest(statistic, p, df, np.inf)

    def predict(self, new: NewData | None = None, level: float | None = None) -> pd.DataFrame:
        """Return the expected effect and τ² at new values of the moderators.

        Parameters
        ----------
        new : DataFrame or mapping of columns, optional
            One row a prediction, with every column that either formula names, as in `RandomEffectsResult.predict`.
            Without it, the fitted values of the studies used.
        level : float, optional
            Of both intervals; by default the level of the fit.

        Returns
        -------
        DataFrame
            ``estimate se ci_lower ci_upper tau2 pi_lower pi_upper note``, one row each. The prediction interval uses
            the quantile of the test (t with k − p df at least) and √(SE² + τ²) with the row's own τ²; `note` says why
            there is none.

        Raises
        ------
        ModelError
            If the identity link gives a τ² below 0 in a row, or a column or value does not fit the encoding.
        """
        level = chosen_level(level, self.spec.level)
        x = self.location.x if new is None else self.location.encode(new)
        tau2 = self.fitted.tau2 if new is None else self._tau2_at(self.scale.encode(new))
        variance = np.einsum("ij,jk,ik->i", x, self.covariance, x)
        found = wald(x @ self.wald.estimate, variance, self.wald.df, level)
        df = float(self.wald.df) if np.isfinite(self.wald.df) else float(self.k - len(self.terms))
        why = no_new_study(self.k)
        half = np.full(len(x), NAN) if why else quantile(level, df) * np.sqrt(variance + tau2)
        return pd.DataFrame(
            {
                "estimate": found.estimate, "se": found.se, "ci_lower": found.lower, "ci_upper": found.upper,
                "tau2": tau2, "pi_lower": found.estimate - half, "pi_upper": found.estimate + half,
                "note": f"no prediction interval: {why}" if why else "",
            }
        )  # fmt: skip

    def _tau2_at(self, z: Floats) -> Floats:
        predictor = z @ self.scale_wald.estimate
        if self.spec.link == "identity" and (predictor < -self._rounding(z)).any():
            row = int(np.argmax(predictor < -self._rounding(z)))
            raise ModelError(
                f"Row {row + 1} of the new data has τ² = {number(float(predictor[row]), 4)} by the identity link, "
                "which cannot be; leave it out, or use link='log'."
            )
        return LINKS[self.spec.link].inverse(predictor)[0]

    def _rounding(self, z: Floats) -> Floats:
        return np.asarray(IN_SPAN * np.abs(z * self.scale_wald.estimate).sum(-1))

    def studies(self) -> pd.DataFrame:
        """Return one row a study, also of those left out, with its own ``tau2`` as the last column."""
        weight, fitted, tau2 = (np.full(len(self.effects), NAN) for _ in range(3))
        weight[self.used] = 100 * self.fitted.fit.weights / self.fitted.fit.weights.sum()
        fitted[self.used] = self.location.x @ self.wald.estimate
        tau2[self.used] = self.fitted.tau2
        state = np.where(self.effects.complete, "missing_moderator", "missing").astype(object)
        state[np.isfinite(self.effects.yi) & np.isnan(self.effects.vi)] = "variance_undefined"
        state[self.used] = "used"
        return study_table(self.effects, self.spec.level, weight, fitted, state).assign(tau2=tau2)

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then the scale part.

        The latter are ``level link p_scale qs qs_df qs_p lr lr_df lr_p tau2_min tau2_max iterations gradient``:
        `scale_test`, `scale_likelihood_ratio`, and the range of τ² over the studies used. ``tau2_se`` is by the
        observed information.
        """
        return pd.DataFrame([self._glance])

    @cached_property
    def _glance(self) -> dict[str, object]:
        qs, lr, tau2 = self.scale_test(), self.scale_likelihood_ratio(), self.fitted.tau2
        values = {
            "k": self.k,
            "p": len(self.terms),
            "measure": self.effects.measure,
            "method": self.spec.method,
            "test": self.spec.test,
            "i2_q": float(i2_from_q(self.spread.q, self.spread.df)),
            "q": float(self.spread.q),
            "q_df": self.spread.df,
            "q_p": float(self.spread.p_value),
            "r2": NAN,
            **self._tau2_row(),
            **self._moderator_row(),
            **self._likelihood_row(),
            **self._prediction_row(),
            "status": self.status,
            "status_reason": "; ".join(self._reasons()),
        }
        ordered: dict[str, object] = {name: values[name] for name in GLANCE_COLUMNS}
        return ordered | {
            "level": self.spec.level, "link": self.spec.link, "p_scale": len(self.scale.terms),
            "qs": qs.statistic, "qs_df": qs.df, "qs_p": qs.p_value, "lr": lr.statistic, "lr_df": lr.df,
            "lr_p": lr.p_value, "tau2_min": float(tau2.min()), "tau2_max": float(tau2.max()),
            "iterations": self.fitted.iterations, "gradient": self.fitted.gradient,
        }  # fmt: skip

    def _tau2_row(self) -> dict[str, float]:
        if not self._is_constant:
            return dict.fromkeys(("tau2", "tau2_se", "i2", "h2"), NAN)
        tau2, typical, z = np.asarray(self.tau2), self.spread.typical_variance, float(self.scale.x[0, 0])
        slope = self.tau2 if self.spec.link == "log" else 1.0
        return {
            "tau2": self.tau2,
            "tau2_se": slope * abs(z) * float(self.scale_wald.se[0]),
            "i2": float(i2_from_tau2(tau2, typical)),
            "h2": float(h2_from_tau2(tau2, typical)),
        }

    def _moderator_row(self) -> dict[str, float]:
        tested = [j for j, term in enumerate(self.terms) if term != "intercept"]
        if not tested:
            return {"qm": NAN, "qm_df": NAN, "qm_p": NAN}
        covariance = self.covariance[np.ix_(tested, tested)]
        found = joint_test(self.wald.estimate[tested], covariance, float(self.wald.df))
        return {"qm": found.statistic, "qm_df": found.df, "qm_p": found.p_value}

    def _likelihood_row(self) -> dict[str, float]:
        """Log-likelihood (restricted for REML, else ordinary), deviance and information criteria."""
        restricted, p = self.spec.method == "REML", len(self.terms)
        ll, vi = self.fitted.log_likelihood, self.effects.vi[self.used]
        saturated = 0.0 if restricted else float(-0.5 * (self.k * np.log(2 * np.pi) + np.log(vi).sum()))
        count, n = p + len(self.scale.terms), self.k - (p if restricted else 0)
        return likelihood_columns(ll, -2 * (ll - saturated), count, n)

    def _prediction_row(self) -> dict[str, object]:
        if self._no_prediction():
            return {"pi_lower": NAN, "pi_upper": NAN, "pi_method": ""}
        row = self.predict(level=self.spec.level).iloc[0]
        method = "hk" if self.spec.test.startswith("knapp") else "t_k1"
        return {"pi_lower": float(row["pi_lower"]), "pi_upper": float(row["pi_upper"]), "pi_method": method}

    def _no_prediction(self) -> str:
        if self.terms != ("intercept",) or not self._is_constant:
            return "with moderators it depends on their values (use predict)"
        return no_new_study(self.k)

    def _reasons(self) -> list[str]:
        """Why what is NaN in `glance` is NaN, and what else a reader must know."""
        reasons = [] if self.status == "ok" else [STATUS[self.status]]
        reasons += correction_notes(self.effects, self.used)
        if not self._is_constant:
            least, most = (number(float(bound), 4) for bound in (self.fitted.tau2.min(), self.fitted.tau2.max()))
            reasons.append(f"τ² depends on the study ({least} to {most}), so I² from τ² and H² are not one number")
        if self._no_prediction():
            reasons.append(f"no prediction interval: {self._no_prediction()}")
        if len(self.terms) > 1:
            reasons.append("R² is not defined, because τ² has a model of its own")
        return reasons + self._scale_reasons()

    def _scale_reasons(self) -> list[str]:
        reasons = []
        if self.fitted.vanished.any():
            zero = [self.effects.study[i] for i in self.used[self.fitted.vanished]]
            whose = "every study" if len(zero) == self.k else some(zero)
            reasons.append(f"τ² is 0, the least it can be, in {whose}, so scale coefficients have no standard error")
        if self.scale.x.shape[1] == 1:
            return reasons
        if not self.scale.has_intercept:
            reasons.append("no Wald test of the scale part, because it has no intercept")
        if not _holds_constant(self.scale.x):
            reasons.append("no likelihood-ratio test, because the scale part does not include a constant τ²")
        elif self.same.tau2[0] == 0:
            reasons.append("the likelihood-ratio test has no P value, because a constant τ² is estimated as 0")
        return reasons


def _holds_constant(z: Floats) -> bool:
    """Whether some coefficients give the same predictor in all studies."""
    ones = np.ones(len(z))
    return bool(np.abs(z @ np.linalg.lstsq(z, ones, rcond=None)[0] - ones).max() < IN_SPAN)
