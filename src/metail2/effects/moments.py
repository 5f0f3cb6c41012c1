"""What measures from means and standard deviations share: the small-sample factor and its use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]


def small_sample_factor(df: Floats) -> Floats:
    """Return the exact J = Γ(m/2)/(√(m/2)·Γ((m−1)/2)) that removes the bias of a standardised mean (Hedges 1981).

    NaN for m ≤ 1, where no unbiased estimator exists.
    """
    m = np.where(df > 1, df, np.nan)
    return np.asarray(np.exp(gammaln(m / 2) - 0.5 * np.log(m / 2) - gammaln((m - 1) / 2)))
