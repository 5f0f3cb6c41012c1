import json

import pytest

import metail2 as m2


@pytest.fixture(scope="module")
def catheters():
    return m2.load_dataset("nielweise2007")


@pytest.mark.parametrize("likelihood", [None, "CM.AL"])
def test_mixed_counts(run, catheters, likelihood):
    words = [] if likelihood is None else ["--likelihood", likelihood]
    ended = run("pool", "nielweise2007", "--measure", "OR", "--model", "mixed_counts", *words)
    assert ended.out == m2.MixedCounts("OR", likelihood or "UM.FS").fit(catheters).summary() + "\n"


def test_mixed_counts_of_another_coding_and_of_a_common_effect(run, catheters):
    words = ("pool", "nielweise2007", "--measure", "OR", "--model", "mixed_counts")
    treated = run(*words, "--coding", "treatment")
    assert treated == (0, m2.MixedCounts("OR", coding="treatment").fit(catheters).summary() + "\n", "")
    common = run(*words, "--tau2", "CE")
    assert common == (0, m2.MixedCounts("OR", tau2="CE").fit(catheters).summary() + "\n", "")


def test_mixed_counts_with_a_moderator(run, bcg):
    words = [*(word if word != "RR" else "OR" for word in bcg), "--model", "mixed_counts"]
    ended = run("pool", *words, "--moderators", "ablat", "--format", "json")
    named = {"events1": "tpos", "n1": "tn", "events2": "cpos", "n2": "cn"}
    table = m2.load_dataset("bcg").rename(columns={column: name for name, column in named.items()})
    fitted = m2.MixedCounts("OR", moderators="ablat").fit(table)
    assert ended.err == ""
    assert [row["term"] for row in json.loads(ended.out)["tidy"]] == ["intercept", "ablat"]
    assert [row["estimate"] for row in json.loads(ended.out)["tidy"]] == pytest.approx(
        fitted.tidy()["estimate"].tolist()
    )


def test_beta_binomial(run, catheters):
    ended = run("pool", "nielweise2007", "--measure", "OR", "--model", "beta_binomial", "--level", "0.9")
    assert ended == (0, m2.BetaBinomial("OR", 0.9).fit(catheters).summary() + "\n", "")


def test_peto_of_observed_minus_expected(run, table):
    file = table("A,-5,10", "B,-2,5", "C,1,4", header="study,o_minus_e,v")
    ended = run("pool", file, "--measure", "HR", "--model", "peto")
    assert "hazard ratio 0.729, 95 % interval 0.465 to 1.143" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "peto", "--likelihood", "UM.FS"], "--likelihood has no meaning with --model peto"),
        (["--likelihood", "UM.FS"], "--likelihood has a meaning only with --model mixed_counts"),
        (["--model", "mixed_counts", "--likelihood", "UMFS"], "Did you mean 'UM.FS'"),
        (["--model", "mixed_count"], "Did you mean 'mixed_counts'"),
        (["--model", "mixed_counts", "--tau2", "DL"], "estimator of τ² for counts 'DL'"),
        (["--model", "mixed_counts", "--test", "z"], "--test has no meaning with --model mixed_counts"),
        (["--model", "mixed_counts", "--coding", "full"], "coding of the treatment effect 'full'"),
        (["--model", "peto", "--coding", "half"], "--coding has no meaning with --model peto"),
        (["--coding", "half"], "--coding has a meaning only with --model mixed_counts"),
    ],
)
def test_wrong_use(run, words, said):
    ended = run("pool", "nielweise2007", "--measure", "OR", *words)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err


def test_a_picture_of_an_exact_likelihood(run, folder):
    words = ["--measure", "OR", "--model", "mixed_counts", "--output", "counts.png"]
    assert run("forest", "nielweise2007", *words).status == 0
    assert (folder / "counts.png").stat().st_size > 10_000
