"""Log-densities of the counts of one study as functions of a linear predictor, with two derivatives.

All are exponential families in the predictor η, so that each log-density is concave: its slope is the observed count
less its expectation, its curvature minus the variance of the count. All are also sums of independent Bernoulli
variables or limits of such sums (the noncentral hypergeometric one because its generating polynomial has only real
roots), so the third cumulant is at most the second and one damping rule makes Newton's method safe; see `damping`.

Shapes: counts (k, cells), one row a study; predictors (k, cells, points).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BLOCK = 200_000
"""Largest number of elements in one array over the support of the hypergeometric distributions."""
LARGEST = 600.0
"""Logarithm of an expected count that overflows soon."""
MAX_STEPS = 200
CLOSE = 1e-14
"""Distance from the maximum, in standard errors, at which Newton ends."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Log-density, slope and curvature at given predictors, each shape (k, cells, points)."""

    value: Floats
    slope: Floats
    curvature: Floats


class Density(Protocol):
    """What a likelihood needs to know of the counts."""

    @property
    def crude(self) -> Floats:
        """A finite predictor near the maximum of each cell, shape (k, cells)."""
        ...

    @property
    def lowest(self) -> Flags:
        """Cells whose density is largest at η = −∞, where it is 1; shape (k, cells)."""
        ...

    @property
    def highest(self) -> Flags:
        """Cells whose density is largest at η = ∞, where it is 1; shape (k, cells)."""
        ...

    def __call__(self, eta: Floats) -> Terms:
        """Evaluate the log-density."""
        ...

    def rows(self, chosen: slice) -> Density:
        """Return the density of a run of studies."""
        ...


@dataclass(frozen=True)
class Binomial:
    """Events among n with log-odds η.

    Attributes
    ----------
    events, n : ndarray, shape (k, cells)
        Whole numbers, 0 ≤ events ≤ n; a cell with n = 0 has the density 1.
    """

    events: Floats
    n: Floats

    @cached_property
    def _constant(self) -> Floats:
        return np.asarray(gammaln(self.n + 1) - gammaln(self.events + 1) - gammaln(self.n - self.events + 1))

    @property
    def crude(self) -> Floats:
        """Log-odds with half an event added to either side."""
        return np.asarray(np.log(self.events + 0.5) - np.log(self.n - self.events + 0.5))

    @property
    def lowest(self) -> Flags:
        """No event."""
        return np.asarray(self.events == 0)

    @property
    def highest(self) -> Flags:
        """Nothing but events."""
        return np.asarray(self.events == self.n)

    def __call__(self, eta: Floats) -> Terms:
        """Evaluate y log p + (n − y) log(1 − p) + log C(n, y) without overflow at either end."""
        events, n = self.events[..., None], self.n[..., None]
        small = np.exp(-np.abs(eta))
        shared = np.log1p(small)
        upper = 1 / (1 + small)
        p = np.where(eta > 0, upper, small * upper)
        value = -events * (np.maximum(-eta, 0) + shared) - (n - events) * (np.maximum(eta, 0) + shared)
        variance = n * small * upper**2
        return Terms(value + self._constant[..., None], events - n * p, -variance)

    def rows(self, chosen: slice) -> Binomial:
        """Return the density of a run of studies."""
        return Binomial(self.events[chosen], self.n[chosen])


@dataclass(frozen=True)
class Poisson:
    """Events with log-expectation η.

    Attributes
    ----------
    events : ndarray, shape (k, cells)
        Whole numbers from 0.
    """

    events: Floats

    @property
    def crude(self) -> Floats:
        """Logarithm of half an event more."""
        return np.asarray(np.log(self.events + 0.5))

    @property
    def lowest(self) -> Flags:
        """No event."""
        return np.asarray(self.events == 0)

    @property
    def highest(self) -> Flags:
        """Never."""
        return np.zeros(self.events.shape, dtype=bool)

    def __call__(self, eta: Floats) -> Terms:
        """Evaluate yη − exp η − log y!."""
        events = self.events[..., None]
        mean = np.exp(np.minimum(eta, LARGEST))  # beyond it the density is 0 for any count
        return Terms(events * eta - mean - gammaln(events + 1), events - mean, -mean)

    def rows(self, chosen: slice) -> Poisson:
        """Return the density of a run of studies."""
        return Poisson(self.events[chosen])


@dataclass(frozen=True)
class NoncentralHypergeometric:
    """Events in the first arm given both arm sizes and the total of events, with log odds ratio η.

    P(x) ∝ C(n1, x)·C(n2, m − x)·exp(xη) over max(0, m − n2) ≤ x ≤ min(n1, m) (Fisher 1935; van Houwelingen, Zwinderman
    & Stijnen 1993; Stijnen, Hamza & Özdemir 2010). The terms are sums of logarithms of ratios of neighbours, begun at
    the observed count, so that nothing cancels in large margins.

    Attributes
    ----------
    events, n1, n2, total : ndarray, shape (k, 1)
        Whole numbers: events in the first arm, both arm sizes, events in both arms.
    """

    events: Floats
    n1: Floats
    n2: Floats
    total: Floats

    @cached_property
    def _support(self) -> tuple[Floats, NDArray[np.int64], Floats]:
        """Log-weights relative to that of the observed count, study after study; start of each; least count, (k,)."""
        parts = [_weights(*map(float, row)) for row in zip(*(c[:, 0] for c in self._columns()), strict=True)]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])[:-1]]).astype(np.int64)
        return np.concatenate(parts), starts, np.maximum(0.0, self.total - self.n2)[:, 0]

    def _columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.events, self.n1, self.n2, self.total

    @property
    def crude(self) -> Floats:
        """Log odds ratio with half a patient added to every cell."""
        a, c = self.events, self.total - self.events
        return np.asarray(np.log((a + 0.5) * (self.n2 - c + 0.5)) - np.log((self.n1 - a + 0.5) * (c + 0.5)))

    @property
    def lowest(self) -> Flags:
        """The least number of events that the margins allow."""
        return np.asarray(self.events == np.maximum(0, self.total - self.n2))

    @property
    def highest(self) -> Flags:
        """The greatest number of events that the margins allow."""
        return np.asarray(self.events == np.minimum(self.n1, self.total))

    def __call__(self, eta: Floats) -> Terms:
        """Evaluate −log Σ exp(weight + distance·η) over all counts that are not too far from the likeliest to matter.

        By Bernstein's inequality what is left out is below e⁻⁶⁰ of the sum.
        """
        weights, starts, least = self._support
        row = np.repeat(np.arange(len(eta)), eta.shape[-1])
        flat = eta.reshape(-1)
        low, high = self._window(flat, row)
        first = starts[row] + (low - least[row]).astype(np.int64)
        away = low - self.events[row, 0]
        sums = np.empty((3, len(flat)))
        for run in _runs((high - low + 1).astype(np.int64)):
            sums[:, run] = _window_sums(weights, first[run], away[run], (high - low)[run] + 1, flat[run])
        return Terms(*sums.reshape(3, *eta.shape))

    def _window(self, eta: Floats, row: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Least and greatest count to sum over at each η: twelve standard deviations and 80 around the mode."""
        n1, n2, m = (column[row, 0] for column in (self.n1, self.n2, self.total))
        mode = _mode(n1, n2, m, eta)
        inverse = sum(1 / np.maximum(cell, 0.5) for cell in (mode, n1 - mode, m - mode, n2 - m + mode))
        reach = np.ceil(12 / np.sqrt(inverse) + 80)
        low, high = np.maximum(0, m - n2), np.minimum(n1, m)
        return np.maximum(low, np.floor(mode) - reach), np.minimum(high, np.floor(mode) + reach)

    def rows(self, chosen: slice) -> NoncentralHypergeometric:
        """Return the density of a run of studies."""
        return NoncentralHypergeometric(*(column[chosen] for column in self._columns()))


def _weights(a: float, n1: float, n2: float, m: float) -> Floats:
    """Log-weights over the support, relative to that of a."""
    x = np.arange(max(0.0, m - n2), min(n1, m) + 1)
    steps = np.log((n1 - x[:-1]) * (m - x[:-1])) - np.log((x[:-1] + 1) * (n2 - m + x[:-1] + 1))
    below = int(a - x[0])
    down, up = -np.cumsum(steps[:below][::-1])[::-1], np.cumsum(steps[below:])
    return np.concatenate([down, [0.0], up])


def _mode(n1: Floats, n2: Floats, m: Floats, eta: Floats) -> Floats:
    """Likeliest count: the root within the support of x(n2 − m + x) = ψ(n1 − x)(m − x), ψ = exp η."""
    large = eta > 0
    psi = np.exp(-np.abs(eta))  # ψ or 1/ψ, whichever is below 1
    one, other = np.where(large, psi, 1.0), np.where(large, 1.0, psi)
    square, line, rest = one - other, one * (n2 - m) + other * (n1 + m), -other * n1 * m
    root = np.sqrt(np.maximum(0.0, line * line - 4 * square * rest))
    below = line + np.where(line < 0, -root, root)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(line < 0, -below / (2 * square), -2 * rest / below)
    return np.asarray(np.clip(np.nan_to_num(x), np.maximum(0, m - n2), np.minimum(n1, m)))


def _runs(lengths: NDArray[np.int64]) -> list[slice]:
    """Cut cells into runs whose windows together have about `BLOCK` elements."""
    number = np.cumsum(lengths) // BLOCK
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(lengths)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _window_sums(
    weights: Floats, first: NDArray[np.int64], away: Floats, lengths: Floats, eta: Floats
) -> tuple[Floats, Floats, Floats]:
    """Value, slope and curvature of each cell from its window, which begins at `first`, `away` from the observed."""
    size = lengths.astype(np.int64)
    begin = np.cumsum(size) - size
    cell = np.repeat(np.arange(len(size)), size)
    step = np.arange(len(cell)) - begin[cell]
    distance = away[cell] + step
    terms = weights[first[cell] + step] + distance * eta[cell]
    top = np.maximum.reduceat(terms, begin)
    share = np.exp(terms - top[cell])
    total = np.add.reduceat(share, begin)
    mean = np.add.reduceat(share * distance, begin) / total
    spread = np.add.reduceat(share * (distance - mean[cell]) ** 2, begin) / total
    return -top - np.log(total), -mean, -spread


def damping(change: Floats) -> Floats:
    """Share of a Newton step that surely improves: log(1 + Δ)/Δ, with Δ the largest change of a predictor.

    For a concave function whose third derivative along a predictor is at most its second (Bach 2010, Electronic
    Journal of Statistics 4:384–414; Sun & Tran-Dinh 2019, Mathematical Programming 178:145–213).
    """
    return np.divide(np.log1p(change), change, out=np.ones_like(change), where=change > 0)


@dataclass(frozen=True, slots=True)
class OwnMaximum:
    """Each cell at its own best predictor, shape (k, cells).

    Attributes
    ----------
    eta : ndarray
        The predictor; ∓∞ where no or only events occurred.
    information : ndarray
        Minus the curvature there; 0 at infinity.
    value : ndarray
        Log-density there; 0 at infinity.
    """

    eta: Floats
    information: Floats
    value: Floats


def own_maximum(density: Density) -> OwnMaximum:
    """Maximise the log-density of every cell by itself (the saturated model)."""
    low, high = density.lowest, density.highest
    inner = ~(low | high)
    eta = density.crude
    for _ in range(MAX_STEPS):
        terms = density(eta[..., None])
        slope, information = terms.slope[..., 0], -terms.curvature[..., 0]
        step = np.divide(slope, information, out=np.zeros_like(eta), where=inner)
        if (slope * step <= CLOSE * CLOSE).all():
            break
        eta = eta + step * damping(np.abs(step))
    infinite = np.where(low, -np.inf, np.inf)
    value = terms.value[..., 0]
    return OwnMaximum(np.where(inner, eta, infinite), np.where(inner, information, 0.0), np.where(inner, value, 0.0))
