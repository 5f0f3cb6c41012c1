"""Study data as RevMan's templates and Covidence's export hold them: one row an arm of a study.

The columns of the study results file are those of RevMan's study-data CSV (Study, Outcome, Data type, Effect measure,
Arm, Reference arm, Sample size, Cases, Mean, SD, SE, Variance, CI level, …; public programs that write such files,
2026), those of the study arms file Study, Arm, Description, Intervention. A row with a reference arm is a contrast:
"Mean" on the analysed scale with "SE" (or the interval), or "Exp mean" with its interval as ratios. Unverified: whether
"Variance" of an arm is that of the mean or of the people (it is not used), and the t, z and P columns (not used).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pandas as pd

from metail2.conversions.arms import combine_events, combine_means
from metail2.errors import EffectSizeError, MetailWarning, RecordError
from metail2.kernels.inference import quantile
from metail2.records.files import Table
from metail2.records.reviews.archive import Members
from metail2.records.reviews.impossible import impossible_reasons
from metail2.records.reviews.review import RATIOS, Analysis, Review, Settings
from metail2.records.reviews.tables import Line, study_table, totals_table
from metail2.records.reviews.words import level, measure_code
from metail2.wording import listed

RESULTS = "study-results.csv"
ARMS = "study-arms.csv"
NEEDED = ("Study", "Outcome", "Data type", "Arm")
COLUMNS: Mapping[str, str] = {"events": "Cases", "n": "Sample size", "mean": "Mean", "sd": "SD", "sei": "SE"}
PARTS = {"Dichotomous": ("events", "n"), "Continuous": ("mean", "sd", "n")}
KINDS = {"Dichotomous": "dichotomous", "Continuous": "continuous"}
DEFAULT = {"Dichotomous": ("Risk Ratio", "RR"), "Continuous": ("Mean Difference", "MD")}
"""The template names no measure of data given by arm; these are RevMan's most used ones."""


@dataclass(frozen=True, slots=True)
class _Arm:
    """One arm of one study, as given or combined of several."""

    line: Line
    intervention: str
    name: str
    figures: Mapping[str, float]


_Row = tuple[int, Mapping[str, str]]
Interventions = Mapping[tuple[str, str], str]
"""(study, arm) → intervention."""


def read_study_data(members: Members) -> Review:
    """Read study results, and the study arms beside them, as analyses of two interventions each.

    An analysis is an outcome with a pair of interventions that at least one study compares. The template names no
    control: arm 1 is the intervention whose row comes first in the file, and `Settings.arms` names both. Arms of a
    study that have the same intervention are combined, with a warning.

    Parameters
    ----------
    members : Members
        Files, of which one ends in ``study-results.csv`` and one may end in ``study-arms.csv``; without it an arm is
        its own intervention.

    Raises
    ------
    RecordError
        If a column is missing, or there is no row; or the first entry that cannot be.
    """
    table = members.table(RESULTS)
    missing = [name for name in NEEDED if name not in table.cells.columns]
    if missing:
        raise RecordError(f"{table.file} has no column {missing[0]!r}, so it is no file of study results.")
    interventions = _interventions(members) if members.name(ARMS) is not None else {}
    analyses = [
        replace(analysis, number=f"1.{place}")
        for place, analysis in enumerate(_analyses(table, interventions), start=1)
    ]
    if not analyses:
        raise RecordError(f"{table.file} compares no two arms of a study, so there is nothing to analyse.")
    return Review(members.title, members.file, "study data", "", tuple(analyses), {}, _review_columns())


def _review_columns() -> dict[str, str]:
    return {f"{name}{arm}": column for name, column in COLUMNS.items() for arm in "12"} | {"yi": "Mean", "sei": "SE"}


def _interventions(members: Members) -> Interventions:
    table = members.table(ARMS)
    missing = [name for name in ("Study", "Arm", "Intervention") if name not in table.cells.columns]
    if missing:
        raise RecordError(f"{table.file} has no column {missing[0]!r}, so it is no file of study arms.")
    return {(row["Study"], row["Arm"]): row["Intervention"] or row["Arm"] for _, row in _rows(table)}


def _analyses(table: Table, interventions: Interventions) -> Iterator[Analysis]:
    given: dict[tuple[str, str], list[_Row]] = {}
    contrasts: dict[tuple[str, str], list[_Row]] = {}
    for number, row in _rows(table):
        if row.get("Reference arm"):
            contrasts.setdefault((row["Outcome"], row.get("Effect measure", "")), []).append((number, row))
        else:
            given.setdefault((row["Outcome"], row["Data type"]), []).append((number, row))
    for (outcome, kind), rows in given.items():
        if kind not in PARTS:
            raise RecordError(
                f"{table.file}, row {rows[0][0]}, {rows[0][1]['Study']}: column 'Data type' is {kind!r}; it is "
                "Dichotomous or Continuous."
            )
        arms = [_arm(table.file, number, row, kind, interventions) for number, row in rows]
        yield from _pairs(table.file, outcome, _measure(kind, rows), arms)
    for (outcome, label), rows in contrasts.items():
        yield from _contrasts(table.file, outcome, label, rows, interventions)


def _rows(table: Table) -> list[_Row]:
    records = table.cells.to_dict("records")
    return [
        (int(number), {str(name): str(cell) for name, cell in row.items()})
        for number, row in zip(table.cells.index, records, strict=True)
    ]


def _measure(kind: str, rows: Sequence[_Row]) -> Settings:
    """Settings of data given by arm: the measure that its rows name, else RevMan's most used one."""
    label, code = DEFAULT[kind]
    named = next((row["Effect measure"] for _, row in rows if row.get("Effect measure")), label)
    known = measure_code(named, KINDS[kind])
    if known != "GEN":
        label, code = named, known
    return Settings(label, code, "", "", log_scale=code in RATIOS, totals="none")


def _arm(file: str, number: int, row: Mapping[str, str], kind: str, interventions: Interventions) -> _Arm:
    name = row["Arm"]
    line = Line(file, number, {key: row.get(column, "") for key, column in COLUMNS.items()}, row["Study"])
    figures = {part: line.number(part, COLUMNS[part]) for part in PARTS[kind]}
    if kind == "Continuous" and math.isnan(figures["sd"]) and figures["n"] >= 0:
        figures["sd"] = line.number("sei", "SE") * math.sqrt(figures["n"])
    return _Arm(line, interventions.get((row["Study"], name), name), name, figures)


def _pairs(file: str, outcome: str, settings: Settings, arms: Sequence[_Arm]) -> Iterator[Analysis]:
    """One analysis for each pair of interventions that a study compares, in the order of the file."""
    studies: dict[str, dict[str, _Arm]] = {}
    for arm in _combined(outcome, arms):
        studies.setdefault(arm.line.study, {})[arm.intervention] = arm
    order = list(dict.fromkeys(arm.intervention for arm in arms))
    kind = "dichotomous" if "events" in arms[0].figures else "continuous"
    for first, second in combinations(order, 2):
        pairs = [(found[first], found[second]) for found in studies.values() if first in found and second in found]
        if pairs:
            named = replace(settings, arms=(first, second))
            yield _made(file, outcome, kind, named, [_line(*pair) for pair in pairs])


def _made(file: str, outcome: str, kind: str, settings: Settings, lines: list[Line]) -> Analysis:
    table = study_table(kind, settings, lines, _review_columns())
    comparison = " v ".join(settings.arms)
    return Analysis("", outcome, comparison, kind, settings, table, totals_table([], {}), file)


def _line(first: _Arm, second: _Arm) -> Line:
    cells = {f"{name}{arm}": _cell(value) for arm, part in (("1", first), ("2", second))
             for name, value in part.figures.items()}  # fmt: skip
    return replace(first.line, cells=cells, row2=second.line.row)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _combined(outcome: str, arms: Sequence[_Arm]) -> Iterator[_Arm]:
    together: dict[tuple[str, str], list[_Arm]] = {}
    seen: dict[tuple[str, str], _Arm] = {}
    for arm in arms:
        twin = seen.setdefault((arm.line.study, arm.name), arm)
        if twin is not arm:
            raise RecordError(
                f"{arm.line.place}: arm {arm.name!r} of outcome {outcome!r} stands in row {twin.line.row} too; keep "
                "one of the two."
            )
        together.setdefault((arm.line.study, arm.intervention), []).append(arm)
    for same in together.values():
        yield same[0] if len(same) == 1 else _one_arm(outcome, same)


def _one_arm(outcome: str, arms: Sequence[_Arm]) -> _Arm:
    """Combine arms; figures that cannot be cannot be combined either, so such an arm stands for all, to be told of."""
    faulty = impossible_reasons(pd.DataFrame([arm.figures for arm in arms]).add_suffix("1")) != ""
    if faulty.any():
        return arms[int(faulty.argmax())]
    first = arms[0]
    warnings.warn(
        f"{first.line.study}: the arms {listed([arm.name for arm in arms])} have the intervention "
        f"{first.intervention!r} and were combined for outcome {outcome!r}.",
        MetailWarning,
        stacklevel=2,
    )
    columns = [[arm.figures[part] for arm in arms] for part in first.figures]
    combine = combine_events if "events" in first.figures else combine_means
    try:
        pooled = combine(*columns)
    except EffectSizeError as problem:
        raise RecordError(
            f"{first.line.place}: its arms of {first.intervention!r} cannot be combined: {problem}"
        ) from None
    return replace(first, figures={name: float(value) for name, value in pooled._asdict().items()})


def _contrasts(
    file: str, outcome: str, label: str, rows: Sequence[_Row], interventions: Interventions
) -> Iterator[Analysis]:
    pairs: dict[tuple[str, str], list[Line]] = {}
    for number, row in rows:
        arm, reference = (interventions.get((row["Study"], row[name]), row[name]) for name in ("Arm", "Reference arm"))
        pairs.setdefault((arm, reference), []).append(_contrast(file, number, row))
    ratio = "ratio" in label.lower() or measure_code(label, "dichotomous") in RATIOS
    for pair, lines in pairs.items():
        settings = Settings(label, "GEN", "IV", "", log_scale=ratio, arms=pair, totals="none")
        yield _made(file, outcome, "generic", settings, lines)


def _contrast(file: str, number: int, row: Mapping[str, str]) -> Line:
    """Effect and SE of a contrast: given, or from the effect of a ratio and from an interval."""
    line = Line(file, number, row, row["Study"])
    mean, se, ratio = (line.number(name, name) for name in ("Mean", "SE", "Exp mean"))
    if math.isnan(mean) and ratio > 0:
        mean = math.log(ratio)
    if math.isnan(se):
        se = _se_of_interval(line, level(row.get("CI level", ""), line.place))
    return replace(line, cells={"yi": _cell(mean), "sei": _cell(se)})


def _se_of_interval(line: Line, confidence: float) -> float:
    lower, upper = (line.number(name, name) for name in ("CI start", "CI end"))
    if math.isnan(upper - lower):
        ends = [line.number(name, name) for name in ("Exp CI start", "Exp CI end")]
        lower, upper = (math.log(end) if end > 0 else math.nan for end in ends)
    return (upper - lower) / (2 * quantile(confidence, math.inf))
