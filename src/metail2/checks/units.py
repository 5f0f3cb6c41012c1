"""Units: percentage points, percentage change, fold, counts, scores and doses that must not be mixed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pandas as pd

from metail2.checks.definition import Finding, Hit, describe, found, of_tables
from metail2.checks.labels import label_texts, record_file, row_of
from metail2.checks.view import View
from metail2.records.trial_records import TrialRecords
from metail2.records.units import WORDS
from metail2.wording import listed, some

WITH_UNIT = ("MD", "MC", "GEN")
"""Measures in the unit of the figures, which must be one unit; all others divide by an SD or a mean, or count."""

SPELLINGS: Mapping[str, str] = {
    "percentage_points": r"per ?cent(age)?[- ]?points?|%[- ]?points?|\bpp\b|points? of %",
    "percent_change": r"(%|per ?cent(age)?) ?(change|increase|decrease|reduction|rise|fall)|relative change",
    "fold": r"\bfold\b|(\btimes|\bmultiple of|×|\bx) ?(the )?baseline",
    "count": r"\bcells? ?(/|per )|/ ?mm\^?[3³]|10\^?\d+ ?/|10[⁰¹²³⁴⁵⁶⁷⁸⁹]+ ?/",
    "percent": r"%|\bper ?cent",
}
"""How units of each kind are written, the first that fits; whatever fits none is a unit of its own."""

NAME_OF_UNIT = re.compile(r"_(?:count|number|fold|pct|percent|percentage|fraction|change|points|ratio)(?:_.*)?$")
NO_VALUE = ("n", "p_value", "events", "percent")
NO_VALUE_KIND = ("patients", "events", "probability", "dose")
NEVER = "Percentage points, percentage change, fold and counts are different units and never enter one mean difference."

KINDS = describe(
    "M090", "warning", "different kinds of unit in one outcome",
    help=f"""The column unit (or unit_kind) names percentage points in one row and percentage change, a fold, a count or
    a plain percentage in another row of the same outcome. {NEVER} Found by how the units are written. Split the
    outcome, or bring all studies to one kind from their raw figures. Harmless only where the rows are never pooled.
    Source: Cochrane Handbook, chapter 6.5.""",
)  # fmt: skip
UNITS = describe(
    "M091", "warning", "one outcome in two units",
    help="""The column unit differs within one outcome, as kg and lb or two versions of a scale do. A mean difference
    needs one unit. Convert the figures, or choose a standardised measure or a ratio of means; with these measures the
    finding does not appear. Harmless where the two spellings mean one unit: write them alike.""",
)  # fmt: skip
RECORD_KINDS = describe(
    "M092", "note", "one quantity in different kinds of unit",
    help=f"""Studies of the records print one quantity in kinds of unit that never mix. {NEVER} Found within an outcome,
    and between outcomes whose names differ only in what follows the quantity (treg_count, treg_fold, treg_pct_cd4).
    harmonise refuses to put them together; each kind is a question of its own. Nothing is to be corrected.""",
)  # fmt: skip
RECORD_UNITS = describe(
    "M093", "note", "one outcome in two units",
    help="""Studies of the records print one outcome in units of one kind that are written differently, such as two
    versions of a score. harmonise refuses to take differences of means together. If the spellings mean one unit, write
    them alike; else use a standardised measure or a ratio, or harmonise them apart.""",
)  # fmt: skip
DOSES = describe(
    "M094", "note", "doses in several units",
    help="""Doses are given in more than one unit, such as MIU and MIU/m2, whose numbers cannot be compared: a body of
    1.7 m2 gets 1.7 times as much. Do not use the dose as a moderator, or order studies by it, across the units.""",
)  # fmt: skip
ARM_DOSE = describe(
    "M096", "warning", "a dose that its study does not give",
    help="""The dose of an arm lies outside the lowest and highest dose of its study, or is in another unit. The columns
    mean one administration in both tables. Correct the arm or the study. Harmless where the study's row leaves out an
    arm on purpose.""",
)  # fmt: skip
FAR_DOSE = describe(
    "M097", "warning", "a dose a thousand times that of the others",
    help="""A study's dose is at least 1000 times, or at most a thousandth of, the median of the other studies in the
    same unit, as IU written for MIU are. Correct the dose or its unit. Harmless if the dose is as printed.""",
)  # fmt: skip
FAR = 1000.0


# ---------------------------------------------------------------- plain tables


@of_tables
def _mixed_units(view: View) -> Iterator[Hit]:
    """Kinds that never mix, else two units of one kind; one hit an outcome, at the first row that differs."""
    if not {"unit", "unit_kind"} & {*view.labels}:
        return
    facts = _facts(view)
    for _, rows in facts[facts["unit"] != ""].groupby("outcome", sort=False):
        kinds = rows[rows["kind"] != ""]
        if kinds["kind"].nunique() > 1:
            yield Hit(KINDS, *_difference(view, kinds, "kind", "these never mix, so pool them apart"))
        elif rows["spelt"].nunique() > 1 and (view.measure is None or view.measure.code in WITH_UNIT):
            says = "convert one of them, or use a standardised measure or a ratio"
            yield Hit(UNITS, *_difference(view, rows, "spelt", says))


@of_tables
def _mixed_doses(view: View) -> Iterator[Hit]:
    if "dose_unit" not in view.labels:
        return
    facts = _facts(view)
    rows = facts[facts["dose_unit"] != ""]
    if rows["dose_unit"].nunique() > 1:
        yield Hit(
            DOSES, *_difference(view, rows.assign(unit=rows["dose_unit"]), "dose_unit", "do not compare the doses")
        )


def _facts(view: View) -> pd.DataFrame:
    table = label_texts(view, ("study", "outcome", "unit", "unit_kind", "dose_unit"))
    table["unit"] = table["unit"].where(table["unit"] != "", table["unit_kind"].map(lambda kind: WORDS.get(kind, kind)))
    return table.assign(
        kind=table["unit_kind"].where(table["unit_kind"] != "", table["unit"].map(unit_kind)),
        spelt=table["unit"].map(spelt_alike),
    )


def _difference(view: View, rows: pd.DataFrame, column: str, advice: str) -> tuple[int, str, str]:
    """Place and words of a difference: the first row whose `column` is not that of the first row."""
    first = rows.index[0]
    other = rows.index[rows[column] != rows.at[first, column]][0]
    units, study = rows["unit"].astype(str), str(rows.at[first, "study"])
    says = f"is in {units[other]!r}, but row {row_of(view, int(first))} ({study}) in {units[first]!r}"
    return int(other), "", f"{says}; {advice}"


def unit_kind(unit: str) -> str:
    """Tell from its words which kind a unit is of; empty where it is none of `SPELLINGS`.

    >>> unit_kind("percentage points of CD4+"), unit_kind("% of CD4+"), unit_kind("mm Hg")
    ('percentage_points', 'percent', '')
    """
    return next((kind for kind, words in SPELLINGS.items() if re.search(words, unit, re.IGNORECASE)), "")


def spelt_alike(unit: str) -> str:
    """Write a unit so that spellings of one unit agree: cases, spaces and the three letters for micro."""
    return re.sub(r"\s+", "", unit).casefold().replace("µ", "u").replace("μ", "u")


# ---------------------------------------------------------------- trial records


def record_units_findings(records: TrialRecords) -> Iterator[Finding]:
    """Find units of trial records that a pool must not mix, and doses that do not fit.

    Parameters
    ----------
    records : TrialRecords
        A library of figures: only a pool could mix them.

    Yields
    ------
    Finding
        Of M092 to M094 (one a quantity, outcome or kind of dose, for the whole records), M096 and M097 (one an arm or
        study).
    """
    values = _values(records)
    yield from _record_kinds(records, values)
    yield from _record_units(records, values)
    yield from _record_doses(records)
    yield from _arm_doses(records)
    yield from _far_doses(records)


def _values(records: TrialRecords) -> pd.DataFrame:
    """Figures that are measured in a unit, with the label of their study and the quantity that is measured."""
    figures = records.figures
    measured = ~figures["statistic"].isin(NO_VALUE) & ~figures["unit_kind"].isin(NO_VALUE_KIND)
    names = records.studies.set_index("study_id")["label"]
    chosen = figures[measured]
    return chosen.assign(
        study=chosen["study_id"].map(names), quantity=chosen["outcome"].str.replace(NAME_OF_UNIT, "", regex=True)
    )


def _record_kinds(records: TrialRecords, values: pd.DataFrame) -> Iterator[Finding]:
    for quantity, rows in values.groupby("quantity", sort=False):
        if rows["unit_kind"].nunique() > 1:
            outcomes = listed(sorted(set(rows["outcome"])))
            told = _by(rows, rows["unit_kind"].map(lambda kind: WORDS.get(kind, kind)))
            yield found(RECORD_KINDS, f"{quantity} ({outcomes}) is printed as {told}; these never mix, so harmonise "
                        "them apart", file=record_file(records, "outcomes"))  # fmt: skip


def _record_units(records: TrialRecords, values: pd.DataFrame) -> Iterator[Finding]:
    for (outcome, _), rows in values.groupby(["outcome", "unit_kind"], sort=False):
        spelt = rows["unit"].map(spelt_alike)
        if spelt.nunique() > 1:
            told = _by(rows, rows["unit"].map(repr))
            yield found(RECORD_UNITS, f"{outcome} is printed in {told}; use a standardised measure or a ratio, or "
                        "harmonise them apart", file=record_file(records, "outcomes"))  # fmt: skip


def _by(rows: pd.DataFrame, words: pd.Series) -> str:
    """List what is printed, each with its studies: "a fold change (Louapre 2023) and a score (He 2020)"."""
    studies = rows["study"].groupby(words, sort=False).unique()
    return listed([f"{word} ({some(list(names))})" for word, names in zip(studies.index, studies, strict=True)])


def _record_doses(records: TrialRecords) -> Iterator[Finding]:
    dosed = records.studies[records.studies["dose_low"].notna()]
    counts = dosed["dose_unit"].value_counts(sort=False)
    if len(counts) > 1:
        told = listed([f"{unit} in {k} {'study' if k == 1 else 'studies'}" for unit, k in counts.items()])
        yield found(
            DOSES, f"doses are given in {told}; do not compare them as numbers", file=record_file(records, "studies")
        )


def _arm_doses(records: TrialRecords) -> Iterator[Finding]:
    """Arms whose dose is not among those of their study; an arm without the drug has the dose 0."""
    columns = ["study_id", "dose_low", "dose_high", "dose_unit"]
    arms = records.figures.loc[records.figures["dose_high"] > 0, [*columns, "arm"]].drop_duplicates()
    both = arms.merge(records.studies[columns], on="study_id", suffixes=("", "_study"))
    both = both[both["dose_low_study"].notna() & both["dose_high_study"].notna()]
    for row in both.to_dict("records"):
        lowest, highest = row["dose_low_study"], row["dose_high_study"]
        if row["dose_unit"] == row["dose_unit_study"] and row["dose_low"] >= lowest and row["dose_high"] <= highest:
            continue
        yield found(ARM_DOSE, (
            f"gives {_range(row['dose_low'], row['dose_high'])} {row['dose_unit']} in arm {row['arm']}, but its row in "
            f"the table of studies {_range(lowest, highest)} {row['dose_unit_study']}; correct one of the two"
        ), file=record_file(records, "outcomes"), study=str(row["study_id"]))  # fmt: skip


def _far_doses(records: TrialRecords) -> Iterator[Finding]:
    dosed = records.studies[records.studies["dose_high"] > 0]
    for unit, rows in dosed.groupby("dose_unit"):
        for at, dose in rows["dose_high"].items():
            others = rows["dose_high"].drop(at).median()
            if dose >= FAR * others or dose <= others / FAR:
                yield found(FAR_DOSE, (
                    f"has a dose of {dose:g} {unit}, but the others a median of {others:g} {unit}; check the unit"
                ), file=record_file(records, "studies"), study=str(rows.at[at, "study_id"]))  # fmt: skip


def _range(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
