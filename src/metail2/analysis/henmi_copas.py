"""Henmi and Copas's interval for a pooled effect, which small-study effects shift less."""

from __future__ import annotations

from dataclasses import dataclass

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import ModelError
from metail2.kernels.henmi_copas import henmi_copas_fit
from metail2.models.checks import chosen_level
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import hundredths, interval, number

WEIGHTS = "the estimate is the common-effect mean, in which small studies weigh less than in a random-effects mean"
NO_SPREAD = "; τ² is estimated as 0, so the standard error is that of a common effect"
FEW = "; with 2 studies the interval rests on one difference between them"


@dataclass(frozen=True, slots=True, repr=False)
class HenmiCopas:
    """A pooled effect with the interval of Henmi and Copas, on the pooled scale.

    Attributes
    ----------
    estimate, se : float
        Common-effect mean, and its standard error if the true effects differ with variance `tau2`.
    ci_lower, ci_upper : float
        ``estimate ± quantile·se``.
    tau2 : float
        By DerSimonian–Laird.
    quantile : float
        Critical value, in standard errors; it depends on the variances and on `tau2`.
    level : float
        Confidence level.
    effects : EffectSizes
        What was pooled, for the measure and its display.
    note : str
        What a reader must know.
    """

    estimate: float
    se: float
    ci_lower: float
    ci_upper: float
    tau2: float
    quantile: float
    level: float
    effects: EffectSizes
    note: str

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return the result as text, back-transformed."""
        measure = self.effects.definition
        estimate, lower, upper = map(float, measure.transform([self.estimate, self.ci_lower, self.ci_upper]))
        unit = measure.transform.unit
        return (
            f"Henmi–Copas: {measure.name} {number(estimate, 3)}{unit}, {hundredths(self.level)} % interval "
            f"{interval(lower, upper, 3)}{unit}  [τ² = {number(self.tau2, 4) if self.tau2 else 0}, DerSimonian–Laird; "
            f"{number(self.quantile, 3)} standard errors]\n  Note: {self.note}"
        )


def henmi_copas(result: RandomEffectsResult, level: float | None = None) -> HenmiCopas:
    """Estimate the pooled effect by Henmi and Copas.

    Parameters
    ----------
    result : RandomEffectsResult
        A pooled effect of at least 2 studies; its effects and variances are used, not its estimator, test or weights.
    level : float, optional
        Confidence level; that of `result` by default.

    Raises
    ------
    ModelError
        With moderators, for one study, and for another kind of model.

    Notes
    -----
    The weights are those of a common effect, so the estimate is less biased where small studies show larger effects,
    and the interval is right for it when true effects differ. Henmi M, Copas JB (2010). Statistics in Medicine
    29:2969–2983.
    """
    if not isinstance(result, RandomEffectsResult) or result.terms != ("intercept",):
        raise ModelError(
            "Henmi–Copas is an interval for one pooled mean; give the result of pool() without moderators."
        )
    if result.k < 2:
        raise ModelError("Henmi–Copas needs at least 2 studies, and there is 1.")
    level = chosen_level(level, result.spec.level)
    found = henmi_copas_fit(result.fitted.yi, result.fitted.vi, level)
    estimate, se = float(found.estimate), float(found.variance) ** 0.5
    tau2, quantile = float(found.tau2), float(found.quantile)
    half = quantile * se
    note = f"{WEIGHTS}{'' if tau2 else NO_SPREAD}{FEW if result.k == 2 else ''}"
    return HenmiCopas(estimate, se, estimate - half, estimate + half, tau2, quantile, level, result.effects, note)
