"""Counts that trial records do not print but their percentages determine, found as harmonise finds them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metail2.checks.view import Cells, View
from metail2.conversions import splits_from_percents
from metail2.errors import RecordError
from metail2.records.selection import Cell, Selection
from metail2.records.tallies import Tally, arm_tallies
from metail2.records.trail import ASSUMED, Figure, Trail
from metail2.records.trial_records import TrialRecords
from metail2.wording import listed

WHEN = ("study", "outcome", "timepoint", "population")
COUNTS = ("events1", "n1", "events2", "n2")
Label = Mapping[Hashable, object]
Splits = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Counts of one comparison: events1, n1, events2, n2, what they rest on, and other splits that print alike."""

    counts: tuple[float, float, float, float]
    how: str
    splits: Splits


def derived_counts(records: TrialRecords, view: View) -> View:
    """Add the counts that a comparison does not print but its percentages determine.

    Parameters
    ----------
    records : TrialRecords
        Where the view comes from.
    view : View
        Comparisons, from `record_views`.

    Returns
    -------
    View
        Only for studies, outcomes and populations with a printed P value is anything worked out. Such a count has no
        printed text and stands where the percentage (or the events) of its arm stands. The labels get two columns:
        ``counts``, what the counts of an entry rest on (empty if they are printed), and ``splits``, other splits of the
        total with the same percentages where the sizes of the arms were assumed.
    """
    found = dict(_found(records, view))
    labels = view.labels.assign(
        counts=[found[at].how if at in found else "" for at in range(len(view))],
        splits=pd.Series([found[at].splits if at in found else () for at in range(len(view))], dtype=object),
    )
    if not found:
        return replace(view, labels=labels)
    rows = np.array(list(found), dtype=np.int64)
    values = np.array([entry.counts for entry in found.values()]).T
    cells = {name: _filled(view, name, rows, new) for name, new in zip(COUNTS, values, strict=True)}
    return replace(view, labels=labels, cells={**view.cells, **cells})


def _filled(view: View, name: str, rows: np.ndarray, new: np.ndarray) -> Cells:
    """Put counts into the entries that print none; the place is that of the arm's percentage or events."""
    m, suffix = len(view), name[-1]
    empty = np.full(m, "", dtype=object)
    old = view.cells.get(name) or Cells(np.full(m, np.nan), empty, np.zeros(m, dtype=np.int64), empty)
    missing = rows[np.isnan(old.value[rows])]
    value, row, column = old.value.copy(), old.row.copy(), old.column.copy()
    value[missing] = new[np.isnan(old.value[rows])]
    for other in (f"events{suffix}", f"percent{suffix}"):
        if other in view:
            here = missing[view.cells[other].printed[missing] != ""]
            row[here], column[here] = view.cells[other].row[here], view.cells[other].column[here]
    return Cells(value, old.printed, row, column)


def _found(records: TrialRecords, view: View) -> Iterator[tuple[int, Found]]:
    """Work out every entry that lacks counts and whose outcome prints a P value."""
    if "p" not in view:
        return
    keys = view.labels["study"].str.cat(view.labels[["outcome", "population"]], sep="\n").to_numpy()
    tested = np.isin(keys, keys[view.cells["p"].printed != ""])
    told = [~np.isnan(view[f"percent{suffix}"]) | ~np.isnan(view[f"events{suffix}"]) for suffix in "12"]
    lacking = np.isnan(np.sum([view[name] for name in COUNTS], axis=0))
    rows = np.flatnonzero(tested & told[0] & told[1] & lacking)
    arms = 1 + view.labels[view.labels["control"] != ""].groupby(list(WHEN))["arm"].nunique()
    parts = _parts(records, view.labels["study"].iloc[rows])
    for at, label in zip(map(int, rows), view.labels.iloc[rows].to_dict("records"), strict=True):
        part, outcome = parts[str(label["study"])], str(label["outcome"])
        # the arms come from the view; of the rows only those of both arms together are asked for
        together = part.figures[(part.figures["role"] == "both") & (part.figures["outcome"] == outcome)]
        selection = Selection(part, str(label["study"]), outcome, together)
        entry = _of_study(view, at, label, selection, int(arms[tuple(label[name] for name in WHEN)]))
        if entry is not None:
            yield at, entry


def _parts(records: TrialRecords, studies: pd.Series) -> dict[str, TrialRecords]:
    """Records of one study each, so that looking into them does not take longer the more studies there are."""
    figures, rows = (
        dict(list(table[table["study_id"].isin(studies)].groupby("study_id")))
        for table in (records.figures, records.studies)
    )
    return {str(name): replace(records, studies=rows[name], figures=own) for name, own in figures.items()}


def _of_study(view: View, at: int, label: Label, selection: Selection, total: int) -> Found | None:
    """Counts of one comparison with the printed sizes, or else with those of an equal allocation."""
    arms, both = [_cell(view, at, label, suffix) for suffix in "12"], _cell(view, at, label, "_total")
    for sizes in ("printed", "allocation"):
        trail, printed = Trail(""), both if both.figures else None
        try:
            tallies = arm_tallies(arms, printed, selection, [trail, trail], ["1", "2"], sizes, total)
        except RecordError:
            continue
        return Found(_counts(tallies), _how(arms, both, trail), _splits(arms, both, sizes))
    return None


def _cell(view: View, at: int, label: Label, suffix: str) -> Cell:
    """What one arm (or, with the suffix _total, the arms together) prints, as harmonise reads it."""
    figures = {}
    for name in ("n", "events", "percent"):
        printed = view.text(at, name + suffix) if name + suffix in view else ""
        if printed:
            sign, digits = printed[: -len(printed.lstrip("<>="))], printed.lstrip("<>=")
            figures[name] = Figure(float(view[name + suffix][at]), digits, "", "", sign)
    arm, role = {"1": (label["arm"], "experimental"), "2": (label["control"], "control")}.get(suffix, ("both", "both"))
    return Cell("", str(arm), role, str(label["timepoint"]), figures, population=str(label["population"]) or None)


def _counts(tallies: list[Tally]) -> tuple[float, float, float, float]:
    one, two = tallies
    return one.events, one.n, two.events, two.n


def _how(arms: list[Cell], both: Cell, trail: Trail) -> str:
    """Say on what counts rest: "derived from 68 and 58 %, assuming that 1:1 allocation gave arms of equal size"."""
    steps = trail.frame()
    percents = [arm["percent"].printed for arm in arms if not arm.has("events")]
    source = f" from {listed(percents)} %" if percents else ""
    if percents and both.has("n") and not any(arm.has("n") for arm in arms):
        source += f" of {both['n'].printed}"
    assumed = list(dict.fromkeys(steps.loc[steps["basis"] == ASSUMED, "assumption"]))
    return f"derived{source}" + (f", assuming that {listed(assumed)}" if assumed else "")


def _splits(arms: list[Cell], both: Cell, sizes: str) -> Splits:
    """List the splits of the total that print the same percentages, where the sizes of the arms were assumed."""
    if sizes == "printed" or not both.has("n") or not all(arm.has("percent") for arm in arms):
        return ()
    one, two = (arm["percent"].printed for arm in arms)
    found = splits_from_percents(one, two, int(both["n"].value))
    return tuple((split.events1, split.n1, split.events2, split.n2) for split in found)
