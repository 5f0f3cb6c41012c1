"""Tetrachoric correlation of two-by-two tables: two normal variables seen only as above or below a threshold.

The table's margins fix the thresholds h and k; the correlation ρ solves Φ₂(h, k; ρ) = a/n. With z = artanh ρ,

    Φ₂(h, k; ρ) − Φ(h)Φ(k) = ∫₀ᶻ f(w) dw,   f(w) = exp(−½((k − h) cosh w)² − ½hk(1 + e⁻²ʷ)) / (2π cosh w),

which is Plackett's identity ∂Φ₂/∂ρ = φ₂ after the substitution ρ = tanh w. The left side is (ad − bc)/n², known
without cancellation, f is smooth on the scale of w up to |ρ| = 1, and the unknown is Fisher's z itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PANEL = 0.25
"""Width in w of the pieces that are integrated at once; 16 Gauss–Legendre nodes a piece leave rounding error only."""
FARTHEST = 25.0
"""A greater z would need a cell below 1e-11 of the table, where rounding of the counts decides: taken as ρ = 1."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True, slots=True)
class Tetrachoric:
    """Tetrachoric correlations, each array of the shape of the cells.

    Attributes
    ----------
    z : ndarray
        artanh ρ; ±inf where a zero cell puts the estimate on the boundary, NaN where a margin is empty.
    z_variance : ndarray
        Asymptotic variance of `z` for n persons sampled at random; NaN where `z` is not finite.
    """

    z: Floats
    z_variance: Floats

    @property
    def rho(self) -> Floats:
        """The correlation, −1 to 1."""
        return np.asarray(np.tanh(self.z))

    @property
    def rho_variance(self) -> Floats:
        """Asymptotic variance of `rho`."""
        return np.asarray(self.z_variance / np.cosh(self.z) ** 4)


def tetrachoric(a: Floats, b: Floats, c: Floats, d: Floats) -> Tetrachoric:
    """Estimate the tetrachoric correlation of tables and its variance.

    Parameters
    ----------
    a, b, c, d : ndarray, one shape
        Counts of the four cells, rows (a, b) and (c, d), 0 or more; `a` and `d` on the diagonal.

    Returns
    -------
    Tetrachoric
        Estimates to rounding error; ρ = ±1 without a variance for a table with a zero cell.

    Notes
    -----
    Pearson K (1900). Philosophical Transactions of the Royal Society A 195:1–47. The variance is that of Brown MB
    (1977), Applied Statistics 26:343–351: the delta method from the multinomial counts, thresholds estimated.
    """
    sign, table = _turned(np.stack([np.asarray(cell, dtype=float).ravel() for cell in (a, b, c, d)]))
    filled, inside = _states(table)
    z = np.where(filled, np.inf, np.nan)
    variance = np.full_like(z, np.nan)
    z[inside] = _solve(table[:, inside])
    solved = np.isfinite(z)
    variance[solved] = _variance(z[solved], table[:, solved])
    return Tetrachoric((sign * z).reshape(np.shape(a)), variance.reshape(np.shape(a)))


def threshold(yes: Floats, no: Floats) -> Floats:
    """Return the standard normal deviate below which the share yes/(yes + no) lies, exact in both tails."""
    n = yes + no
    return np.asarray(np.where(yes < no, ndtri(yes / n), -ndtri(no / n)))


def _turned(table: Floats) -> tuple[Floats, Floats]:
    """Turn tables, shape (4, rows), so that ρ ≥ 0 and a ≤ d, where nothing cancels; return the sign of ρ too."""
    negative = table[0] * table[3] < table[1] * table[2]
    table = np.where(negative, table[[1, 0, 3, 2]], table)
    return np.where(negative, -1.0, 1.0), np.where(table[0] > table[3], table[[3, 2, 1, 0]], table)


def _states(table: Floats) -> tuple[Bools, Bools]:
    """Say of turned tables whether all margins are filled, and whether ρ then lies inside (−1, 1)."""
    a, b, c, d = table
    with np.errstate(invalid="ignore"):
        filled = (np.minimum(a + b, c + d) > 0) & (np.minimum(a + c, b + d) > 0) & np.isfinite(a + b + c + d)
        return filled, filled & (np.minimum(b, c) > 0)


def _density(h: Floats, k: Floats, w: Floats) -> Floats:
    """The integrand f(w): φ₂(h, k; tanh w)·dρ/dw."""
    cosh = np.cosh(w)
    return np.asarray(np.exp(-0.5 * ((k - h) * cosh) ** 2 - 0.5 * h * k * (1 + np.exp(-2 * w))) / (2 * np.pi * cosh))


def _integral(h: Floats, k: Floats, low: Floats, high: Floats) -> Floats:
    half = (high - low) / 2
    total = np.zeros_like(half)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        total += weight * _density(h, k, low + half * (1 + node))
    return np.asarray(half * total)


def _thresholds(table: Floats) -> tuple[Floats, Floats]:
    a, b, c, d = table
    return threshold(a + b, c + d), threshold(a + c, b + d)


def _solve(table: Floats) -> Floats:
    """Find z with ∫₀ᶻ f = (ad − bc)/n²: panel by panel to the one that holds it, then Newton within; inf beyond all."""
    h, k = _thresholds(table)
    target = (table[0] * table[3] - table[1] * table[2]) / table.sum(0) ** 2
    low, left, part = np.zeros_like(target), target.copy(), np.full_like(target, np.nan)
    rows = np.arange(target.size)
    while rows.size and low[rows[0]] < FARTHEST:
        part[rows] = _integral(h[rows], k[rows], low[rows], low[rows] + PANEL)
        rows = rows[left[rows] > part[rows]]
        left[rows] -= part[rows]
        low[rows] += PANEL
    z = _newton(h, k, low, left, part)
    z[rows] = np.inf
    return z


def _newton(h: Floats, k: Floats, low: Floats, left: Floats, part: Floats) -> Floats:
    """Find z in [low, low + PANEL] with ∫ f from low = left; bisection wherever a step leaves its bracket."""
    under, over = low.copy(), low + PANEL
    z = low + PANEL * np.clip(left / part, 0, 1)
    for _ in range(100):
        error = _integral(h, k, low, z) - left
        under, over = np.where(error <= 0, z, under), np.where(error >= 0, z, over)
        step = z - error / _density(h, k, z)
        following = np.where((step >= under) & (step <= over), step, (under + over) / 2)
        moved = np.abs(following - z)
        z = following
        if np.all(moved <= 1e-14 * z):
            break
    return z


def _variance(z: Floats, cells: Floats) -> Floats:
    """Delta method: dz = (dp₁₁ − A·dp₁. − B·dp.₁)/f(z), with A and B the shares of the other variable below."""
    h, k = _thresholds(cells)
    # (k − ρh)/√(1 − ρ²) without its cancellation as ρ → 1
    below_k = ndtr((k - h) * np.cosh(z) + h * np.exp(-z))
    below_h = ndtr((h - k) * np.cosh(z) + k * np.exp(-z))
    influence = np.stack([1 - below_k - below_h, -below_k, -below_h, np.zeros_like(z)])
    n = cells.sum(0)
    shares = cells / n
    spread = (shares * (influence - (shares * influence).sum(0)) ** 2).sum(0)
    return np.asarray(spread / (n * _density(h, k, z) ** 2))
