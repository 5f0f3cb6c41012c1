"""Reading of a plain table: its columns, its rows, numbers and text alike."""

import pandas as pd
import pytest

import metail2 as m2
from metail2.checks.validate import validate
from metail2.errors import EffectSizeError, UnknownChoice

BROKEN = pd.DataFrame(
    {"study": ["Ames", "Bo", "Cy"], "mean1": ["", "5.1", "5.6"], "sd1": ["2.1", "-1.9", "2.3"], "n1": ["30", "41", "0"],
     "mean2": ["6.0", "5.2", "6.1"], "sd2": ["2.0", "2.2", "2.1"], "n2": ["31", "40", "27"]}
)  # fmt: skip


def found(table, measure=None, **options):
    return [(finding.code, finding.row) for finding in validate(table, measure, **options)]


def test_a_column_that_stands_twice_is_not_read():
    twice = BROKEN.assign(weight="1").rename(columns={"weight": "sd1"})
    assert [finding.message for finding in validate(twice, "MD") if finding.code in ("M004", "M005", "M010")] == [
        'table: MD needs the columns mean1 sd1 n1 mean2 sd2 n2, but sd1 is missing; name a column so, or give sd1="its '
        'name".',
        "table: column 'sd1' stands twice in the table, so it was not read; rename or remove one.",
    ]
    assert found(BROKEN.assign(x="A").rename(columns={"x": "study"}))[0] == ("M005", None)


def test_numbers_are_checked_as_text_is():
    numbers = BROKEN.assign(**{name: pd.to_numeric(BROKEN[name]) for name in BROKEN.columns if name != "study"})
    told = [finding.message for finding in validate(BROKEN, "MD")]
    assert [finding.message for finding in validate(numbers, "MD")] == told
    assert {code for code, _ in found(BROKEN, "MD")} == {"M007", "M010", "M012"}


def test_a_whole_number_does_not_tell_its_decimals():
    """3.0 as a number may have been printed as 3; as text it was printed with a decimal."""
    table = pd.DataFrame({"study": ["A"], "median1": ["3.0"], "q3_1": ["2.7"]})
    assert found(table) == [("M022", 2)]
    assert found(table.assign(median1=3.0)) == []


@pytest.mark.parametrize("index", [range(3), list("abc"), [2.5, 3.5, 4.5], [0, 1, 1], [-1, 0, 1]])
def test_rows_count_as_in_a_spreadsheet_whatever_the_index(index):
    assert ("M010", 3) in found(BROKEN.set_axis(pd.Index(index)))


def test_an_index_of_rows_is_kept():
    assert ("M010", 8) in found(BROKEN.set_axis(pd.Index([7, 8, 12], name="row")))


def test_rows_that_were_left_out_or_sorted_still_count():
    assert ("M010", 3) in found(BROKEN.iloc[[2, 1]])
    assert ("M010", 3) in found(BROKEN.iloc[1:])
    assert ("M010", 3) in found(BROKEN.sort_values("study", ascending=False))


def test_rows_of_a_file_are_those_of_the_file(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("study,mean1,sd1,n1\nAmes,5.1,2.1,30\n\nBo,5.0,-1.9,41\n")
    table = m2.read_table(file)
    assert found(table) == found(table[table["sd1"] < 0]) == [("M010", 4)]


def test_columns_under_other_names_are_told_by_these():
    table = BROKEN.rename(columns={"mean1": "treated", "sd1": "spread"})
    messages = [finding.message for finding in validate(table, "MD", mean1="treated", sd1="spread")]
    assert "table, row 3, Bo: column 'spread' is -1.9, but an SD is never below 0; correct the entry." in messages
    assert any("no figure in column 'treated'" in message for message in messages)


@pytest.mark.parametrize(
    "substitute",
    [{"se1": "0.4"}, {"mean1_lower": "4.3", "mean1_upper": "5.9"}, {"q1_1": "3.9", "q3_1": "6.4"},
     {"min1": "1.0", "max1": "9.9"}],
)  # fmt: skip
def test_a_figure_that_can_be_had_from_others_is_not_missed(substitute):
    table = BROKEN.iloc[[1]].reset_index(drop=True).assign(sd1="")
    assert found(table, "MD") == [("M007", 2)]
    assert found(table.assign(**substitute), "MD") == []
    assert found(table.assign(**dict.fromkeys(substitute, "")), "MD") == [("M007", 2)]


def test_a_printed_estimate_stands_for_its_arms():
    table = BROKEN.iloc[[1]].reset_index(drop=True).assign(sd1="", estimate="-0.1", se="0.45")
    assert found(table, "MD") == []


def test_what_is_asked_for_wrongly_is_refused():
    with pytest.raises(UnknownChoice, match="Unknown measure 'XX'"):
        validate(BROKEN, "XX")
    with pytest.raises(EffectSizeError, match="There is no column 'dev'"):
        validate(BROKEN, sd1="dev")
    with pytest.raises(EffectSizeError, match="scale_items is 0; it must be"):
        validate(BROKEN, scale_items=0)
    with pytest.raises(UnknownChoice, match="Unknown column 'sd9'"):
        validate(BROKEN, sd9="sd1")
