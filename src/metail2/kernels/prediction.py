"""Prediction intervals: where the true effect of a new study would lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from metail2.kernels.coefficient_tests import Reference
from metail2.kernels.fitted import Fitted
from metail2.kernels.kenward_roger import kenward_roger
from metail2.kernels.nagashima import DRAWS, SEED, predictive_draws
from metail2.registry import Registry

Floats = NDArray[np.float64]


class Predictive(Protocol):
    """The predictive distribution of the true effect of a new study, leading shape (...)."""

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Limits between which a new effect lies with probability `level`, shape (...); NaN where undefined."""
        ...

    def above(self, threshold: float) -> Floats:
        """Probability that a new effect lies above `threshold`, shape (...); NaN where undefined."""
        ...


@dataclass(frozen=True, slots=True)
class ScaledT:
    """A normal or t distribution.

    Attributes
    ----------
    centre, scale : ndarray, shape (...)
        Location and scale.
    df : float or ndarray, shape (...)
        Degrees of freedom; inf for the normal. Undefined (NaN) where not above 0.
    """

    centre: Floats
    scale: Floats
    df: float | Floats

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Limits between which a new effect lies with probability `level`, shape (...)."""
        upper = 0.5 + level / 2
        half = self.scale * self._defined(lambda df: np.asarray(ndtri(upper) if df is None else stdtrit(df, upper)))
        return np.asarray(self.centre - half), np.asarray(self.centre + half)

    def above(self, threshold: float) -> Floats:
        """Probability that a new effect lies above `threshold`, shape (...)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (self.centre - threshold) / self.scale
        return self._defined(lambda df: np.asarray(ndtr(away) if df is None else stdtr(df, away)))

    def _defined(self, rule: Callable[[Floats | None], Floats]) -> Floats:
        """Apply `rule` to the degrees of freedom (None for the normal), NaN where there are none."""
        df = np.asarray(self.df, dtype=float)
        if np.isinf(df).all():
            return rule(None)
        return np.where(df > 0, rule(np.where(df > 0, df, 1.0)), np.nan)


Prediction = Callable[..., Predictive]
"""``(fit of a mean, its test) → predictive distribution``; those of `SIMULATED` also take ``draws`` and ``seed``."""

PREDICTION: Registry[Prediction] = Registry("prediction interval")
SIMULATED = ("nagashima",)
"""Predictive distributions that are drawn from."""


def _around(fitted: Fitted, variance: Floats, df: float | Floats) -> ScaledT:
    return ScaledT(fitted.beta[..., 0], np.sqrt(variance + fitted.tau2.value), df)


def _variance(fitted: Fitted) -> Floats:
    return np.asarray(fitted.covariance[..., 0, 0])


@PREDICTION.register("normal")
def normal(fitted: Fitted, reference: Reference) -> Predictive:
    """Normal with variance SE² + τ²."""
    return _around(fitted, _variance(fitted), np.inf)


@PREDICTION.register("t_k1")
def t_k1(fitted: Fitted, reference: Reference) -> Predictive:
    """Student's t with k − 1 df, scale √(SE² + τ²)."""
    return _around(fitted, _variance(fitted), fitted.k - 1)


@PREDICTION.register("hts")
def higgins_thompson_spiegelhalter(fitted: Fitted, reference: Reference) -> Predictive:
    """Student's t with k − 2 df, scale √(SE² + τ²) (Higgins, Thompson & Spiegelhalter 2009)."""
    return _around(fitted, _variance(fitted), fitted.k - 2)


@PREDICTION.register("hk")
def hartung_knapp(fitted: Fitted, reference: Reference) -> Predictive:
    """Student's t with k − 1 df, SE by Hartung–Knapp."""
    return _around(fitted, reference.knapp_hartung * _variance(fitted), fitted.k - 1)


@PREDICTION.register("hk_pr")
def hartung_knapp_partlett_riley(fitted: Fitted, reference: Reference) -> Predictive:
    """Student's t with k − 2 df, SE by Hartung–Knapp (Partlett & Riley 2017, Statistics in Medicine 36:301–317)."""
    return _around(fitted, reference.knapp_hartung * _variance(fitted), fitted.k - 2)


@PREDICTION.register("kr")
def kenward_roger_variance(fitted: Fitted, reference: Reference) -> Predictive:
    """Student's t with the ν df of Kenward & Roger, scale √(their variance + τ²); τ² by REML."""
    return _by_kenward_roger(fitted, 0)


@PREDICTION.register("kr_pr")
def kenward_roger_partlett_riley(fitted: Fitted, reference: Reference) -> Predictive:
    """As ``"kr"`` with ν − 1 df (Partlett & Riley 2017, Statistics in Medicine 36:301–317); undefined unless ν > 1."""
    return _by_kenward_roger(fitted, 1)


def _by_kenward_roger(fitted: Fitted, lost: int) -> Predictive:
    found = kenward_roger(fitted)
    return _around(fitted, found.covariance[..., 0, 0], found.df(np.ones((1, 1)))[..., 0] - lost)


@PREDICTION.register("nagashima")
def nagashima(fitted: Fitted, reference: Reference, draws: int = DRAWS, seed: int = SEED) -> Predictive:
    """Simulated, with τ² from its confidence distribution (Nagashima, Noma & Furukawa 2019)."""
    return predictive_draws(fitted, draws, seed)
