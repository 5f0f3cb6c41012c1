"""Confidence intervals for the between-study variance τ²."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from metail2.kernels.fitted import Fitted
from metail2.kernels.tau2 import solve_q
from metail2.registry import Registry

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tau2Limits:
    """Confidence limits for τ², leading shape (...).

    Attributes
    ----------
    lower, upper : ndarray, shape (...)
        On the squared scale of the effects; inf where a limit does not exist.
    note : str
        Empty, or what a reader must know about the limits.
    """

    lower: Floats
    upper: Floats
    note: str = ""


Tau2Interval = Callable[[Fitted, float], Tau2Limits]
"""``(fit, level) → limits``."""

TAU2_INTERVALS: Registry[Tau2Interval] = Registry("τ² interval")


@TAU2_INTERVALS.register("q_profile")
def q_profile(fitted: Fitted, level: float) -> Tau2Limits:
    """Limits at which the generalised Q meets the χ² quantiles (Viechtbauer 2007, Statistics in Medicine 26:37–52).

    The upper limit has no cap. Where even Q(0) lies below the lower quantile the confidence set is empty and both
    limits are 0.
    """
    tail = (1 - level) / 2
    lower, _ = solve_q(fitted.yi, fitted.vi, fitted.x, np.asarray(chdtri(fitted.df, tail)))
    upper, _ = solve_q(fitted.yi, fitted.vi, fitted.x, np.asarray(chdtri(fitted.df, 1 - tail)))
    return Tau2Limits(lower, upper, _empty(upper))


def _empty(upper: Floats) -> str:
    """Say that a confidence set is empty, which is shown as 0 to 0."""
    if np.all(upper > 0):
        return ""
    return "The studies agree so closely that no τ² is compatible with them; 0 is shown."
