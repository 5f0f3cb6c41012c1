"""What trial records must look like: columns, closed lists, ranges, and the sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from metail2.errors import RecordError

if TYPE_CHECKING:
    import pandera.pandas as pa

ROLES = ("experimental", "control", "both", "contrast", "other")
POPULATIONS = ("all_randomised", "per_protocol", "analysed", "subgroup")
COUNT_STATISTICS = ("n", "events", "percent", "p_value")
VALUE_STATISTICS = ("value", "mean", "sd", "se", "median", "q1", "q3", "min", "max", "range_low", "range_high", "fold")
CONTRAST_STATISTICS = ("estimate", "ci_low", "ci_high", "hazard_reduction_percent", "hazard_increase_percent")
STATISTICS = (*COUNT_STATISTICS, *VALUE_STATISTICS, *CONTRAST_STATISTICS)
PATIENT_UNITS = ("patients", "events", "percent", "probability", "dose")
# four ways to speak of a cell population or a score that must never be mixed, and their neighbours
VALUE_UNITS = ("score", "count", "cell_fraction", "percentage_points", "percent_change", "fold", "ratio", "other")
UNIT_KINDS = (*PATIENT_UNITS, *VALUE_UNITS)
TIME_UNITS = ("day", "week", "month", "year")
QUALIFIERS = ("<", "<=", ">", ">=")
TIMEPOINT = r"baseline|after|change|study|enrolment|not stated|(?:day|week|month|year) \d+(?:\.\d+)?"


@dataclass(frozen=True)
class Field:
    """One column: how its cells are read and what they may hold.

    Attributes
    ----------
    kind : {"text", "number", "whole", "truth"}
        How a cell is read; ``"truth"`` is true or false.
    required : bool
        The column must be there and no cell may be empty.
    choices : tuple of str
        The closed list; empty for free cells.
    pattern, pattern_says : str
        A regular expression for the whole cell, and the same in words.
    low, high : float
        Limits of a number.
    unique : bool
        No two rows may hold the same.
    """

    kind: Literal["text", "number", "whole", "truth"] = "text"
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    pattern_says: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    unique: bool = False


STUDY_FIELDS: Mapping[str, Field] = {
    "study_id": Field(required=True, unique=True),
    "label": Field(required=True),
    "cohort": Field(),
    "disease": Field(),
    "disease_group": Field(),
    "year": Field("whole", low=1900, high=2100),
    "country": Field(),
    "centre": Field(),
    "design": Field(),
    "allocation": Field(pattern=r"\d+(?::\d+)+", pattern_says="it must be whole numbers with colons, such as '1:1'"),
    "n_total": Field("whole", low=1),
    "dose_low": Field("number", low=0),
    "dose_high": Field("number", low=0),
    "dose_unit": Field(),
    "dose_printed": Field(),
    "schedule": Field(),
    "registration": Field(),
    "doi": Field(),
    "pmid": Field(),
    "autoimmune": Field("truth"),
    "note": Field(),
}
"""Columns of ``studies.csv``, in order."""

FIGURE_FIELDS: Mapping[str, Field] = {
    "record_id": Field(required=True, unique=True),
    "study_id": Field(required=True),
    "outcome": Field(required=True),
    "arm": Field(required=True),
    "role": Field(required=True, choices=ROLES),
    "dose_low": Field("number", low=0),
    "dose_high": Field("number", low=0),
    "dose_unit": Field(),
    "timepoint": Field(
        required=True,
        pattern=TIMEPOINT,
        pattern_says="it must be baseline, after, change, study, enrolment, not stated, or such a time as 'week 12'",
    ),
    "time": Field("number", low=0),
    "time_unit": Field(choices=TIME_UNITS),
    "timepoint_printed": Field(),
    "population": Field(choices=POPULATIONS),
    "statistic": Field(required=True, choices=STATISTICS),
    "value": Field("number", required=True),
    "qualifier": Field(choices=QUALIFIERS),
    "unit": Field(),
    "unit_kind": Field(required=True, choices=UNIT_KINDS),
    "source": Field(required=True),
    "secondary": Field("truth"),
    "quote": Field(required=True),
    "note": Field(),
}
"""Columns of ``outcomes.csv``, in order."""


class Rule(NamedTuple):
    """A requirement on a whole row, reported at one column; `holds` answers one truth value a row."""

    column: str
    says: str
    holds: Callable[[pd.DataFrame], pd.Series]


class Violation(NamedTuple):
    """One cell that breaks a requirement.

    Attributes
    ----------
    file : str
        What messages call the table.
    row : int
        As a spreadsheet counts it.
    record, study : str
        The record_id and study_id of the row; empty where there are none.
    column : str
        The column of the cell.
    problem : str
        What the cell holds and why that may not be: "holds 'wk 12', but it must be …".
    """

    file: str
    row: int
    record: str
    study: str
    column: str
    problem: str

    @classmethod
    def of(cls, file: str, frame: pd.DataFrame, row: int, column: str, value: str | float, says: str) -> Violation:
        """Describe the cell of `frame` that holds `value`, and say which requirement it breaks."""
        record, study = (
            str(frame.at[row, name]) if name in frame.columns else "" for name in ("record_id", "study_id")
        )
        holds = f"holds {_shown(value)}" if value != "" else "is empty"
        return cls(file, row, record, study, column, f"{holds}, but {says}")

    def __str__(self) -> str:
        names = (f"record {self.record}" if self.record else "", f"study {self.study}" if self.study else "")
        place = ", ".join([f"{self.file}, row {self.row}", *(name for name in names if name)])
        return f"{place}: column {self.column!r} {self.problem}"


class SchemaError(RecordError):
    """Trial records that do not meet the schema; `violations` holds every cell that breaks it, by file and row."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        cells: dict[tuple[str, int, str], Violation] = {}
        for found in violations:
            # one cell may break several requirements: the first one says enough
            cells.setdefault((found.file, found.row, found.column), found)
        files = list(dict.fromkeys(found.file for found in cells.values()))
        self.violations = tuple(sorted(cells.values(), key=lambda found: (files.index(found.file), found.row)))
        others = len(self.violations) - 1
        super().__init__(f"{self.violations[0]}{f' (and {others} more)' if others else ''}.")


def _of(statistics: tuple[str, ...], holds: Callable[[pd.Series], pd.Series]) -> Callable[[pd.DataFrame], pd.Series]:
    """Apply `holds` to the values of some statistics; other rows pass."""
    return lambda frame: ~frame["statistic"].isin(statistics) | holds(frame["value"])


def _ordered(frame: pd.DataFrame) -> pd.Series:
    return frame["dose_low"].isna() | frame["dose_high"].isna() | (frame["dose_low"] <= frame["dose_high"])


DOSE_RULES = (
    Rule("dose_high", "it lies below dose_low; the lower dose comes first", _ordered),
    Rule(
        "dose_unit",
        "a dose needs its unit; fill it in, such as MIU or MIU/m2",
        lambda frame: frame["dose_low"].isna() | frame["dose_unit"].ne(""),
    ),
)
FIGURE_RULES = (
    *DOSE_RULES,
    Rule(
        "time_unit",
        "a time needs its unit; use day, week, month or year",
        lambda frame: frame["time"].isna() | frame["time_unit"].ne(""),
    ),
    Rule(
        "value",
        "a percentage of patients lies between 0 and 100; correct the figure or its statistic",
        _of(("percent",), lambda value: value.between(0, 100)),
    ),
    Rule(
        "value",
        "a P value lies between 0 and 1; correct the figure or its statistic",
        _of(("p_value",), lambda value: value.between(0, 1)),
    ),
    Rule(
        "value",
        "a standard deviation or standard error is not negative; correct the figure or its statistic",
        _of(("sd", "se"), lambda value: value >= 0),
    ),
    Rule(
        "value",
        "a number of patients or events is a whole number, 0 or more; correct the figure or its statistic",
        _of(("n", "events"), lambda value: (value >= 0) & (value % 1 == 0)),
    ),
)


def check_studies(studies: pd.DataFrame, file: str = "studies.csv") -> None:
    """Check a table of studies.

    Parameters
    ----------
    studies : pandas.DataFrame
        The columns of `STUDY_FIELDS`, read into numbers; the index is the row number that messages name.
    file : str
        What messages call the table.

    Raises
    ------
    SchemaError
        The first violation, in one sentence, and how many more there are; the error holds them all.
    """
    _check(studies, file, STUDY_FIELDS, DOSE_RULES)


def check_figures(figures: pd.DataFrame, studies: pd.DataFrame, file: str = "outcomes.csv") -> None:
    """Check a table of printed figures against the closed lists, the possible ranges and its studies.

    Parameters
    ----------
    figures : pandas.DataFrame
        The columns of `FIGURE_FIELDS`, read into numbers; the index is the row number that messages name.
    studies : pandas.DataFrame
        The studies that figures may belong to.
    file : str
        What messages call the table.

    Raises
    ------
    SchemaError
        The first violation, in one sentence, and how many more there are; the error holds them all.
    """
    known = frozenset(studies["study_id"])
    belongs = Rule(
        "study_id",
        "no study has this id; add the study to the table of studies or correct the id",
        lambda frame: frame["study_id"].isin(known),
    )
    _check(figures, file, FIGURE_FIELDS, (belongs, *FIGURE_RULES))


def check_columns(frame: pd.DataFrame, fields: Mapping[str, Field], file: str) -> None:
    """Check that every required column is there.

    Raises
    ------
    RecordError
        The first missing column, the columns found and the one that may have been meant.
    """
    for name, field in fields.items():
        if field.required and name not in frame.columns:
            found = [str(column) for column in frame.columns]
            near = _nearest(name, [column for column in found if column not in fields])
            raise RecordError(f"{file} has no column {name!r}{near}; the columns found are: {', '.join(found)}.")


def _check(frame: pd.DataFrame, file: str, fields: Mapping[str, Field], rules: tuple[Rule, ...]) -> None:
    import pandera.errors
    import pandera.pandas as pa

    check_columns(frame, fields, file)
    schema = pa.DataFrameSchema(
        {name: pa.Column(checks=_checks(field), nullable=True) for name, field in fields.items()},
        # a row rule decides itself what a missing cell means
        checks=[pa.Check(rule.holds, name=str(k), ignore_na=False) for k, rule in enumerate(rules)],
    )
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as problems:
        raise SchemaError(_violations(problems.failure_cases, file, frame, fields, rules)) from None


def _checks(field: Field) -> list[pa.Check]:
    import pandera.pandas as pa

    empty = () if field.required else ("",)
    checks = []
    if field.required and field.kind == "text":
        checks.append(pa.Check(lambda cells: cells.ne(""), error="it must be filled in"))
    if field.choices:
        checks.append(pa.Check.isin((*field.choices, *empty), error=f"it must be one of: {', '.join(field.choices)}"))
    if field.pattern:
        pattern = f"(?:{field.pattern})" + ("" if field.required else "|")
        checks.append(pa.Check(lambda cells: cells.str.fullmatch(pattern), error=field.pattern_says))
    if field.low > float("-inf"):
        checks.append(pa.Check.in_range(field.low, field.high, error=_limits(field)))
    if field.unique:
        checks.append(pa.Check(lambda cells: ~cells.duplicated(), error="an earlier row has it too; give each its own"))
    return checks


def _limits(field: Field) -> str:
    if field.high == float("inf"):
        return f"it must be {field.low:g} or more"
    return f"it must lie between {field.low:g} and {field.high:g}"


def _violations(
    cases: pd.DataFrame, file: str, frame: pd.DataFrame, fields: Mapping[str, Field], rules: tuple[Rule, ...]
) -> Iterator[Violation]:
    """Translate pandera's failure cases; a failing row rule is listed once a column there."""
    for case in cases.to_dict("records"):
        row, column, says = case["index"], case["column"], str(case["check"])
        if case["schema_context"] == "DataFrameSchema":
            column, says, _ = rules[int(says)]
        value: Any = frame.at[row, column]
        yield Violation.of(file, frame, row, column, value, says + _nearest(value, fields[column].choices))


def _nearest(given: str | float, choices: Iterable[str]) -> str:
    near = get_close_matches(str(given).lower(), list(choices), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _shown(value: str | float) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"
