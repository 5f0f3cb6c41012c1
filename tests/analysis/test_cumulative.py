"""Results as studies are added, beside results of the first few."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.analysis.cumulative import cumulative
from metail2.errors import MetailWarning, ModelError, UnknownChoice
from metail2.kernels.coefficient_tests import TESTS

FIGURES = ["estimate", "se", "statistic", "p_value", "ci_lower", "ci_upper"]
SPREAD = ["tau2", "i2", "q", "i2_q"]
RNG = np.random.default_rng(9)
YEAR = [1990.0, 1985, 1999, 1985, 2004, 1970, 2001]
EFFECTS = m2.EffectSizes.from_arrays(
    RNG.normal(size=7),
    RNG.uniform(0.01, 0.3, 7),
    study="abcdefg",
    moderators={"year": YEAR, "x": RNG.normal(size=7), "w": RNG.uniform(1, 2, 7), "mixed": [1, "b", 2, 3, 4, 5, 6]},
)


def first(n, order=range(7)):
    """The effects of the first n studies of an order."""
    kept = np.zeros(7, dtype=bool)
    kept[list(order)[:n]] = True
    return EFFECTS.subset(kept)


def figures(refit):
    return [*refit.tidy()[FIGURES].iloc[0], *refit.glance()[SPREAD].iloc[0]]


@pytest.mark.parametrize(
    ("tau2", "test"),
    [
        (tau2, test)
        for tau2 in ["CE", "DL", "REML", "PM"]
        for test in TESTS
        if test != "kenward_roger" or tau2 == "REML"
    ],
)
def test_each_row_is_the_result_so_far(tau2, test):
    table = cumulative(m2.pool(EFFECTS, tau2=tau2, test=test))
    assert list(table) == ["study", *FIGURES, *SPREAD, "note"]
    assert table["study"].tolist() == list("abcdefg")
    assert set(table[FIGURES + SPREAD].dtypes) == {np.dtype(float)}
    for n in (1, 2, 5, 7):
        refit = m2.pool(first(n), tau2=tau2, test=test)
        np.testing.assert_allclose(table.loc[n - 1, FIGURES + SPREAD].astype(float), figures(refit), rtol=1e-9)


def test_the_first_row_is_the_study_itself():
    row = cumulative(m2.pool(EFFECTS)).iloc[0]
    assert (row["estimate"], row["se"]) == pytest.approx((EFFECTS.yi[0], np.sqrt(EFFECTS.vi[0])))
    assert np.isnan(row["tau2"])
    assert row["note"].startswith("one study")


def test_the_last_row_is_the_result():
    for options in ({}, {"weights": "w"}, {"weights": "w", "tau2": "GENQ"}, {"level": 0.8}):
        result = m2.pool(EFFECTS, **options)
        last = cumulative(result, order="x").iloc[-1]
        np.testing.assert_allclose(last[FIGURES + SPREAD].astype(float), figures(result), rtol=1e-9)


def test_order_by_a_column_with_ties_in_the_order_given():
    table = cumulative(m2.pool(EFFECTS), order="year")
    assert table["study"].tolist() == ["f", "b", "d", "a", "c", "g", "e"]
    refit = m2.pool(first(3, [5, 1, 3]))
    np.testing.assert_allclose(table.loc[2, FIGURES + SPREAD].astype(float), figures(refit), rtol=1e-9)


def test_ties_among_many_studies_keep_the_order_given():
    k = 60
    effects = m2.EffectSizes.from_arrays(
        np.linspace(0, 1, k), np.full(k, 0.1), study=range(k), moderators={"half": [i % 2 for i in range(k)]}
    )
    table = cumulative(m2.pool(effects, tau2="CE"), order="half")
    assert table["study"].tolist() == [str(i) for i in [*range(0, k, 2), *range(1, k, 2)]]


def test_order_by_positions():
    table = cumulative(m2.pool(EFFECTS), order=np.array([6, 5, 4, 3, 2, 1, 0]))
    assert table["study"].tolist() == list("gfedcba")
    assert cumulative(m2.pool(EFFECTS), order=list(range(7))).equals(cumulative(m2.pool(EFFECTS)))


def test_studies_that_are_not_in_the_fit_are_passed_over():
    effects = m2.EffectSizes.from_arrays(
        [0.3, np.nan, 0.1, 0.9], [0.1, 0.2, 0.3, 0.4], study="abcd", moderators={"year": [3.0, np.nan, 1.0, 2.0]}
    )
    with pytest.warns(MetailWarning, match="b: left out"):
        result = m2.pool(effects)
    assert cumulative(result, order="year")["study"].tolist() == ["c", "d", "a"]
    assert cumulative(result, order=[3, 1, 0, 2])["study"].tolist() == ["d", "a", "c"]
    with pytest.raises(ModelError, match="The order must hold the position of b once"):
        cumulative(result, order=[3, 1, 1, 0, 2])


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 2, 3, 4, 5], "The order must hold the position of g once"),
        ([0, 1, 2, 3, 4, 5, 5, 6], "The order must hold the position of f once"),
        ([0, 1, 2, 3, 4, 5, 6, 99], "The order has position 99, but the effects have the positions 0 to 6"),
        ([0, 1, 2, 3, 4, 5, 6, -1, 7], "The order has positions -1 and 7, but the effects have"),
        ([0, 1, 2, 3, 4, 5, 6, 6, 6], "The order must hold the position of g once"),
        ([], "The order must hold the position of a, b, c, d, e and 2 more once"),
        ([0.0, 1, 2, 3, 4, 5, 6], "list of positions"),
        ([True, 1, 2, 3, 4, 5, 6], "list of positions"),
        ([0, [1, 2]], "list of positions"),
        ({"year": 1}, "list of positions"),
        (3, "list of positions"),
        ([[0, 1]], "list of positions"),
        ("mixed", "'mixed' mixes numbers and text"),
    ],
)
def test_an_order_that_places_no_study_or_one_twice(order, message):
    with pytest.raises(ModelError, match=message):
        cumulative(m2.pool(EFFECTS), order=order)


def test_an_unknown_or_incomplete_column():
    result = m2.pool(EFFECTS.assign(gap=[1.0, np.nan, 3, 4, 5, 6, 7]))
    with pytest.raises(UnknownChoice, match="Did you mean 'year'"):
        cumulative(result, order="years")
    with pytest.raises(ModelError, match="b: 'gap' is missing, so the study has no place in the order"):
        cumulative(result, order="gap")


def test_moderators():
    result = m2.pool(EFFECTS, moderators="x")
    table = cumulative(result)
    assert list(table)[:2] == ["study", "term"]
    assert table["term"].tolist() == ["intercept", "x"] * 7
    assert table[FIGURES][:4].isna().all(axis=None)
    assert table["note"][3] == (
        "2 studies cannot support 2 coefficients (intercept, x); at least 3 are needed, so use fewer moderators."
    )
    refit = m2.pool(first(4), moderators="x").tidy()
    np.testing.assert_allclose(table.loc[6:7, FIGURES], refit[FIGURES], rtol=1e-9)
    assert (table["note"][4:] == "").all()


def test_models_of_tables():
    frame = pd.DataFrame({"events1": [1, 0, 5], "n1": [10, 20, 30], "events2": [2, 3, 4], "n2": [10, 20, 30]})
    model = m2.MantelHaenszel("OR")
    table = cumulative(model.fit(frame), order=[2, 0, 1])
    assert table["study"].tolist() == ["study 3", "study 1", "study 2"]
    np.testing.assert_allclose(
        table.loc[1, FIGURES].astype(float), model.fit(frame.iloc[[0, 2]]).tidy()[FIGURES].iloc[0]
    )
    assert "heterogeneity needs an estimate and at least 2 studies with events" in table["note"][0]


def test_one_study_is_its_own_only_row():
    table = cumulative(m2.pool([0.3], [0.04]))
    assert len(table) == 1
    assert table["estimate"][0] == 0.3


def test_effects_that_agree():
    table = cumulative(m2.pool([0.3] * 3, [0.1, 0.2, 0.3]))
    assert (table["estimate"] == 0.3).all()
    assert table["note"][1:].str.contains("Hartung–Knapp standard error is 0").all()


def test_groups_have_the_heterogeneity_of_their_own_studies():
    table = cumulative(m2.pool(EFFECTS.assign(half=list("abababa")), subgroup="half"), order="x")
    order = np.argsort(EFFECTS.moderators["x"])
    refit = m2.pool(first(5, order).assign(half=np.array(list("abababa"))[np.sort(order[:5])]), subgroup="half")
    rows = table[table["study"] == EFFECTS.study[order[4]]].set_index("term")
    groups = refit.groups().set_index("group")
    np.testing.assert_array_equal(rows.loc[groups.index, SPREAD], groups[SPREAD].astype(float))
    assert rows.loc["overall", "q"] == refit.overall.q


def test_a_coefficient_without_an_error_says_why():
    agree = m2.EffectSizes.from_arrays([0.30, 0.31, 0.29, 0.9], [0.1, 0.2, 0.3, 0.01])
    table = cumulative(m2.LocationScale("1").fit(agree))
    gaps = table[FIGURES].isna().any(axis=1)
    assert gaps.any()
    assert (table.loc[gaps, "note"] != "").all()
    assert table["note"].str.contains("τ² is 0, the least it can be, in every study").any()
