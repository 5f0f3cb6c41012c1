"""Refits of a pooled set of count tables to fewer studies, without the tables and tests that a reader of one would see.

A fit takes a fraction of the time of its own `tidy()` and `glance()`, which compute further tests.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.refits import FIGURES, SPREAD, by_refits, figures
from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import MetailError
from metail2.models.base import PooledResult
from metail2.models.tables import NO_Q, NO_TAU2, TableResult

Integers = NDArray[np.int64]
NAN = float("nan")
COLUMNS = ("study", *FIGURES, *SPREAD, "note")


def cheapest_refits(result: PooledResult, names: Sequence[str], subsets: Sequence[Integers]) -> pd.DataFrame:
    """Fit `result.spec` to each subset of the effects (positions): the table of `by_refits`."""
    if not isinstance(result, TableResult):
        return by_refits(result, names, subsets)
    own = result.effects
    counts = EffectSizes(own.yi, own.vi, own.measure, inputs=own.inputs, _labels=own.study)
    rows = [_refit(result, counts, kept) for kept in subsets]
    return pd.DataFrame(rows, columns=[*FIGURES, *SPREAD, "note"]).assign(study=names)[list(COLUMNS)]


def _refit(result: TableResult, counts: EffectSizes, kept: Integers) -> dict[str, float | str]:
    mask = np.zeros(len(counts), dtype=bool)
    mask[kept] = True
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = result.spec.fit(counts.subset(mask))
    except MetailError as error:
        return {"note": str(error)}
    spread = {"tau2": NAN, "i2": NAN, "q": found.q, "i2_q": found.i2_q}
    said = [found.reason, NO_TAU2, NO_Q if math.isnan(found.q) else "", *(str(warning.message) for warning in caught)]
    own = {name: float(value) for name, value in figures(found.wald, 0).items()}
    return own | spread | {"note": "; ".join(filter(None, dict.fromkeys(said)))}
