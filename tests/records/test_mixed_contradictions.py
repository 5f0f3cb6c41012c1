"""harmonise() of a sheet: figures that contradict each other, what comes before what, and what the trail says of it."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metail2 as m2
from metail2.errors import MetailError, MetailWarning

SIZES = {"n1": 20.0, "n2": 25.0}
MEANS = {"mean1": 5.0, "sd1": 2.0, "mean2": 4.0, "sd2": 2.1, **SIZES}
Z = stats.norm.ppf(0.975)


def harmonised(measure, *rows, **options):
    table = pd.DataFrame([{"study": name, **row} for name, row in zip("ABCDEFGH", rows, strict=False)])
    return m2.harmonise(table, measure=measure, **options)


def refused(measure, *rows, **options):
    with pytest.raises(MetailError) as caught:
        harmonised(measure, *rows, **options)
    return str(caught.value)


def step(effects, quantity, study="A"):
    trail = effects.trail
    return trail[(trail["study"] == study) & (trail["quantity"] == quantity)].iloc[-1]


# --------------------------------------------------------------------------------------------------------- refused
REFUSED = [
    ("RR", {"a": 5, "b": 45, "c": 4, "d": 46, "n1": 60, "n2": 50},
     "A: column 'n1' is 60, but it must be a + b of the table, which is 50; correct the entry."),
    ("OR", {"a": 5, "b": 45, "c": 4, "d": 46, "events2": 5, "n2": 50},
     "A: column 'events2' is 5, but it must be c of the table, which is 4; correct the entry."),
    ("SMD", {"estimate": -0.4, "ci_lower": -0.7, "ci_upper": -0.1, "direction": 1},
     "A: column 'estimate' is -0.4, but it must have the sign of the effect, which direction or the means give"),
    ("SMD", {"estimate": -0.4, "se": 0.1, "mean1": 5, "mean2": 4},
     "A: column 'estimate' is -0.4, but it must have the sign of the effect"),
    ("SMD", {"g": -0.4, "direction": 1, **SIZES}, "A: column 'g' is -0.4, but it must have the sign of the effect"),
    ("SMD", {"f": 4.0, "direction": -1, "mean1": 5, "mean2": 4, **SIZES},
     "A: column 'direction' is -1, but it must have the sign of mean1 − mean2; correct the entry."),
    ("RR", {"estimate": 0.5, "ci_lower": 0.3, "ci_upper": 0.83, "se": 0.13},
     "A: column 'se' is 0.13, but it must be the standard error of the log risk ratio, which the interval from 0.3 to "
     "0.83 puts at 0.260; correct the entry."),
    ("HR", {"hr": 0.5, "estimate": 0.6, "se": 0.2},
     "A: column 'estimate' is 0.6, but it must be that of column 'hr', which is 0.5; correct the entry."),
    ("SMD", {"estimate": 1.2, "se": 0.4, "mean1": 5.2, "mean2": 4},
     "A: column 'estimate' is 1.2, but it must be in SDs, and this is mean1 − mean2; give the SDs or the"),
    ("RR", {"estimate": 0.5, "p": 1.2}, "A, columns 'p' and 'estimate': the P value 1.2 is outside (0, 1]"),
    ("PR", {"yi": 30, "vi": 2}, "A: column 'yi' is 30, but it must be from 0 to 1, as a proportion is (is it in"),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "figures", "said"), REFUSED, ids=[said[:60] for _, _, said in REFUSED])
def test_contradictions_are_refused_in_one_sentence(measure, figures, said):
    told = refused(measure, figures)
    assert told.startswith(said)
    assert told.endswith(".")


def test_the_users_columns_are_named():
    row = {"estimate": 1.2, "se": 0.4, "mean1": 5.2, "mean2": 4}
    table = pd.DataFrame([{"study": "A", **row}]).rename(columns={"estimate": "effect"})
    with pytest.raises(MetailError, match=r"^A: column 'effect' is 1\.2"):
        m2.harmonise(table, measure="SMD", estimate="effect")


def test_percentages_are_not_pooled_with_fractions():
    said = refused("PR", {"events": 10, "n": 40}, {"events": 30, "n": 110},
                   {"estimate": 30, "ci_lower": 28, "ci_upper": 32})  # fmt: skip
    assert said == (
        "C: column 'estimate' is 30, but it must be from 0 to 1, as a proportion is (is it in percent?); correct the "
        "entry."
    )


@pytest.mark.parametrize(
    ("measure", "figures"),
    [
        ("PR", {"estimate": 0.02, "ci_lower": -0.01, "ci_upper": 0.05}),  # a Wald limit below 0
        ("RD", {"estimate": 1.0, "se": 0.1}),
        ("MD", {"estimate": 1.0, "se": 0.4, "mean1": 5, "mean2": 4}),
        ("SMD", {"estimate": 0.0, "se": 0.4, "mean1": 4, "mean2": 4}),
        ("RR", {"a": 5, "b": 45, "c": 4, "d": 46, "n1": 50, "n2": 50, "events1": 5}),
        ("HR", {"hr": 0.5, "estimate": 0.5, "se": 0.2}),
        ("RBIS", {"estimate": 1.1, "se": 0.2}),
        # printed to one decimal, the limits allow standard errors from 0.09 to 0.32
        ("RR", {"estimate": 0.6, "ci_lower": 0.4, "ci_upper": 0.9, "se": 0.25}),
    ],
)
def test_what_can_be_true_is_not_refused(measure, figures):
    assert harmonised(measure, figures).complete.all()


# ------------------------------------------------------------------------------------------------- what comes first
def test_on_a_log_scale_the_interval_comes_before_the_standard_error():
    effects = harmonised("RR", {"estimate": 0.5, "ci_lower": 0.3, "ci_upper": 0.83, "se": 0.26})
    assert effects.vi[0] == pytest.approx(((math.log(0.83) - math.log(0.3)) / (2 * Z)) ** 2, rel=1e-12)
    assert (effects.trail["quantity"] == "se").sum() == 1
    assert step(effects, "se")["conversion"] == "SE from 95 % interval"


def test_a_printed_estimate_comes_before_a_test_and_after_d():
    interval = {"estimate": 0.4, "ci_lower": 0.1, "ci_upper": 0.7}
    test = {"t": 2.0, **SIZES}
    assert harmonised("SMD", {**interval, **test}).yi[0] == 0.4
    assert harmonised("SMD", {**test, "estimate": 0.4}).yi[0] == harmonised("SMD", test).yi[0]
    both = harmonised("SMD", {**interval, "d": 0.5, **SIZES})
    assert both.yi[0] == harmonised("SMD", {"d": 0.5, **SIZES}).yi[0]
    assert harmonised("ZCOR", {"r": 0.3, "n": 20, "estimate": 0.4, "se": 0.1}).yi[0] == pytest.approx(math.atanh(0.3))


@pytest.mark.parametrize("measure", ["MC", "SMCC"])
def test_a_printed_sd_of_the_change_comes_before_one_from_a_correlation(measure):
    both = {"mean_post": 7, "sd_post": 2, "mean_pre": 5, "sd_pre": 1.5, "n": 12, "r": 0.5, "sd_change": 1.1}
    effects = harmonised(measure, both)
    assert effects.vi[0] == harmonised(measure, {"mean_change": 2, "sd_change": 1.1, "n": 12}).vi[0]
    assert "r" not in effects.trail["quantity"].tolist()


@pytest.mark.parametrize("rows", [
    ({"r": 0.3, "n": 20}, {"t": 2.0, "n": 30}, {"p": 0.03, "direction": 1, "n": 25}),
    ({"t": 2.0, "n": 30}, {"r": 0.3, "n": 20}),
])  # fmt: skip
def test_an_averaged_variance_is_averaged_over_all_rows(rows):
    effects = harmonised("UCOR", *rows, vtype="AV")
    n = np.array([row["n"] for row in rows], dtype=float)
    mean = np.average(effects.yi, weights=n)
    np.testing.assert_allclose(effects.vi, (1 - mean**2) ** 2 / (n - 1), rtol=1e-12)


# -------------------------------------------------------------------------------------------------------- the trail
def test_the_trail_prints_the_formula_and_source_of_the_variance_that_was_asked_for():
    for vtype, variance in m2.MEASURES["SMD"].variances.items():
        told = step(harmonised("SMD", MEANS, vtype=vtype), "vi")
        assert (told["formula"], told["citation"]) == (variance.formula, variance.citation)
    assert step(harmonised("MD", MEANS, vtype="HO"), "vi")["formula"].startswith("sd_pooled²·(1/n1 + 1/n2)")


def test_the_trail_prints_the_formula_of_the_columns_that_were_used():
    summary = {"mean_change": 2.0, "sd_change": 1.5, "n": 12}
    assert step(harmonised("MC", summary), "vi")["formula"] == "sd_change²/n"
    assert step(harmonised("SMCC", summary), "yi")["formula"] == "J(n − 1)·mean_change/sd_change"
    assert step(harmonised("HR", {"o_minus_e": -4, "v": 10}), "vi")["formula"] == "1/V"
    assert step(harmonised("HR", {"log_hr": -0.4, "se": 0.2}), "vi")["formula"] == "se²"


@pytest.mark.parametrize(
    ("correction", "factor", "told"),
    [("exact", None, ""), ("approximate", 1 - 3 / (4 * 43 - 1), ", small-sample factor J = 1 − 3/(4m − 1), m degrees"),
     ("none", 1.0, ", without small-sample factor (J = 1)")],
)  # fmt: skip
def test_the_small_sample_correction_is_passed_on_and_stated(correction, factor, told):
    effects = harmonised("SMD", {"d": 0.5, **SIZES}, correction=correction)
    assert step(effects, "yi")["conversion"].startswith("standardised mean difference (Hedges' g)" + told)
    if factor is not None:
        assert effects.yi[0] == pytest.approx(0.5 * factor, rel=1e-12)
    assert refused("MD", MEANS, correction="none").startswith("MD has no small-sample factor, so correction='none'")


def test_trial_records_take_the_correction_and_state_the_variance(made):
    lines = [f"A treg {arm} {role} week12 {name} {value}"
             for arm, role, figures in (("drug", "experimental", (5, 2, 20)), ("placebo", "control", (4, 2.1, 25)))
             for name, value in zip(("mean", "sd", "n"), figures, strict=True)]  # fmt: skip
    records = made(lines)
    plain = m2.harmonise(records, "treg", "SMD", correction="none")
    pooled = math.sqrt((19 * 4 + 24 * 2.1**2) / 43)
    assert plain.yi[0] == pytest.approx(1 / pooled, rel=1e-12)
    told = plain.trail.set_index("quantity")["conversion"]["yi"]
    assert told == "standardised mean difference (Hedges' g), without small-sample factor (J = 1)"
    pooled_variance = m2.harmonise(records, "treg", "MD", vtype="HO")
    last = pooled_variance.trail.iloc[-1]
    assert last["formula"] == m2.MEASURES["MD"].variances["HO"].formula
    assert last["value"] == pytest.approx(pooled**2 * (1 / 20 + 1 / 25))
    with pytest.raises(MetailError, match="MD has no small-sample factor"):
        m2.harmonise(records, "treg", "MD", correction="none")


def test_what_is_assumed_of_an_interval_is_marked():
    interval = {"estimate": 1.2, "ci_lower": 0.2, "ci_upper": 2.2}
    told = step(harmonised("MD", interval), "se")
    assert told["basis"] == "assumed"
    assert told["assumption"] == (
        "the interval is that of a normal (z) test; its level is not printed and taken as 95 %"
    )
    told = step(harmonised("MD", {**interval, **SIZES}, level=0.9), "se")
    assert told["assumption"] == "the interval is that of a t test; its level is not printed and taken as 90 %"
    both = harmonised("MD", {**interval, "level": 0.9}, interval)
    assert step(both, "level")["basis"] == "printed"
    assert step(both, "se")["assumption"] == "the interval is that of a normal (z) test"
    assert "taken as 95 %" in step(both, "se", "B")["assumption"]
    assert "level" not in both.trail.loc[both.trail["study"] == "B", "quantity"].tolist()
    arm = harmonised("MD", {**MEANS, "sd1": np.nan, "mean1_lower": 4.0, "mean1_upper": 6.0, "level": 0.9})
    assert step(arm, "sd1")["assumption"] == "the interval is that of a mean from the t distribution"
    assert step(arm, "level")["conversion"] == "as printed"


# ----------------------------------------------------------------------------------------------------------- reasons
@pytest.mark.parametrize(
    ("measure", "figures", "reason"),
    [
        ("RR", {"estimate": 0.5, "p": 1.0}, "a P of 1 leaves the standard error undetermined"),
        ("RR", {"estimate": 1.0, "p": 0.9}, "an estimate of no effect leaves the standard error undetermined"),
        ("AUC", {"estimate": 0.5, "t": 0.3}, "an estimate of no effect leaves the standard error undetermined"),
        ("SMD", {"estimate": 0.3, "t": 0.0}, "a t statistic of 0 leaves the standard error undetermined"),
        ("SMD", {"estimate": 0.0, "t": 0.0}, "an estimate of no effect leaves the standard error undetermined"),
        ("RR", {"ci_lower": 0.3, "ci_upper": 0.9}, "the estimate is missing and cannot be had"),
        ("SMD", {"ci_lower": 0.3, "ci_upper": 0.9}, "the estimate is missing and cannot be had"),
        ("SMD", {"r": 1.0, **SIZES}, "a correlation of 1 or −1 has no finite test statistic"),
        ("SMD", {"p": 1e-320, "direction": 1, **SIZES}, "the P value is too small to give a test statistic"),
        ("ZCOR", {"r": 0.5, "n": 3}, "there are too few patients: n must be above 3"),
        ("RTET", {"a": 5, "b": 0, "c": 4, "d": 9}, "a cell of its table is 0"),
        ("AUC", {"auc": 1.0, "n1": 9, "n2": 9}, "the area is 0 or 1, or an arm has one patient"),
        ("R2", {"r2": 0, "n": 20}, "R² is 0 or 1, where its large-sample variance is 0"),
    ],
)  # fmt: skip
def test_a_row_that_gives_nothing_has_its_reason_and_stops_nobody(measure, figures, reason):
    for rows in ([figures], [figures, {"yi": 0.4, "vi": 0.1}]):
        with pytest.warns(MetailWarning, match=re.escape(f"({reason}")):
            effects = harmonised(measure, *rows)
        assert np.isnan(effects.vi).tolist() == [True, False][: len(rows)]
        assert effects.trail.loc[effects.trail["conversion"] == "not computed", "notes"].iloc[0].startswith(reason)


def test_rows_left_out_on_request_say_so():
    with pytest.warns(MetailWarning, match=r"\(left out on request \(drop00\)"):
        harmonised("RR", {"a": 0, "b": 9, "c": 0, "d": 9}, {"a": 1, "b": 9, "c": 2, "d": 9}, drop00=True)


def test_only_the_variance_is_said_to_be_nan_where_the_effect_is_kept():
    with pytest.warns(MetailWarning, match=r"; the effect stays in the table, its variance is NaN\.$"):
        effects = harmonised("ZCOR", {"r": 0.5, "n": 3})
    assert effects.yi[0] == pytest.approx(math.atanh(0.5))
    assert step(effects, "vi")["notes"] == "there are too few patients: n must be above 3"


def test_rows_are_counted_from_1_also_in_a_part_of_a_table():
    table = pd.DataFrame([MEANS, MEANS, MEANS])
    for part in (table, table.iloc[[0, 2]], table.set_axis([2, 1, 0])):
        effects = m2.harmonise(part, measure="MD")
        assert list(dict.fromkeys(effects.trail["records"])) == [f"row {i}" for i in range(1, len(part) + 1)]
        assert effects.study == tuple(f"study {i}" for i in range(1, len(part) + 1))
