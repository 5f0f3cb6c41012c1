"""A column is accused only where it is what its name says: known names that mean something else are let be."""

import pandas as pd
import pytest

from metail2.checks.validate import validate

COUNTS = {
    "study": ["Ames 2001", "Bo 2002", "Cy 2003", "Di 2004", "Ek 2005"],
    "events1": ["12", "8", "15", "22", "9"],
    "n1": ["60", "41", "77", "98", "52"],
    "events2": ["20", "14", "18", "31", "17"],
    "n2": ["61", "40", "79", "97", "50"],
}
INTERVALS = {
    "study": ["Ames 2001", "Bo 2002", "Cy 2003", "Di 2004", "Ek 2005"],
    "estimate": ["0.80", "1.10", "0.92", "0.75", "0.97"],
    "ci_lower": ["0.60", "0.85", "0.70", "0.50", "0.80"],
    "ci_upper": ["1.07", "1.42", "1.21", "1.13", "1.18"],
}
SOMETHING_ELSE = {
    "n": ["0", "1", "0", "1", "1"], "level": ["1", "2", "3", "1", "1"], "direction": ["0", "1", "0", "1", "0"],
    "r": ["0", "1", "2", "1", "1"], "vi": ["0", "1", "0", "1", "1"], "percent": ["-12", "1", "2", "3", "4"],
    "time1": ["0", "12", "24", "12", "12"], "time": ["0", "12", "24", "12", "12"], "p": ["0", "1", "0", "1", "1"],
    "se": ["0", "1", "0", "1", "1"], "auc": ["345", "1", "2", "3", "4"], "alpha": ["3", "1", "2", "3", "4"],
    "items": ["0", "1", "0", "1", "1"], "predictors": ["0", "1", "0", "1", "1"], "r2": ["3", "1", "0", "1", "1"],
    "hr": ["-3", "70", "60", "60", "60"], "v": ["0", "1", "0", "1", "1"], "aa": ["1.5", "2", "3", "4", "5"],
    "ab": ["-1", "2", "3", "4", "5"], "estimate": ["0", "1", "0", "1", "1"], "t": ["0", "1", "0", "1", "1"],
    "d": ["0", "1", "0", "1", "1"], "a": ["-1", "0", "1", "0", "1"], "f": ["-3", "1", "2", "3", "4"],
    "sei": ["0", "1", "0", "1", "1"], "yi": ["0", "0", "1", "1", "0"],
}  # fmt: skip


def codes(columns, measure=None, **names):
    return [(one.code, one.row) for one in validate(pd.DataFrame(columns), measure, **names)]


@pytest.mark.parametrize("measure", [None, "RR"])
@pytest.mark.parametrize("name", SOMETHING_ELSE)
def test_a_column_of_something_else_beside_counts_is_not_accused(name, measure):
    assert codes(COUNTS | {name: SOMETHING_ELSE[name]}, measure) == []


@pytest.mark.parametrize("measure", [None, "RR", "OR"])
def test_domains_of_bias_are_no_cells(measure):
    domains = {"a": list("10210"), "b": list("00210"), "c": ["1", "1", "-1", "1", "0"], "d": list("11110")}
    assert codes(COUNTS | domains, measure) == []


@pytest.mark.parametrize("base", [COUNTS, INTERVALS])
def test_levels_of_evidence_are_no_confidence_levels(base):
    assert codes(base | {"level": ["1a", "2b", "3b", "4", "5"]}) == []
    assert codes(base | {"level": list("12345")}) == []


def test_cells_count_in_the_rows_without_events():
    empty = {name: ["", *values[1:]] for name, values in COUNTS.items() if name != "study"}
    cells = {"a": ["-1", "-1", "", "", ""], "b": ["5"] * 5, "c": ["6"] * 5, "d": ["7"] * 5}
    assert codes(COUNTS | empty | cells, "RR") == [("M014", 2)]


@pytest.mark.parametrize(
    ("name", "column", "measure", "code"),
    [("n", "0", None, "M012"), ("level", "3", None, "M019"), ("r", "2", None, "M019"), ("vi", "0", None, "M026"),
     ("percent", "-12", None, "M016"), ("auc", "345", None, "M019")],
)  # fmt: skip
def test_a_column_that_is_named_always_counts(name, column, measure, code):
    assert (code, 2) in codes(COUNTS | {"x": [column] * 5}, measure, **{name: "x"})


@pytest.mark.parametrize(
    ("columns", "measure", "code"),
    [
        ({"r": ["2"], "n": ["30"]}, None, "M019"),
        ({"r": ["2"], "n": ["30"]}, "ZCOR", "M019"),
        ({"mean": ["2.1"], "sd": ["1.0"], "n": ["0"]}, None, "M012"),
        ({"yi": ["0.2"], "vi": ["0"]}, None, "M026"),
        ({"auc": ["71"], "n1": ["30"], "n2": ["31"]}, None, "M019"),
        ({"events1": ["3"], "time1": ["0"], "events2": ["4"], "time2": ["50"]}, None, "M027"),
        ({"events": ["3"], "time": ["0"]}, None, "M027"),
        ({"estimate": ["0.8"], "ci_lower": ["0.6"], "ci_upper": ["1.1"], "level": ["95"]}, None, "M019"),
        ({"p": ["13"], "events1": ["3"], "n1": ["30"], "events2": ["4"], "n2": ["31"]}, None, "M020"),
        ({"a": ["-3"], "b": ["5"], "c": ["4"], "d": ["6"]}, None, "M014"),
        ({"hr": ["-1"], "ci_lower": ["0.5"], "ci_upper": ["0.9"]}, None, "M019"),
    ],
)
def test_a_whole_set_is_still_checked(columns, measure, code):
    assert code in {found for found, _ in codes({"study": ["Ames"]} | columns, measure)}


@pytest.mark.parametrize(
    "explained", [{"design_effect": ["1.4"] * 5}, {"icc": ["0.02"] * 5}, {"design": ["cluster, adjusted"] * 5}]
)
def test_effective_sizes_are_warned_of_where_nothing_explains_them(explained):
    sizes = {"events1": ["3.6", *COUNTS["events1"][1:]], "n1": ["20.5", *COUNTS["n1"][1:]]}
    table = pd.DataFrame(COUNTS | sizes)
    assert [(one.code, one.severity) for one in validate(table, "RR")] == [("M013", "warning")] * 2
    assert "M013" not in {one.code for one in validate(table.assign(**explained), "RR")}


def test_an_effect_off_its_scale_is_told_once():
    points = {"estimate": ["-13"] * 5, "ci_lower": ["-30"] * 5, "ci_upper": ["3"] * 5}
    assert {code for code, _ in codes(COUNTS | points, "RD")} == {"M019"}
