"""effect_sizes(): from a table of counts, means or estimates to effects on the pooled scale."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.counts import Problem, ZeroCells, added
from metail2.effects.effect_sizes import EffectSizes
from metail2.effects.labels import Numbered
from metail2.effects.measures import MEASURES, Measure
from metail2.effects.moments import CORRECTIONS
from metail2.effects.reasons import missing_message, undefined_reasons
from metail2.errors import EffectSizeError, MetailWarning, UnknownChoice
from metail2.wording import listed

Floats = NDArray[np.float64]


def effect_sizes(
    frame: pd.DataFrame,
    measure: str,
    study: str | None = None,
    *,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str | None = None,
    correction: str = "exact",
    **columns: str,
) -> EffectSizes:
    """Compute one effect size a row.

    Parameters
    ----------
    frame : DataFrame, k rows
        One study a row.
    measure : str
        Code in `MEASURES`, e.g. ``"RR"``; ``metail2 measures`` lists them with their columns.
    study : str, optional
        Column of study labels; by default a column called ``study``, else "study 1" …
    add : float, optional
        Added to the cells of a table with a zero; None is the measure's own default (0.5 for most).
    to : {"only0", "all", "if0all", "none"}
        Which tables are corrected.
    drop00 : bool
        Mark tables without events (or without non-events) in both arms as not estimable.
    vtype : str, optional
        Which of the measure's variances; the first of its registry entry by default.
    correction : {"exact", "approximate", "none"}
        Small-sample factor of standardised means: J by the gamma functions, 1 − 3/(4m − 1), or 1. Other measures have
        none.
    **columns : str
        ``events1="tpos"``: where to find a column of the measure under another name. Of the sets of columns that a
        measure can be computed from, the first is used that holds every column named here and is whole in the table.
        Standard errors, intervals and quartiles in place of SDs are read by `harmonise`, which writes down each step.

    Returns
    -------
    EffectSizes
        As many effects as rows, in their order. What cannot be computed is NaN, with a warning that names the study.

    Raises
    ------
    EffectSizeError
        If a column is missing, holds text, or an entry is impossible (events above n, a negative SD …): the message
        names the study, the column and the value. Also if a column stands twice in the table, a study has no label, or
        `correction` is given for a measure without a small-sample factor.
    UnknownChoice
        If the measure, `to`, `vtype` or `correction` is not among the choices.
    """
    chosen = MEASURES[measure]
    check_choices(chosen, vtype, correction)
    _check_table(frame)
    labels = _labels(frame, study)
    names = column_names(frame, chosen, columns)
    inputs = {name: _numbers(frame[source], source, labels) for name, source in names.items()}
    options = ZeroCells(add, to, drop00)
    ready = _prepared(chosen, inputs, options, labels, names)
    yi, vi = from_prepared(chosen, ready, vtype, correction)
    given = None if isinstance(labels, Numbered) else tuple(labels)
    table = frame.reset_index(drop=True)
    effects = EffectSizes(yi, vi, measure, None, inputs, given, table, added=added(inputs, ready))
    _warn_missing(chosen, effects, names, options, frame)
    return effects


def check_choices(chosen: Measure, vtype: str | None, correction: str) -> None:
    """Refuse a variance or a small-sample correction that the measure does not have."""
    if vtype is not None and vtype not in chosen.vtypes:
        raise UnknownChoice(f"variance of {chosen.code}", vtype, chosen.vtypes)
    CORRECTIONS[correction]
    if correction != "exact" and chosen.df is None:
        having = [code for code, entry in MEASURES.items() if entry.df is not None]
        raise EffectSizeError(
            f"{chosen.code} has no small-sample factor, so correction={correction!r} has no meaning; leave it out "
            f"(the measures with one are {listed(having)})."
        )


def _check_table(frame: pd.DataFrame) -> None:
    if len(frame) == 0:
        raise EffectSizeError("The table has no rows, so there is nothing to compute.")
    if not frame.columns.is_unique:
        twice = list(dict.fromkeys(map(repr, frame.columns[frame.columns.duplicated()])))
        raise EffectSizeError(f"The table has more than one column called {listed(twice)}; rename or remove one.")


def _labels(frame: pd.DataFrame, study: str | None) -> Sequence[str]:
    if study is None:
        if "study" not in frame.columns:
            return Numbered(len(frame))
        study = "study"
    if study not in frame.columns:
        raise EffectSizeError(f"There is no column {study!r} for the study labels; the table has {_found(frame)}.")
    missing = np.flatnonzero(frame[study].isna())
    if len(missing):
        raise EffectSizeError(f"Row {missing[0] + 1} has no label in column {study!r}; give every row its study.")
    return tuple(frame[study].astype(str))


def _found(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame.columns)) or "no columns"


def column_names(
    frame: pd.DataFrame, chosen: Measure, given: Mapping[str, str], had: Collection[str] | None = None
) -> dict[str, str]:
    """The first of the family's column sets that is meant and there whole, as {metail2 name: column in the frame}.

    Figures `had` from others are not missing. Where none were looked for (None), the message names the standard errors
    and means that `harmonise` would put in the place of SDs and mean changes.
    """
    known = list(dict.fromkeys(name for names in chosen.family.columns for name in names))
    for name, source in given.items():
        if name not in known:
            raise UnknownChoice(f"column of {chosen.code}", name, known)
        if source not in frame.columns:
            raise EffectSizeError(f"There is no column {source!r} (given as {name}); the table has {_found(frame)}.")
    ways = [{name: given.get(name, name) for name in names} for names in chosen.family.columns if {*given} <= {*names}]
    if not ways:
        raise EffectSizeError(
            f"{chosen.code} is not computed from {listed(list(given))} together; it needs the columns {_ways(chosen)}."
        )
    for places in ways:
        if all(place in frame.columns for place in places.values()):
            return places
    lacking = [
        [name for name, place in places.items() if place not in frame.columns and name not in (had or ())]
        for places in ways
    ]
    there = frame.columns if had is None else ()
    left = [sum(not _instead(name, there) for name in names) for names in lacking]
    nearest = max(range(len(ways)), key=lambda i: (not left[i], len(ways[i]) - left[i], -left[i]))
    missing = lacking[nearest]
    if not missing:
        return ways[nearest]
    raise EffectSizeError(
        f"{chosen.code} needs the columns {_ways(chosen)}; {_missing(missing, there)}. "
        f'The table has {_found(frame)}; name a column as {missing[0]}="its name".'
    )


def _instead(name: str, there: Collection[str]) -> tuple[str, ...]:
    """Name what is there that `harmonise` would put in the place of an SD or a mean change; else nothing."""
    others = ("mean_post", "mean_pre") if name == "mean_change" else (f"se{name[2:]}",) if name.startswith("sd") else ()
    return others if all(other in there for other in others) else ()


def _missing(names: Sequence[str], there: Collection[str]) -> str:
    """Say what is missing, and what `harmonise` would take in its place."""
    taken = {name: _instead(name, there) for name in names if _instead(name, there)}
    says = f"{listed([*names])} {'is' if len(names) == 1 else 'are'} missing"
    others = listed([other for others in taken.values() for other in others])
    return f"{says}, but harmonise() takes {others} in place of {listed([*taken])}" if taken else says


def _ways(chosen: Measure) -> str:
    return " or ".join(" ".join(names) for names in chosen.family.columns)


def _numbers(column: pd.Series, name: str, labels: Sequence[str]) -> Floats:
    try:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    except OverflowError:
        raise EffectSizeError(f"Column {name!r} holds a number beyond 1e308; correct the entry.") from None
    text = np.isnan(numbers) & column.notna().to_numpy()
    if text.any():
        row = int(np.flatnonzero(text)[0])
        raise EffectSizeError(
            f"{labels[row]}: column {name!r} holds {column.iloc[row]!r}, which is not a number; "
            "correct it or leave it empty."
        )
    return np.asarray(numbers)


def computed(
    chosen: Measure,
    inputs: Mapping[str, Floats],
    options: ZeroCells,
    vtype: str | None,
    labels: Sequence[str],
    names: Mapping[str, str] | None = None,
    correction: str = "exact",
) -> tuple[Floats, Floats]:
    """Check the columns, correct zero cells and compute; an effect without a usable variance keeps its value.

    Parameters
    ----------
    chosen : Measure
        What to compute.
    inputs : mapping of str to ndarray
        Its columns, each of shape (k,).
    options : ZeroCells
        Treatment of zero cells.
    vtype : str or None
        Which variance; None for the measure's first.
    labels : sequence of str
        Studies, for messages.
    names : mapping of str to str, optional
        What the columns are called in the user's table, for messages.
    correction : str
        Which small-sample factor, a name in `CORRECTIONS`; without effect on measures that have none.
    """
    return from_prepared(chosen, _prepared(chosen, inputs, options, labels, names or {}), vtype, correction)


def _prepared(
    chosen: Measure,
    inputs: Mapping[str, Floats],
    options: ZeroCells,
    labels: Sequence[str],
    names: Mapping[str, str],
) -> dict[str, Floats]:
    """Do what `prepared` does; the message of an impossible entry names the study and the user's column."""
    try:
        return prepared(chosen, inputs, options)
    except Problem as problem:
        place = names.get(problem.column, problem.column)
        raise EffectSizeError(problem.told(labels[problem.row], place)) from None


def prepared(chosen: Measure, inputs: Mapping[str, Floats], options: ZeroCells) -> dict[str, Floats]:
    """Check the columns of a measure and correct zero cells; an impossible entry raises `Problem`."""
    with np.errstate(all="ignore"):
        return chosen.family.prepare(inputs, chosen, options)


def from_prepared(
    chosen: Measure, ready: Mapping[str, Floats], vtype: str | None, correction: str = "exact"
) -> tuple[Floats, Floats]:
    """Compute effects and variances from what `prepared` returns; what is not usable is NaN."""
    with np.errstate(all="ignore"):
        factor = {} if chosen.df is None else {"factor": CORRECTIONS[correction](chosen.df(ready))}
        yi, vi = chosen.compute(**ready, **factor, vtype=vtype or chosen.vtypes[0])
        known = np.isfinite(yi)
        usable = known & np.isfinite(vi) & (vi > 0)
    return np.where(known, yi, np.nan), np.where(usable, vi, np.nan)


def _warn_missing(
    chosen: Measure, effects: EffectSizes, names: Mapping[str, str], options: ZeroCells, frame: pd.DataFrame
) -> None:
    """Name the studies without a usable variance, each with what is missing or undefined."""
    undefined = undefined_reasons(chosen, effects.inputs, options, effects.yi, effects.vi)
    errors = {name: frame[name].notna().to_numpy() for name in frame.columns if str(name).startswith("se")}
    reasons = {}
    for row in map(int, np.flatnonzero(np.isnan(effects.vi))):
        empty = [names[name] for name, values in effects.inputs.items() if np.isnan(values[row])]
        printed = [name for name, there in errors.items() if there[row]]
        reasons[row] = undefined.get(row) or _missing(empty, printed)
    if reasons:
        warnings.warn(missing_message(chosen, effects.study, reasons, effects.yi), MetailWarning, stacklevel=3)
