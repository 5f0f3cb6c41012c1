"""Unit of analysis: patients who would count twice, in a table that is to be pooled and in trial records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.checks.definition import Finding, Hit, describe, found, of_tables
from metail2.checks.designs import SIZES_ADJUSTED, correlation_given, of_dependent_patients
from metail2.checks.labels import label_texts, record_file, row_of
from metail2.checks.view import Floats, View, Whole
from metail2.checks.wide_views import ARM_QUANTITIES, arm_column
from metail2.records.trial_records import TrialRecords
from metail2.wording import listed, some

Truths = NDArray[np.bool_]

FEWEST_DIGITS = 4
"""Figures of more digits than 4 + 2·log10(rows) do not agree by chance: the pairs of rows grow as their square."""

ARMS = {"2": "control arm", "1": "first arm"}
CELLS = {"1": ("a", "b"), "2": ("c", "d")}
POOL = ("outcome", "timepoint", "population")
FACTS = ("study", *POOL, "row_arm", "cohort")
UP_TO_YEAR = re.compile(r"[^a-zA-Z]*[^\W\d_].*?(?<!\d)(?:19|20)\d\d(?!\d)")
"""A year tells studies of one author apart; one in front of the author does not name a study."""
NO_DIGIT = re.compile(r"\D")
UP_TO_MARK = re.compile(r"[^(,;:]+")
EVENTS = re.compile(r"events[12]?|[abcd]")
COUNTED = re.compile(rf"{EVENTS.pattern}|(?:n|time)[12]?")
TIMES = "(?:[12]|_post|_pre|_change)"
MEANS = re.compile(rf"mean{TIMES}?")
SDS = re.compile(rf"sd{TIMES}?")
STANDARD_ERRORS = re.compile(f"se{TIMES}")
SIZES = re.compile("n[12]?")
MEASURED = re.compile(rf"{MEANS.pattern}|{SDS.pattern}|{SIZES.pattern}")
ANY = re.compile(".*")
"""Columns that the other figures of a row follow from; standard errors tell nothing beside SDs."""
TELLING = ("mean", "median", "value", "events", "percent", "estimate", "fold")
HANDBOOK = "Source: Cochrane Handbook for Systematic Reviews of Interventions, version 6, chapters 6.2 and 23."

SHARED_CONTROL = describe(
    "M080", "warning", "one arm in two comparisons",
    help=f"""Two rows hold the same figures for an arm, because one study compares several treatments with one control,
    or because a study stands under two names. Pooled as if independent, the patients of that arm count twice and the
    interval is too narrow. Found where all printed figures of the arm agree in two rows of one outcome and time, if the
    labels name the same study (up to the year) or the figures hold more digits than chance explains: more than
    {FEWEST_DIGITS} + 2·log10(rows), zeros at the end of whole numbers and figures that follow from counts, or from
    means, SDs and sizes, apart. Combine the treatment arms, split the
    control among them, or keep the comparisons apart with their covariance. Harmless if two studies happen to print the
    same figures. {HANDBOOK}""",
)  # fmt: skip
SAME_FIGURES = describe(
    "M081", "warning", "the same figures in two rows",
    help=f"""Every figure of a row stands in an earlier row too: a study entered twice, under one name or two, or
    figures copied into the wrong row. Found where the rows name the same study or hold more than {FEWEST_DIGITS} +
    2·log10(rows) digits. Percentages, effects, intervals and P values follow from counts, or from means, SDs and
    sizes, so that only the digits of these count where they are there; else those of the effect and of one limit or
    standard error, with one digit for each other figure. Remove one of the rows or correct it. Harmless if two
    small studies happen to have had the same results. Source: Tramèr MR et al., BMJ 1997;315:635–640 (covert
    duplicate publication).""",
)  # fmt: skip
STUDY_TWICE = describe(
    "M082", "warning", "one study in several rows",
    help="""A study has several rows of one outcome, and nothing (time, population) tells them apart. One row a study
    can be pooled; two would count the study twice. Keep one, combine them, or name the rows apart if they are different
    trials. Harmless where the rows are strata with different patients.""",
)  # fmt: skip
SEVERAL_TIMES = describe(
    "M083", "warning", "one study at several times or in several populations",
    help=f"""A study has a row for each of several times, or for intention to treat and per protocol. They are the same
    patients: pool one of them. Choose the time and population for all studies beforehand. {HANDBOOK}""",
)  # fmt: skip
SEVERAL_OUTCOMES = describe(
    "M084", "note", "several outcomes of one study in one table",
    help="""A study has rows of several outcomes. They rest on the same patients, so pool each outcome apart, or use a
    model for dependent effects with their sampling covariance. Harmless where the table is a library of outcomes that
    are pooled one by one.""",
)  # fmt: skip
SAME_COHORT = describe(
    "M085", "warning", "one cohort in several studies",
    help="""Two studies have the same entry in the column cohort: their patients are, or may be, the same. Keep one of
    them in any one pool, usually the one with most patients or with the most complete report. Harmless if the rows
    belong to different outcomes that are pooled apart. Source: Tramèr MR et al., BMJ 1997;315:635–640.""",
)  # fmt: skip
CLUSTERS = describe(
    "M086", "warning", "cluster or crossover design without a correlation",
    help=f"""In a cluster-randomised trial patients of one cluster resemble each other; in a crossover or split-mouth
    trial one patient gives both values. Analysed as if patients were independent, the interval is wrong: too narrow for
    clusters, too wide for crossovers. Found where the column design names such a design (and does not deny it, or say
    that only the first period counts) and no column icc, design_effect or r holds a number for that row. Divide the
    sizes of a cluster trial by 1 + (m − 1)·ICC, or take the authors' adjusted estimate; take the paired difference of a
    crossover. Harmless if the figures are adjusted already: accept the finding with that reason. {HANDBOOK}""",
)  # fmt: skip
SEVERAL_ARMS = describe(
    "M087", "note", "several arms against one control",
    help=f"""A study of the records compares several experimental arms with one control arm. The comparisons share the
    control's patients. harmonise combines the arms unless arms="separate" is asked for, which carries the sampling
    covariance along; entered as independent rows, the control would count several times. {HANDBOOK}""",
)  # fmt: skip
SHARED_COHORT = describe(
    "M088", "note", "studies that may share patients",
    help="""Several studies of the records have the same cohort: they are, or may be, the same patients. harmonise
    refuses to enter two of them into one pool. Choose which one with studies, usually the most complete report.""",
)  # fmt: skip
HAPPENINGS = describe(
    "M089", "note", "happenings counted, not patients",
    help=f"""The records count events of which one patient may have several (unit_kind events). They are no number of
    patients and cannot be divided by one to give a proportion; only a rate over person-time can be had from them.
    {HANDBOOK}""",
)  # fmt: skip


# ---------------------------------------------------------------- tables that are to be pooled


@of_tables
def _counted_twice(view: View) -> Iterator[Hit]:
    """Rows that repeat an earlier row, else arms that repeat an earlier arm, else studies with several rows."""
    facts = label_texts(view, FACTS)
    rows = _earlier(view, facts, list(view.cells))
    arms = {suffix: np.where(rows < 0, _earlier(view, facts, _arm_columns(view, suffix)), -1) for suffix in ARMS}
    for at in np.flatnonzero(rows >= 0).tolist():
        says = f"repeats every figure of {_named(view, rows[at])}; remove one of the rows or correct it"
        yield Hit(SAME_FIGURES, at, "", says)
    for suffix, earlier in arms.items():
        for at in np.flatnonzero(earlier >= 0).tolist():
            yield Hit(SHARED_CONTROL, at, "", _same_arm(view, suffix, at, earlier[at]))
    named = facts[(facts["study"] != "") & facts.duplicated("study", keep=False)]
    yield from _several_rows(view, named, (rows >= 0) | (arms["2"] >= 0))
    yield from _several_outcomes(named)


def _same_arm(view: View, suffix: str, at: int, other: int) -> str:
    figures = ", ".join(f"{q} {view.text(at, q)}" for q in _arm_columns(view, suffix) if view.text(at, q))
    return (
        f"has the same {ARMS[suffix]} ({figures}) as {_named(view, other)}, so its patients count twice; combine the "
        "other arms, split this one, or use the covariance of the comparisons"
    )


def _several_rows(view: View, named: pd.DataFrame, repeats: Truths) -> Iterator[Hit]:
    """Studies with several rows of one outcome, that no time or population, or nothing but these, tells apart."""
    for _, rows in named.groupby(["study", "outcome"], sort=False):
        differ = [name for name in ("timepoint", "population") if rows[name].nunique() > 1]
        same = rows[rows.duplicated(["timepoint", "population", "row_arm"], keep=False) & ~repeats[rows.index]]
        if differ:
            places = _places(view, rows, differ)
            yield Hit(SEVERAL_TIMES, int(rows.index[1]), "", (
                f"stands in {len(rows)} rows, {places}; these are the same patients, so keep one of the rows in a pool"
            ))  # fmt: skip
        if len(same) > 1:
            places = some([f"row {row_of(view, at)}" for at in same.index])
            yield Hit(STUDY_TWICE, int(same.index[1]), "", (
                f"stands in {places}; one outcome has one row a study, so keep one, combine them, or name them apart"
            ))  # fmt: skip


def _several_outcomes(named: pd.DataFrame) -> Iterator[Hit]:
    for _, rows in named.groupby("study", sort=False):
        if rows["outcome"].nunique() > 1:
            outcomes = listed([repr(name) for name in rows["outcome"].unique()])
            second = rows.index[rows["outcome"] != rows["outcome"].iloc[0]][0]
            yield Hit(SEVERAL_OUTCOMES, int(second), "", (
                f"has rows of {outcomes}, which rest on the same patients; pool each outcome apart, or use a model for "
                "dependent effects"
            ))  # fmt: skip


@of_tables
def _cohort_again(view: View) -> Iterator[Hit]:
    if "cohort" not in view.labels:
        return
    facts = label_texts(view, FACTS)
    for (_, cohort), rows in facts[facts["cohort"] != ""].groupby(["outcome", "cohort"], sort=False):
        first = rows.drop_duplicates("study")
        for at in first.index[1:]:
            yield Hit(SAME_COHORT, int(at), "", (
                f"has the cohort {cohort!r} of {_named(view, first.index[0])} too, so the same patients may count "
                "twice; keep one of the two"
            ))  # fmt: skip


@of_tables
def _clusters(view: View) -> Iterator[Hit]:
    if "design" not in view.labels:
        return
    design = label_texts(view, ("design",))["design"]
    for at in np.flatnonzero(of_dependent_patients(design) & ~correlation_given(view, (*SIZES_ADJUSTED, "r"))):
        yield Hit(CLUSTERS, int(at), "", _without_correlation(design.iloc[at]))


def _without_correlation(design: str) -> str:
    return (
        f"has the design {design!r}, but no correlation (icc, design_effect or r) is given, so its patients are taken "
        "as independent; adjust the figures, or accept this if they are adjusted already"
    )


# ---------------------------------------------------------------- helpers of tables


def _arm_columns(view: View, suffix: str) -> list[str]:
    names = (*(arm_column(quantity, suffix) for quantity in ARM_QUANTITIES), *CELLS[suffix])
    return [name for name in names if name in view]


def _earlier(view: View, facts: pd.DataFrame, quantities: Sequence[str]) -> Whole:
    """Find, for every row, the first earlier row with the same figures, -1 where there is none; shape (k,).

    Only rows of one outcome, time and population are compared, and of one arm where a row is an arm; two figures at
    least must be there, and either the studies have one name or the digits are too many to agree by chance.
    """
    if not quantities or not len(view):
        return np.full(len(view), -1)
    figures = np.column_stack([view[name] for name in quantities])
    there = np.isfinite(figures).sum(axis=1) >= 2
    telling = _digits(view, quantities) > FEWEST_DIGITS + 2 * np.log10(len(view))
    # missing figures agree with each other, which NaN would not
    figures_of = map(tuple, np.nan_to_num(figures, nan=np.inf).tolist())
    keys = list(zip(*(facts[name] for name in (*POOL, "row_arm")), figures_of, strict=True))
    names = facts["study"].map(_base)
    of_study = _first(list(zip(names, keys, strict=True)), there & (names != "").to_numpy())
    return np.where(of_study >= 0, of_study, _first(keys, there & telling))


def _first(keys: Sequence[Hashable], among: Truths) -> Whole:
    """First row with the same key among some rows; -1 for that row itself and for all others."""
    seen: dict[Hashable, int] = {}
    first = np.full(len(keys), -1, dtype=np.int64)
    for at in np.flatnonzero(among).tolist():
        earlier = seen.setdefault(keys[at], at)
        first[at] = earlier if earlier != at else -1
    return first


def _digits(view: View, quantities: Sequence[str]) -> Floats:
    """How many telling digits each row holds, without those of figures that follow from others; shape (k,).

    Where there are counts only theirs tell, else those of means, SDs (or standard errors) and sizes. Of an effect, the
    effect and one of the figures of its precision tell, and each other figure one digit, for it is not quite free.
    Beside sizes it tells no more than counts would.
    """
    digits = {name: np.array([_telling(text) for text in view.cells[name].printed]) for name in quantities}
    none = np.zeros((2, len(view)), dtype=np.int64)

    def stack(pattern: re.Pattern[str]) -> Whole:
        return np.vstack([none, *(own for name, own in digits.items() if pattern.fullmatch(name))])

    effects = np.sort(stack(ANY), axis=0)
    alone = effects[-2:].sum(axis=0) + (effects[:-2] > 0).sum(axis=0)
    spreads = np.where(stack(SDS).any(axis=0), 0, stack(STANDARD_ERRORS).sum(axis=0))
    measured = stack(MEASURED).sum(axis=0) + spreads
    found = np.where(stack(MEANS).any(axis=0), measured, np.fmin(alone, _digits_of_counts(view, stack(SIZES))))
    return np.asarray(np.where(stack(EVENTS).any(axis=0), stack(COUNTED).sum(axis=0), found))


def _digits_of_counts(view: View, sizes: Whole) -> Floats:
    """Return the digits that sizes and counts up to them can hold, which an effect of counts cannot exceed; or NaN."""
    if view.measure is not None and view.measure.family.name not in ("two_by_two", "proportion"):
        return np.full(len(view), np.nan)
    totals = [np.log10(np.where(view[name] > 0, view[name], np.nan)) for name in ("n", "n1", "n2")]
    counts = np.nansum(totals, axis=0)
    # arms of one size were planned so: the second tells nothing new
    told = np.where(view["n1"] == view["n2"], sizes.max(axis=0), sizes.sum(axis=0))
    return np.asarray(np.where(counts > 0, told + counts, np.nan))


def _telling(printed: str) -> int:
    whole = "." not in printed and "·" not in printed
    return len(NO_DIGIT.sub("", printed.rstrip("0") if whole else printed).lstrip("0"))


def _base(study: str) -> str:
    """Name a study without what tells its arms apart: "Smith 2001, 5 mg" and "Smith 2001b" are "smith 2001"."""
    found = UP_TO_YEAR.match(study) or UP_TO_MARK.match(study)
    return (found[0] if found else study).strip().casefold()


def _named(view: View, at: int) -> str:
    return f"row {row_of(view, at)} ({view.labels['study'].iloc[at]})"


def _places(view: View, rows: pd.DataFrame, differ: Sequence[str]) -> str:
    told = rows[list(differ)].agg(", ".join, axis=1)
    return some([f"row {row_of(view, at)} ({fact})" for at, fact in told.items()])  # type: ignore[arg-type]


# ---------------------------------------------------------------- trial records


def record_unit_findings(records: TrialRecords) -> Iterator[Finding]:
    """Find what would make patients of trial records count twice.

    Parameters
    ----------
    records : TrialRecords
        A library of figures: only a pool could mix them, so that most findings are notes.

    Yields
    ------
    Finding
        Of M086 (designs), M087 (several arms against one control), M088 (shared cohorts), M089 (happenings); one a
        study or cohort, whose ``study`` is the study_id.
    """
    yield from _record_designs(records)
    yield from _record_arms(records)
    yield from _record_cohorts(records)
    yield from _record_happenings(records)


def _record_designs(records: TrialRecords) -> Iterator[Finding]:
    studies = records.studies
    for study in studies[of_dependent_patients(studies["design"])].to_dict("records"):
        says = _without_correlation(str(study["design"]))
        yield found(CLUSTERS, says, file=record_file(records, "studies"), study=str(study["study_id"]))


def _record_arms(records: TrialRecords) -> Iterator[Finding]:
    """One finding a study in which several experimental arms print an outcome beside one control arm."""
    figures = records.figures[records.figures["statistic"].isin(TELLING)]
    several: dict[str, dict[str, list[str]]] = {}
    for (study, outcome, *_), rows in figures.groupby(["study_id", *POOL], sort=False):
        experimental = list(dict.fromkeys(rows.loc[rows["role"] == "experimental", "arm"]))
        if len(experimental) > 1 and rows.loc[rows["role"] == "control", "arm"].nunique() == 1:
            several.setdefault(str(study), {}).setdefault(str(outcome), experimental)
    for study, outcomes in several.items():
        arms = list(dict.fromkeys(arm for experimental in outcomes.values() for arm in experimental))
        yield found(SEVERAL_ARMS, (
            f"compares {some(arms)} with one control arm in {some(list(outcomes))}, so the comparisons share "
            'patients; combine the arms (as harmonise does) or keep them apart with their covariance (arms="separate")'
        ), file=record_file(records, "outcomes"), study=study)  # fmt: skip


def _record_cohorts(records: TrialRecords) -> Iterator[Finding]:
    outcomes = records.figures[records.figures["statistic"].isin(TELLING)].groupby("study_id")["outcome"].agg(set)
    for cohort, studies in records.studies.groupby("cohort", sort=False):
        first, *others = studies["study_id"]
        if not others:
            continue
        printed = Counter(name for study in (first, *others) for name in outcomes.get(study, ()))
        shared = sorted(name for name, studies_with in printed.items() if studies_with > 1)
        also = f"; more than one of them prints {some(shared)}" if shared else ""
        yield found(SHARED_COHORT, (
            f"may hold the same patients as {some(list(studies['label'])[1:])} (cohort {cohort!r}); enter one of "
            f"them in any one pool{also}"
        ), file=record_file(records, "studies"), study=str(first))  # fmt: skip


def _record_happenings(records: TrialRecords) -> Iterator[Finding]:
    figures = records.figures[records.figures["unit_kind"] == "events"]
    for study, rows in figures.groupby("study_id", sort=False):
        told = [f"{row['printed']} for {row['outcome']} ({row['record_id']})" for row in rows.to_dict("records")]
        yield found(HAPPENINGS, (
            f"counts happenings, not patients: {some(told)}; one patient may have several, so make no proportion of "
            "them"
        ), file=record_file(records, "outcomes"), study=str(study))  # fmt: skip
