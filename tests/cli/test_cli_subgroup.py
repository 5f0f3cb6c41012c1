import io
import json

import numpy as np
import pandas as pd
import pytest

import metail2 as m2


@pytest.fixture(scope="module")
def effects():
    return m2.effect_sizes(m2.load_dataset("bcg"), "RR", "author", events1="tpos", n1="tn", events2="cpos", n2="cn")


@pytest.mark.parametrize("common", [False, True])
def test_the_summary_is_that_of_the_package(run, bcg, effects, common):
    words = ["--subgroup", "alloc", *(["--common-tau2"] if common else [])]
    assert run("pool", *bcg, *words).out == m2.pool(effects, subgroup="alloc", common_tau2=common).summary() + "\n"


def test_csv_and_json_hold_the_groups(run, bcg, effects):
    groups = m2.pool(effects, subgroup="alloc").groups()
    text = run("pool", *bcg, "--subgroup", "alloc", "--format", "csv").out
    printed = pd.read_csv(io.StringIO(text.split("\n\n")[4]))
    np.testing.assert_allclose(printed["estimate"], groups["estimate"], rtol=1e-14)
    data = json.loads(run("pool", *bcg, "--subgroup", "alloc", "--format", "json").out)
    assert [row["group"] for row in data["groups"]] == ["random", "alternate", "systematic"]
    assert data["groups"][1]["pi_lower"] is None


def test_another_scale_shows_all_studies_together(run, bcg, effects):
    text = run("pool", *bcg, "--subgroup", "alloc", "--transform", "percent_change").out
    shown = float(np.expm1(m2.pool(effects).estimate) * 100)
    assert f"estimate −{abs(shown):.3f} %" in text.rsplit("As ", 1)[1]


def test_user_weights(run, bcg, effects):
    text = run("pool", *bcg, "--tau2", "GENQ", "--weights", "year").out
    assert text == m2.pool(effects, tau2="GENQ", weights="year").summary() + "\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--common-tau2"], "--common-tau2 says how subgroups share τ²: give --subgroup too"),
        (["--subgroup", "aloc"], "Unknown column of groups 'aloc'. Did you mean 'alloc'"),
        (["--subgroup", "alloc", "--moderators", "ablat"], "A subgroup analysis has no moderators"),
        (["--tau2", "GENQ"], "GENQ is defined by weights"),
        (
            ["--model", "mantel_haenszel", "--subgroup", "alloc"],
            "--subgroup has no meaning with --model mantel_haenszel",
        ),
    ],
)
def test_wrong_use(run, bcg, words, said):
    ended = run("pool", *bcg, *words)
    assert ended.out == ""
    assert said in ended.err
    assert ended.status in (1, 2)


def test_a_picture_by_groups(run, bcg, folder):
    assert run("forest", *bcg, "--subgroup", "alloc", "--output", "groups.svg").status == 0
    text = (folder / "groups.svg").read_text(encoding="utf-8")
    assert text.count("Subtotal") >= 3
