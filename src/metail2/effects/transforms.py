"""Display transforms: from the scale effects are pooled on to the scale readers think in, all in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtr, ndtri

from metail2.registry import Registry

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Transform:
    """A monotone map from the pooled scale to the displayed scale.

    Attributes
    ----------
    code : str
        Name in `TRANSFORMS`.
    label : str
        The displayed scale in words; empty where it is the pooled scale itself.
    forward, backward : callable
        Pooled to displayed, and back; elementwise on arrays.
    log_axis : bool
        True if effects are ratios: a picture draws the pooled (log) scale and labels it with displayed values.
    unit : str
        Appended to a displayed number, e.g. ``" %"``.
    bounds : tuple of float
        The least and the greatest displayed value.
    """

    code: str
    label: str
    forward: Callable[[Any], Any]
    backward: Callable[[Any], Any]
    log_axis: bool = False
    unit: str = ""
    bounds: tuple[float, float] = (-np.inf, np.inf)

    def __call__(self, values: ArrayLike) -> Floats:
        """Map `values` (any shape) from the pooled to the displayed scale; NaN stays NaN."""
        return np.asarray(self.forward(np.asarray(values, dtype=float)), dtype=float)


def freeman_tukey_backward(angle: ArrayLike, n: ArrayLike) -> Floats:
    """Return the proportion whose Freeman–Tukey half-sum angle is `angle` in a sample of `n` (Miller 1978).

    Parameters
    ----------
    angle : array_like
        ½(asin √(x/(n+1)) + asin √((x+1)/(n+1))), radians.
    n : array_like
        Sample size; for a pooled angle see `freeman_tukey_proportion`.

    Returns
    -------
    ndarray
        Proportions in [0, 1]; angles beyond those of 0/n and n/n give 0 and 1.

    Notes
    -----
    Miller JJ (1978). The inverse of the Freeman–Tukey double arcsine transformation. Am Stat 32:138. The published
    formula, with t twice the angle, is p = ½(1 − sgn(cos t)·√(1 − c²)), c = sin t + (sin t − 1/sin t)/n; here
    √(1 − c²) is written as |cos t|·√(1 + 2/n − cot²t/n²), its equal without the cancellation near p = ½. It holds
    between the angles of 0/n and n/n; outside them no proportion exists.
    """
    t, size = np.broadcast_arrays(2 * np.asarray(angle, float), np.asarray(n, float))
    lowest = np.arcsin(np.sqrt(1 / (size + 1)))
    inside = np.clip(t, lowest, np.pi - lowest)
    sine, cosine = np.sin(inside), np.cos(inside)
    c = sine - cosine**2 / (size * sine)
    centred = cosine * np.sqrt(np.clip(1 + 2 / size - (cosine / (size * sine)) ** 2, 0, None))  # 1 − 2p
    rarer = c**2 / (2 * (1 + np.abs(centred)))
    return np.asarray(np.where(centred > 0, rarer, 1 - rarer))


def freeman_tukey_rate(root: ArrayLike, time: ArrayLike) -> Floats:
    """Return the incidence rate whose Freeman–Tukey mean of roots is `root` over the person-time `time`.

    Parameters
    ----------
    root : array_like
        ½(√(x/t) + √((x + 1)/t)).
    time : array_like
        Person-time t; for a pooled root the `harmonic_mean` of the studies' person-times is customary.

    Returns
    -------
    ndarray
        Rates, events a unit of person-time; roots below that of no event give 0.

    Notes
    -----
    With s = 2·root·√t = √x + √(x + 1), whose inverse is √(x + 1) − √x, the events are x = ((s − 1/s)/2)². The
    transformation is that of Freeman MF, Tukey JW (1950). Annals of Mathematical Statistics 21:607–611.
    """
    y, person_time = np.asarray(root, float), np.asarray(time, float)
    s = np.maximum(2 * y * np.sqrt(person_time), 1)
    return np.asarray(((s - 1 / s) / 2) ** 2 / person_time)


def harmonic_mean(sizes: ArrayLike) -> float:
    """Return k/Σ(1/n) of the sample sizes or person-times of the k studies that were pooled."""
    return float(1 / np.mean(1 / np.asarray(sizes, float)))


POOLED_SIZES: Registry[Callable[[Floats, float], float]] = Registry("back-transform of a pooled Freeman–Tukey angle")
"""``(studies' sizes, variance of the pooled angle) → n`` at which `freeman_tukey_backward` takes the pooled angle."""


@POOLED_SIZES.register("miller")
def _miller_size(n: Floats, variance: float) -> float:
    """The harmonic mean of the sizes (Miller 1978)."""
    return harmonic_mean(n)


@POOLED_SIZES.register("barendregt_doi")
def _barendregt_doi_size(n: Floats, variance: float) -> float:
    """1/v, v the variance of the pooled sum of the two arcsines, which is four times that of their half-sum."""
    return 1 / (4 * variance)


def freeman_tukey_proportion(angle: ArrayLike, n: ArrayLike, variance: float, method: str = "miller") -> Floats:
    """Return the proportion that a pooled Freeman–Tukey half-sum angle, or a limit of its interval, stands for.

    Parameters
    ----------
    angle : array_like
        Pooled angle, limits of its confidence and prediction interval: any shape, radians.
    n : array_like, shape (k,)
        Sizes of the studies that were pooled.
    variance : float
        Variance of the pooled angle (the square of its standard error).
    method : {"miller", "barendregt_doi"}
        Key of `POOLED_SIZES`: the harmonic mean of the sizes, or the inverse variance.

    Returns
    -------
    ndarray
        Proportions in [0, 1], of the shape of `angle`; angles beyond those of no event and of only events at the
        size used give 0 and 1.

    Raises
    ------
    UnknownChoice
        If `method` is not among the choices.

    Notes
    -----
    A pooled angle belongs to no sample size, so either choice is a convention. Where sizes differ much the result
    can lie outside the range of the studies (Schwarzer G, Chemaitelly H, Abu-Raddad LJ, Rücker G (2019). Research
    Synthesis Methods 10:476–483): show both, or pool another measure. The methods are those of Miller JJ (1978). The
    American Statistician 32:138 and Barendregt JJ, Doi SA, Lee YY, Norman RE, Vos T (2013). Journal of Epidemiology
    and Community Health 67:974–978; rules of thumb for replacing the formula near 0 and 1 are not applied.
    """
    return freeman_tukey_backward(angle, POOLED_SIZES[method](np.asarray(n, float), variance))


@dataclass(frozen=True, slots=True)
class SizedInverse:
    """A back-transform of pooled values that needs the sizes of the studies, shown beside the elementwise one.

    Attributes
    ----------
    label : str
        Whose it is, in words.
    column : str
        Input column that holds the sizes.
    compute : callable
        ``(values, sizes, variance of the pooled effect) → displayed values``.
    """

    label: str
    column: str
    compute: Callable[[ArrayLike, Floats, float], Floats]


PROPORTION_INVERSES = (
    SizedInverse("Miller's inverse at the harmonic mean size", "n", freeman_tukey_proportion),
    SizedInverse("Barendregt and Doi's inverse", "n", partial(freeman_tukey_proportion, method="barendregt_doi")),
)
RATE_INVERSES = (
    SizedInverse(
        "the exact inverse at the harmonic mean person-time", "time",
        lambda root, time, variance: freeman_tukey_rate(root, harmonic_mean(time)),
    ),
)  # fmt: skip

TRANSFORMS: Registry[Transform] = Registry("display transform")


def _same(values: Any) -> Any:
    return values


for _transform in (
    Transform("identity", "", _same, _same),
    Transform("exp", "ratio", np.exp, np.log, log_axis=True, bounds=(0, np.inf)),
    Transform("antilog", "original units", np.exp, np.log, bounds=(0, np.inf)),
    Transform(
        "percent_change",
        "percentage change",
        lambda t: 100 * np.expm1(t),
        lambda p: np.log1p(p / 100),
        True,
        " %",
        (-100, np.inf),
    ),
    Transform(
        "percent_reduction",
        "percentage reduction",
        lambda t: -100 * np.expm1(-t),
        lambda p: -np.log1p(-p / 100),
        True,
        " %",
        (-np.inf, 100),
    ),
    Transform("percent", "percentage points", lambda t: 100 * t, lambda p: p / 100, unit=" %"),
    Transform("logistic", "proportion", expit, logit, bounds=(0, 1)),
    Transform("normal_cdf", "proportion", ndtr, ndtri, bounds=(0, 1)),
    Transform(
        "sine_squared",
        "proportion",
        lambda t: np.sin(np.clip(t, 0, np.pi / 2)) ** 2,
        lambda p: np.arcsin(np.sqrt(p)),
        bounds=(0, 1),
    ),
    Transform("square", "incidence rate", lambda t: np.maximum(t, 0) ** 2, np.sqrt, bounds=(0, np.inf)),
    Transform("tanh", "correlation", np.tanh, np.arctanh, bounds=(-1, 1)),
    Transform(
        "one_minus_cube",
        "coefficient alpha",
        lambda t: 1 - (1 - t) ** 3,
        lambda a: 1 - np.cbrt(1 - a),
        bounds=(-np.inf, 1),
    ),
    Transform(
        "one_minus_exp", "coefficient alpha", lambda t: -np.expm1(-t), lambda a: -np.log1p(-a), bounds=(-np.inf, 1)
    ),
):
    TRANSFORMS.add(_transform.code, _transform)
