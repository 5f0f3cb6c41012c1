"""The registry of effect measures: what each needs, the scale it is pooled on, how it is shown, and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metail2.effects.transforms import TRANSFORMS, SizedInverse, Transform
from metail2.registry import Registry

Floats = NDArray[np.float64]
Compute = Callable[..., tuple[Floats, Floats]]
"""``(columns…, vtype=…) → (yi, vi)``: arrays of shape (k,) in, two arrays of shape (k,) out."""
Degrees = Callable[[Mapping[str, Floats]], Floats]
"""The prepared columns → degrees of freedom of the small-sample factor, shape (k,)."""

UNDEFINED = "the effect is not defined at its figures, such as an uncorrected zero cell"


@dataclass(frozen=True, slots=True)
class Family:
    """What measures of one kind of data share.

    Attributes
    ----------
    name : str
        Key, e.g. ``"two_by_two"``.
    columns : tuple of tuple of str
        The sets of columns that may be given, the preferred one first.
    prepare : callable
        ``(columns, measure, options) → columns for compute``: validates counts, corrects zero cells.
    """

    name: str
    columns: tuple[tuple[str, ...], ...]
    prepare: Callable[[Mapping[str, Floats], Any, Any], dict[str, Floats]]


@dataclass(frozen=True, slots=True)
class Measure:
    """One effect measure.

    Attributes
    ----------
    code : str
        The field's code, e.g. ``"RR"``.
    name : str
        In words, e.g. ``"risk ratio"``.
    family : Family
        Kind of data, its columns and its checks.
    compute : callable
        Columns to ``(yi, vi)``.
    scale : str
        The pooled scale in words, e.g. ``"log risk ratio"``.
    transform : Transform
        From the pooled to the displayed scale.
    null : float
        Value of no effect on the pooled scale; NaN where there is none (a single proportion).
    formulas : tuple of str
        The effect and its default variance, as formulas in the names of the columns.
    citation : str
        Source of the estimator and its variance.
    vtypes : tuple of str
        Codes of the variances that may be chosen, the default first.
    add : float
        Default added to zero cells (counts only).
    df : callable or None
        Degrees of freedom of the small-sample factor, which then is one more column of `compute`, ``factor``; None for
        a measure without one.
    undefined : str
        When the effect of complete figures is not defined, as a clause for the warning.
    inverses : tuple of SizedInverse
        Back-transforms of a pooled effect that need the studies' sizes.
    """

    code: str
    name: str
    family: Family
    compute: Compute
    scale: str
    transform: Transform
    null: float
    formulas: tuple[str, str]
    citation: str
    vtypes: tuple[str, ...]
    add: float
    df: Degrees | None
    undefined: str
    inverses: tuple[SizedInverse, ...]


MEASURES: Registry[Measure] = Registry("measure")


def measure(
    code: str,
    name: str,
    family: Family,
    *,
    formulas: tuple[str, str],
    citation: str,
    scale: str | None = None,
    transform: str = "identity",
    null: float = 0.0,
    vtypes: tuple[str, ...] = ("LS",),
    add: float = 0.5,
    df: Degrees | None = None,
    undefined: str = UNDEFINED,
    inverses: tuple[SizedInverse, ...] = (),
) -> Callable[[Compute], Compute]:
    """Register the decorated function as the measure `code`; see `Measure` for the meaning of each argument."""

    def register(compute: Compute) -> Compute:
        MEASURES.add(
            code,
            Measure(
                code,
                name,
                family,
                compute,
                scale or name,
                TRANSFORMS[transform],
                null,
                formulas,
                citation,
                vtypes,
                add,
                df,
                undefined,
                inverses,
            ),
        )
        return compute

    return register
