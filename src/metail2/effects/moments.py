"""What measures from means and standard deviations share: the small-sample factor in its three forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from metail2.registry import Registry

Floats = NDArray[np.float64]

CORRECTIONS: Registry[Callable[[Floats], Floats]] = Registry("small-sample correction")
"""Degrees of freedom m to the factor on a standardised mean, both of shape (k,)."""


@CORRECTIONS.register("exact")
def small_sample_factor(df: Floats) -> Floats:
    """Return the exact J = Γ(m/2)/(√(m/2)·Γ((m−1)/2)) that removes the bias of a standardised mean (Hedges 1981).

    NaN for m ≤ 1, where no unbiased estimator exists.
    """
    m = np.where(df > 1, df, np.nan)
    return np.asarray(np.exp(gammaln(m / 2) - 0.5 * np.log(m / 2) - gammaln((m - 1) / 2)))


@CORRECTIONS.register("approximate")
def approximate_factor(df: Floats) -> Floats:
    """Return 1 − 3/(4m − 1), the approximation to J that many programs and articles use (Hedges 1981).

    NaN for m ≤ 1, as the exact factor.
    """
    return np.asarray(1 - 3 / (4 * np.where(df > 1, df, np.nan) - 1))


@CORRECTIONS.register("none")
def no_factor(df: Floats) -> Floats:
    """Return 1: the standardised mean as it is (Cohen's d), biased away from 0; NaN for m ≤ 0, where no SD exists."""
    return np.where(df > 0, 1.0, np.nan)


CORRECTION_TOLD: Mapping[str, str] = {
    "exact": "",
    "approximate": ", small-sample factor J = 1 − 3/(4m − 1), m degrees of freedom",
    "none": ", without small-sample factor (J = 1)",
}
"""Name of a correction → what the trail adds to the effect's name, where it is not the usual one."""
