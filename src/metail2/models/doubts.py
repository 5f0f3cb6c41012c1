"""Where a Hartung–Knapp interval may mislead, and which interval should stand beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.errors import ModelError
from metail2.kernels.coefficient_tests import Reference
from metail2.kernels.fitted import Fitted
from metail2.kernels.inference import quantile
from metail2.wording import number

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""With 2 studies and τ² > 0 the Hartung–Knapp factor is 1 but for rounding."""
UNEQUAL, FEW = 10.0, 5
"""Median by smallest variance, and a number of studies, at which Hartung–Knapp holds too little; docs/coverage.md."""


def doubts(fitted: Fitted, reference: Reference, level: float) -> dict[str, str]:
    """List the tests whose intervals should stand beside Hartung and Knapp's for a mean, each with the reason.

    The normal interval: with 2 studies, where Hartung and Knapp's contains the intervals of all studies, and where τ²
    is 0. The ad hoc corrected one: where Hartung and Knapp's standard error is the smaller one.

    Notes
    -----
    IntHout J, Ioannidis JPA, Borm GF (2014). BMC Medical Research Methodology 14:25. Röver C, Knapp G, Friede T (2015).
    BMC Medical Research Methodology 15:99. Jackson D, Law M, Rücker G, Schwarzer G (2017). Statistics in Medicine
    36:3923–3934.
    """
    normal, adhoc = _about_width(fitted, reference, level), ""
    if fitted.k > 2 and not fitted.tau2.value > 0:
        normal.append(f"τ² is {'0 by assumption' if fitted.estimator == 'CE' else 'estimated as 0'}")
    if reference.factor < 1 - ROUNDING:
        adhoc = "the Hartung–Knapp standard error is smaller than the one behind z"
        if _ratio(fitted, reference, level) < 1:
            adhoc += ", and so is the interval: the effects agree better than sampling error alone would let them"
    found = {"z": "; ".join(normal), "knapp_hartung_adhoc": adhoc}
    return {test: reason for test, reason in found.items() if reason}


def _about_width(fitted: Fitted, reference: Reference, level: float) -> list[str]:
    reasons, k = [], fitted.k
    if k == 2:
        times = _ratio(fitted, reference, level)
        reasons.append(
            "with 2 studies the Hartung–Knapp interval rests on 1 degree of freedom and is "
            f"{times:.1f} times as wide as this one, which takes τ² as known"
        )
    if _contains_all(fitted, reference, level):
        every = "both studies" if k == 2 else f"all {k} studies"
        reasons.append(
            f"the Hartung–Knapp interval contains the intervals of {every}, so it says little about the mean"
        )
    return reasons


def _half_width(reference: Reference, level: float) -> float:
    return quantile(level, float(np.max(reference.df))) * float(np.sqrt(reference.variance[0]))


def _ratio(fitted: Fitted, reference: Reference, level: float) -> float:
    """Width of the interval as a multiple of the normal one."""
    return _half_width(reference, level) / (quantile(level, np.inf) * float(np.sqrt(fitted.covariance[0, 0])))


def _contains_all(fitted: Fitted, reference: Reference, level: float) -> bool:
    """Whether the pooled interval contains every study's own normal interval."""
    own, half = quantile(level, np.inf) * np.sqrt(fitted.vi), _half_width(reference, level)
    away = np.abs(fitted.yi - fitted.beta[0]) + own
    return bool(away.max() <= half)


def check_kenward_roger(spec: Any) -> None:
    """Raise unless a specification is of the model that Kenward and Roger's method is derived for."""
    if spec.tau2 != "REML" or spec.weights is not None:
        raise ModelError(
            "Kenward–Roger is derived for τ² by REML and the weights that go with it: use tau2='REML' and no weights."
        )


def weak_degrees(reference: Reference) -> str:
    """Say that Kenward and Roger's degrees of freedom are so few that their interval says next to nothing."""
    df = float(np.min(reference.df))
    if df >= 1:
        return ""
    return (
        f"τ² is so poorly determined that Kenward–Roger has {number(df)} degrees of freedom: its interval says little"
    )


def unequal(fitted: Fitted) -> str:
    """Say that one of few studies is so precise that Hartung–Knapp intervals hold less than their level."""
    times = float(np.median(fitted.vi) / fitted.vi.min())
    if not 2 < fitted.k <= FEW or times < UNEQUAL:
        return ""
    return (
        f"the largest study is {times:,.0f} times as precise as the median one, and with {fitted.k} studies so unequal "
        "Hartung–Knapp intervals hold the truth less often than they say"
    )
