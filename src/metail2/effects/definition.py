"""The registry of effect measures: what each needs, the scale it is pooled on, how it is shown, and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
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
NO_VARIANCE = "the variance is 0 or not defined"
DEFAULT = "LS"
"""Code of the variance of measures that have one only: large-sample."""


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
class Variance:
    """One of the sampling variances that a measure offers.

    Attributes
    ----------
    formula : str
        In the names of the columns.
    citation : str
        Source, where it is not that of the measure.
    averaged : bool
        Whether it takes a mean over all studies, so that they are computed together.
    """

    formula: str
    citation: str = ""
    averaged: bool = False


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
    formula : str
        The effect, as a formula in the names of the columns.
    citation : str
        Source of the estimator and its default variance.
    variances : mapping of str to Variance
        The variances that may be chosen, by their codes, the default first.
    from_columns : mapping of tuple of str to tuple of str
        Set of columns → effect and variance as formulas, for sets from which they are had in another way.
    add : float
        Default added to zero cells (counts only).
    df : callable or None
        Degrees of freedom of the small-sample factor, which then is one more column of `compute`, ``factor``; None for
        a measure without one.
    undefined : str
        When the effect of complete figures is not defined, as a clause for the warning.
    no_variance : str
        When an effect that is defined has no variance above 0, as such a clause.
    inverses : tuple of SizedInverse
        Back-transforms of a pooled effect that need the studies' sizes.
    shown : str
        The displayed scale in words; empty where it is the pooled scale itself.
    bounds : tuple of float
        The least and the greatest value that the effect can have on the displayed scale.
    """

    code: str
    name: str
    family: Family
    compute: Compute
    scale: str
    transform: Transform
    null: float
    formula: str
    citation: str
    variances: Mapping[str, Variance]
    from_columns: Mapping[tuple[str, ...], tuple[str, str]]
    add: float
    df: Degrees | None
    undefined: str
    no_variance: str
    inverses: tuple[SizedInverse, ...]
    shown: str
    bounds: tuple[float, float]

    @property
    def vtypes(self) -> tuple[str, ...]:
        """Codes of the variances, the default first."""
        return tuple(self.variances)

    def variance(self, vtype: str | None = None) -> Variance:
        """Return the variance of a code; the default for None."""
        return self.variances[vtype or self.vtypes[0]]

    def formulas(self, columns: tuple[str, ...] = (), vtype: str | None = None) -> tuple[str, str]:
        """Return the effect and its variance as formulas.

        Parameters
        ----------
        columns : tuple of str
            The set of columns that they are computed from; by default the first of the family.
        vtype : str or None
            Code of the variance; None for the default.
        """
        return self.from_columns.get(columns, (self.formula, self.variance(vtype).formula))


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
    default: str = DEFAULT,
    others: Mapping[str, Variance] = MappingProxyType({}),
    from_columns: Mapping[tuple[str, ...], tuple[str, str]] = MappingProxyType({}),
    add: float = 0.5,
    df: Degrees | None = None,
    undefined: str = UNDEFINED,
    no_variance: str = NO_VARIANCE,
    inverses: tuple[SizedInverse, ...] = (),
    shown: str | None = None,
    bounds: tuple[float, float] | None = None,
) -> Callable[[Compute], Compute]:
    """Register the decorated function as the measure `code`; see `Measure` for the meaning of each argument.

    `formulas` are those of the effect and of the `default` variance; `others` are the further variances. `shown` and
    `bounds` are those of the transform unless they are given.
    """

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
                formulas[0],
                citation,
                MappingProxyType({default: Variance(formulas[1]), **others}),
                from_columns,
                add,
                df,
                undefined,
                no_variance,
                inverses,
                TRANSFORMS[transform].label if shown is None else shown,
                bounds or TRANSFORMS[transform].bounds,
            ),
        )
        return compute

    return register
