"""On which scales an effect may be shown: those whose transform begins where its measure is pooled."""

from __future__ import annotations

from metail2.effects.definition import Measure
from metail2.effects.transforms import TRANSFORMS, Transform
from metail2.errors import UnknownChoice

ALIKE = {"exp": ("percent_change", "percent_reduction")}
"""A measure's own transform → others of the same pooled scale, which here is the logarithm of a ratio."""
FRACTIONS = ("RD", "MPRD", "PR", "AUC", "CLES", "AUCN", "CLESN", "AUCCN", "CLESCN", "R2", "R2F")
"""Measures pooled as a proportion, a probability or a difference of two, which may be shown in percent."""
OF_THE_DATA = ("GEN", "MD", "MC", "MN")
"""Measures whose scale is that of the figures given, which may be logarithms, logits or fractions."""


def displays(measure: Measure) -> tuple[str, ...]:
    """Return the keys of `TRANSFORMS` that a measure may be shown by."""
    if measure.code in OF_THE_DATA:
        return tuple(TRANSFORMS)
    own = measure.transform.code
    known = {"identity", own, *ALIKE.get(own, ()), *(("percent",) if measure.code in FRACTIONS else ())}
    return tuple(code for code in TRANSFORMS if code in known)


def display_transform(measure: Measure, code: str | None) -> Transform:
    """Return the transform of a code, or the measure's own.

    Raises
    ------
    UnknownChoice
        If there is no such transform, or it begins at another scale than the measure is pooled on.
    """
    if code is None:
        return measure.transform
    chosen, known = TRANSFORMS[code], displays(measure)
    if code not in known:
        raise UnknownChoice(f"display transform of {measure.code} (pooled as {measure.scale})", code, known)
    return chosen
