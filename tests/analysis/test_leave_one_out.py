"""The result without each study, beside results of the subsets."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.analysis.leave_one_out import leave_one_out
from metail2.errors import MetailWarning, ModelError
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.tau2 import TAU2, WEIGHTED
from metail2.models.studies_only import StudiesOnly

FIGURES = ["estimate", "se", "statistic", "p_value", "ci_lower", "ci_upper"]
SPREAD = ["tau2", "i2", "q", "i2_q"]
RNG = np.random.default_rng(8)
EFFECTS = m2.EffectSizes.from_arrays(
    RNG.normal(size=9),
    RNG.uniform(0.01, 0.3, 9),
    study="abcdefghi",
    moderators={"x": RNG.normal(size=9), "group": list("uvwuvwuvw"), "w": RNG.uniform(1, 2, 9)},
)
COUNTS = pd.DataFrame(
    {
        "study": list("abcde"),
        "events1": [0, 1, 5, 0, 3],
        "n1": [10, 20, 30, 10, 40],
        "events2": [0, 0, 4, 0, 9],
        "n2": [10, 20, 30, 10, 40],
    }
)


def expected(refit):
    """Figures of one refit: one row a term."""
    tidy, glance = refit.tidy(), refit.glance().iloc[0]
    return [[*row[FIGURES], *glance[SPREAD]] for _, row in tidy.iterrows()]


@pytest.mark.parametrize(
    ("tau2", "test"),
    [
        (tau2, test)
        for tau2 in sorted(set(TAU2) - set(WEIGHTED))
        for test in TESTS
        if test != "kenward_roger" or tau2 == "REML"
    ],
)
def test_each_row_is_the_result_of_the_others(tau2, test):
    table = leave_one_out(m2.pool(EFFECTS, tau2=tau2, test=test))
    assert list(table) == ["study", *FIGURES, *SPREAD, "note"]
    assert table["study"].tolist() == list("abcdefghi")
    for i in (0, 4):
        refit = m2.pool(EFFECTS.drop(i), tau2=tau2, test=test)
        np.testing.assert_allclose(
            table.loc[i, FIGURES + SPREAD].astype(float), np.array(expected(refit)[0], dtype=float), rtol=1e-8
        )


@pytest.mark.parametrize("options", [{"weights": "w"}, {"weights": "w", "tau2": "GENQ"}, {"level": 0.8}])
def test_the_specification_is_kept(options):
    table = leave_one_out(m2.pool(EFFECTS, **options))
    refit = m2.pool(EFFECTS.drop(2), **options)
    np.testing.assert_allclose(
        table.loc[2, FIGURES + SPREAD].astype(float), np.array(expected(refit)[0], dtype=float), rtol=1e-9
    )


def test_moderators_give_a_row_a_study_and_term():
    result = m2.pool(EFFECTS, moderators="x + C(group)")
    table = leave_one_out(result)
    assert list(table) == ["study", "term", *FIGURES, *SPREAD, "note"]
    assert table["term"].tolist() == list(result.terms) * 9
    assert table["study"].tolist() == [label for label in "abcdefghi" for _ in result.terms]
    rows = table[table["study"] == "c"]
    refit = m2.pool(EFFECTS.drop(2), moderators="x + C(group)")
    np.testing.assert_allclose(rows[FIGURES + SPREAD], np.array(expected(refit), dtype=float), rtol=1e-9)


def test_moderators_stay_encoded_as_in_the_fit():
    centred = leave_one_out(m2.pool(EFFECTS, moderators="center(x)"))
    x = EFFECTS.moderators["x"]
    by_hand = leave_one_out(m2.pool(EFFECTS.assign(z=x - x.mean()), moderators="z"))
    np.testing.assert_allclose(centred[FIGURES], by_hand[FIGURES], rtol=1e-8)


def test_a_level_that_one_study_holds():
    effects = EFFECTS.assign(rare=[0.0] * 8 + [1.0])
    table = leave_one_out(m2.pool(effects, moderators="rare"))
    last = table[table["study"] == "i"]
    assert last[FIGURES].isna().all(axis=None)
    assert (last["note"].str.contains("'rare' is 0 in every study, so it has no coefficient")).all()
    assert (table["note"][:-2] == "").all()


def test_two_studies_leave_the_other_as_it_is():
    table = leave_one_out(m2.pool([0.1, 0.5], [0.04, 0.09]))
    assert table["estimate"].tolist() == [0.5, 0.1]
    assert table["se"].tolist() == pytest.approx([0.3, 0.2])
    assert table["tau2"].isna().all()
    assert table["note"].str.startswith("one study: its own normal (z) interval").all()


def test_studies_that_are_not_in_the_fit_do_not_appear():
    yi, vi = [0.3, np.nan, 0.1, 0.9, 0.4], [0.1, 0.2, 0.3, 0.4, 0.1]
    with pytest.warns(MetailWarning, match="left out"):
        table = leave_one_out(m2.pool(yi, vi))
    assert table["study"].tolist() == ["study 1", "study 3", "study 4", "study 5"]


def test_others_that_agree_exactly():
    table = leave_one_out(m2.pool([0.3, 0.3, 0.3, 2.0], [0.1, 0.2, 0.3, 0.4]))
    assert table.loc[3, ["estimate", "se", "tau2", "q"]].tolist() == [0.3, 0, 0, 0]
    assert "Hartung–Knapp standard error is 0" in table["note"][3]
    assert (table["note"][:3] == "").all()


@pytest.mark.parametrize("model", [m2.MantelHaenszel("OR"), m2.MantelHaenszel("RD"), m2.Peto()])
def test_models_of_tables_are_fitted_to_the_others(model):
    result = model.fit(COUNTS)
    table = leave_one_out(result)
    assert list(table) == ["study", *FIGURES, *SPREAD, "note"]
    for i in range(5):
        refit = model.fit(COUNTS.drop(index=i))
        np.testing.assert_allclose(
            table.loc[i, FIGURES + SPREAD].astype(float), np.array(expected(refit)[0], dtype=float), rtol=1e-12
        )
    assert (table["note"] != "").all()  # at least that the model has no τ²


def test_an_undefined_refit_says_why():
    table = leave_one_out(m2.MantelHaenszel("OR").fit(COUNTS.iloc[:4]))
    assert np.isnan(table["estimate"][2])
    assert "no event occurred in any control arm" in table["note"][2]


def test_subgroups_that_vanish_are_said_once():
    effects = EFFECTS.subset(np.arange(9) < 4).assign(half=list("aaab"))
    table = leave_one_out(m2.pool(effects, subgroup="half"))
    last = table[table["study"] == "d"]
    assert len(last) == 1
    assert "has one group with an effect (a)" in last["note"].iloc[0]
    assert table["term"][:3].tolist() == ["a", "b", "overall"]


def test_nothing_to_leave_out():
    with pytest.raises(ModelError, match="study 1 is the only study in the fit, so it cannot be left out"):
        leave_one_out(m2.pool([0.1], [0.04]))
    with pytest.raises(ModelError, match="Nothing is pooled here"):
        leave_one_out(StudiesOnly("too different").fit(EFFECTS))


@pytest.mark.parametrize("options", [{}, {"tau2": "CE"}, {"common_tau2": True}, {"tau2": "CE", "common_tau2": True}])
def test_a_group_has_the_heterogeneity_of_its_own_studies(options):
    table = leave_one_out(m2.pool(EFFECTS, subgroup="group", **options))
    for i in (0, 4):
        refit = m2.pool(EFFECTS.drop(i), subgroup="group", **options)
        rows = table[table["study"] == EFFECTS.study[i]]
        own = pd.concat([refit.groups(), refit.overall.tidy().join(refit.overall.glance()[SPREAD])])
        np.testing.assert_array_equal(rows[FIGURES + SPREAD], own[FIGURES + SPREAD].astype(float))
        others = EFFECTS.drop(i)
        alone = m2.pool(others.subset(np.array(others.moderators["group"] == "w")), tau2=options.get("tau2", "REML"))
        row = rows.set_index("term").loc["w"]
        assert (row["q"], row["i2_q"]) == pytest.approx((alone.q, alone.i2_q), rel=1e-12)
        assert row["tau2"] == pytest.approx(refit.table["tau2"][0] if "common_tau2" in options else alone.tau2)
    gaps = table[SPREAD].isna().any(axis=1)
    assert gaps.any() == (options.get("tau2") == "CE")
    assert (table["note"] != "").equals(gaps)


def test_a_group_of_one_study_says_so():
    effects = EFFECTS.subset(np.arange(9) < 5).assign(half=list("aaabb"))
    for common, said in ((False, "one study: its own normal"), (True, "one study, whose interval rests on the τ² of")):
        table = leave_one_out(m2.pool(effects, subgroup="half", common_tau2=common)).set_index(["study", "term"])
        assert np.isnan(table.loc[("d", "b"), "q"])
        assert table.loc[("d", "b"), "note"].startswith(said)
        assert np.isfinite(table.loc[("d", "a"), "q"])


def test_other_models_encode_their_moderators_anew():
    result = m2.LocationScale("w", moderators="center(x)").fit(EFFECTS)
    table = leave_one_out(result)
    refit = m2.LocationScale("w", moderators="center(x)").fit(EFFECTS.drop(2)).tidy()
    np.testing.assert_allclose(table.loc[table["study"] == "c", FIGURES], refit[FIGURES], rtol=1e-12)


def test_models_without_tau2_or_q_say_so():
    beta_binomial = leave_one_out(m2.BetaBinomial("OR").fit(COUNTS))
    assert beta_binomial[SPREAD].isna().all(axis=None)
    assert beta_binomial["note"].str.contains("there is no τ², I², Q").all()
    assert not beta_binomial["note"].str.contains("at least 2 studies").any()
    tables = leave_one_out(m2.MantelHaenszel("RD").fit(COUNTS))
    assert tables["note"].str.contains("a common effect is assumed, so there is no τ²").all()
    scale = leave_one_out(m2.LocationScale(scale="x").fit(EFFECTS))
    assert scale["note"].str.contains("τ² depends on the study").all()


@pytest.mark.parametrize("function", [leave_one_out, m2.cumulative])
@pytest.mark.parametrize(
    ("thing", "kind"), [([1, 2], "a list"), (None, "None"), (COUNTS, "a DataFrame"), (EFFECTS, "an EffectSizes")]
)
def test_what_is_no_result(function, thing, kind):
    with pytest.raises(ModelError, match=f"{function.__name__} reads a pooled result, .* but this is {kind}\\.$"):
        function(thing)
