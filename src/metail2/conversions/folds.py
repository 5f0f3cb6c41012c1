"""Fold changes summarised by median and quartiles or range, to log ratios."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metail2.conversions.checks import Array, figures, refuse
from metail2.conversions.summaries import MeanSD, mean_sd


def log_fold(
    *,
    n: npt.ArrayLike,
    median: npt.ArrayLike,
    minimum: npt.ArrayLike | None = None,
    q1: npt.ArrayLike | None = None,
    q3: npt.ArrayLike | None = None,
    maximum: npt.ArrayLike | None = None,
    method: str = "recommended",
) -> MeanSD:
    """Estimate mean and SD of the log fold change from its printed median and quartiles or range.

    Order statistics of a fold are those of its logarithm, and folds are closer to normal on the log scale, so the
    figures are logged before `mean_sd` is applied.

    Parameters
    ----------
    n : array_like
        Number of people.
    median, minimum, q1, q3, maximum : array_like
        Printed folds (1 = no change), above zero; NaN or None where not printed.
    method : str
        A name from `SUMMARY_METHODS`.

    Returns
    -------
    MeanSD
        On the natural log scale; the standard error of the mean log fold is ``sd / sqrt(n)``.

    Raises
    ------
    EffectSizeError
        When a fold is not above zero, and as `mean_sd` does.

    References
    ----------
    Higgins JPT, White IR, Anzures-Cabrera J. Meta-analysis of skewed data: combining results reported on
    log-transformed or raw scales. Stat Med 2008;27:6072–6092. doi:10.1002/sim.3427

    Examples
    --------
    >>> mean, sd = log_fold(median=1.26, q1=1.21, q3=1.33, n=15)
    >>> f"{mean:.3f} ({sd:.3f})"
    '0.236 (0.077)'
    """
    return mean_sd(
        n=n,
        minimum=_log(minimum, "minimum"),
        q1=_log(q1, "lower quartile"),
        median=_log(median, "median"),
        q3=_log(q3, "upper quartile"),
        maximum=_log(maximum, "maximum"),
        method=method,
    )


def _log(value: npt.ArrayLike | None, name: str) -> Array:
    """Log a printed fold; refuse one that is not above zero."""
    (fold,) = figures(value)
    refuse(fold <= 0, f"The {name} fold {{value}} is not above zero", value=fold)
    return np.log(fold)
