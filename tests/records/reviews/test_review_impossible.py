"""Figures that cannot be are read as they stand: effects() refuses the first, validate() lists every one."""

import contextlib
import random
import re
import shutil
import warnings
from pathlib import Path

import pytest

import metail2 as m2
from metail2.errors import EffectSizeError, MetailError, MetailWarning
from metail2.records.reviews.impossible import impossible_reasons
from metail2.records.reviews.reading import read_review

DATA = Path(__file__).parent / "data"


def line_of(path, text):
    return next(i for i, line in enumerate(path.read_text("latin-1").splitlines(), 1) if text in line)


def told(review):
    return [(f.code, f.row, f.study, f.column) for f in m2.validate(review).entries]


def refused(review, number):
    with pytest.raises(EffectSizeError) as caught:
        review.effects(number)
    message = str(caught.value)
    assert message.startswith(f"{review.analysis(number).file}, row")
    assert message.endswith(".")
    assert ". " not in message
    return message


@pytest.mark.parametrize(
    ("number", "old", "new", "code", "study", "column", "says"),
    [
        ("1.1", 'EVENTS_1="12"', 'EVENTS_1="81"', "M015", "Ash 2001", "events1", "is 81, but it must be at most n1"),
        ("1.1", 'EVENTS_2="25"', 'EVENTS_2="-1"', "M014", "Ash 2001", "events2", "is -1, but it must be 0 or more"),
        ("1.1", 'TOTAL_1="80"', 'TOTAL_1="-80"', "M012", "Ash 2001", "n1", "is -80, but it must be a number of"),
        ("1.1", 'TOTAL_1="80"', 'TOTAL_1="0"', "M012", "Ash 2001", "n1", "is 0, but it must be a number of"),
        ("1.4", 'SD_1="2.1"', 'SD_1="-2.1"', "M010", "Ash 2001", "sd1", "is -2.1, but it must be 0 or more"),
        ("1.4", 'TOTAL_2="139"', 'TOTAL_2="0"', "M012", "Beech 2003", "n2", "is 0, but it must be a number of"),
        ("2.1", 'SE="0.12"', 'SE="-0.12"', "M010", "Hazel 2005", "sei", "is -0.12, but it must be above 0"),
        ("2.2", 'VAR="11.8"', 'VAR="-11.8"', "M026", "", "v", "is -11.8, but it must be above 0"),
    ],
)
def test_an_impossible_figure_of_a_revman_file(rm5, number, old, new, code, study, column, says):
    path = rm5((old, new))
    review = read_review(path)
    table = review.analysis(number).table
    (row,) = table.index[table["state"] == "impossible"]
    assert new in path.read_text("latin-1").splitlines()[row - 1]
    message = refused(review, number)
    assert f"row {row}, {study}" in message
    assert f"column '{column}' {says}" in message
    (finding,) = [f for f in m2.validate(review).errors if f.row == row and f.code == code]
    assert (finding.file, finding.column) == ("changed.rm5", column)
    assert study in (finding.study, "")
    place = f"changed.rm5, row {row}, {finding.study}: column '{column}' ("
    assert finding.message.startswith(place)
    assert f"{review.columns[column]}, analysis {number}) is {new.split(chr(34))[1]}, " in finding.message
    others = {(f.code, f.row) for f in m2.validate(review).entries}
    assert ("M106", row) in others
    assert not {c for c, r in others if c in ("M100", "M105") and r == row}


def test_totals_with_an_impossible_figure_are_not_recomputed_and_others_are(rm5):
    """Subgroup Adults and the whole hold the impossible study; subgroup Children does not, and is still compared."""
    path = rm5(('EVENTS_1="12"', 'EVENTS_1="81"'))
    review = read_review(path)
    totals = review.analysis("1.1").totals
    notes = [f for f in m2.validate(review).entries if f.code == "M106"]
    row = line_of(path, 'EVENTS_1="81"')
    assert sorted(f.row for f in notes) == sorted([row, *totals.index[totals["subgroup"].isin(["Adults", ""])]])
    whole = next(f for f in notes if f.row == totals.index[-1])
    assert f"because events1 is 81, above n1 in Ash 2001 (row {row})" in whole.message
    children = totals.index[totals["subgroup"] == "Children"][0]
    stored = path.read_text("latin-1")
    path.write_bytes(stored.replace('CHI2="0.31006526459133377"', 'CHI2="1.5"').encode("latin-1"))
    path.write_bytes(stored.replace('EFFECT_SIZE="0.24533', 'EFFECT_SIZE="0.34533').encode("latin-1"))
    assert ("M101", children, "", "effect") in told(read_review(path))


def test_an_impossible_study_without_weight_is_in_no_total(rm5):
    """Kale 2013 was never counted; its row gets a negative SE, and everything else is compared as before."""
    path = rm5(('ESTIMATE="0.0" LOG_CI_END="-Infinity"', 'ESTIMATE="0.3" LOG_CI_END="-Infinity"'))
    text = path.read_text("latin-1").splitlines()
    at = line_of(path, 'ESTIMATE="0.3"')
    text[at - 1] = text[at - 1].replace('SE="0.0"', 'SE="-0.2"')
    path.write_bytes("\n".join(text).encode("latin-1"))
    assert told(read_review(path)) == [("M010", at, "Kale 2013", "sei")]


def test_arms_in_which_nothing_was_filled_in_are_no_fault(rm5):
    review = read_review(rm5())
    assert list(review.analysis("2.1").table["state"])[-1] == "not_estimable"
    assert m2.validate(review).errors == ()


def test_a_study_twice_in_a_subgroup(rm5):
    path = rm5(('NAME="Beech 2003"', 'NAME="Ash 2001"'))
    review = read_review(path)
    first, second = review.analysis("1.1").table.index[:2]
    assert refused(review, "1.1") == (
        f"changed.rm5, row {second}, Ash 2001: column 'study' holds 'Ash 2001', which stands in row {first} of "
        "subgroup 'Adults' of analysis 1.1 too; keep one of the two, or name them apart."
    )
    findings = [f for f in m2.validate(review).entries if f.code == "M082" and f.row == second]
    assert findings[0].message.startswith(f"changed.rm5, analysis 1.1, row {second}, Ash 2001: ")
    assert "M104" not in {f.code for f in m2.validate(review).entries}


def test_stored_intervals_in_reverse_order(rm5):
    path = rm5(('CI_END="0.9105411869276672" CI_START="0.26584629391314885"', 'CI_END="0.2658" CI_START="0.9105"'))
    row = line_of(path, 'CI_END="0.2658"')
    review = read_review(path)
    (finding,) = m2.validate(review).entries
    assert finding.message == (
        f"changed.rm5, row {row}, Ash 2001: column 'ci_lower' (CI_START, analysis 1.1) is 0.9105, above the upper "
        "limit 0.2658 ('ci_upper' (CI_END)); exchange or correct them."
    )
    assert finding.code == "M017"
    with pytest.warns(MetailWarning):
        assert len(review.effects("1.1")) == 5  # study figures, which are right


def test_rows_of_packages(zipped):
    def change(text):
        return text.replace(",12,80,", ",90,80,", 1)

    review = read_review(zipped("package_v1", {"rows.csv": change}))
    assert refused(review, "1.1") == (
        "CD000001-data-rows.csv, row 2, Ash 2001: column 'events1' is 90, but it must be at most n1, which is 80; "
        "correct the entry."
    )
    (finding,) = m2.validate(review).errors
    assert finding.message == (
        "CD000001-data-rows.csv, row 2, Ash 2001: column 'events1' (Experimental events, Experimental cases, analysis "
        "1.1) is 90, more than the 80 patients (column 'n1'); correct one of the two."
    )


def study_data(folder, old, new):
    for file in (DATA / "study_data").iterdir():
        shutil.copy(file, folder)
    path = folder / "CD000003-study-results.csv"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)  # arms that are combined on the way
        return read_review(path)


@pytest.mark.parametrize(
    ("number", "old", "new", "finding", "place"),
    [
        ("1.1", ",150,30,", ",150,151,", ("M015", 6, "Beech 2003", "events1"), "rows 6 and 5, Beech 2003"),
        ("1.1", ",148,28,", ",148,-28,", ("M014", 5, "Beech 2003", "events2"), "rows 6 and 5, Beech 2003"),
        ("1.2", ",139,,43.5,12", ",139,,43.5,-12", ("M010", 10, "Beech 2003", "sd2"), "rows 9 and 10, Beech 2003"),
        ("1.2", ",25,,20,,1.2", ",-25,,20,,1.2", ("M012", 11, "Fig 2016", "n1"), "rows 11 and 12, Fig 2016"),
        # an arm that was to be combined with another
        ("1.1", ",40,8,", ",40,88,", ("M015", 3, "Ash 2001", "events1"), "rows 3 and 4, Ash 2001"),
        # the SE of a contrast is that of its interval, here in reverse order
        ("1.3", "90%,-1,-0.2", "90%,-0.2,-1", ("M026", 15, "Juniper 2011", "sei"), "row 15, Juniper 2011"),
    ],
)
def test_study_data(tmp_path, number, old, new, finding, place):
    review = study_data(tmp_path, old, new)
    message = refused(review, number)
    assert place in message
    assert f"column '{finding[3]}' is " in message
    assert finding in told(review)
    (error,) = m2.validate(review).errors
    assert error.message.startswith(
        f"CD000003-study-results.csv, row {finding[1]}, {finding[2]}: column '{finding[3]}'"
    )


MANY = """<COCHRANE_REVIEW><STUDIES_AND_REFERENCES><STUDIES>
<STUDY ID="A" NAME="Ash 2001"/><STUDY ID="B" NAME="Beech 2003"/><STUDY ID="C" NAME="Cedar 2007"/>
</STUDIES></STUDIES_AND_REFERENCES><ANALYSES_AND_DATA><COMPARISON NO="1"><NAME>Drug v placebo</NAME>
<DICH_OUTCOME NO="1" EFFECT_MEASURE="RR" METHOD="IV" TOTALS="YES" EFFECT_SIZE="0.9" CI_START="1.2" CI_END="0.5">
<DICH_DATA STUDY_ID="A" EVENTS_1="10" TOTAL_1="50" EVENTS_2="20" TOTAL_2="50" EFFECT_SIZE="0.7" WEIGHT="50"/>
<DICH_DATA STUDY_ID="B" EVENTS_1="60" TOTAL_1="50" EVENTS_2="-3" TOTAL_2="55" EFFECT_SIZE="0.6" WEIGHT="50"/>
</DICH_OUTCOME>
<CONT_OUTCOME NO="2" EFFECT_MEASURE="MD" METHOD="IV" TOTALS="YES" EFFECT_SIZE="-3">
<CONT_DATA STUDY_ID="A" MEAN_1="20.5" SD_1="6.5" TOTAL_1="51" MEAN_2="22.5" SD_2="6.1" TOTAL_2="52" EFFECT_SIZE="-2"
 WEIGHT="100"/>
<CONT_DATA STUDY_ID="C" MEAN_1="20.4" SD_1="-6.4" TOTAL_1="53" MEAN_2="22.3" SD_2="6.2" TOTAL_2="0" WEIGHT="0"/>
</CONT_OUTCOME>
<IV_OUTCOME NO="3" TOTALS="NO"><EFFECT_MEASURE>Hazard Ratio</EFFECT_MEASURE>
<IV_DATA STUDY_ID="A" ESTIMATE="-0.25" SE="-0.12"/>
<IV_DATA STUDY_ID="B" ESTIMATE="-0.31" SE="0.17"/>
<IV_DATA STUDY_ID="B" ESTIMATE="-0.42" SE="0.19"/>
</IV_OUTCOME>
</COMPARISON></ANALYSES_AND_DATA></COCHRANE_REVIEW>"""


def test_every_fault_of_a_file_with_many(tmp_path):
    (tmp_path / "many.rm5").write_text(MANY)
    review = read_review(tmp_path / "many.rm5")
    assert told(review) == [
        ("M010", 11, "Cedar 2007", "sd1"),
        ("M010", 14, "Ash 2001", "sei"),
        ("M012", 11, "Cedar 2007", "n2"),
        ("M014", 6, "Beech 2003", "events2"),
        ("M015", 6, "Beech 2003", "events1"),
        ("M017", 4, "", "ci_lower"),
        ("M082", 16, "Beech 2003", ""),
        ("M100", 5, "Ash 2001", "effect"),
        ("M101", 8, "", "effect"),
        ("M106", 4, "", "effect"),
        ("M106", 6, "Beech 2003", "effect"),
    ]
    assert all(f.file == "many.rm5" and f.message.startswith("many.rm5, ") for f in m2.validate(review).entries)
    assert all(f"analysis 1.{n}" in str([f.message for f in m2.validate(review).entries]) for n in "123")
    assert "row 6, Beech 2003: column 'events" in refused(review, "1.1")
    assert "row 11, Cedar 2007: column 'sd1' is -6.4" in refused(review, "1.2")
    assert "row 14, Ash 2001: column 'sei' is -0.12" in refused(review, "1.3")


def test_reasons_name_the_first_fault_of_each_row():
    review = read_review(DATA / "made_up.rm5")
    table = review.analysis("1.1").table.assign(n1=[-1, 0, 20, 66, 15], events2=[25, 28, 30, 15, -4])
    assert list(impossible_reasons(table)) == [
        "n1 is −1, below 0", "n1 is 0, although there is a figure in events1", "events2 is 30, above n2", "",
        "events2 is −4, below 0",
    ]  # fmt: skip


def test_figures_changed_at_random(tmp_path):
    """Whatever the figures, a file is read; each impossible row has an error, and effects() names its place."""
    draw = random.Random(20)
    text = (DATA / "made_up.rm5").read_text("latin-1")
    name = r"(?:EVENTS|TOTAL|SD|MEAN)_[12]|SE|O_E|VAR|ESTIMATE|EFFECT_SIZE|CI_START|CI_END|WEIGHT"
    figures = list(re.finditer(rf'(?<= )({name})="[^"]*"', text))
    impossible = 0
    for _ in range(20):
        changed = text
        for figure in sorted(draw.sample(figures, 4), key=lambda match: -match.start()):
            value = draw.choice(["-1", "0", "1e308", "-1e308", "1e-300", "99999", "-0.5", "2.5"])
            changed = f'{changed[: figure.start()]}{figure[1]}="{value}"{changed[figure.end() :]}'
        (tmp_path / "a.rm5").write_bytes(changed.encode("latin-1"))
        review = read_review(tmp_path / "a.rm5")
        wrong = {finding.row for finding in m2.validate(review).errors}
        for analysis in review.analyses:
            rows = list(analysis.table.index[analysis.table["state"] == "impossible"])
            assert set(rows) <= wrong
            impossible += len(rows)
            if rows:
                assert f"row {rows[0]}, " in refused(review, analysis.number)
            elif not analysis.table.empty:
                with warnings.catch_warnings(), contextlib.suppress(MetailError):
                    warnings.simplefilter("ignore", MetailWarning)
                    review.effects(analysis.number)
    assert impossible > 5
