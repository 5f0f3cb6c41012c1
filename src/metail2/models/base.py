"""What every pooled result shares: the tidy table, the single-estimate properties, and its display as text."""

from __future__ import annotations

import html
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import MetailWarning, ModelError
from metail2.kernels.inference import Wald, quantile
from metail2.models.summary import summary_text
from metail2.results import STUDY_COLUMNS
from metail2.wording import listed, some

Floats = NDArray[np.float64]
COMPANION_COLUMNS = ("term", "test", "ci_lower", "ci_upper", "p_value", "pi_lower", "pi_upper", "reason")


def refuse_dependence(effects: EffectSizes) -> None:
    """Raise if effects share patients, which no model of independent effects may pool."""
    if effects.V is None:
        return
    off = np.abs(effects.V - np.diag(np.diagonal(effects.V))) > 0
    if off.any():
        names = [effects.study[i] for i in np.flatnonzero(off.any(axis=1))]
        raise ModelError(
            f"{some(names)} share patients (their sampling covariance is not 0), so they cannot be pooled as "
            "independent effects; combine their arms, or keep one of them."
        )


def warn_repeated(effects: EffectSizes) -> None:
    """Warn of labels that stand more than once."""
    if effects.repeated:
        warnings.warn(
            f"More than one effect is labelled {some(effects.repeated)}; they are pooled as independent, so keep one "
            "where the patients are the same, and give each its own label where they are not.",
            MetailWarning,
            stacklevel=4,
        )


def warn_left_out(effects: EffectSizes, used: NDArray[np.int64]) -> None:
    """Warn of effects without a value or a variance, naming them; `used` are the positions of all others."""
    if len(used) < len(effects):
        lost = [effects.study[i] for i in np.flatnonzero(~effects.complete)]
        warnings.warn(
            f"{some(lost)}: left out of the fit, because the effect or its variance is missing.",
            MetailWarning,
            stacklevel=4,
        )


def no_new_study(k: int, tau2: str = "") -> str:
    """Say why nothing is known about the effect of a new study from `k` others, `tau2` being the estimator; or ""."""
    if tau2 == "CE":
        return "a common-effect model has no between-study variance"
    return f"it needs at least 3 studies, and there {'is' if k == 1 else 'are'} {k}" if k < 3 else ""


@dataclass(frozen=True, eq=False)
class PooledResult:
    """A fitted model.

    Attributes
    ----------
    spec : object
        The specification that was fitted.
    effects : EffectSizes
        All effects as given, also those left out.
    terms : tuple of str
        Names of the coefficients.
    wald : Wald
        The coefficients with their tests and intervals.
    """

    spec: Any
    effects: EffectSizes
    terms: tuple[str, ...]
    wald: Wald

    def tidy(self, exponentiate: bool = False) -> pd.DataFrame:
        """Return one row a coefficient: ``term estimate se statistic df p_value ci_lower ci_upper``.

        Parameters
        ----------
        exponentiate : bool
            Show estimate and limits of a log-scale measure as ratios; `se` stays on the log scale.

        Raises
        ------
        ModelError
            If the measure is not pooled on a log scale.
        """
        if exponentiate and not (self.effects.definition.transform.log_axis or self.effects.measure == "GEN"):
            raise ModelError(f"{self.effects.measure} is not pooled on a log scale, so it has no ratio to show.")
        shown = np.exp if exponentiate else np.asarray
        w = self.wald
        return pd.DataFrame(
            {
                "term": self.terms,
                "estimate": shown(w.estimate),
                "se": w.se,
                "statistic": w.statistic,
                "df": np.where(np.isfinite(w.df), w.df, np.nan),
                "p_value": w.p_value,
                "ci_lower": shown(w.lower),
                "ci_upper": shown(w.upper),
            }
        )

    def glance(self) -> pd.DataFrame:
        """Return one row: the model; see `results.GLANCE_COLUMNS`."""
        raise NotImplementedError

    def studies(self) -> pd.DataFrame:
        """Return one row a study; see `results.STUDY_COLUMNS`."""
        raise NotImplementedError

    def companions(self) -> pd.DataFrame:
        """Return intervals that must stand beside this one, with the reason; none by default."""
        return pd.DataFrame(columns=list(COMPANION_COLUMNS))

    def _only(self, values: Floats, name: str) -> float:
        if self.terms != ("intercept",):
            raise ModelError(
                f"A regression on {listed(list(self.terms))} has no single pooled effect; read {name} from tidy()."
            )
        return float(values[0])

    @property
    def estimate(self) -> float:
        """The pooled effect, on the pooled scale."""
        return self._only(self.wald.estimate, "estimate")

    @property
    def se(self) -> float:
        """Its standard error, as the test uses it."""
        return self._only(self.wald.se, "se")

    @property
    def ci_lower(self) -> float:
        """Lower confidence limit."""
        return self._only(self.wald.lower, "ci_lower")

    @property
    def ci_upper(self) -> float:
        """Upper confidence limit."""
        return self._only(self.wald.upper, "ci_upper")

    @property
    def p_value(self) -> float:
        """Two-sided P value of the pooled effect against 0."""
        return self._only(self.wald.p_value, "p_value")

    def summary(self) -> str:
        """Return the result as text, on the scale readers think in."""
        return summary_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

    def __repr__(self) -> str:
        return self.summary()


def study_table(
    effects: EffectSizes, level: float, weight: Floats, fitted: Floats, state: NDArray[np.object_]
) -> pd.DataFrame:
    """Build `studies()`: every effect as given, its own normal interval, and its part in the model (shapes (k,))."""
    half = quantile(level, np.inf) * np.sqrt(effects.vi)
    values = (
        effects.study, effects.yi, effects.vi, effects.yi - half, effects.yi + half, weight, fitted,
        effects.yi - fitted, headings(effects), state,
    )  # fmt: skip
    # a printed interval may bear the name of the computed one, which is on the pooled scale and stands here
    own = {name: column for name, column in effects.inputs.items() if name not in STUDY_COLUMNS}
    return pd.DataFrame(dict(zip(STUDY_COLUMNS, values, strict=True)) | own)


def headings(effects: EffectSizes) -> list[str]:
    """Headings of studies on pictures: the moderator column called ``group``, empty where there is none."""
    if "group" not in effects.moderators:
        return [""] * len(effects)
    return [label or "" for label in group_labels(effects.moderators["group"])]


def group_labels(column: pd.Series) -> list[str | None]:
    """Labels as text, None where missing; whole numbers without the decimal that a missing neighbour gave them."""
    whole = pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all())
    return [
        None if missing else str(int(value) if whole else value)
        for value, missing in zip(column, column.isna(), strict=True)
    ]


def likelihood_columns(ll: float, deviance: float, parameters: int, n: int) -> dict[str, float]:
    """Build the columns of `glance` that rest on the likelihood.

    Parameters
    ----------
    ll, deviance : float
        Log-likelihood and deviance of the fit.
    parameters : int
        Estimated parameters, variances among them.
    n : int
        Observations: studies, less the coefficients where the likelihood is restricted.

    Notes
    -----
    AIC (Akaike 1974), BIC (Schwarz 1978), and AICc of Hurvich & Tsai 1989, in which n is at least two more than the
    parameters, so that it is defined.
    """
    enough = max(n, parameters + 2)
    return {
        "log_likelihood": ll,
        "deviance": deviance,
        "aic": 2 * parameters - 2 * ll,
        "bic": parameters * math.log(n) - 2 * ll,
        "aicc": 2 * parameters * enough / (enough - parameters - 1) - 2 * ll,
    }
