"""Beta-binomial regression of arm counts: pooling rare events without leaving any study out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from metail2.effects.effect_sizes import EffectSizes
from metail2.kernels.beta_binomial import BetaBinomialFit, fit_beta_binomial, group
from metail2.kernels.inference import chi2_upper, wald
from metail2.models.base import PooledResult, likelihood_columns, study_table
from metail2.models.checks import check_level
from metail2.models.count_arms import arms, check_whole, corrected_note
from metail2.models.tables import counted, effects_from_counts
from metail2.registry import Registry
from metail2.results import GLANCE_COLUMNS, STATUS

Floats = NDArray[np.float64]
NAN = float("nan")
OWN_COLUMNS = ("level", "rho", "rho_se", "rho_lrt", "rho_lrt_p", "iterations", "gradient", "maxima")
"""Columns of `glance` after the shared ones."""
NO_TAU2 = (
    "studies differ by the intraclass correlation ρ, so there is no τ², I², Q, prediction interval or weight of a study"
)

Scale = Callable[[Floats], tuple[Floats, Floats]]
"""Log-odds of an arm → its value on the pooled scale and the derivative."""

SCALES: Registry[Scale] = Registry("measure of BetaBinomial")
"""The pooled effect is the difference of the two arms on this scale; of PLO, the value of the only arm."""


@SCALES.register("OR")
@SCALES.register("PLO")
def _logit(eta: Floats) -> tuple[Floats, Floats]:
    return eta, np.ones_like(eta)


@SCALES.register("RR")
def _log(eta: Floats) -> tuple[Floats, Floats]:
    return -np.logaddexp(0, -eta), expit(-eta)


@SCALES.register("RD")
def _identity(eta: Floats) -> tuple[Floats, Floats]:
    return expit(eta), expit(eta) * expit(-eta)


@dataclass(frozen=True, slots=True)
class BetaBinomial:
    """Specification: events of an arm are beta-binomial, with a probability for each treatment and one correlation.

    Attributes
    ----------
    measure : {"OR", "RR", "RD", "PLO"}
        On what scale the two probabilities are compared; PLO is the log-odds of single arms.
    level : float
        Confidence level.

    Notes
    -----
    The two arms of a study are taken as independent, so the randomisation within studies is not used; studies without
    events are. The link makes no difference: with one probability a treatment every link gives the same fit, and the
    standard error that its own parametrisation would give. Kuss O (2015). Statistics in Medicine 34:1097–1116. Mathes
    T, Kuss O (2018). Research Synthesis Methods 9:366–381.
    """

    measure: str = "OR"
    level: float = 0.95

    def __post_init__(self) -> None:
        SCALES[self.measure]
        check_level(self.level)

    def fit(self, data: pd.DataFrame | EffectSizes) -> BetaBinomialResult:
        """Maximise the likelihood.

        Parameters
        ----------
        data : DataFrame or EffectSizes
            ``events1 n1 events2 n2`` (or ``a b c d``); for PLO ``events n``.

        Returns
        -------
        BetaBinomialResult
            Where an arm has no events, or only events, in all studies: NaN, status ``"undefined"`` and the reason.

        Raises
        ------
        EffectSizeError, ModelError
            If a column is missing or a count impossible or not whole, or no study has all its counts.
        """
        effects = effects_from_counts(data, self.measure)
        whole = counted(effects)
        check_whole(effects)
        events, n = (columns[whole] for columns in arms(effects))
        reason, fit, estimate, variance = _undefined(events, n), None, NAN, NAN
        if not reason:
            fit = fit_beta_binomial([group(y, size) for y, size in zip(events.T, n.T, strict=True)])
            reason = "" if fit.bounded else "the likelihood is largest at ρ = 1, where an arm has all events or none"
        if fit and not reason:
            estimate, variance = _effect(fit, SCALES[self.measure])
        coefficients = wald(np.atleast_1d(estimate), np.atleast_1d(variance), np.inf, self.level)
        return BetaBinomialResult(self, effects, ("intercept",), coefficients, whole, fit, reason)


def _undefined(events: Floats, n: Floats) -> str:
    """Why a probability is 0 or 1, where no scale has a standard error; empty if none is."""
    for j, total in enumerate(events.sum(0)):
        arm = "arm" if events.shape[1] == 1 else ("experimental arm", "control arm")[j]
        if total == 0:
            return f"the estimate is undefined, because no event occurred in any {arm}"
        if total == n[:, j].sum():
            return f"the estimate is undefined, because everybody had the event in every {arm}"
    return ""


def _effect(fit: BetaBinomialFit, scale: Scale) -> tuple[float, float]:
    """Pooled effect and variance: the first arm less the second, if there is one."""
    value, slope = scale(fit.eta)
    contrast = np.array([1.0, -1.0])[: len(value)]
    tilt = np.append(contrast * slope, 0.0)
    return float(contrast @ value), float(tilt @ fit.covariance @ tilt)


@dataclass(frozen=True, eq=False, repr=False)
class BetaBinomialResult(PooledResult):
    """A fitted beta-binomial model.

    Attributes
    ----------
    whole : ndarray of bool, shape (k,)
        Which studies have all their counts; all of these are used.
    likelihood : BetaBinomialFit or None
        The maximum; None where a probability is 0 or 1.
    reason : str
        Why the estimate is undefined; empty if it is not.
    """

    whole: NDArray[np.bool_]
    likelihood: BetaBinomialFit | None
    reason: str

    @property
    def k(self) -> int:
        """Number of studies used."""
        return int(self.whole.sum())

    @property
    def status(self) -> str:
        """``"ok"`` or a code of `results.STATUS`."""
        return "undefined" if self.reason else "one_study" if self.k == 1 else "ok"

    @property
    def rho(self) -> float:
        """Correlation of two patients' events in one arm of one study."""
        return self.likelihood.rho if self.likelihood is not None and not self.reason else NAN

    def studies(self) -> pd.DataFrame:
        """Return one row a study, without weights.

        `yi`, `vi` and the interval are the inverse-variance effect's, with 0.5 added where a cell is 0; a difference is
        that of the raw counts.
        """
        shown, state = self.effects, np.where(self.whole, "used", "missing").astype(object)
        if shown.measure == "RD":
            shown = replace(shown, yi=effects_from_counts(shown, "RD", add=0).yi)
        fitted = np.where(self.whole, self.wald.estimate[0], NAN)
        return study_table(shown, self.spec.level, np.full(len(shown), NAN), fitted, state)

    def glance(self) -> pd.DataFrame:
        """Return one row: `results.GLANCE_COLUMNS`, then `OWN_COLUMNS`.

        `rho_lrt` is the likelihood-ratio test of ρ = 0; as this lies on the boundary, its P value is half the tail of
        χ² with 1 df (Self & Liang 1987). `gradient` is the distance from the maximum by the last Newton step, in
        standard errors.
        """
        values: dict[str, Any] = dict.fromkeys((*GLANCE_COLUMNS, *OWN_COLUMNS), NAN)
        values |= {
            "k": self.k, "p": 1, "measure": self.effects.measure, "method": "BB", "test": "z", "pi_method": "",
            "status": self.status, "status_reason": self._reasons(), "level": self.spec.level,
        }  # fmt: skip
        return pd.DataFrame([values | self._likelihood_row()])

    def _likelihood_row(self) -> dict[str, Any]:
        fit = self.likelihood
        if fit is None or self.reason:
            return {}
        parameters, n = len(fit.eta) + 1, len(fit.eta) * self.k
        lrt = max(0.0, 2 * (fit.log_likelihood - fit.binomial)) if fit.rho > 0 else 0.0
        return {
            **likelihood_columns(fit.log_likelihood, NAN, parameters, n),
            "rho": fit.rho, "rho_se": float(np.sqrt(fit.covariance[-1, -1])) if fit.rho > 0 else NAN,
            "rho_lrt": lrt, "rho_lrt_p": 0.5 * float(chi2_upper(np.asarray(lrt), 1)) if fit.rho > 0 else 1.0,
            "iterations": fit.iterations, "gradient": fit.distance, "maxima": fit.maxima,
        }  # fmt: skip

    def _reasons(self) -> str:
        """Why what is NaN in `glance` is NaN, and what else a reader must know."""
        reasons = [self.reason, STATUS["one_study"] if self.status == "one_study" else "", NO_TAU2]
        if self.likelihood is not None and not self.reason:
            boundary = "ρ is estimated as 0, so it has no standard error and arms are pooled as if of one study"
            reasons += [boundary if self.rho == 0 else "", corrected_note(self.effects, self.whole)]
            if self.likelihood.maxima > 1:
                reasons.append("the likelihood has more than one maximum; the highest is reported")
        return "; ".join(filter(None, [*reasons, "no deviance: a beta-binomial has no saturated model"]))
