"""Likelihood-ratio tests of nested models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.analysis.refits import labels, random_effects
from metail2.errors import ModelError
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.inference import chi2_upper
from metail2.kernels.wls import WeightedFit
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import listed, some

Floats = NDArray[np.float64]

OUTSIDE = 1e-8
"""Share of a column that lies outside the columns of the full model, above which the models are not nested."""


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        Twice the difference of the maximal log-likelihoods.
    df : int
        Number of parameters that only the full model has, τ² included.
    p_value : float
        From χ² with `df` degrees of freedom; where τ² is among the parameters tested, from the equal mixture of χ² with
        df − 1 and df degrees of freedom, because τ² = 0 is the edge of what it can be.
    tau2_full, tau2_reduced : float
        τ² by maximum likelihood in both models; 0 for a common effect.
    note : str
        What was compared, and how the P value arose.
    """

    statistic: float
    df: int
    p_value: float
    tau2_full: float
    tau2_reduced: float
    note: str


def likelihood_ratio(full: RandomEffectsResult, reduced: RandomEffectsResult) -> LikelihoodRatio:
    """Compare two nested models of the same effects by their maximal likelihoods.

    Whatever estimated τ² in the results, both are fitted again by maximum likelihood (a common effect keeps τ² = 0):
    restricted likelihoods of different moderators cannot be compared.

    Parameters
    ----------
    full, reduced : RandomEffectsResult
        Fits to the same studies; what the reduced model says is a special case of what the full one says: its
        moderators are combinations of those of the full model, or it is a common effect and the full model is not.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    ModelError
        If a result is of another model or of one study, the models have different studies, are not nested or are the
        same, or the user's weights took the place of the likelihood.

    Notes
    -----
    Self SG, Liang K-Y (1987). Journal of the American Statistical Association 82:605–610 (the mixture). Hardy RJ,
    Thompson SG (1996). Statistics in Medicine 15:619–629.
    """
    _check_same_effects(full, reduced)
    extra = len(full.terms) - len(reduced.terms)
    tests_tau2 = _check_nested(full, reduced, extra)
    (most, tau2_full), (least, tau2_reduced) = _maximum(full), _maximum(reduced)
    statistic = max(0.0, _twice_log_ratio(most, least))
    df = extra + tests_tau2
    p_value = _mixture(statistic, df) if tests_tau2 else float(chi2_upper(np.asarray(statistic), df))
    return LikelihoodRatio(statistic, df, p_value, tau2_full, tau2_reduced, _note(full, reduced, df, tests_tau2))


def _maximum(result: RandomEffectsResult) -> tuple[WeightedFit, float]:
    """The fit at the maximal likelihood, and its τ²."""
    own = result.fitted
    fitted = fit_random_effects(own.yi, own.vi, own.x, "CE" if own.estimator == "CE" else "ML")
    return fitted.fit, float(fitted.tau2.value)


def _twice_log_ratio(full: WeightedFit, reduced: WeightedFit) -> float:
    """Twice the difference of log-likelihoods, from ratios of weights, so that no scale enters."""
    return float(np.log(full.weights / reduced.weights).sum() + reduced.q() - full.q())


def _mixture(statistic: float, df: int) -> float:
    """Upper tail of ½χ²(df − 1) + ½χ²(df) at or above the statistic; χ²(0) is 0 for certain."""
    lower = float(chi2_upper(np.asarray(statistic), df - 1)) if df > 1 else float(statistic == 0)
    return 0.5 * (lower + float(chi2_upper(np.asarray(statistic), df)))


def _note(full: RandomEffectsResult, reduced: RandomEffectsResult, df: int, tests_tau2: bool) -> str:
    refitted = [r.spec.tau2 for r in (full, reduced) if r.spec.tau2 not in ("ML", "CE")]
    notes = [f"refitted by maximum likelihood instead of {listed(list(dict.fromkeys(refitted)))}"] if refitted else []
    if tests_tau2:
        notes.append(f"P is half from χ² with {df - 1} and half from χ² with {df} df, because τ² cannot be below 0")
    return "; ".join(notes)


def _check_same_effects(full: RandomEffectsResult, reduced: RandomEffectsResult) -> None:
    results = (full, reduced)
    for result in results:
        random_effects(result, "likelihood_ratio")
        if result.fitted.weights is not None:
            raise ModelError("Likelihoods have their own weights; fit the models without the user's weights.")
    first, second = map(labels, results)
    if first != second:
        one_only = set(first) ^ set(second)
        alone = [label for label in dict.fromkeys(first + second) if label in one_only]
        said = f"{some(alone)} {'is' if len(alone) == 1 else 'are'} in one only" if alone else "their order differs"
        raise ModelError(f"The models have different studies ({said}); fit both to the same effects.")
    same = [np.array_equal(getattr(full.fitted, name), getattr(reduced.fitted, name)) for name in ("yi", "vi")]
    if not all(same):
        raise ModelError(
            "The models have the same studies but other effects or variances; fit both to the same effects."
        )


def _check_nested(full: RandomEffectsResult, reduced: RandomEffectsResult, extra: int) -> bool:
    """Raise unless the reduced model is a special case of the full one; return whether that sets τ² to 0."""
    common = [result.spec.tau2 == "CE" for result in (full, reduced)]
    if common == [True, False]:
        raise ModelError(
            "The full model is a common effect and the reduced one is not; exchange them, or free τ² in both."
        )
    basis = np.linalg.qr(full.fitted.x)[0]
    x = reduced.fitted.x
    outside = np.linalg.norm(x - basis @ (basis.T @ x), axis=0) > OUTSIDE * np.linalg.norm(x, axis=0)
    if outside.any():
        terms = [term for term, lies in zip(reduced.terms, outside, strict=True) if lies]
        raise ModelError(f"The models are not nested: the full model lacks {listed(terms)}.")
    tests_tau2 = common == [False, True]
    if not extra and not tests_tau2:
        raise ModelError(
            "Both models say the same, so there is nothing to test; leave something out of the reduced one."
        )
    return tests_tau2
