"""What the checks of agreement say about the shipped IL-2 records: every finding, word for word."""

import pytest

from metail2.checks.validate import validate
from metail2.records.catalogue import records_folder
from metail2.records.reading import load_records, read_records

OURS = {f"M{code:03d}" for code in (*range(60, 80), 110)}
PLACE = "outcomes.csv, row {row}, {study}: column 'value' "


@pytest.fixture(scope="module")
def found():
    return [one for one in validate(load_records("il2")) if one.code in OURS]


def says(found, row):
    (one,) = [one for one in found if one.row == row]
    start = PLACE.format(row=row, study=one.study)
    assert one.message.startswith(start)
    return one.code, one.severity, one.message.removeprefix(start)


def test_these_are_all_the_findings(found):
    assert [(one.code, one.study, one.row) for one in found] == [
        ("M065", "zhang2016ra", 258), ("M065", "zhang2016ra", 265), ("M065", "zhang2016ra", 272),
        ("M061", "leduff2020", 20), ("M061", "he2020", 93),
        ("M062", "hartemann2013", 36), ("M062", "hartemann2013", 48), ("M062", "hartemann2013", 60),
        ("M066", "zhang2022ra", 247),
        ("M110", "he2020", 105), ("M110", "humrich2022", 172), ("M110", "humrich2022", 176),
    ]  # fmt: skip


def test_complete_remission_in_he_2020_has_a_p_value_of_no_test(found):
    assert says(found, 105) == ("M110", "note", (
        "is P = 0.036 for ln_complete_remission (il2_1 v placebo, not stated), but no usual test of 7/13 v 2/12 gives "
        "it (χ² 0.053, Yates 0.129, Fisher 0.097, Fisher mid-P 0.069, twice "
        "one-sided Fisher 0.127, N − 1 χ² 0.058, likelihood ratio 0.048, unpooled "
        "z 0.034, Wald log OR 0.064, Wald log RR 0.091); check the counts and P, unless the article names a stratified "
        "or adjusted test."
    ))  # fmt: skip


def test_humrich_2022_prints_a_p_value_of_no_test_for_any_split_of_its_patients(found):
    assert says(found, 172) == ("M110", "note", (
        "is P = 0.3439 for sri4_response (il2_1.5 v placebo, week 12, all_randomised), but no usual test of 34/50 v "
        "29/50 (derived from 68 and 58 % of 100, assuming that 1:1 allocation gave arms of equal size) gives it (χ² "
        "0.300, Yates 0.407, Fisher 0.408, Fisher mid-P 0.311, twice "
        "one-sided Fisher 0.408, N − 1 χ² 0.303, likelihood ratio 0.300, unpooled z "
        "0.298, Wald log OR 0.302, Wald log RR 0.303); check the counts and P, unless the article names a stratified "
        "or adjusted test."
    ))  # fmt: skip


def test_the_per_protocol_p_value_of_humrich_2022_is_of_no_test_either(found):
    assert says(found, 176) == ("M110", "note", (
        "is P = 0.0168 for sri4_response (il2_1.5 v placebo, week 12, per_protocol), but no usual test of 20/24 v "
        "15/29 (derived from 83.3 and 51.7 % of 53) gives it (χ² 0.0156, Yates 0.0334, Fisher 0.0209, Fisher mid-P "
        "0.0145, twice one-sided Fisher 0.0310, "
        "N − 1 χ² 0.0166, likelihood ratio 0.0133, unpooled z 0.0084, Wald log OR 0.0199, Wald log RR 0.0178); "
        "check the counts and P, unless the article names a stratified or adjusted test."
    ))  # fmt: skip


def test_fishers_test_reproduces_the_p_value_of_le_duff(found):
    assert says(found, 20) == ("M061", "note", (
        "is P = 0.66 for salt50_response (il2 v placebo, week 52), which Fisher's exact test (0.664) gives, not χ² "
        "(0.595), for 3/21 v 2/22 (derived from 14.3 and 9.1 % of 43); work no standard error out of it."
    ))  # fmt: skip


def test_the_week_12_response_of_he_2020_was_tested_without_correction(found):
    assert says(found, 93) == ("M061", "note", (
        "is P = 0.052 for sri4_response (il2_1 v placebo, week 12), which the N − 1 (Mantel–Haenszel) χ² (0.052) "
        "gives, not χ² (0.050), for 16/29 v 9/30 (derived from 55.17 and 30.00 %); work no standard error out of it."
    ))  # fmt: skip


@pytest.mark.parametrize(("row", "arm", "also"), [
    (36, "il2_0.33", "; Welch's t test of the rounded figures could give it too"),
    (48, "il2_1", "; Welch's t test of the rounded figures could give it too"),
    (60, "il2_3", ""),
])  # fmt: skip
def test_the_p_values_of_hartemann_2013_are_of_complete_separation(found, row, arm, also):
    assert says(found, row) == ("M062", "note", (
        f"is P = 0.0039 for treg_pct_cd4 ({arm} v placebo, change), which is what the two-sided Mann–Whitney test "
        "of 6 v 6 with complete separation gives, by the normal approximation without continuity correction (0.003948; "
        f"exact 0.0022, with continuity correction 0.0051{also}); unless the article names another test, work no "
        "standard error out of it, for such a P says only that the groups do not overlap."
    ))  # fmt: skip


@pytest.mark.parametrize(("row", "p", "outcome", "low", "high"), [
    (258, "0.001", "treg_count", "3.3e−10", "2.3e−05"),
    (265, "0.01", "th17_count", "0.1081", "0.6822"),
    (272, "0.024", "th17_treg_ratio", "0.0002", "0.0039"),
])  # fmt: skip
def test_p_values_of_zhang_2016_are_of_no_paired_t_test(found, row, p, outcome, low, high):
    code, severity, message = says(found, row)
    assert (code, severity) == ("M065", "warning")
    assert message.startswith(f"is P = {p} for {outcome} (il2_0.5, day 5), but a paired t test of ")
    assert f"gives P between {low} (r = 1) and {high} (r = −1); check the figures" in message


def test_the_p_value_of_zhang_2022_belongs_to_neither_week(found):
    code, _, message = says(found, 247)
    assert code == "M066"
    assert "12/17 v 10/23 (derived from 70.6 and 43.5 %) at week 12 (χ² 0.088, Yates 0.167, Fisher 0.116" in message
    assert "13/17 v 13/23 (derived from 76.5 and 56.5 %) at week 24 (χ² 0.191, Yates 0.331, Fisher 0.315" in message
    assert "gives it" not in message


def test_p_values_that_agree_are_not_spoken_of(found):
    """He 2020 at week 24 (χ²), Qin (paired t tests), Zhang 2016 (three more), IVORY (its interval)."""
    spoken = {one.row for one in found}
    assert not spoken & {98, 192, 199, 206, 213, 279, 286, 293, 391}


def test_rows_are_those_of_the_file_also_below_a_blank_line(tmp_path):
    shipped = records_folder("il2")
    for name in ("studies.csv", "outcomes.csv"):
        header, _, rest = (shipped / name).read_text(encoding="utf-8").partition("\n")
        (tmp_path / name).write_text(f"{header}\n\n{rest}", encoding="utf-8")
    rows = {one.study: one.row for one in validate(read_records(tmp_path)) if one.code == "M061"}
    assert rows == {"leduff2020": 21, "he2020": 94}
