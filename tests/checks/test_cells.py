"""Reading of a plain table: its columns, its rows, numbers and text alike."""

import numpy as np
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


ONE_GROUP = {"study": ["Ames", "Bo", "Cy"], "n": [20, 30, 25], "r": [0.5, 0.5, 0.5]}
TIMES = ONE_GROUP | {"mean_pre": [10.0, 11, 12], "mean_post": [12.0, 13, 15]}
CHANGES = {
    "CVRC": TIMES | {"se_pre": [1.0, 1.1, 1.2], "sd_post": [5.0, 6, 7]},
    "VRC": TIMES | {"se_pre": [1.0, 1.1, 1.2], "se_post": [1.1, 1.2, 1.3]},
    "ROMC": TIMES | {"sd_pre": [5.0, 6, 7], "se_post": [1.1, 1.2, 1.3]},
    "SMCR": TIMES | {"se_pre": [1.0, 1.1, 1.2]},
    "MC": ONE_GROUP | {"mean_change": [1.0, 2, 3], "se_change": [1.0, 1.1, 1.2]},
    "SMCC": TIMES | {"se_change": [1.0, 1.1, 1.2]},
}


@pytest.mark.parametrize("measure", CHANGES)
def test_standard_errors_of_a_change_score_stand_for_its_sds_here_as_in_harmonise(measure):
    table = pd.DataFrame(CHANGES[measure])
    errors = [name for name in table if name.startswith("se_")]
    sds = {name.replace("se", "sd"): table[name] * table["n"] ** 0.5 for name in errors}
    assert found(table, measure) == []
    harmonised = m2.harmonise(table, measure=measure)
    whole = m2.effect_sizes(table.assign(mean_change=table.get("mean_change", 0), **sds).assign(
        mean_change=lambda one: one["mean_post"] - one["mean_pre"] if "mean_post" in one else one["mean_change"]
    ), measure)  # fmt: skip
    assert harmonised.yi == pytest.approx(whole.yi, rel=1e-12)
    assert harmonised.vi == pytest.approx(whole.vi, rel=1e-12)
    assert harmonised.trail["conversion"].str.contains("SD from standard error").any()
    refused = (
        "needs the columns" if measure == "SMCC" else rf"but harmonise\(\) takes .*{errors[0]}.* in place of .*sd_"
    )
    with pytest.raises(EffectSizeError, match=refused):
        m2.effect_sizes(table, measure)


@pytest.mark.parametrize(
    ("measure", "lacks"),
    [(measure, lacks) for measure in CHANGES for lacks in ("n", "se", "mean") if (measure, lacks) != ("VRC", "mean")],
)
def test_a_row_that_lacks_a_figure_beside_standard_errors_is_found(measure, lacks):
    table = pd.DataFrame(CHANGES[measure])
    column = next(name for name in table if name.startswith(lacks))
    table[column] = table[column].astype(float)
    table.loc[1, column] = float("nan")
    says = [finding.message for finding in validate(table, measure) if finding.code == "M007"]
    assert len(says) == 1
    assert says[0].startswith(f"table, row 3, Bo: has no figure in column '{column}', so its")
    with pytest.warns(m2.MetailWarning, match="Bo cannot be computed"):
        assert m2.harmonise(table, measure=measure).complete.tolist() == [True, False, True]


def test_validate_and_harmonise_miss_the_same_columns():
    table = pd.DataFrame(CHANGES["CVRC"]).drop(columns="r")
    (finding,) = validate(table, "CVRC")
    assert "but r is missing" in finding.message
    with pytest.raises(EffectSizeError, match=r"sd_pre n r; r is missing\. The table has"):
        m2.harmonise(table, measure="CVRC")
    with pytest.raises(EffectSizeError, match=r"sd_pre and r are missing, but harmonise\(\) takes se_pre in place of"):
        m2.effect_sizes(table, "CVRC")


def test_a_row_whose_sd_is_missing_beside_its_standard_error_is_told_what_takes_it():
    table = pd.DataFrame(CHANGES["CVRC"]).assign(sd_pre=[4.0, None, None], se_pre=[None, 1.1, None])
    with pytest.warns(m2.MetailWarning) as caught:
        m2.effect_sizes(table, "CVRC")
    text = str(caught[0].message)
    assert "sd_pre is missing, but harmonise() takes se_pre in place of sd_pre" in text
    assert found(table, "CVRC") == [("M007", 4)]


def test_an_estimate_of_another_measure_stands_for_nothing():
    table = pd.DataFrame({"study": ["Ames"], "t": [1.0], "n": [10], "mean_change": [1.0]})
    assert [code for code, _ in found(table, "PCOR")] == ["M004"]


@pytest.mark.parametrize(
    ("measure", "columns", "codes", "lost"),
    [
        ("MN", {"mean": [1, 2, 1], "sd": 1, "n": [10, 10, None], "ci_upper": [2, 3, 2]}, ["M007"], [2]),
        ("MN", {"mean": [1, 2, 1], "n": 10, "ci_upper": [2, 3, 2]}, ["M004"], [0, 1, 2]),
        ("MN", {"mean": [1, 2, 1], "n": 10, "ci_lower": [0, 1, 0], "ci_upper": [2, 3, 2]}, [], []),
        ("MN", {"mean": 6, "n": 25, "se": [0.5, 0.5, None], "vi": 0.25}, [], []),
        (
            "SMCC",
            {"mean_post": 6, "mean_pre": 5, "n": 25, "mean_change": [None, 1, 1], "p": [0.01, 0.02, 0.03], "se": 0.5},
            [],
            [],
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::metail2.MetailWarning")
def test_what_tells_the_precision_of_a_mean(measure, columns, codes, lost):
    """Half an interval is no precision, a variance is, and a change comes from two means."""
    table = pd.DataFrame({"study": ["Ames", "Bell", "Cole"], **columns})
    assert [code for code, _ in found(table, measure)] == codes
    assert np.flatnonzero(np.isnan(m2.harmonise(table, measure=measure).vi)).tolist() == lost


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
