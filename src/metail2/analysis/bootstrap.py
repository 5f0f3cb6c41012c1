"""Bootstrap of a random-effects fit: standard errors and intervals of coefficients, τ² and I²."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.blocks import blocks
from metail2.analysis.refits import random_effects
from metail2.errors import MetailWarning, ModelError, UnknownChoice
from metail2.kernels.bootstrap import LIMITS, drawn_cases, figures, of_cases, simulated, without_each
from metail2.kernels.fitted import Fitted
from metail2.models.checks import check_count, check_seed, chosen_level
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import hundredths, listed

Floats = NDArray[np.float64]

KINDS = ("parametric", "case")
BOUNDS = {"tau2": (0.0, np.inf), "i2": (0.0, 100.0)}
"""What τ² and I² can be; reflected limits beyond are cut."""


@dataclass(frozen=True, repr=False)
class Bootstrap:
    """Replicates of a fit.

    Attributes
    ----------
    result : RandomEffectsResult
        The fit that was bootstrapped.
    kind : str
        ``"parametric"`` or ``"case"``.
    draws : DataFrame
        One row a replicate: the coefficients by their terms, then ``tau2`` and ``i2`` (percent) unless τ² is 0 by
        assumption.
    degenerate : int
        Resamples without a row in `draws`, because they had not more distinct studies than coefficients, or collinear
        moderators.
    """

    result: RandomEffectsResult
    kind: str
    draws: pd.DataFrame
    degenerate: int

    def __repr__(self) -> str:
        lost = f" ({self.degenerate} more could not be fitted)" if self.degenerate else ""
        kind = f"{self.kind} bootstrap of {self.result.k} studies".capitalize()
        table = self.interval().drop(columns="note").to_string(index=False)
        level = hundredths(self.result.spec.level)
        return f"{kind}, {len(self.draws):,} replicates{lost}; {level} % percentiles\n{table}"

    def interval(self, level: float | None = None, method: str = "percentile") -> pd.DataFrame:
        """Return what the replicates say of each quantity.

        Parameters
        ----------
        level : float, optional
            Of the interval; by default that of the model.
        method : str
            ``"percentile"`` (quantiles of the replicates), ``"basic"`` (those reflected in the estimate, and cut where
            τ² would be negative or I² outside 0 to 100 %) or ``"bca"`` (bias-corrected and accelerated; for cases only,
            as its acceleration comes from leaving out each study).

        Returns
        -------
        DataFrame
            ``quantity estimate bias se ci_lower ci_upper note``: the estimate of the fit, the mean of the replicates
            less the estimate, their standard deviation and the limits. A note says why BCa has no limits (NaN).

        Raises
        ------
        UnknownChoice
            If there is no such method.
        ModelError
            If the level is not between 0 and 1, or BCa is asked of a parametric bootstrap or of moderators that the fit
            cannot keep apart without some study.
        """
        level = chosen_level(level, self.result.spec.level)
        rule = LIMITS[method]
        draws, estimate = self.draws.to_numpy(), figures(self.result.fitted)
        lower, upper = rule(draws, estimate, level, self._jackknife() if method == "bca" else estimate[None])
        spread = len(estimate) - len(self.result.terms)
        free = [(-np.inf, np.inf)] * len(self.result.terms)
        floor, ceiling = np.transpose([*free, *list(BOUNDS.values())[:spread]])
        return pd.DataFrame(
            {
                "quantity": self.draws.columns,
                "estimate": estimate,
                "bias": draws.mean(0) - estimate,
                "se": draws.std(0, ddof=1),
                "ci_lower": np.clip(lower, floor, ceiling),
                "ci_upper": np.clip(upper, floor, ceiling),
                "note": np.where(np.isnan(lower), "all replicates lie on one side of the estimate", ""),
            }
        )

    def _jackknife(self) -> Floats:
        """The quantities without each study, shape (k, m)."""
        if self.kind == "parametric":
            raise ModelError("BCa intervals are for kind='case'; take the percentile or the basic interval here.")
        own = self.result.fitted
        cases, fits = without_each(own)
        if not fits.all():
            lost = self.result.effects.study[self.result.used[int(np.argmin(fits))]]
            raise ModelError(
                f"Without {lost} the coefficients cannot be told apart, so BCa has no acceleration; take the "
                "percentile interval."
            )
        return figures(of_cases(own, cases))


def bootstrap(
    result: RandomEffectsResult,
    kind: str = "parametric",
    replicates: int = 5000,
    seed: int | None = None,
    progress: bool = False,
) -> Bootstrap:
    """Fit a model again to many samples like its own.

    Parameters
    ----------
    result : RandomEffectsResult
        A fitted model; each replicate estimates τ² and the coefficients as it did.
    kind : str
        ``"parametric"``: effects drawn from the fitted model, N(xᵢ′β, vᵢ + τ²), with the studies' own variances and
        moderators. ``"case"``: k studies drawn with replacement, each with its effect, variance, moderators and weight.
    replicates : int
        Number of samples.
    seed : int, optional
        Of the random draws; the same seed gives the same replicates.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Bootstrap
        With `draws` and `interval`. Resamples of cases that cannot be fitted are left out, with a warning that counts
        them.

    Raises
    ------
    UnknownChoice
        If there is no such kind.
    ModelError
        If the result is of another model, the fit has one study, there are fewer than 2 replicates, the seed is no
        whole number of at least 0, a moderator is called ``tau2`` or ``i2``, the studies are so few that every resample
        which can be fitted is the data themselves, or fewer than 2 resamples can be fitted.

    Notes
    -----
    Resampled cases repeat studies, which makes their τ² too small, and few studies vary too little: intervals of τ²
    from cases are too short, and both kinds cover less than those from the distribution of Q (Viechtbauer 2007).

    Efron B, Tibshirani RJ (1993). An Introduction to the Bootstrap. Chapman & Hall. Viechtbauer W (2007). Statistics in
    Medicine 26:37–52.
    """
    names = _names(result, kind)
    replicates = check_count(replicates, "replicates", 2)
    rng = np.random.default_rng(check_seed(seed))
    steps = blocks(replicates, result.design.x.size, progress)
    sample = _simulated if kind == "parametric" else _cases
    found = [figures(fitted) for fitted in sample(result.fitted, steps, rng)]
    degenerate = replicates - sum(map(len, found))
    _tell(degenerate, replicates)
    return Bootstrap(result, kind, pd.DataFrame(np.concatenate(found), columns=names), degenerate)


def _simulated(own: Fitted, steps: Iterator[tuple[int, int]], rng: np.random.Generator) -> Iterator[Fitted]:
    for first, last in steps:
        yield simulated(own, last - first, rng)


def _cases(own: Fitted, steps: Iterator[tuple[int, int]], rng: np.random.Generator) -> Iterator[Fitted]:
    for first, last in steps:
        cases, fits = drawn_cases(own, last - first, rng)
        if fits.any():
            yield of_cases(own, cases[fits])


def _names(result: RandomEffectsResult, kind: str) -> list[str]:
    """Names of the quantities, of a fit that can be bootstrapped so."""
    if kind not in KINDS:
        raise UnknownChoice("kind of bootstrap", kind, KINDS)
    random_effects(result, "bootstrap")
    if kind == "case" and result.k <= len(result.terms) + 1:
        raise ModelError(
            f"Every resample of the {result.k} studies that can support the coefficients ({', '.join(result.terms)}) "
            "is the data themselves; take kind='parametric'."
        )
    spread = () if result.spec.tau2 == "CE" else BOUNDS
    if taken := [term for term in result.terms if term in spread]:
        raise ModelError(f"A moderator has the name of a quantity of the model ({listed(taken)}); rename its column.")
    return [*result.terms, *spread]


def _tell(degenerate: int, replicates: int) -> None:
    if replicates - degenerate < 2:
        raise ModelError(
            f"Of {replicates} resamples {replicates - degenerate} can be fitted, and 2 are the least; take more, or "
            "kind='parametric'."
        )
    if degenerate:
        warnings.warn(
            f"{degenerate} of {replicates} resamples had too few distinct studies or collinear moderators and are left "
            "out.",
            MetailWarning,
            stacklevel=3,
        )
