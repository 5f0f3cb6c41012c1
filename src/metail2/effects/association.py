"""Measures of association in a two-by-two table: rows (a, b) and (c, d), positive where the diagonal prevails.

Columns are those of `two_by_two`; a and c are events, b and d non-events of the two rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metail2.effects.definition import Variance, measure
from metail2.effects.two_by_two import TWO_BY_TWO
from metail2.kernels.tetrachoric import tetrachoric

Floats = NDArray[np.float64]
_EMPTY = "a row or a column of its table is empty"
_DIAGONAL = "one diagonal of its table is empty, so that phi is 1 or −1"
_ZERO_CELL = "a cell of its table is 0"
_STRATIFIED = (
    "(s − n1·h)²·ab/n1³ + (s + n2·h)²·cd/n2³, s = √(n1·n2/(m1·m2)), h = φ(m2 − m1)/(2·m1·m2), m1 = a + c, m2 = b + d"
)
_PHI = (
    "Yule GU (1912). Journal of the Royal Statistical Society 75:579–652; Bishop YMM, Fienberg SE, Holland PW (1975). "
    "Discrete Multivariate Analysis, ch. 11"
)
_YULE = (
    "Yule GU (1912). Journal of the Royal Statistical Society 75:579–652; Bonett DG, Price RM (2007). Sociological "
    "Methods & Research 35:429–446"
)
_TETRACHORIC = (
    "Pearson K (1900). Philosophical Transactions of the Royal Society A 195:1–47; Brown MB (1977). Applied "
    "Statistics 26:343–351"
)


@measure(
    "PHI", "phi coefficient", TWO_BY_TWO,
    formulas=(
        "φ = (ad − bc)/√(n1·n2·m1·m2), m1 = a + c, m2 = b + d",
        "(1 − φ² + φ(1 + φ²/2)·u·w − ¾φ²(u² + w²))/n, u = (n1 − n2)/√(n1·n2), w = (m1 − m2)/√(m1·m2)",
    ),
    default="CS", others={"ST": Variance(_STRATIFIED, "delta method from the binomial counts of the two rows")},
    add=0.0, undefined=_EMPTY, no_variance=_DIAGONAL, bounds=(-1, 1), citation=_PHI,
)  # fmt: skip
def phi_coefficient(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Correlation of the two binary variables.

    Variance for n persons classified both ways (CS, cross-sectional), or for rows of fixed size (ST, stratified: the
    delta method from two binomials).
    """
    n1, n2, m1, m2 = a + b, c + d, a + c, b + d
    # exact for an empty diagonal, where the variance is 0 and would be left as a rounding error
    certain = ((b == 0) & (c == 0)) | ((a == 0) & (d == 0))
    phi = np.where(certain, np.sign(a * d - b * c), (a * d - b * c) / np.sqrt(n1 * n2 * m1 * m2))
    if vtype == "ST":
        return phi, _stratified_variance(a, b, c, d, phi)
    rows, columns = (n1 - n2) / np.sqrt(n1 * n2), (m1 - m2) / np.sqrt(m1 * m2)
    spread = 1 - phi**2 + phi * (1 + phi**2 / 2) * rows * columns - 0.75 * phi**2 * (rows**2 + columns**2)
    return phi, np.where(certain, 0.0, spread / (n1 + n2))


def _stratified_variance(a: Floats, b: Floats, c: Floats, d: Floats, phi: Floats) -> Floats:
    """Delta method: φ = √(π1·π2)(p1 − p2)/√(m(1 − m)) with fixed shares π of the rows and m = π1·p1 + π2·p2."""
    n1, n2, m1, m2 = a + b, c + d, a + c, b + d
    slope = np.sqrt(n1 * n2 / (m1 * m2))
    pull = phi * (m2 - m1) / (2 * m1 * m2)
    return np.asarray((slope - n1 * pull) ** 2 * a * b / n1**3 + (slope + n2 * pull) ** 2 * c * d / n2**3)


@measure(
    "ZPHI", "phi coefficient (Fisher's z)", TWO_BY_TWO,
    formulas=("artanh φ", "(variance of φ)/(1 − φ²)²"),
    scale="Fisher's z", transform="tanh", default="CS",
    others={"ST": Variance("(variance ST of φ)/(1 − φ²)²", "delta method from the binomial counts of the two rows")},
    add=0.0, undefined=f"{_EMPTY}, or {_DIAGONAL}", citation=_PHI,
)  # fmt: skip
def phi_fisher_z(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of φ, its variance by the delta method."""
    phi, variance = phi_coefficient(a, b, c, d, vtype)
    return np.arctanh(phi), variance / (1 - phi**2) ** 2


@measure(
    "YUQ", "Yule's Q", TWO_BY_TWO,
    formulas=("Q = (ad − bc)/(ad + bc)", "¼(1 − Q²)²(1/a + 1/b + 1/c + 1/d)"), citation=_YULE, bounds=(-1, 1),
    no_variance=_ZERO_CELL,
)  # fmt: skip
def yule_q(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Yule's Q: the odds ratio OR as (OR − 1)/(OR + 1)."""
    agree, differ = a * d, b * c
    rest = 4 * agree * differ / (agree + differ) ** 2  # 1 − Q²
    return (agree - differ) / (agree + differ), 0.25 * rest**2 * (1 / a + 1 / b + 1 / c + 1 / d)


@measure(
    "YUY", "Yule's Y", TWO_BY_TWO,
    formulas=("Y = (√(ad) − √(bc))/(√(ad) + √(bc))", "(1 − Y²)²(1/a + 1/b + 1/c + 1/d)/16"),
    citation=_YULE, bounds=(-1, 1), no_variance=_ZERO_CELL,
)  # fmt: skip
def yule_y(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Yule's Y (colligation): Q with the root of the odds ratio in its place."""
    agree, differ = np.sqrt(a * d), np.sqrt(b * c)
    rest = 4 * agree * differ / (agree + differ) ** 2  # 1 − Y²
    return (agree - differ) / (agree + differ), rest**2 * (1 / a + 1 / b + 1 / c + 1 / d) / 16


@measure(
    "RTET", "tetrachoric correlation", TWO_BY_TWO,
    formulas=("ρ with Φ₂(Φ⁻¹(n1/n), Φ⁻¹(m1/n); ρ) = a/n", "delta method from the multinomial counts"),
    add=0.0, undefined=_EMPTY, no_variance=_ZERO_CELL, bounds=(-1, 1), citation=_TETRACHORIC,
)  # fmt: skip
def tetrachoric_correlation(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Correlation of two normal variables seen as two halves each; ±1 without a variance where a cell is zero."""
    fitted = tetrachoric(a, b, c, d)
    return fitted.rho, fitted.rho_variance


@measure(
    "ZTET", "tetrachoric correlation (Fisher's z)", TWO_BY_TWO,
    formulas=("artanh ρ", "(variance of ρ)/(1 − ρ²)²"),
    scale="Fisher's z", transform="tanh", add=0.0,
    undefined=_ZERO_CELL, citation=_TETRACHORIC,
)  # fmt: skip
def tetrachoric_fisher_z(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z of the tetrachoric correlation; none where a cell is zero."""
    fitted = tetrachoric(a, b, c, d)
    return fitted.z, fitted.z_variance
