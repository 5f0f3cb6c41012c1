"""One row an arm to one row a study, and the reading of both kinds of table."""

import re

import numpy as np
import openpyxl
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import RecordError
from metail2.records.long_table import wide_from_long
from metail2.records.study_table import read_table

HEADER = ["study", "arm", "n", "mean", "sd", "year", "disease"]
ROWS = [
    ["Åsa 2001", "placebo", 21, 4.0, 2.1, 2001, "lupus"],
    ["Müller 2003", "IL-2", 30, 7.5, 3.0, 2003, "Sjögren"],
    ["Åsa 2001", "IL-2", 20, 5.0, 2.0, 2001, "lupus"],
    ["Müller 2003", "placebo", 31, 6.0, 2.5, 2003, "Sjögren"],
]
WIDE = ["study", "year", "disease", "arm1", "arm2", "n1", "n2", "mean1", "mean2", "sd1", "sd2"]


def long(rows=ROWS, header=HEADER):
    """A long table as `read_table` has it: the index is the row of the file."""
    return pd.DataFrame(rows, columns=header, index=range(2, len(rows) + 2))


def message(table, **options):
    with pytest.raises(RecordError) as caught:
        wide_from_long(table, **options)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ the turn itself
def test_arms_stand_side_by_side_in_order_of_first_appearance():
    wide = wide_from_long(long(), control="placebo")
    assert list(wide.columns) == WIDE
    assert wide.index.tolist() == [4, 3]  # the rows of the experimental arms
    assert wide.iloc[0].tolist() == ["Åsa 2001", 2001, "lupus", "IL-2", "placebo", 20, 21, 5.0, 4.0, 2.0, 2.1]
    assert wide.iloc[1].tolist() == ["Müller 2003", 2003, "Sjögren", "IL-2", "placebo", 30, 31, 7.5, 6.0, 3.0, 2.5]


def test_it_gives_the_effects_of_the_wide_table():
    wide = pd.DataFrame(
        {"study": ["Åsa 2001", "Müller 2003"], "mean1": [5.0, 7.5], "sd1": [2.0, 3.0], "n1": [20, 30],
         "mean2": [4.0, 6.0], "sd2": [2.1, 2.5], "n2": [21, 31]},
    )  # fmt: skip
    direct, turned = (m2.effect_sizes(t, "SMD") for t in (wide, wide_from_long(long(), control="placebo")))
    assert turned.study == direct.study
    np.testing.assert_array_equal(turned.yi, direct.yi)
    np.testing.assert_array_equal(turned.vi, direct.vi)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_changes_only_the_order_of_studies(seed):
    shuffled = long().sample(frac=1, random_state=seed)
    got = wide_from_long(shuffled, control="placebo").set_index("study")
    want = wide_from_long(long(), control="placebo").set_index("study")
    assert list(got.index) == list(dict.fromkeys(shuffled["study"]))
    pd.testing.assert_frame_equal(got.loc[want.index], want)


def test_which_arm_is_the_control_is_said_in_four_ways():
    want = wide_from_long(long(), control="placebo")
    roles = long().assign(part=["control", "Experimental ", "experimental", "CONTROL"])
    for got in (
        wide_from_long(long(), experimental=["IL-2"]),
        wide_from_long(long(), experimental="IL-2", control=["placebo"]),
        wide_from_long(roles, role="part"),
        wide_from_long(roles.rename(columns={"part": "role"})),
    ):
        pd.testing.assert_frame_equal(got, want)


def test_every_statistic_has_its_wide_name():
    wide_names = {
        "n": "n{}", "mean": "mean{}", "sd": "sd{}", "se": "se{}", "ci_lower": "mean{}_lower",
        "ci_upper": "mean{}_upper", "median": "median{}", "q1": "q1_{}", "q3": "q3_{}", "minimum": "min{}",
        "maximum": "max{}", "events": "events{}", "percent": "percent{}", "time": "time{}",
    }  # fmt: skip
    rows = [["A", arm, *(10 * j + i for j in range(14))] for i, arm in enumerate(("x", "c"), start=1)]
    wide = wide_from_long(long(rows, ["study", "arm", *wide_names]), control="c")
    want = [name.format(arm) for name in wide_names.values() for arm in "12"]
    assert list(wide.columns) == ["study", "arm1", "arm2", *want]
    assert wide[want].iloc[0].tolist() == [10 * (j // 2) + 1 + j % 2 for j in range(28)]


def test_short_names_of_statistics_are_understood():
    rows = [["A", "x", 1, 2, 3, 4, 5], ["A", "c", 6, 7, 8, 9, 10]]
    wide = wide_from_long(long(rows, ["study", "arm", "n", "min", "max", "mean_lower", "mean_upper"]), control="c")
    assert wide[["min1", "max2", "mean1_lower", "mean2_upper"]].iloc[0].tolist() == [2, 8, 4, 10]


def test_labels_are_compared_without_the_spaces_around_them():
    rows = [["A ", "x", 5, 1.0], [" A", "c ", 6, 2.0]]
    wide = wide_from_long(long(rows, ["study", "arm", "n", "mean"]), control="c")
    assert wide[["study", "arm2", "n2"]].iloc[0].tolist() == ["A", "c", 6]


def test_other_names_of_the_key_columns():
    table = long().rename(columns={"study": "trial", "arm": "group"})
    wide = wide_from_long(table, study="trial", arm="group", control="placebo")
    assert list(wide.columns) == ["trial", "year", "disease", "group1", "group2", *WIDE[5:]]


def test_two_empty_cells_are_alike_and_stay_empty():
    table = long().assign(centre=[None, "Oslo", None, "Oslo"], dose=np.nan)
    wide = wide_from_long(table, control="placebo")
    assert wide["centre"].isna().tolist() == [True, False]
    assert wide["dose"].isna().all()


def test_the_table_given_is_not_changed():
    table = long([[" A", "x", 5, 1.0], ["A", "c", 6, 2.0]], ["study", "arm", "n", "mean"])
    before = table.copy()
    wide_from_long(table, control="c")
    pd.testing.assert_frame_equal(table, before)


# ---------------------------------------------------------------------------------------------------- bad tables
ARMS = [["A", "low", 5, 1.0], ["A", "high", 6, 2.0], ["A", "c", 7, 1.5], ["B", "low", 5, 1.0], ["B", "c", 9, 1.0]]
SHORT = ["study", "arm", "n", "mean"]
BAD = {
    "several experimental": (
        ARMS, {"control": "c"},
        "A has 2 experimental arms, 'low' (row 2) and 'high' (row 3); combine them into one first "
        "(conversions.combine_means, or combine_events for counts) or keep one.",
    ),
    "several controls": (
        ARMS, {"experimental": "low"},
        "A has 2 control arms, 'high' (row 3) and 'c' (row 4); combine them into one first "
        "(conversions.combine_means, or combine_events for counts) or keep one.",
    ),
    "one arm": (
        [*ARMS[3:], ["C", "low", 5, 1.0]], {"control": "c"},
        "C has one arm only, 'low' (row 4); a comparison needs two, so add the other or leave the study out.",
    ),
    "an arm twice": (
        [*ARMS[3:], ["B", "c", 5, 1.0]], {"control": "c"},
        "B has arm 'c' in rows 3 and 4; an arm has one row, so keep one or name them apart.",
    ),
    "no control": (
        [*ARMS[3:], ["C", "low", 5, 1.0], ["C", "high", 5, 1.0]], {"control": "c"},
        "C has no control arm: its arms are 'low' (row 4) and 'high' (row 5); say which it is, or leave the study out.",
    ),
    "no experimental": (
        [*ARMS[3:], ["C", "c", 5, 1.0], ["C", "d", 5, 1.0]], {"control": ["c", "d"]},
        "C has no experimental arm: its arms are 'c' (row 4) and 'd' (row 5); say which it is, or leave the study out.",
    ),
    "label of no arm": (
        ARMS, {"control": "placebo"}, "No arm is called 'placebo', which control names; the arms are low, high and c.",
    ),
    "arm of neither kind": (
        ARMS, {"control": "c", "experimental": "low"},
        "A, row 3: arm 'high' is named neither as experimental nor as control; name it, or leave the row out.",
    ),
    "arm of both kinds": (
        ARMS, {"control": ["c", "low"], "experimental": "low"},
        "Arm 'low' is named as experimental and as control; name it once.",
    ),
    "nothing said": (
        ARMS, {},
        'Which arms are controls is not said: give their labels, such as control="placebo", or a column with role; '
        "the arms are low, high and c.",
    ),
    "roles and labels": (
        ARMS, {"role": "arm", "control": "c"},
        "Roles come from a column or from labels; give role, or control and experimental.",
    ),
    "unknown role": (
        [["A", "experimental", 5, 1.0], ["A", "placebo", 5, 1.0]], {"role": "arm"},
        "A, row 3: column 'arm' is 'placebo'; write experimental or control.",
    ),
    "no column of roles": (
        ARMS, {"role": "part"},
        "There is no column 'part'; the table has study, arm, n, mean; name it with role=\"its name\".",
    ),
    "no column of arms": (
        ARMS, {"arm": "group", "control": "c"},
        "There is no column 'group'; the table has study, arm, n, mean; name it with arm=\"its name\".",
    ),
    "empty label": (
        [["A", "x", 5, 1.0], ["A", " ", 5, 1.0]], {"control": "x"},
        "Row 3: column 'arm' is empty; every row names its study and its arm.",
    ),
    "empty study": (
        [["A", "x", 5, 1.0], [None, "c", 5, 1.0]], {"control": "c"},
        "Row 3: column 'study' is empty; every row names its study and its arm.",
    ),
    "no rows": ([], {"control": "c"}, "The table has no rows; add one for each arm of each study."),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_table_that_does_not_pair_up_is_refused(kind):
    rows, options, want = BAD[kind]
    assert message(long(rows, SHORT), **options) == want


def test_a_column_that_varies_and_is_no_statistic_is_refused_by_name():
    said = message(long().assign(dose=[0, 2, 1, 0]), control="placebo")
    assert said.startswith("Åsa 2001: column 'dose' differs between the arms ('0' and '1') and is no statistic")
    assert said.endswith("rename it, make both cells alike, or remove the column.")


def test_one_empty_cell_is_not_alike():
    said = message(long().assign(dose=[np.nan, 2, 1, np.nan]), control="placebo")
    assert said.startswith("Åsa 2001: column 'dose' differs between the arms ('' and '1.0')")


def test_a_table_without_statistics_is_refused():
    said = message(long([["A", "x", 3], ["A", "c", 4]], ["study", "arm", "Mean"]), control="c")
    assert said.startswith("The table has no statistic of an arm (n, mean, sd,")
    assert said.endswith("among its columns study, arm, Mean; name them so.")


def test_columns_that_would_stand_twice_are_refused():
    clash = long([["A", "x", 3, 7], ["A", "c", 4, 7]], ["study", "arm", "n", "n2"])
    assert message(clash, control="c") == "Column 'n2' would be there twice, also from 'n'; rename one of them."
    both = long([["A", "x", 3, 7], ["A", "c", 4, 7]], ["study", "arm", "min", "minimum"])
    assert message(both, control="c") == "Columns 'min' and 'minimum' are the same statistic; keep one."
    twice = long([["A", "x", 3, 7], ["A", "c", 4, 7]], ["study", "arm", "n", "n"])
    assert message(twice, control="c") == "The table has two columns 'n'; rename or remove one."


# ----------------------------------------------------------------------------------------------------- from files
def csv(path, rows, header=HEADER, *, sep=",", encoding="utf-8"):
    lines = [header, *rows]
    path.write_text("\n".join(sep.join("" if c is None else str(c) for c in line) for line in lines), encoding=encoding)
    return path


def xlsx(path, rows, header=HEADER):
    book = openpyxl.Workbook()
    for row in [header, *rows]:
        book.active.append(row)
    book.save(path)
    return path


def test_a_long_file_is_read_alike_from_csv_with_byte_order_mark_and_xlsx(tmp_path):
    want = wide_from_long(long(), control="placebo")
    for path in (
        csv(tmp_path / "a.csv", ROWS), csv(tmp_path / "b.csv", ROWS, encoding="utf-8-sig"),
        xlsx(tmp_path / "c.xlsx", ROWS),
    ):  # fmt: skip
        got = read_table(str(path), arm="arm", control="placebo")
        pd.testing.assert_frame_equal(got, want, check_dtype=False, check_names=False)


def test_a_column_of_roles_makes_a_file_long(tmp_path):
    rows = [["A", "control", 5, 1.0], ["A", "experimental", 6, 2.0]]
    path = csv(tmp_path / "a.csv", rows, ["study", "role", "n", "mean"])
    wide = read_table(path, role="role")
    assert wide[["n1", "n2"]].iloc[0].tolist() == [6, 5]
    named = csv(tmp_path / "b.csv", [[*row, f"arm {row[2]}"] for row in rows], ["study", "role", "n", "mean", "arm"])
    assert read_table(named, role="role")[["arm1", "arm2"]].iloc[0].tolist() == ["arm 6", "arm 5"]


def test_a_wide_file_is_read_as_it_is(tmp_path):
    path = csv(tmp_path / "a.csv", [["007", 3, "NA"], ["8", 4, 1.5]], ["study", "n1", "mean1"])
    table = read_table(path)
    assert table["study"].tolist() == ["007", "8"]
    assert table.index.tolist() == [2, 3]
    assert table["mean1"].isna().tolist() == [True, False]


def test_numbers_as_labels_of_arms_stay_text(tmp_path):
    rows = [["A", "0", 5, 1.0], ["A", "1.50", 6, 2.0]]
    path = csv(tmp_path / "a.csv", rows, ["study", "dose", "n", "mean"])
    wide = read_table(path, arm="dose", control="0")
    assert wide[["dose1", "dose2"]].iloc[0].tolist() == ["1.50", "0"]


def test_percentages_of_arms_keep_their_printed_decimals(tmp_path):
    rows = [["A", "x", "30.0", 20], ["A", "c", "15", 20]]
    path = csv(tmp_path / "a.csv", rows, ["study", "arm", "percent", "n"])
    wide = read_table(path, arm="arm", control="c")
    assert wide[["percent1", "percent2"]].iloc[0].tolist() == ["30.0", "15"]
    path = csv(tmp_path / "b.csv", [["A", "30.0", "", 20]], ["study", "percent1", "percent2", "percent"])
    table = read_table(path)
    assert table["percent1"].tolist() == ["30.0"]
    assert table["percent2"].isna().all()
    assert table["percent"].tolist() == [20.0]


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (ROWS, {}, "a.csv: study 'Åsa 2001' is in rows 2 and 4; one outcome has one row a study, so keep one of them"),
        (ROWS, {"control": "placebo"}, "Labels of arms need the column they are in; name it with arm."),
        (ROWS, {"arm": "group", "control": "p"}, "a.csv: There is no column 'group'; the table has study, arm, n,"),
        (ROWS[:3], {"arm": "arm", "control": "placebo"}, "a.csv: Müller 2003 has one arm only, 'IL-2' (row 3)"),
        ([["", *ROWS[0][1:]]], {}, "a.csv, row 2: column 'study' is empty; name the study."),
    ],
)
def test_a_bad_file_is_named(tmp_path, rows, options, said):
    with pytest.raises(RecordError, match=re.escape(said)):
        read_table(csv(tmp_path / "a.csv", rows), **options)


@pytest.mark.parametrize("sep", [";", "\t"])
def test_semicolons_and_tabs_are_refused_in_words(tmp_path, sep):
    with pytest.raises(RecordError, match=re.escape("separates its columns by semicolons or tabs")):
        read_table(csv(tmp_path / "a.csv", ROWS, sep=sep), arm="arm", control="placebo")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecordError, match=r"none\.csv does not exist; give a CSV or XLSX file"):
        read_table(tmp_path / "none.csv")


def test_a_hundred_thousand_arms():
    k = 50_000
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"study": np.repeat([f"S{i}" for i in range(k)], 2), "arm": ["x", "c"] * k, "n": rng.integers(5, 90, 2 * k),
         "year": np.repeat(rng.integers(1990, 2020, k), 2)},
    ).sample(frac=1, random_state=2)  # fmt: skip
    wide = wide_from_long(table, control="c").set_index("study")
    want = table.pivot(index="study", columns="arm", values="n")
    assert (wide["n1"] == want["x"][wide.index]).all()
    assert (wide["n2"] == want["c"][wide.index]).all()
