import re

import pandas as pd
import pytest

from metail2.errors import RecordError
from metail2.records.reading import load_records
from metail2.records.schema import (
    FIGURE_FIELDS,
    POPULATIONS,
    ROLES,
    STATISTICS,
    STUDY_FIELDS,
    UNIT_KINDS,
    check_columns,
    check_figures,
    check_studies,
)

RECORDS = load_records("il2")
FIGURE = "outcomes.csv, row 3, record R0004, study castela2014"
STUDY = "studies.csv, row 3, study dfil2_2020"
STATISTIC_CHOICES = ", ".join(STATISTICS)


def changed(frame, row, cells):
    frame = frame.copy()
    for column, cell in cells.items():
        frame.loc[row, column] = cell
    return frame


def test_the_shipped_records_pass():
    check_studies(RECORDS.studies)
    check_figures(RECORDS.figures, RECORDS.studies)


def test_closed_lists_hold_no_name_twice():
    for choices in (ROLES, POPULATIONS, STATISTICS, UNIT_KINDS):
        assert len(set(choices)) == len(choices)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"statistic": "average"}, f"column 'statistic' holds 'average', but it must be one of: {STATISTIC_CHOICES}"),
        (
            {"statistic": "medain"},
            f"column 'statistic' holds 'medain', but it must be one of: {STATISTIC_CHOICES} (did you mean 'median'?)",
        ),
        ({"statistic": ""}, "column 'statistic' is empty, but it must be filled in"),
        (
            {"role": "treated"},
            "column 'role' holds 'treated', but it must be one of: experimental, control, both, contrast, other",
        ),
        (
            {"population": "ITT"},
            "column 'population' holds 'ITT', but it must be one of: all_randomised, per_protocol, analysed, subgroup",
        ),
        ({"unit_kind": "mg"}, f"column 'unit_kind' holds 'mg', but it must be one of: {', '.join(UNIT_KINDS)}"),
        ({"qualifier": "~"}, "column 'qualifier' holds '~', but it must be one of: <, <=, >, >="),
        (
            {"timepoint": "wk 12"},
            "column 'timepoint' holds 'wk 12', but it must be baseline, after, change, study, enrolment, not stated, "
            "or such a time as 'week 12'",
        ),
        ({"time": -1.0, "time_unit": "day"}, "column 'time' holds -1, but it must be 0 or more"),
        ({"time": 5.0}, "column 'time_unit' is empty, but a time needs its unit; use day, week, month or year"),
        ({"dose_low": -1.0}, "column 'dose_low' holds -1, but it must be 0 or more"),
        ({"dose_low": 4.0}, "column 'dose_high' holds 3, but it lies below dose_low; the lower dose comes first"),
        (
            {"dose_unit": ""},
            "column 'dose_unit' is empty, but a dose needs its unit; fill it in, such as MIU or MIU/m2",
        ),
        ({"source": ""}, "column 'source' is empty, but it must be filled in"),
        (
            {"statistic": "percent", "value": 101.0},
            "column 'value' holds 101, but a percentage of patients lies between 0 and 100; correct the figure or its "
            "statistic",
        ),
        (
            {"statistic": "p_value", "value": 1.5},
            "column 'value' holds 1.5, but a P value lies between 0 and 1; correct the figure or its statistic",
        ),
        (
            {"statistic": "sd", "value": -0.5},
            "column 'value' holds -0.5, but a standard deviation or standard error is not negative; correct the figure "
            "or its statistic",
        ),
        (
            {"statistic": "se", "value": -0.5},
            "column 'value' holds -0.5, but a standard deviation or standard error is not negative; correct the figure "
            "or its statistic",
        ),
        (
            {"statistic": "events", "value": 2.5},
            "column 'value' holds 2.5, but a number of patients or events is a whole number, 0 or more; correct the "
            "figure or its statistic",
        ),
        (
            {"statistic": "n", "value": -2.0},
            "column 'value' holds -2, but a number of patients or events is a whole number, 0 or more; correct the "
            "figure or its statistic",
        ),
    ],
)
def test_figures_that_are_refused(cells, message):
    with pytest.raises(RecordError, match=f"^{re.escape(f'{FIGURE}: {message}.')}$"):
        check_figures(changed(RECORDS.figures, 3, cells), RECORDS.studies)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"record_id": "R0001"},
            "outcomes.csv, row 3, record R0001, study castela2014: column 'record_id' holds 'R0001', but an earlier "
            "row has it too; give each its own.",
        ),
        (
            {"record_id": ""},
            "outcomes.csv, row 3, study castela2014: column 'record_id' is empty, but it must be filled in.",
        ),
        (
            {"study_id": "castella"},
            "outcomes.csv, row 3, record R0004, study castella: column 'study_id' holds 'castella', but no study has "
            "this id; add the study to the table of studies or correct the id.",
        ),
    ],
)
def test_ids_that_are_refused(cells, message):
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        check_figures(changed(RECORDS.figures, 3, cells), RECORDS.studies)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"label": ""}, "column 'label' is empty, but it must be filled in"),
        ({"year": 20}, "column 'year' holds 20, but it must lie between 1900 and 2100"),
        ({"n_total": 0}, "column 'n_total' holds 0, but it must be 1 or more"),
        (
            {"allocation": "one to one"},
            "column 'allocation' holds 'one to one', but it must be whole numbers with colons, such as '1:1'",
        ),
        ({"dose_low": 3.0}, "column 'dose_high' holds 0.5, but it lies below dose_low; the lower dose comes first"),
    ],
)
def test_studies_that_are_refused(cells, message):
    with pytest.raises(RecordError, match=f"^{re.escape(f'{STUDY}: {message}.')}$"):
        check_studies(changed(RECORDS.studies, 3, cells))


def test_the_first_row_is_named_and_the_others_are_counted():
    figures = changed(RECORDS.figures, 9, {"role": "x", "unit_kind": "x"})
    figures = changed(figures, 3, {"value": -1.0})
    with pytest.raises(RecordError, match=r"^outcomes\.csv, row 3, record R0004, .* \(and 2 more\)\.$"):
        check_figures(figures, RECORDS.studies)


@pytest.mark.parametrize("fields", [STUDY_FIELDS, FIGURE_FIELDS])
def test_every_required_column(fields):
    for name in (name for name, field in fields.items() if field.required):
        frame = pd.DataFrame(columns=[column for column in fields if column != name])
        with pytest.raises(RecordError, match=f"^table has no column '{name}'; the columns found are: "):
            check_columns(frame, fields, "table")
