import math
from pathlib import Path

import numpy as np
import pytest

from metail2.errors import MetailWarning, RecordError, UnknownChoice
from metail2.models.pool import pool
from metail2.records.reviews.reading import read_review

FILE = Path(__file__).parent / "data" / "made_up.rm5"


@pytest.fixture(scope="module")
def review():
    return read_review(FILE)


def test_the_review_and_its_analyses(review):
    assert (review.title, review.file) == ("Appleine for the invented disease", "made_up.rm5")
    assert (review.format, review.version) == ("RevMan 5", "5.3.5")
    assert review.comparisons == ("Appleine versus placebo", "Appleine versus pearol")
    frame = review.frame()
    assert list(frame["number"]) == ["1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3", "2.4"]
    assert list(frame["kind"]) == [
        "dichotomous", "dichotomous", "dichotomous", "continuous", "continuous", "generic", "o_minus_e", "dichotomous",
        "other",
    ]  # fmt: skip
    assert list(frame["k"]) == [5, 4, 4, 4, 2, 4, 2, 3, 0]


def test_settings(review):
    first = review.analysis("1.1").settings
    assert (first.label, first.measure, first.method, first.model, first.tau2) == ("RR", "RR", "MH", "random", "DL")
    assert first.arms == ("Appleine", "Placebo")
    assert first.favours == ("Favours appleine", "Favours placebo")
    assert (first.scale, first.swap_events, first.totals, first.log_scale) == (100.0, False, "all", True)
    assert review.analysis("1.3").settings.measure == "PETO"
    assert review.analysis("1.4").settings.method == "IV"
    assert (review.analysis("1.5").settings.level_studies, review.analysis("1.5").settings.level_total) == (0.95, 0.9)
    assert review.analysis("2.3").settings.totals == "subgroups"


def test_study_rows_hold_the_columns_of_their_kind(review):
    table = review.analysis("1.1").table
    assert list(table.columns) == [
        "study", "year", "subgroup", "events1", "n1", "events2", "n2", "state", "effect", "ci_lower", "ci_upper",
        "weight",
    ]  # fmt: skip
    assert list(table["study"]) == ["Ash 2001", "Beech 2003", "Cedar 2007", "Damson 2010", "Böhm 2012"]
    assert list(table["subgroup"]) == ["Adults"] * 3 + ["Children"] * 2
    assert list(table["year"]) == [2001, 2003, 2007, 2010, 2012]
    assert list(table.iloc[0][["events1", "n1", "events2", "n2"]]) == [12, 80, 25, 82]
    lines = FILE.read_text("latin-1").splitlines()
    assert all('STUDY_ID="STD-' in lines[row - 1] for row in table.index)


def test_a_double_zero_study_is_not_estimable_and_its_zeros_are_not_results(review):
    row = review.analysis("1.1").table.iloc[2]
    assert row["state"] == "not_estimable"
    assert row[["effect", "ci_lower", "ci_upper"]].isna().all()
    assert review.analysis("2.3").table.set_index("study").loc["Juniper 2011", "state"] == "used"  # a risk difference


def test_other_kinds(review):
    assert list(review.analysis("1.4").table.iloc[2][["mean1", "sd1", "n1", "mean2", "sd2", "n2"]]) == [
        3.1, 1.0, 12, 5.0, 1.4, 11,
    ]  # fmt: skip
    generic = review.analysis("2.1")
    assert list(generic.table["yi"]) == [-0.25, 0.1, -0.6, 0.0]
    assert list(generic.table["state"]) == ["used", "used", "used", "not_estimable"]
    assert (generic.settings.label, generic.settings.measure, generic.settings.log_scale) == (
        "Hazard Ratio",
        "HR",
        True,
    )
    assert list(review.analysis("2.2").table["v"]) == [11.8, 6.25]
    assert review.analysis("2.4").table.empty


def test_stored_totals(review):
    totals = review.analysis("1.1").totals
    assert list(totals["subgroup"]) == ["Adults", "Children", ""]
    assert totals.iloc[2]["between_q"] > 0
    assert math.isnan(totals.iloc[0]["between_q"])
    assert list(review.analysis("2.3").totals["subgroup"]) == ["Week 1", "Week 4"]


def test_effects_of_the_analyses_own_measure(review):
    with pytest.warns(MetailWarning, match="Cedar 2007"):
        effects = review.effects("1.1")
    assert effects.measure == "RR"
    assert effects.yi[0] == pytest.approx(math.log(12 * 82 / (80 * 25)), rel=1e-14)
    assert effects.vi[0] == pytest.approx(1 / 12 - 1 / 80 + 1 / 25 - 1 / 82, rel=1e-14)
    assert np.isnan(effects.yi[2])
    assert list(effects.moderators["group"]) == ["Adults"] * 3 + ["Children"] * 2
    assert list(effects.moderators["year"]) == [2001, 2003, 2007, 2010, 2012]
    with pytest.warns(MetailWarning, match="left out of the fit"):
        assert pool(effects, tau2="DL").k == 4


def test_effects_of_one_subgroup_and_of_another_measure(review):
    effects = review.effects("1.1", measure="RD", subgroup="Children")
    assert effects.study == ("Damson 2010", "Böhm 2012")
    assert effects.yi[0] == pytest.approx(4 / 60 - 15 / 61, rel=1e-14)


def test_effects_given_with_their_standard_errors(review):
    with pytest.warns(MetailWarning, match="Kale 2013"):
        effects = review.effects("2.1")
    assert effects.measure == "HR"
    assert list(effects.vi[:3]) == pytest.approx([0.12**2, 0.2**2, 0.25**2], rel=1e-14)
    assert np.isnan(effects.yi[3])


def test_observed_minus_expected(review):
    effects = review.effects("2.2")
    assert list(effects.yi) == pytest.approx([-4.2 / 11.8, 1.5 / 6.25], rel=1e-14)
    assert list(effects.vi) == pytest.approx([1 / 11.8, 1 / 6.25], rel=1e-14)


def test_swapped_events_are_swapped_in_the_effects_and_not_in_the_table(rm5):
    review = read_review(rm5(('SWAP_EVENTS="NO"', 'SWAP_EVENTS="YES"')))
    assert review.analysis("1.2").table["events1"].iloc[0] == 3
    assert review.effects("1.2").yi[0] == pytest.approx(-math.log(3 * 73 / (77 * 9)), rel=1e-14)


def test_nobody_in_both_arms_gives_no_effect(rm5):
    nobody = 'EVENTS_1="0" EVENTS_2="0"'
    arms = [(f'EVENTS_1="{first}" EVENTS_2="{second}"', nobody) for first, second in ((3, 9), (12, 25), (1, 0))]
    review = read_review(rm5(*arms, ('TOTAL_1="80" TOTAL_2="82"', 'TOTAL_1="0" TOTAL_2="0"')))
    assert review.analysis("1.2").table["state"].iloc[0] == "not_estimable"
    with pytest.warns(MetailWarning, match="Ash 2001"):
        effects = review.effects("1.2")
    assert np.isnan(effects.yi[0])


def test_a_study_left_out_of_the_totals_is_left_out_with_a_warning(rm5):
    weight = float(read_review(FILE).analysis("1.5").table["weight"].iloc[1])
    review = read_review(rm5((f'WEIGHT="{weight!r}"', 'WEIGHT="0.0"')))
    assert list(review.analysis("1.5").table["state"]) == ["used", "excluded"]
    with pytest.warns(MetailWarning, match="Fig 2016: left out, because analysis 1.5 gives no weight"):
        assert review.effects("1.5").study == ("Ash 2001",)


def test_the_log_scale_is_read_from_the_results_and_else_from_the_name(rm5):
    effect = f'EFFECT_SIZE="{math.exp(-0.25)!r}"'
    plain = read_review(rm5((effect, 'EFFECT_SIZE="-0.25"')))
    assert plain.analysis("2.1").settings.log_scale is False
    text = FILE.read_text("latin-1")
    start = text.index("<IV_OUTCOME")
    bare = text[:start] + text[start:].replace("EFFECT_SIZE=", "X=")
    target = rm5()
    target.write_bytes(bare.encode("latin-1"))
    assert read_review(target).analysis("2.1").settings.log_scale is True
    target.write_bytes(bare.replace("Hazard Ratio", "Slope").encode("latin-1"))
    assert read_review(target).analysis("2.1").settings.log_scale is False


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path, encoding):
    declared = {"utf-8-sig": "utf-8", "cp1252": "windows-1252"}.get(encoding, encoding)
    text = FILE.read_text("latin-1").replace("ISO-8859-1", declared)
    target = tmp_path / "a.rm5"
    target.write_bytes(text.encode(encoding))
    assert read_review(target).analysis("1.1").table["study"].iloc[4] == "Böhm 2012"


def test_what_is_not_there(review):
    with pytest.raises(UnknownChoice, match=r"Unknown analysis of made_up.rm5 '9.9'"):
        review.analysis("9.9")
    with pytest.raises(UnknownChoice, match="Choose from: OR, RR, RD, PETO"):
        review.effects("1.1", measure="SMD")
    with pytest.raises(UnknownChoice, match="Choose from: Adults, Children"):
        review.effects("1.1", subgroup="adult")
    with pytest.raises(RecordError, match=r"analysis 2.4 \(Costs\) holds no figures"):
        review.effects("2.4")


def test_what_it_is_is_told_from_its_content(tmp_path):
    target = tmp_path / "review.zip"
    target.write_bytes(FILE.read_bytes())
    assert read_review(str(target)).format == "RevMan 5"
