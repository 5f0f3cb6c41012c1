"""Display transforms: from the scale effects are pooled on to the scale readers think in, all in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

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
        True if a picture should draw the pooled (log) scale and label it with displayed values.
    unit : str
        Appended to a displayed number, e.g. ``" %"``.
    """

    code: str
    label: str
    forward: Callable[[Any], Any]
    backward: Callable[[Any], Any]
    log_axis: bool = False
    unit: str = ""

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
        Sample size; for a pooled angle the harmonic mean of the studies' sizes is customary.

    Returns
    -------
    ndarray
        Proportions in [0, 1]; angles beyond those of 0/n and n/n give 0 and 1.

    Notes
    -----
    Miller JJ (1978). The inverse of the Freeman–Tukey double arcsine transformation. Am Stat 32:138. The published
    formula holds between the angles of 0/n and n/n; outside them no proportion exists.
    """
    t, size = np.broadcast_arrays(2 * np.asarray(angle, float), np.asarray(n, float))
    lowest = np.arcsin(np.sqrt(1 / (size + 1)))
    highest = np.pi / 2 + np.arcsin(np.sqrt(size / (size + 1)))
    inside = np.clip(t, lowest, highest)
    sine = np.sin(inside)
    inner = 1 - (sine + (sine - 1 / sine) / size) ** 2
    return np.asarray(0.5 * (1 - np.sign(np.cos(inside)) * np.sqrt(np.clip(inner, 0, None))))


TRANSFORMS: Registry[Transform] = Registry("display transform")


def _same(values: Any) -> Any:
    return values


for _transform in (
    Transform("identity", "", _same, _same),
    Transform("exp", "ratio", np.exp, np.log, log_axis=True),
    Transform(
        "percent_change", "percentage change", lambda t: 100 * np.expm1(t), lambda p: np.log1p(p / 100), True, " %"
    ),
    Transform(
        "percent_reduction",
        "percentage reduction",
        lambda t: -100 * np.expm1(-t),
        lambda p: -np.log1p(-p / 100),
        True,
        " %",
    ),
    Transform("percent", "percentage points", lambda t: 100 * t, lambda p: p / 100, unit=" %"),
    Transform("logistic", "proportion", expit, logit),
    Transform(
        "sine_squared", "proportion", lambda t: np.sin(np.clip(t, 0, np.pi / 2)) ** 2, lambda p: np.arcsin(np.sqrt(p))
    ),
    Transform("tanh", "correlation", np.tanh, np.arctanh),
):
    TRANSFORMS.add(_transform.code, _transform)
