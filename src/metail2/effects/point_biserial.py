"""Correlations between belonging to an arm and a continuous outcome: point-biserial, and biserial."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from metail2.effects.correlation import fisher
from metail2.effects.definition import measure
from metail2.effects.two_means import STANDARDISED

Floats = NDArray[np.float64]
_TATE = "Tate RF (1954). Annals of Mathematical Statistics 25:603–607"
_SOPER = "Soper HE (1914). Biometrika 10:384–390"
_JACOBS = "Jacobs P, Viechtbauer W (2017). Research Synthesis Methods 8:161–180"
_R = "r = d/√(d² + h), d = (m1 − m2)/sd_pooled, h = (n1 + n2 − 2)·(1/n1 + 1/n2)"
_FLAT = "the pooled SD is 0, or there are too few patients"


@measure(
    "RPB", "point-biserial correlation", STANDARDISED, undefined=_FLAT, bounds=(-1, 1),
    citation=f"{_TATE}; {_JACOBS}",
    formulas=(_R, "h²/(h + d²)³·(1/n1 + 1/n2 + d²/(2(n1 + n2)))"),
)  # fmt: skip
def point_biserial(d: Floats, n1: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Correlation of arm and outcome; the variance by the delta method for arm sizes fixed by design."""
    sizes = 1 / n1 + 1 / n2
    h = (n1 + n2 - 2) * sizes
    return d / np.sqrt(d**2 + h), h**2 / (h + d**2) ** 3 * (sizes + d**2 / (2 * (n1 + n2)))


@measure(
    "ZPB", "point-biserial correlation", STANDARDISED, scale="Fisher's z of the point-biserial correlation",
    transform="tanh", undefined=_FLAT, citation=f"{_TATE}; {_JACOBS}",
    formulas=(f"artanh r, {_R}", "(1/n1 + 1/n2 + d²/(2(n1 + n2)))/(h + d²)"),
)  # fmt: skip
def point_biserial_z(d: Floats, n1: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of the point-biserial correlation, by the delta method: arsinh(d/√h), for 1 − r² is h/(h + d²)."""
    sizes = 1 / n1 + 1 / n2
    h = (n1 + n2 - 2) * sizes
    return np.arcsinh(d / np.sqrt(h)), (sizes + d**2 / (2 * (n1 + n2))) / (h + d**2)


@measure(
    "RBIS", "biserial correlation", STANDARDISED, undefined=_FLAT, citation=f"{_SOPER}; {_JACOBS}",
    no_variance="the estimate lies beyond ±1, where Soper's variance does not hold",
    formulas=(
        f"√(pq)/φ(z)·r, p = n1/(n1 + n2) = 1 − q, z = Φ⁻¹(q), {_R}",
        "(pq/φ(z)² − (3/2 + (1 − pz/φ(z))·(1 + qz/φ(z)))·r_b² + r_b⁴)/(n1 + n2 − 1)",
    ),
)  # fmt: skip
def biserial(d: Floats, n1: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Correlation of the outcome with the normal variable that was cut to make the arms.

    The estimate can lie beyond ±1. Soper's variance, a large-sample one for correlations, then falls towards 0 and
    below it, so that such an estimate is kept without a variance.
    """
    share = n1 / (n1 + n2)
    z = ndtri(1 - share)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    spread = np.sqrt(share * (1 - share)) / density
    r = spread * point_biserial(d, n1, n2, vtype)[0]
    middle = 1.5 + (1 - share * z / density) * (1 + (1 - share) * z / density)
    return r, np.where(np.abs(r) < 1, (spread**2 - middle * r**2 + r**4) / (n1 + n2 - 1), np.nan)


@measure(
    "ZBIS", "biserial correlation", STANDARDISED, scale="Fisher's z of the biserial correlation", transform="tanh",
    undefined=f"the biserial correlation is beyond 1, {_FLAT}", citation=f"{_SOPER}; {_JACOBS}",
    formulas=("artanh r_b, r_b and its variance as in RBIS", "(variance of r_b)/(1 − r_b²)²"),
)  # fmt: skip
def biserial_z(d: Floats, n1: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of the biserial correlation, by the delta method; an estimate beyond 1 has none."""
    return fisher(*biserial(d, n1, n2, vtype))
