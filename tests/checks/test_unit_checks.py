"""Units and doses that must not be mixed, in tables and in records."""

import pandas as pd
import pytest

import metail2 as m2
from metail2.checks.units import SPELLINGS, record_units_findings, spelt_alike, unit_kind
from metail2.checks.validate import validate
from metail2.records.reading import read_records
from metail2.records.schema import UNIT_KINDS


def table(units, **more):
    rows = [(f"Study {i}", f"{5 + i}.1", "1.2", 20 + i, "4.3", "1.1", 31 + i) for i in range(len(units))]
    frame = pd.DataFrame(rows, columns=["study", "mean1", "sd1", "n1", "mean2", "sd2", "n2"]).astype(str)
    return frame.assign(unit=units, **more).set_axis(range(2, len(rows) + 2)).rename_axis("row")


def hits(frame, measure=None):
    found = [one for one in validate(frame, measure, file="x.csv") if "M090" <= one.code <= "M099"]
    return [(one.code, one.row, one.message) for one in found]


def codes(frame, measure=None):
    return [(code, row) for code, row, _ in hits(frame, measure)]


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("percentage points of CD4+", "percentage_points"), ("% points", "percentage_points"),
        ("percentage-points", "percentage_points"), ("pp", "percentage_points"),
        ("points of %", "percentage_points"), ("% change", "percent_change"),
        ("percentage increase from baseline", "percent_change"), ("% reduction", "percent_change"),
        ("relative change", "percent_change"), ("fold of baseline", "fold"), ("2-fold", "fold"),
        ("times baseline", "fold"), ("x baseline", "fold"), ("cells/uL", "count"), ("cells per mL", "count"),
        ("10^9/L", "count"), ("10⁹/l", "count"), ("/mm3", "count"), ("% of CD4+", "percent"), ("per cent", "percent"),
        ("mm Hg", ""), ("mg/L", ""), ("points", ""), ("SALT 0-100", ""), ("folding score", ""),
    ],
)  # fmt: skip
def test_kinds_of_unit_are_told_by_their_words(unit, kind):
    assert unit_kind(unit) == kind


def test_kinds_are_those_of_records():
    assert set(SPELLINGS) <= set(UNIT_KINDS)


def test_spellings_of_one_unit():
    assert len({spelt_alike(unit) for unit in ("cells/µL", "Cells / uL", "cells/μl")}) == 1


@pytest.mark.parametrize("measure", [None, "MD", "SMD", "ROM"])
def test_kinds_that_never_mix(measure):
    frame = table(["percentage points", "% of CD4+", "fold of baseline", "percentage points"])
    assert hits(frame, measure) == [
        (
            "M090", 3,
            "x.csv, row 3, Study 1: is in '% of CD4+', but row 2 (Study 0) in 'percentage points'; these never mix, so "
            "pool them apart.",
        )
    ]  # fmt: skip


def test_each_outcome_has_its_own_unit():
    units = ["% change", "fold", "% change", "fold"]
    assert codes(table(units, outcome=["a", "b", "a", "b"])) == []
    assert codes(table(units, outcome=["a", "a", "b", "b"])) == [("M090", 3), ("M090", 5)]


def test_the_column_unit_kind_is_believed():
    assert codes(table(["points", "points"], unit_kind=["percentage_points", "score"])) == [("M090", 3)]
    assert codes(table(["%", "% of CD4+"], unit_kind=["score", "score"]), "SMD") == []
    assert codes(table(["", ""], unit_kind=["fold", "count"])) == [("M090", 3)]


@pytest.mark.parametrize(("measure", "expected"), [(None, 1), ("MD", 1), ("SMD", 0), ("ROM", 0)])
def test_two_units_matter_to_measures_that_have_one(measure, expected):
    found = hits(table(["CDASI", "CDASI-a", "cdasi "]), measure)
    assert len(found) == expected
    if expected:
        assert found[0] == (
            "M091", 3,
            "x.csv, row 3, Study 1: is in 'CDASI-a', but row 2 (Study 0) in 'CDASI'; convert one of them, or use a "
            "standardised measure or a ratio.",
        )  # fmt: skip


@pytest.mark.parametrize("units", [["mg/L"] * 3, ["", "mg/L", ""], ["cells/µL", "Cells/ uL"]])
def test_one_unit_is_fine(units):
    assert codes(table(units)) == []


def test_doses_in_two_units():
    frame = table(["mg"] * 3, dose_unit=["MIU", "", "MIU/m2"])
    assert hits(frame) == [
        ("M094", 4, "x.csv, row 4, Study 2: is in 'MIU/m2', but row 2 (Study 0) in 'MIU'; do not compare the doses.")
    ]


# ---------------------------------------------------------------- records


def test_il2_prints_regulatory_t_cells_in_four_kinds():
    found = list(record_units_findings(m2.load_records("il2")))
    assert [(one.code, one.severity) for one in found] == [
        ("M092", "note"), ("M093", "note"), ("M093", "note"), ("M094", "note")
    ]  # fmt: skip
    treg, count, cdasi, doses = (one.message for one in found)
    assert treg == (
        "outcomes.csv: treg (treg_count, treg_fold and treg_pct_cd4) is printed as percentage points (Hartemann "
        "2013), a count of cells (Qin (conference abstract), Jin 2017 (SpA abstract THU0377), Feng 2019 and Zhang "
        "2016/2024 (RA, Shanxi)), a fold change (Feng 2019 and Louapre 2023 (MS-IL2)) and a fraction of cells "
        "(Kennedy-Nasser 2014); these never mix, so harmonise them apart."
    )
    assert "treg_count is printed in 'cells/uL (unit not printed)'" in count
    assert "cdasi is printed in 'CDASI' (Yunzhi 2022 (via AB0911)) and 'CDASI-a' (Miao 2021)" in cdasi
    assert (
        doses
        == "studies.csv: doses are given in MIU in 30 studies and MIU/m2 in 7 studies; do not compare them as numbers."
    )


STUDIES = "study_id,label,dose_low,dose_high,dose_unit\n"
HEADER = "record_id,study_id,outcome,arm,role,dose_low,dose_high,dose_unit,timepoint,statistic,value,unit,unit_kind,"
HEADER += "source,quote\n"


def records(tmp_path, doses, *figures):
    """Studies s0, s1 … with their doses, and figures: study, outcome, dose low and high, dose unit, unit, kind."""
    studies = [f"s{i},Study {i},{low},{high},{unit}\n" for i, (low, high, unit) in enumerate(doses)]
    rows = [
        f"R{i},{study},{outcome},drug,experimental,{low},{high},{dose_unit},week 4,mean,5,{unit},{kind},hand,words\n"
        for i, (study, outcome, low, high, dose_unit, unit, kind) in enumerate(figures, start=1)
    ]
    (tmp_path / "studies.csv").write_text(STUDIES + "".join(studies), encoding="utf-8")
    (tmp_path / "outcomes.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return [(one.code, one.study, one.message) for one in record_units_findings(read_records(tmp_path))]


def test_records_in_one_unit_are_clean(tmp_path):
    figures = [("s0", "pain", 1, 1, "mg", "VAS", "score"), ("s1", "pain", 2, 2, "mg", "vas", "score")]
    assert records(tmp_path, [(1, 2, "mg"), (2, 2, "mg")], *figures) == []


def test_other_quantities_may_have_other_kinds(tmp_path):
    figures = [("s0", "th17_count", 1, 1, "mg", "/uL", "count"), ("s0", "th17_treg_ratio", 1, 1, "mg", "", "ratio")]
    assert records(tmp_path, [(1, 1, "mg")], *figures) == []


@pytest.mark.parametrize(
    ("low", "high", "unit", "told"),
    [
        (3, 3, "mg", "gives 3 mg in arm drug, but its row in the table of studies 1 to 2 mg"),
        (0.5, 2, "mg", "gives 0.5 to 2 mg in arm drug"),
        (1, 1, "mg/m2", "gives 1 mg/m2 in arm drug"),
        (0, 0, "mg", ""),
        (1, 2, "mg", ""),
    ],
)
def test_an_arm_with_a_dose_that_its_study_does_not_give(tmp_path, low, high, unit, told):
    found = records(tmp_path, [(1, 2, "mg")], ("s0", "pain", low, high, unit, "VAS", "score"))
    assert [code for code, _, _ in found] == (["M096"] if told else [])
    assert all(told in message for _, _, message in found)


def test_a_dose_in_units_instead_of_millions(tmp_path):
    doses = [(1, 1, "MIU"), (1.5, 1.5, "MIU"), (1000000, 1000000, "MIU"), (0.5, 3, "MIU")]
    (found,) = records(tmp_path, doses, ("s0", "pain", 1, 1, "MIU", "VAS", "score"))
    code, study, message = found
    assert (code, study) == ("M097", "s2")
    assert message.endswith("s2: has a dose of 1e+06 MIU, but the others a median of 1.5 MIU; check the unit.")
