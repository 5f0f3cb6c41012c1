"""Measures that carry counts to the scale of standardised means, and means to the scale of odds ratios."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metail2.effects.definition import Compute, measure
from metail2.effects.proportions import probit_proportion
from metail2.effects.two_by_two import TWO_BY_TWO, odds_ratio
from metail2.effects.two_means import STANDARDISED

Floats = NDArray[np.float64]

LOGISTIC_SD = math.pi / math.sqrt(3)
"""SD of the standard logistic distribution: where outcomes are logistic, ln OR = d·π/√3."""
COX_SNELL = 1.65
"""The factor that brings ln OR closest to d where outcomes are normal and risks are not extreme."""
_SCALES = {
    "": (LOGISTIC_SD, "π/√3", "Hasselblad V, Hedges LV (1995). Psychological Bulletin 117:167–178"),
    "N": (COX_SNELL, "1.65", "Cox DR, Snell EJ (1989). Analysis of Binary Data, 2nd ed."),
    "L": (LOGISTIC_SD, "π/√3", "Hasselblad V, Hedges LV (1995). Psychological Bulletin 117:167–178"),
}
_OUTCOMES = {"": "", "N": ", normal outcomes", "L": ", logistic outcomes"}


@measure(
    "PBIT", "standardised mean difference (probit)", TWO_BY_TWO,
    formulas=("Φ⁻¹(a/n1) − Φ⁻¹(c/n2)", "Σ 2π·p(1 − p)·exp(z²)/n over the arms, z = Φ⁻¹(p)"),
    citation="Sánchez-Meca J, Marín-Martínez F, Chacón-Moscoso S (2003). Psychological Methods 8:448–467",
)  # fmt: skip
def probit_difference(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Difference of the risks' normal quantiles: the standardised mean difference of a normal outcome cut in two."""
    z1, v1 = probit_proportion(a, b, vtype)
    z2, v2 = probit_proportion(c, d, vtype)
    return z1 - z2, v1 + v2


def _from_odds_ratio(scale: float) -> Compute:
    def standardised_difference(a: Floats, b: Floats, c: Floats, d: Floats, vtype: str) -> tuple[Floats, Floats]:
        """Standardised mean difference that a log odds ratio stands for; without a letter, as for L."""
        log_ratio, variance = odds_ratio(a, b, c, d, vtype)
        return log_ratio / scale, variance / scale**2

    return standardised_difference


def _from_means(scale: float) -> Compute:
    def log_odds_ratio(d: Floats, n1: Floats, n2: Floats, vtype: str) -> tuple[Floats, Floats]:
        """Log odds ratio that a standardised mean difference stands for; without a letter, as for L."""
        return d * scale, (1 / n1 + 1 / n2 + d**2 / (2 * (n1 + n2))) * scale**2

    return log_odds_ratio


for _letter, (_scale, _text, _source) in _SCALES.items():
    measure(
        f"OR2D{_letter}", f"standardised mean difference (from an odds ratio{_OUTCOMES[_letter]})", TWO_BY_TWO,
        formulas=(f"ln(ad/(bc))/s, s = {_text}", "(1/a + 1/b + 1/c + 1/d)/s²"),
        citation=_source,
    )(_from_odds_ratio(_scale))  # fmt: skip
for _letter, (_scale, _text, _source) in _SCALES.items():
    measure(
        f"D2OR{_letter}", f"odds ratio (from a standardised mean difference{_OUTCOMES[_letter]})", STANDARDISED,
        formulas=(
            f"d·s, d = (m1 − m2)/sd_pooled, s = {_text}",
            "(1/n1 + 1/n2 + d²/(2(n1 + n2)))·s²",
        ),
        scale="log odds ratio", transform="exp", citation=_source,
    )(_from_means(_scale))  # fmt: skip
