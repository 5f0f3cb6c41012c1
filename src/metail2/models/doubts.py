"""Where an interval may mislead: what should stand beside it, and what to say of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.errors import ModelError
from metail2.kernels.coefficient_tests import Reference
from metail2.kernels.fitted import Fitted
from metail2.kernels.inference import quantile
from metail2.kernels.wls import is_mean
from metail2.wording import TEST_NAMES, number

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""With 2 studies and τ² > 0 the Hartung–Knapp factor is 1 but for rounding."""
UNEQUAL, SEVERAL = 10.0, 10
"""Median by smallest variance, and a number of studies, at which Hartung–Knapp holds too little; docs/coverage.md."""
FEW = 5
"""Number of studies up to which the normal interval holds far too little; docs/coverage.md."""


def doubts(fitted: Fitted, reference: Reference, test: str, level: float) -> dict[str, str]:
    """List the tests whose intervals should stand beside those of a fit, each with the reason.

    The normal interval: beside any t interval of 2 studies, and where a mean's interval contains those of all studies;
    beside Hartung and Knapp's also where τ² is 0. The ad hoc corrected one: where Hartung and Knapp's standard error is
    smaller than the model's.

    Notes
    -----
    IntHout J, Ioannidis JPA, Borm GF (2014). BMC Medical Research Methodology 14:25. Röver C, Knapp G, Friede T (2015).
    BMC Medical Research Methodology 15:99. Jackson D, Law M, Rücker G, Schwarzer G (2017). Statistics in Medicine
    36:3923–3934.
    """
    if test == "z":
        return {}
    normal, adhoc = list(_about_width(fitted, reference, test, level)) if is_mean(fitted.x) else [], ""
    if test == "knapp_hartung":
        normal += _about_tau2(fitted)
        adhoc = _about_factor(fitted, reference, level)
    found = {"z": "; ".join(normal), "knapp_hartung_adhoc": adhoc}
    return {other: reason for other, reason in found.items() if reason}


def _about_width(fitted: Fitted, reference: Reference, test: str, level: float) -> Iterator[str]:
    name = {"t": "t", "kenward_roger": "Kenward–Roger"}.get(test, "Hartung–Knapp")
    if fitted.k == 2:
        df, times = float(np.max(reference.df)), _ratio(fitted, reference, level)
        freedom = "1 degree" if df == 1 else f"{number(df)} degrees"
        wide = f" and is {times:.1f} times as wide as this one, which takes τ² as known" if times > 1.05 else ""
        yield f"with 2 studies the {name} interval rests on {freedom} of freedom{wide}"
    if _contains_all(fitted, reference, level):
        every = "both studies" if fitted.k == 2 else f"all {fitted.k} studies"
        yield f"the {name} interval contains the intervals of {every}, so it says little about the mean"


def _about_tau2(fitted: Fitted) -> list[str]:
    if fitted.k == 2 or fitted.tau2.value > 0:
        return []
    if fitted.estimator == "CE":
        return ["τ² is 0 by assumption"]
    return ["τ² is estimated as 0" + (f", which {fitted.k} studies can hardly show" if fitted.k <= FEW else "")]


def _about_factor(fitted: Fitted, reference: Reference, level: float) -> str:
    if reference.factor >= 1 - ROUNDING:
        return ""
    if not is_mean(fitted.x):
        share = number(math.sqrt(float(reference.factor)))
        return (
            f"the Hartung–Knapp standard errors are {share} times those behind z, because the effects lie close to the "
            "fitted ones"
        )
    reason = "the Hartung–Knapp standard error is smaller than the one behind z"
    if _ratio(fitted, reference, level) >= 1:
        return reason
    than = "sampling error alone" if fitted.tau2.value == 0 else "the estimated τ²"
    return f"{reason}, and so is the interval: the effects lie closer together than {than} would let one expect"


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


def cautions(fitted: Fitted, reference: Reference, test: str) -> Iterator[str]:
    """Yield what a reader must know of the test of the coefficients, in clauses."""
    mean = is_mean(fitted.x)
    if test == "z" and mean and fitted.k <= FEW and fitted.estimator != "CE":
        yield few_studies(fitted.k)
    if test == "knapp_hartung" and mean:
        yield from _unequal(fitted)
    if test == "kenward_roger" and np.min(reference.df) < 1:
        df = number(float(np.min(reference.df)))
        yield f"τ² is so poorly determined that Kenward–Roger has {df} degrees of freedom: its interval says little"


def few_studies(k: int) -> str:
    """Say that normal intervals of few studies hold too little."""
    return f"with {k} studies the normal (z) interval, which takes τ² as known, holds the truth less often than it says"


def _unequal(fitted: Fitted) -> Iterator[str]:
    """Say that one of several studies is so precise that Hartung–Knapp intervals may hold less than their level."""
    times = float(np.median(fitted.vi) / fitted.vi.min())
    if 2 < fitted.k <= SEVERAL and times >= UNEQUAL:
        yield (
            f"the largest study is {times:,.0f} times as precise as the median one; with one study so large "
            "Hartung–Knapp intervals may hold the truth less often than they say"
        )


def check_kenward_roger(spec: Any) -> None:
    """Raise unless a specification is of the model that Kenward and Roger's method is derived for."""
    if spec.tau2 != "REML" or spec.weights is not None:
        raise ModelError(
            f"{TEST_NAMES['kenward_roger']} is derived for τ² by REML and the weights that go with it: use tau2='REML' "
            "and no weights."
        )
