"""Measures from a correlation of two variables and the number of patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import hyp2f1

from metail2.effects.counts import check_positive
from metail2.effects.definition import Family, Measure, Variance, measure
from metail2.effects.printed_tests import correlation

Floats = NDArray[np.float64]


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: Any) -> dict[str, Floats]:
    check_positive(columns, "n", rule="must be a number of patients above 0")
    return {"r": correlation(columns, columns["n"] - 2), "n": columns["n"]}


CORRELATION = Family("correlation", (("r", "n"), ("t", "n"), ("p", "direction", "n")), _prepare)
_FISHER = "Fisher RA (1921). Metron 1:3–32"
_OLKIN = "Olkin I, Pratt JW (1958). Annals of Mathematical Statistics 29:201–211"
_HEDGES = "Hedges LV (1989). Journal of Applied Psychology 74:469–477"
_HUNTER = "Hunter JE, Schmidt FL (2004). Methods of Meta-Analysis, 2nd ed. (mean correlation)"
_FEW = "the correlation is 1 or −1, or there are too few patients"


def fisher(r: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return Fisher's z of a correlation, and its variance by the delta method."""
    return np.arctanh(r), variance / (1 - r**2) ** 2


@measure(
    "COR", "correlation", CORRELATION, formulas=("r", "(1 − r²)²/(n − 1)"), undefined=_FEW,
    no_variance=_FEW, bounds=(-1, 1),
    citation=_HEDGES,
)  # fmt: skip
def plain(r: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """The correlation as it is, a little nearer 0 than the truth."""
    return r, (1 - r**2) ** 2 / (n - 1)


@measure(
    "UCOR", "correlation (unbiased)", CORRELATION, undefined=_FEW, bounds=(-1, 1),
    no_variance="u is 1 or −1, as it is with 3 patients, or the unbiased variance is not above 0",
    formulas=("u = r·₂F₁(½, ½; (n − 2)/2; 1 − r²)", "(1 − u²)²/(n − 1)"), citation=_OLKIN,
    others={
        "UB": Variance("u² − 1 + (n − 3)/(n − 2)·(1 − r²)·₂F₁(1, 1; n/2; 1 − r²)", _HEDGES),
        "AV": Variance("(1 − ū²)²/(n − 1), ū = Σn·u/Σn over all studies", _HUNTER, averaged=True),
    },
)  # fmt: skip
def unbiased(r: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """The unbiased estimate of Olkin and Pratt, for n ≥ 3.

    Variance from the study's own estimate (LS), from the mean estimate of all rows weighted by n (AV), or unbiased
    (UB): u² less the unbiased estimate of ρ², 1 − (n − 3)/(n − 2)·(1 − r²)·₂F₁(1, 1; n/2; 1 − r²).
    """
    m, z = np.where(n > 2, n - 2, np.nan), 1 - r**2
    growth = 1 + z / (2 * m) + _after_first_order(0.5, 0.5, m / 2, z)
    u = np.where(r == 0, 0.0, r * growth)  # the series diverges at r = 0 for n ≤ 4
    three = m == 1
    u = np.where(three, np.sign(r), u)  # exact, so that no rounding error is left for the variance of 0
    if vtype == "UB":
        return u, np.where(three, 0.0, _unbiased_variance(z, m))
    known = np.isfinite(u)
    centre = np.average(u[known], weights=n[known]) if vtype == "AV" and known.any() else u
    return u, (1 - centre**2) ** 2 / (n - 1)


def _unbiased_variance(z: Floats, m: Floats) -> Floats:
    """u² less the unbiased estimate of ρ², for z = 1 − r² and m = n − 2, free of cancellation.

    Both are close to 1 − z, and terms of order z/m cancel as well; what stays is of order z²/m. With
    ₂F₁(½, ½; m/2; z) = 1 + z/2m + s and ₂F₁(1, 1; n/2; z) = 1 + (2z/n)·₂F₁(1, 2; n/2 + 1; z), it is the sum below.
    """
    half_n = (m + 2) / 2
    first = _after_first_order(0.5, 0.5, m / 2, z)
    second = 1 + 2 * z / (half_n + 1) + _after_first_order(1, 2, half_n + 1, z)
    squares = (1 - z) * (2 * first + (z / (2 * m) + first) ** 2)
    return np.asarray(squares - z**2 / m + z**2 * (m - 1) / (m * half_n) * second)


def _after_first_order(a: float, b: float, c: Floats, z: Floats) -> Floats:
    """₂F₁(a, b; c; z) less its first two terms, 1 + ab·z/c.

    Term by term where 80 terms leave nothing in double precision: for z ≤ ½, where the difference would cancel, and for
    large c, where SciPy gives NaN.
    """
    term = a * b * z / c
    total = np.zeros_like(term)
    for k in range(1, 80):
        term = term * (a + k) * (b + k) / ((c + k) * (1 + k)) * z
        total = total + term
    return np.where((z <= 0.5) | (c >= 20), total, hyp2f1(a, b, np.minimum(c, 20), z) - 1 - a * b * z / c)


@measure(
    "ZCOR", "correlation", CORRELATION, scale="Fisher's z of the correlation", transform="tanh", undefined=_FEW,
    citation=_FISHER, formulas=("artanh r", "1/(n − 3)"), no_variance="there are too few patients: n must be above 3",
)  # fmt: skip
def fisher_z(r: Floats, n: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Fisher's z, whose variance hardly depends on the correlation."""
    return np.arctanh(r), 1 / (n - 3)
