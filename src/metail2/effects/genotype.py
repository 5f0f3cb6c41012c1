"""REH: departure from Hardy–Weinberg equilibrium, from the counts of the genotypes AA, AB and BB."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metail2.effects.counts import ZeroCells, check_not_negative, corrected
from metail2.effects.definition import Family, Measure, measure

Floats = NDArray[np.float64]
_COLUMNS = ("aa", "ab", "bb")


def _prepare(columns: Mapping[str, Floats], chosen: Measure, options: ZeroCells) -> dict[str, Floats]:
    check_not_negative(columns, *_COLUMNS)
    counts = {name: columns[name] for name in _COLUMNS}
    zero = (counts["aa"] == 0) | (counts["ab"] == 0) | (counts["bb"] == 0)
    return corrected(counts, zero, options, chosen.add)


GENOTYPE = Family("genotype", (_COLUMNS,), _prepare)


@measure(
    "REH", "relative excess heterozygosity", GENOTYPE,
    formulas=("ln(ab/(2·√(aa·bb)))", "1/(4aa) + 1/ab + 1/(4bb)"),
    scale="log relative excess", transform="exp",
    citation="Ziegler A, Van Steen K, Wellek S (2011). Breast Cancer Research and Treatment 128:197–201",
)  # fmt: skip
def relative_excess_heterozygosity(aa: Floats, ab: Floats, bb: Floats, vtype: str) -> tuple[Floats, Floats]:
    """Log ratio of the heterozygotes to their number in equilibrium with the homozygotes, 2√(aa·bb)."""
    return np.log(ab / (2 * np.sqrt(aa * bb))), 1 / (4 * aa) + 1 / ab + 1 / (4 * bb)
