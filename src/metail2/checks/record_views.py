"""Trial records as views: the arms that print figures, and the comparisons between arms and between times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from metail2.checks.definition import Finding, describe, found
from metail2.checks.labels import record_file
from metail2.checks.record_counts import derived_counts
from metail2.checks.unit_of_analysis import record_unit_findings
from metail2.checks.units import record_units_findings
from metail2.checks.view import Cells, View, Whole
from metail2.checks.wide_views import arm_column
from metail2.records.schema import VALUE_STATISTICS
from metail2.records.selection import BEFORE
from metail2.records.trial_records import TrialRecords

WHEN = ("study_id", "outcome", "timepoint", "population")
ARM = (*WHEN, "arm")
TELLING = ("mean", "median", "value", "events", "percent", "estimate", "fold")
"""Statistics whose unit is that of their entry, the most telling first."""
CONTRASTS = {"p_value": "p", "ci_low": "ci_lower", "ci_high": "ci_upper"}
"""Statistics that comparisons call otherwise."""
PARTS = ("value", "printed", "row", "column")
VALUE = "value"
"""Column of ``outcomes.csv`` that every figure stands in."""

TWICE = describe(
    "M067", "warning", "a figure entered twice",
    help="""The same statistic of the same study, outcome, arm, time and population stands in two rows of the records.
    harmonise refuses such an arm, and the checks look at the first of the figures only. Keep one, or say what tells
    them apart: another time, population, arm or outcome.""",
)  # fmt: skip


def record_arms(records: TrialRecords) -> View:
    """Return the arms of trial records.

    Parameters
    ----------
    records : TrialRecords
        From `load_records` or `read_records`.

    Returns
    -------
    View
        One entry a study, outcome, arm, time and population, in the order of the file. Quantities are named as in a
        plain table (``mean_lower mean_upper`` for the interval of a mean); statistics that it does not know keep their
        names (``value fold range_low``). Happenings, of which one patient may have several, are ``happenings``, not
        ``events``. A figure with a sign of inequality has no value, but its printed text. Rows count as in a
        spreadsheet, the header being row 1.
    """
    figures = _figures(records)
    own = figures[(figures["role"] != "contrast") & (figures["statistic"] != "p_value")]
    entries = own.groupby(list(ARM), sort=False)
    entry = np.asarray(entries.ngroup(), dtype=np.int64)
    with_mean = set(entry[own["statistic"] == "mean"])
    names = own["statistic"].where(~((own["statistic"] == "events") & (own["unit_kind"] == "events")), "happenings")
    of_mean = np.array([at in with_mean for at in entry], dtype=bool)
    names = names.mask(of_mean & (names == "ci_low"), "mean_lower").mask(of_mean & (names == "ci_high"), "mean_upper")
    cells = _cells(own, names, entry, entries.ngroups)
    return View(record_file(records, "outcomes"), _labels(records, own, entry), cells)


def record_comparisons(records: TrialRecords) -> View:
    """Return the comparisons of trial records.

    Parameters
    ----------
    records : TrialRecords
        From `load_records` or `read_records`.

    Returns
    -------
    View
        One entry an experimental arm against each control arm (``mean1 … n2``) of a study, outcome, time and
        population; one an arm's time after baseline against its baseline (``mean_pre … mean_post … n``), with the
        printed change (``mean_change``); and one for each printed contrast or P value that belongs to none of these.
        What is printed for the contrast is ``estimate ci_lower ci_upper p``. Where a P value is printed for counts
        that are not, they are found as in `harmonise`: such figures have no printed text, the label ``counts`` says
        what they rest on, and ``splits`` holds other splits of the total that print the same percentages.
    """
    arms, contrasts = record_arms(records), _contrasts(records)
    frame = _entries(arms, contrasts)
    cells: dict[str, Cells] = {}
    for suffix, side in {"1": "first", "2": "second", "_pre": "pre", "_post": "post", "_change": "change"}.items():
        chosen = frame[side].to_numpy()
        cells |= {arm_column(name, suffix): _taken(own, chosen) for name, own in arms.cells.items()}
    cells |= {name: _taken(own, frame["contrast"].to_numpy()) for name, own in contrasts.cells.items()}
    cells["n_total"] = _taken(arms.cells["n"], frame["both"].to_numpy()) if "n" in arms else _none(len(frame))
    cells["n"] = _first_printed([cells.get(name, _none(len(frame))) for name in ("n_post", "n_change", "n_pre")])
    cells = {name: own for name, own in cells.items() if (own.printed != "").any()}
    whole = View(record_file(records, "outcomes"), _comparison_labels(frame, arms, contrasts), cells)
    return derived_counts(records, whole)


def record_findings(records: TrialRecords) -> Iterator[Finding]:
    """Find what concerns the records as a whole: double entries, the unit of analysis, units.

    Parameters
    ----------
    records : TrialRecords
        From `load_records` or `read_records`.

    Yields
    ------
    Finding
        In no special order.
    """
    yield from _entered_twice(records)
    yield from record_unit_findings(records)
    yield from record_units_findings(records)


def _entered_twice(records: TrialRecords) -> Iterator[Finding]:
    figures, file = _figures(records), record_file(records, "outcomes")
    key = [*ARM, "role", "statistic"]
    again = figures[figures.duplicated(key)]
    first = figures.drop_duplicates(key).set_index(key)
    for one in again.to_dict("records"):
        before = first.loc[tuple(one[name] for name in key)]
        yield found(TWICE, (
            f"holds {one['statistic']} {one['printed']} of {one['outcome']} ({one['arm']}, {one['timepoint']}), which "
            f"row {before['row']} gives as {before['printed']}; keep one or say what tells them apart"
        ), file=file, row=int(one["row"]), study=str(one["study_id"]), column=VALUE)  # fmt: skip


# ---------------------------------------------------------------- figures


def _figures(records: TrialRecords) -> pd.DataFrame:
    """Return the figures with their rows; those of no stated population belong to every one that is named."""
    columns = [*ARM, "role", "statistic", "value", "printed", "qualifier", "unit", "unit_kind"]
    figures = records.figures[columns].reset_index(drop=True)
    bound = figures["qualifier"] != ""
    rows = records.figure_rows
    figures["row"] = figures.index + 2 if rows is None else rows
    figures["value"] = figures["value"].where(~bound)
    figures["printed"] = figures["qualifier"] + figures["printed"].str.replace("−", "-")
    nowhere = figures["population"] == ""
    named = figures.loc[~nowhere & (figures["role"] != "contrast"), list(WHEN)].drop_duplicates()
    joined = figures[nowhere].merge(named, on=list(WHEN[:3]), how="left", suffixes=("", "_named"))
    joined["population"] = joined.pop("population_named").fillna("")
    return pd.concat([figures[~nowhere], joined]).sort_values("row", kind="stable", ignore_index=True)


def _contrasts(records: TrialRecords) -> View:
    """Return what is printed for contrasts: between arms, or between times of one arm; an entry each."""
    figures = _figures(records)
    own = figures[(figures["role"] == "contrast") | (figures["statistic"] == "p_value")]
    entries = own.groupby([*ARM, "role"], sort=False)
    entry = np.asarray(entries.ngroup(), dtype=np.int64)
    names = own["statistic"].replace(CONTRASTS)
    return View(
        record_file(records, "outcomes"), _labels(records, own, entry), _cells(own, names, entry, entries.ngroups)
    )


def _cells(figures: pd.DataFrame, names: pd.Series, entry: Whole, m: int) -> dict[str, Cells]:
    """Put each figure in its entry; of two with one name the first is taken."""
    found = {}
    for name in names.unique():
        mine = np.flatnonzero((names == name).to_numpy())[::-1]
        at, rows = entry[mine], figures.iloc[mine]
        cells = _none(m)
        cells.value[at], cells.printed[at], cells.row[at] = rows["value"], rows["printed"], rows["row"]
        cells.column[at] = VALUE
        found[str(name)] = cells
    return found


def _none(m: int) -> Cells:
    empty = np.full(m, "", dtype=object)
    return Cells(np.full(m, np.nan), empty, np.zeros(m, dtype=np.int64), empty.copy())


def _taken(cells: Cells, index: Whole) -> Cells:
    """Cells of other entries, in their order; none where the index is −1."""
    none, there = _none(len(index)), index >= 0
    for name in PARTS:
        getattr(none, name)[there] = getattr(cells, name)[index[there]]
    return none


def _first_printed(choices: Sequence[Cells]) -> Cells:
    """Take each cell from the first of several that prints one."""
    first, *others = choices
    for other in others:
        empty = first.printed == ""
        first = Cells(*(np.where(empty, getattr(other, name), getattr(first, name)) for name in PARTS))
    return first


def _labels(records: TrialRecords, figures: pd.DataFrame, entry: Whole) -> pd.DataFrame:
    """Return one row an entry: its key, role and study, and the unit of its most telling figure."""
    rank = figures["statistic"].map({name: k for k, name in enumerate(TELLING)}).fillna(len(TELLING))
    first = figures.assign(entry=entry, rank=rank).drop_duplicates("entry").sort_values("entry")
    telling = figures.assign(entry=entry, rank=rank).sort_values(["entry", "rank"], kind="stable")
    unit = telling.drop_duplicates("entry")[["unit", "unit_kind"]]
    labels = first[[*ARM, "role"]].reset_index(drop=True).join(unit.reset_index(drop=True))
    studies = records.studies.set_index("study_id").reindex(columns=["cohort", "design"])
    return labels.join(studies, on="study_id").rename(columns={"study_id": "study"})


# ---------------------------------------------------------------- comparisons


def _entries(arms: View, contrasts: View) -> pd.DataFrame:
    """Return one row a comparison: which arms it is made of and which contrast is printed for it, −1 for none."""
    between, within = _between_arms(arms), _between_times(arms)
    p = _keyed(contrasts)
    of_arms, of_times = p[p["role"] == "contrast"], p[p["role"] != "contrast"]
    when = ["study", "outcome", "timepoint", "population"]
    one = _attached(between, of_arms, [*when, "arm"])
    one = _attached(one, of_arms, when)
    two = _attached(within, of_times, [*when, "arm"])
    two = _attached(two, of_times[of_times["timepoint"] == "change"], ["study", "outcome", "population", "arm"])
    joined = pd.concat([one, two], ignore_index=True)
    alone = p.loc[~p["contrast"].isin(joined["contrast"]), ["contrast"]]
    sides = ["first", "second", "both", "pre", "post", "change", "contrast"]
    return pd.concat([joined, alone]).reindex(columns=sides).fillna(-1).astype(np.int64).reset_index(drop=True)


def _keyed(view: View) -> pd.DataFrame:
    columns = ["study", "outcome", "timepoint", "population", "arm", "role"]
    return view.labels[columns].assign(contrast=np.arange(len(view)))


def _between_arms(arms: View) -> pd.DataFrame:
    """Every experimental arm beside every control arm of the same outcome, time and population."""
    keyed = _keyed(arms)
    when = ["study", "outcome", "timepoint", "population"]
    experimental = keyed[keyed["role"] == "experimental"].rename(columns={"contrast": "first"})
    control = keyed[keyed["role"] == "control"].rename(columns={"contrast": "second"})
    both = keyed[keyed["role"] == "both"].rename(columns={"contrast": "both"}).drop_duplicates(when)
    pairs = experimental.merge(control[[*when, "second"]], on=when).merge(both[[*when, "both"]], on=when, how="left")
    return pairs.drop(columns="role")


def _between_times(arms: View) -> pd.DataFrame:
    """Every time after baseline of an arm beside its baseline, where both tell a mean or median, or its change."""
    keyed = _keyed(arms)
    values = np.zeros(len(arms), dtype=bool)
    for name in VALUE_STATISTICS:
        values |= ~np.isnan(arms[name])
    told = keyed[values & ~keyed["role"].isin(["both", "contrast"])].drop(columns="role")
    key = ["study", "outcome", "population", "arm"]
    pre = told[told["timepoint"] == BEFORE[0]].rename(columns={"contrast": "pre"})
    change = told[told["timepoint"] == "change"].rename(columns={"contrast": "change"})
    post = told[~told["timepoint"].isin([*BEFORE, "change"])].rename(columns={"contrast": "post"})
    pairs = post.merge(pre[[*key, "pre"]], on=key)
    pairs["single"] = ~pairs.duplicated(key, keep=False)
    single = pairs[pairs["single"]].merge(change[[*key, "change"]], on=key)
    pairs = pairs.merge(single[["post", "change"]], on="post", how="left")
    alone = change[~change["change"].isin(single["change"])]
    return pd.concat([pairs.drop(columns="single"), alone], ignore_index=True)


def _attached(comparisons: pd.DataFrame, contrasts: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Add the contrast printed for each comparison where the key names one of each, and none was found before."""
    if "contrast" not in comparisons:
        comparisons = comparisons.assign(contrast=-1)
    free = contrasts[~contrasts["contrast"].isin(comparisons["contrast"])].drop_duplicates(list(key), keep=False)
    alone = ~comparisons.duplicated(list(key), keep=False)
    found = comparisons[list(key)].merge(free[[*key, "contrast"]], on=list(key), how="left")["contrast"]
    use = alone.to_numpy() & (comparisons["contrast"].to_numpy() < 0) & found.notna().to_numpy()
    return comparisons.assign(contrast=np.where(use, found, comparisons["contrast"]).astype(np.int64))


def _comparison_labels(frame: pd.DataFrame, arms: View, contrasts: View) -> pd.DataFrame:
    """Return labels of the arm that a comparison is about, and the arm that it is compared with (or nothing)."""
    about = frame[["first", "post", "change"]].max(axis=1).to_numpy()
    own, other = arms.labels.reindex(about), contrasts.labels.reindex(frame["contrast"])
    labels = {name: np.where(about >= 0, own[name], other[name]) for name in own.columns}
    control = arms.labels["arm"].reindex(frame["second"]).fillna("").to_numpy()
    return pd.DataFrame({**labels, "control": control})
