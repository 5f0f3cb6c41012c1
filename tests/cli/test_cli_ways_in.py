"""Tables of every layout and review files, from the command line to the pooled estimate."""

import math
from pathlib import Path

import pytest

import metail2 as m2

REVIEWS = Path(__file__).parents[1] / "records" / "reviews" / "data"
MIXED = "study,n1,mean1,sd1,se1,n2,mean2,sd2,median1,q1_1,q3_1,estimate,ci_lower,ci_upper"
MIXED_ROWS = ("A,40,5,2,,40,4,2,,,,,,", "B,30,5.5,,0.4,30,4.1,2,,,,,,", "C,50,,,,50,4,2.2,5,4,6,,,",
              "D,,,,,,,,,,,0.9,0.1,1.7")  # fmt: skip


def test_every_study_may_print_other_statistics(run, table):
    ended = run("pool", table(*MIXED_ROWS, header=MIXED), "--measure", "MD")
    assert (ended.status, ended.err) == (0, "")
    frame = m2.read_table("trials.csv")
    result = m2.pool(m2.harmonise(frame, measure="MD"))
    assert f"mean difference {result.estimate:.3f}, " in ended.out
    assert len(frame) == 4


def test_medians_by_another_method(run, table):
    name = table(*MIXED_ROWS, header=MIXED)
    usual, other = (run("pool", name, "--measure", "MD", *words).out for words in ([], ["--method", "mcgrath2020_qe"]))
    assert usual != other
    assert "Unknown summary method 'wan'" in run("pool", name, "--measure", "MD", "--method", "wan").err


def test_one_row_an_arm(run, table):
    rows = ["A,drug,4,20", "A,placebo,2,19", "B,drug,9,50", "B,placebo,5,52"]
    long = table(*rows, header="study,group,events,n", name="long.csv")
    wide = table("A,4,20,2,19", "B,9,50,5,52", name="wide.csv")
    arms = run("pool", long, "--measure", "RR", "--arm", "group", "--control", "placebo")
    assert arms == run("pool", wide, "--measure", "RR")
    assert arms.status == 0


def test_an_arm_table_needs_to_know_its_control(run, table):
    rows = ["A,drug,4,20", "A,placebo,2,19"]
    ended = run("pool", table(*rows, header="study,group,events,n"), "--measure", "RR", "--arm", "group")
    assert ended.status == 1
    assert "trials.csv: " in ended.err
    assert "control" in ended.err


def test_an_assumed_correlation(run, table):
    name = table("A,5,2,7,2,20", "B,4,2,7,2.5,30", header="study,mean_post,sd_post,mean_pre,sd_pre,n")
    assert run("pool", name, "--measure", "MC", "--r", "0.5").status == 0
    assert "'--r': 1.5 is not between -1 and 1" in run("pool", name, "--measure", "MC", "--r", "1.5").err


def review_file():
    return next(path for path in sorted(REVIEWS.glob("*.rm5")) if m2.read_review(path).analyses)


def test_an_analysis_of_a_review(run):
    path = review_file()
    first = m2.read_review(path).analyses[0]
    ended = run("pool", path, "--analysis", first.number)
    assert ended.status == 0
    with pytest.warns(m2.MetailWarning):
        result = m2.pool(m2.read_review(path).effects(first.number))
    shown = result.effects.definition.transform(result.estimate)
    assert f"{float(shown):.3f}" in ended.out
    assert not math.isnan(result.estimate)


def test_a_review_is_asked_for_one_analysis(run):
    path = review_file()
    ended = run("pool", path)
    assert ended.status == 2
    assert "holds several analyses; give one with --analysis: " in ended.err
    ended = run("pool", path, "--analysis", "99.9")
    assert ended.status == 2
    assert "99.9" in ended.err


@pytest.mark.parametrize("words", ["--arm group", "--column n1=tn", "--r 0.5"])
def test_options_of_tables_have_no_meaning_for_a_review(run, words):
    ended = run("pool", review_file(), "--analysis", "1.1", *words.split())
    assert ended.status == 2
    assert f"{words.split()[0]} has no meaning for" in ended.err


def test_a_table_needs_a_measure_and_has_no_analyses(run, table):
    ended = run("pool", table())
    assert (ended.status, ended.err) == (2, "error: A table needs --measure: the code of an effect measure, e.g. RR "
                                         "(see: metail2 measures).\n")  # fmt: skip
    ended = run("pool", table(), "--measure", "RR", "--analysis", "1.1")
    assert ended.err == "error: --analysis has no meaning for trials.csv, which is no review file; leave it out.\n"


def test_an_arm_table_is_validated_as_one_row_a_study(run, table):
    rows = ["A,drug,4,20", "A,placebo,25,19", "B,drug,9,50", "B,placebo,5,52"]
    long = table(*rows, header="study,group,events,n")
    ended = run("validate", long, "--measure", "RR", "--arm", "group", "--control", "placebo")
    assert ended.status == 1
    assert "M015" in ended.out
    assert "trials.csv, row 2, A: column 'events2' is 25" in " ".join(ended.out.split())
    assert "--arm has no meaning for il2" in run("validate", "il2", "--arm", "group").err


def test_counts_of_a_review_are_pooled_by_its_own_measure(run):
    own, odds = (
        run("pool", review_file(), "--analysis", number, "--model", "mantel_haenszel") for number in ("1.1", "1.2")
    )
    assert (own.status, odds.status) == (0, 0)
    assert own.out.startswith("Risk ratio, 4 studies, Mantel–Haenszel")
    assert odds.out.startswith("Odds ratio, 4 studies, Mantel–Haenszel")
    asked = run("pool", review_file(), "--analysis", "1.1", "--measure", "OR", "--model", "mantel_haenszel")
    assert asked.out.startswith("Odds ratio, 4 studies, Mantel–Haenszel")
