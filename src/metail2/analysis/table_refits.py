"""Refits of a pooled set of count tables to fewer studies, without the tables and tests that a reader of one would see.

A fit takes a fraction of the time of its own `tidy()` and `glance()`, which compute further tests. Where each study is
left out of a Mantel–Haenszel estimate, nearly all figures come from arrays. What is said of a fit depends on which
cells of its tables are 0, and names a few studies at most: two deletions are alike if the studies left out have zeros
in the same cells, and neither is among the first of these, which may be named. The first is fitted for its words.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.analysis.refits import FIGURES, SPREAD, by_refits, figures
from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import MetailError
from metail2.kernels.heterogeneity import i2_from_q
from metail2.kernels.inference import wald
from metail2.kernels.table_deletions import q_without_each, tables_without_each
from metail2.kernels.tables import MANTEL_HAENSZEL
from metail2.models.base import PooledResult
from metail2.models.mantel_haenszel import MantelHaenszel
from metail2.models.table_tests import informed, table_columns
from metail2.models.tables import TableResult

Integers = NDArray[np.int64]
NAN = float("nan")
COLUMNS = ("study", *FIGURES, *SPREAD, "note")
NAMED = 7
"""More studies than a note names before it counts the others."""


def refits_without_each(result: PooledResult, names: Sequence[str], used: Integers) -> pd.DataFrame:
    """Fit `result.spec` to the studies used (positions) but each in turn: the table of `by_refits`."""
    if not isinstance(result, TableResult) or not isinstance(result.spec, MantelHaenszel):
        return cheapest_refits(result, names, [np.delete(used, i) for i in range(len(used))])
    table, alike = _figures_without_each(result, used), _alike(result.effects, used)
    defined = table[["estimate", "q"]].notna().to_numpy()
    alone = (alike == np.arange(len(used))) | (defined != defined[alike]).any(axis=1)
    rows = np.flatnonzero(alone)
    fitted = cheapest_refits(result, [names[i] for i in rows.tolist()], [np.delete(used, i) for i in rows])
    table = table.assign(study=names, note="")[list(COLUMNS)]
    table.loc[rows] = fitted.set_index(rows)
    alike[alone] = rows
    return table.assign(note=table["note"].to_numpy()[alike])


def _alike(effects: EffectSizes, used: Integers) -> Integers:
    """The first of the deletions of which the same is said, shape (k,): a study that may be named is like itself."""
    labels = pd.Series(effects.study).iloc[used]
    kinds = pd.DataFrame([column[used] == 0 for column in table_columns(effects)]).T
    kinds = kinds.assign(complete=effects.complete[used], label=labels.where(labels.duplicated(keep=False), "").array)
    groups = kinds.groupby(list(kinds.columns), sort=False)
    place, group = groups.cumcount().to_numpy(), groups.ngroup().to_numpy()
    beyond = np.flatnonzero(place == NAMED)
    first = np.full(len(used), len(used))
    first[group[beyond]] = beyond
    return np.where(place < NAMED, np.arange(len(used)), first[group])


def _figures_without_each(result: TableResult, used: Integers) -> pd.DataFrame:
    """What `TableResult` holds of the fit without each study, all at once."""
    effects, measure, level = result.effects, result.spec.measure, result.spec.level
    columns = tuple(column[used] for column in table_columns(effects))
    estimate, variance = tables_without_each(MANTEL_HAENSZEL[measure], columns)
    found = wald(estimate[:, None], variance[:, None], np.inf, level)
    known = (effects.complete & informed(effects))[used]
    yi, vi = np.where(known, effects.yi[used], 0.0), np.where(known, effects.vi[used], np.inf)
    df = known.sum() - known - 1
    q = np.where(df > 0, q_without_each(yi, vi, estimate), NAN)
    spread = {"tau2": NAN, "i2": NAN, "q": q, "i2_q": np.where(np.isnan(q), NAN, i2_from_q(q, df))}
    return pd.DataFrame(figures(found, 0) | spread)


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
    said = [found.reason, found.lacks, *(str(warning.message) for warning in caught)]
    own = {name: float(value) for name, value in figures(found.wald, 0).items()}
    return own | spread | {"note": "; ".join(filter(None, dict.fromkeys(said)))}
