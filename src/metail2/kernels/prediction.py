"""Prediction intervals: where the true effect of a new study would lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metail2.kernels.inference import quantile
from metail2.registry import Registry

Prediction = Callable[[float, float, float, int, float], float]
"""``(variance of the mean, Knapp–Hartung variance of the mean, τ², k, level) → half width``; NaN where undefined."""

PREDICTION: Registry[Prediction] = Registry("prediction interval")


def _half(variance: float, tau2: float, df: float, level: float) -> float:
    return quantile(level, df) * float(np.sqrt(variance + tau2)) if df > 0 else float("nan")


@PREDICTION.register("normal")
def normal(variance: float, kh_variance: float, tau2: float, k: int, level: float) -> float:
    """Normal quantile times √(SE² + τ²)."""
    return _half(variance, tau2, np.inf, level)


@PREDICTION.register("t_k1")
def t_k1(variance: float, kh_variance: float, tau2: float, k: int, level: float) -> float:
    """Quantile of t with k − 1 df times √(SE² + τ²)."""
    return _half(variance, tau2, k - 1, level)


@PREDICTION.register("hts")
def higgins_thompson_spiegelhalter(variance: float, kh_variance: float, tau2: float, k: int, level: float) -> float:
    """Quantile of t with k − 2 df times √(SE² + τ²) (Higgins, Thompson & Spiegelhalter 2009)."""
    return _half(variance, tau2, k - 2, level)


@PREDICTION.register("hk")
def hartung_knapp(variance: float, kh_variance: float, tau2: float, k: int, level: float) -> float:
    """Quantile of t with k − 1 df times √(SE² + τ²), SE by Hartung–Knapp (Partlett & Riley 2017)."""
    return _half(kh_variance, tau2, k - 1, level)
