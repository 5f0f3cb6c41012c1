"""The axis of a forest plot: where values stand on it, how far it reaches, and which ticks it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metail2.effects.transforms import Transform
from metail2.wording import MINUS

Floats = NDArray[np.float64]
Fits = Callable[[Floats, list[str]], bool]
"""``(positions, labels) → do the labels stand clear of each other``."""

# Below this ratio of the axis ends, evenly spaced values read better on a log axis than 1, 2, 5, 10.
EVEN_BELOW = 6.0
# An axis that shows all of every interval may be this much longer before any is cut.
WORTH_CUTTING = 1.3
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values stand on the axis.

    Log measures are drawn on their pooled (log) scale and labelled with displayed values; all others are drawn as
    displayed.

    Attributes
    ----------
    transform : Transform
        From the pooled to the displayed scale.
    """

    transform: Transform

    def at(self, pooled: ArrayLike) -> Floats:
        """Place pooled values on the axis."""
        return np.asarray(pooled, dtype=float) if self.transform.log_axis else self.transform(pooled)

    def shown(self, position: ArrayLike) -> Floats:
        """Give the displayed values at axis positions."""
        return self.transform(position) if self.transform.log_axis else np.asarray(position, dtype=float)

    def position(self, shown: Floats) -> Floats:
        """Place displayed values on the axis."""
        return np.asarray(self.transform.backward(shown), dtype=float) if self.transform.log_axis else shown


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks of the axis: labelled ones, and unlabelled ones between them (axis positions)."""

    major: Floats
    labels: list[str]
    minor: Floats


def axis_limits(points: Floats, lower: Floats, upper: Floats, null: float, typical: float) -> tuple[float, float]:
    """Choose the ends of the axis so that every point estimate and the null show; the longest whiskers may be cut.

    Parameters
    ----------
    points : ndarray
        Point estimates, axis positions; NaN where there is none.
    lower, upper : ndarray
        Interval ends that belong to `points`; NaN where there is none.
    null : float
        Position of no effect, NaN if there is none.
    typical : float
        Width of a typical study's interval; 0 if no study has one.

    Returns
    -------
    tuple of float
        Lower and upper end.
    """
    anchors = np.append(points, null)
    anchors = anchors[np.isfinite(anchors)]
    if not len(anchors):
        return 0.0, 1.0
    # One imprecise study must not squeeze all others into a few millimetres.
    reach = max(np.ptp(anchors), 1.25 * typical)
    least, most = np.nanmin([*lower, anchors.min()]), np.nanmax([*upper, anchors.max()])
    low, high = max(least, anchors.min() - reach), min(most, anchors.max() + reach)
    if most - least < WORTH_CUTTING * (high - low):
        low, high = least, most
    room = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return float(low - room), float(high + room)


def choose_ticks(scale: Scale, limits: tuple[float, float], fits: Fits) -> Ticks:
    """Choose the densest of the customary ticks whose labels fit.

    Parameters
    ----------
    scale : Scale
        The axis.
    limits : tuple of float
        Its ends.
    fits : callable
        Says whether labels at positions stand clear of each other.

    Returns
    -------
    Ticks
        Labelled and unlabelled ticks within the limits.
    """
    choices = list(_candidates(scale, limits))
    labels = [tick_labels(scale.shown(choice), scale.transform.unit) for choice in choices]
    chosen = next((i for i, choice in enumerate(choices) if len(choice) > 1 and fits(choice, labels[i])), -1)
    return Ticks(choices[chosen], labels[chosen], _between(scale, limits, choices[chosen]))


def _candidates(scale: Scale, limits: tuple[float, float]) -> Iterator[Floats]:
    """Yield sets of tick positions, the densest first."""
    logarithmic = scale.transform.log_axis
    if not logarithmic or limits[1] - limits[0] < math.log(EVEN_BELOW):
        yield from (_even(scale, limits, count) for count in (7, 6, 5, 4, 3, 2, 1))
    if not logarithmic:
        return
    yield _one_two_five(limits)
    for stride in (1, 2, 3, 5, 10, 20, 50):
        yield _decades(limits, stride)


def _within(positions: Floats, limits: tuple[float, float]) -> Floats:
    tolerance = 1e-9 * (limits[1] - limits[0])
    return positions[(positions >= limits[0] - tolerance) & (positions <= limits[1] + tolerance)]


def _even(scale: Scale, limits: tuple[float, float], count: int) -> Floats:
    """Return positions of evenly spaced round displayed values, about `count` + 1 of them."""
    from matplotlib.ticker import MaxNLocator

    ends = scale.shown(limits)
    # A displayed scale with natural ends (a proportion) has no ticks beyond them.
    natural = scale.transform([-np.inf, np.inf])
    low, high = np.clip(ends, natural[0], natural[1])
    values = np.asarray(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    tolerance = 1e-9 * (high - low)
    values = values[(values >= low - tolerance) & (values <= high + tolerance)]
    values[np.abs(values) < tolerance] = 0
    return _within(scale.position(values), limits)


def _exponents(limits: tuple[float, float]) -> range:
    return range(math.floor(limits[0] / math.log(10)), math.ceil(limits[1] / math.log(10)) + 1)


def _one_two_five(limits: tuple[float, float]) -> Floats:
    # Closed under inversion (1/2, 1/5), so that it also suits a scale that runs the other way.
    steps = [math.log(step) + exponent * math.log(10) for exponent in _exponents(limits) for step in (1, 2, 5)]
    return _within(np.array(steps), limits)


def _decades(limits: tuple[float, float], stride: int) -> Floats:
    return _within(math.log(10) * np.array([e for e in _exponents(limits) if e % stride == 0], dtype=float), limits)


def _between(scale: Scale, limits: tuple[float, float], major: Floats) -> Floats:
    if not scale.transform.log_axis or limits[1] - limits[0] > math.log(1e5):
        return np.array([])
    series = _one_two_five(limits)
    return series[[not np.any(np.isclose(major, position, atol=1e-9)) for position in series]]


def tick_labels(shown: Floats, unit: str) -> list[str]:
    """Write tick values as short as they allow; a true minus sign, and powers of ten where they are huge."""
    return [_tick_label(float(value)) + unit for value in shown]


def _tick_label(value: float) -> str:
    text = f"{value:.6g}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
        text = power if mantissa == "1" else f"{mantissa}×{power}"
    return text.replace("-", MINUS)
