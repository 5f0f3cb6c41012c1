"""Normal quantile plot of standardised residuals, with an envelope simulated under the fitted model."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from metail2.analysis.blocks import blocks
from metail2.analysis.refits import labels, random_effects
from metail2.errors import ModelError
from metail2.kernels.fitted import fit_random_effects
from metail2.kernels.influence import residuals_and_errors
from metail2.models.checks import check_count, check_seed, chosen_level
from metail2.models.random_effects_result import RandomEffectsResult
from metail2.wording import hundredths

Floats = NDArray[np.float64]


def qq_envelope(
    result: RandomEffectsResult,
    replicates: int = 1000,
    seed: int | None = None,
    level: float | None = None,
    simultaneous: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Return the coordinates of a normal Q–Q plot of the standardised residuals, with an envelope.

    Parameters
    ----------
    result : RandomEffectsResult
        With or without moderators. Studies that are not in the fit, or that alone determine a coefficient and so have
        no residual, do not appear.
    replicates : int
        Data sets simulated under the fitted model, y ~ N(Xβ, v + τ²), each of which is fitted again, τ² included.
    seed : int, optional
        Of the simulation; the same seed gives the same envelope.
    level : float, optional
        Coverage of the envelope; that of the result by default.
    simultaneous : bool
        Make the envelope hold all residuals at once with probability `level`, instead of each one alone.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        ``study theoretical residual lower upper``, by ascending residual: the normal quantile at (i − 3/8)/(k + 1/4)
        and the limits between which the i-th smallest of k residuals lies in that share of the simulated data sets.

    Raises
    ------
    ModelError
        If the result is of another model, the fit has one study, there are too few replicates for the level, or the
        seed is no whole number of at least 0.

    Notes
    -----
    Atkinson AC (1985). Plots, Transformations, and Regression. Blom G (1958). Statistical Estimates and Transformed
    Beta-Variables. Simultaneous limits are pointwise ones at the level at which they would hold that share of the
    simulated sets entirely: Buja A, Rolke W (2006), Calibration for simultaneity; Davison AC, Hinkley DV (1997),
    Bootstrap Methods and Their Application, section 4.2.4.
    """
    random_effects(result, "qq_envelope")
    level, replicates = chosen_level(level, result.spec.level), check_count(replicates, "replicates", 1)
    rng = np.random.default_rng(check_seed(seed))
    if replicates < (needed := math.ceil(round(2 / (1 - level), 6))):
        raise ModelError(f"An envelope of {hundredths(level)} % needs at least {needed} replicates, not {replicates}.")
    raw, raw_se = residuals_and_errors(result.fitted)
    kept = np.flatnonzero(raw_se > 0)
    if not kept.size:
        raise ModelError("Every study alone determines a coefficient, so there is no residual; use fewer moderators.")
    residual = raw[kept] / raw_se[kept]
    order, study = np.argsort(residual, kind="stable"), labels(result)
    simulated = _simulated(result, kept, replicates, rng, progress)
    lower, upper = (_simultaneous if simultaneous else _pointwise)(simulated, level)
    place = np.arange(1, len(kept) + 1)
    return pd.DataFrame(
        {
            "study": [study[i] for i in kept[order]],
            "theoretical": ndtri((place - 0.375) / (len(kept) + 0.25)),
            "residual": residual[order],
            "lower": lower,
            "upper": upper,
        }
    )


def _simulated(
    result: RandomEffectsResult, kept: NDArray[np.int64], replicates: int, rng: np.random.Generator, progress: bool
) -> Floats:
    """Sorted residuals of every simulated set, shape (replicates, residuals)."""
    own = result.fitted
    centre, spread = own.x @ own.beta, np.sqrt(1 / own.fit.weights)
    rows = []
    for first, last in blocks(replicates, own.x.size, progress):
        yi = centre + spread * rng.standard_normal((last - first, own.k))
        raw, raw_se = residuals_and_errors(fit_random_effects(yi, own.vi, own.x, own.estimator, own.weights))
        rows.append(np.sort(raw[:, kept] / np.broadcast_to(raw_se, raw.shape)[:, kept], axis=1))
    return np.concatenate(rows)


def _pointwise(simulated: Floats, level: float) -> tuple[Floats, Floats]:
    """Limits of each column alone."""
    lower, upper = np.quantile(simulated, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return lower, upper


def _simultaneous(simulated: Floats, level: float) -> tuple[Floats, Floats]:
    """The narrowest limits at equal ranks in every column that hold `level` of the rows entirely."""
    count = len(simulated)
    rank = 1 + np.argsort(np.argsort(simulated, axis=0), axis=0)
    depth = np.minimum(rank, count + 1 - rank).min(axis=1)
    deepest = int(np.sort(depth)[count - math.ceil(level * count)])
    columns = np.sort(simulated, axis=0)
    return columns[deepest - 1], columns[count - deepest]
