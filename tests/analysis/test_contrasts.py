"""Contrasts beside statsmodels, the reference model by hand, and the fit itself under another coding."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import metail2 as m2
from metail2.analysis.contrasts import ADJUSTMENTS, contrasts, joint_contrast_test, pairwise
from metail2.errors import ModelError, UnknownChoice

COLUMNS = ["contrast", "estimate", "se", "statistic", "df", "p_value", "p_adjusted", "ci_lower", "ci_upper", "note"]
HALF = {"half way": {"intercept": 1, "alloc[T.random]": 0.5, "ablat": 33.5}, "slope": [0, 0, 0, 10]}


@pytest.fixture
def bcg():
    frame = m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})
    return m2.effect_sizes(frame, "RR", study="author")


def fit(bcg, formula="alloc + ablat", **spec):
    return m2.pool(bcg, moderators=formula, **spec)


def test_weighted_least_squares_by_statsmodels(bcg):
    # of a common effect, Hartung–Knapp's covariance is that of weighted least squares with its residual scale
    result = fit(bcg, tau2="CE", test="knapp_hartung")
    other = sm.WLS(bcg.yi, result.design.x, weights=1 / bcg.vi).fit()
    matrix = np.array([[1, 0.5, 0, 33.5], [0, 0, 0, 10]])
    theirs = other.t_test(matrix)
    table = contrasts(result, HALF, level=0.9)
    assert table.columns.tolist() == COLUMNS
    assert table["contrast"].tolist() == ["half way", "slope"]
    expected = [theirs.effect, theirs.sd, theirs.tvalue, [9, 9], theirs.pvalue, theirs.pvalue]
    np.testing.assert_allclose(table[COLUMNS[1:7]].T, expected, rtol=1e-9)
    np.testing.assert_allclose(table[["ci_lower", "ci_upper"]], theirs.conf_int(alpha=0.1), rtol=1e-9)
    joint, f = joint_contrast_test(result, HALF), other.f_test(matrix)
    assert (joint.statistic, joint.p_value, joint.df, joint.df_error) == pytest.approx(
        (float(f.fvalue), float(f.pvalue), 2, 9), rel=1e-9
    )


def test_normal_test_by_hand(bcg):
    result = fit(bcg, test="z")
    weights = np.array([1, 0.5, 0, 33.5])
    row = contrasts(result, HALF).iloc[0]
    se = np.sqrt(weights @ np.linalg.inv(result.design.x.T / (bcg.vi + result.tau2) @ result.design.x) @ weights)
    assert row["se"] == pytest.approx(se, rel=1e-11)
    assert row["ci_upper"] - row["ci_lower"] == pytest.approx(2 * 1.959963984540054 * se, rel=1e-11)
    assert np.isnan(row["df"])
    assert joint_contrast_test(result, {"ablat": {"ablat": 1}}).statistic == pytest.approx(
        result.wald.statistic[3] ** 2, rel=1e-11
    )


@pytest.mark.parametrize("test", ["z", "knapp_hartung", "kenward_roger"])
def test_another_coding_of_the_factor_has_the_contrast_as_a_coefficient(bcg, test):
    table = pairwise(fit(bcg, test=test), "alloc")
    assert table["contrast"].tolist() == ["random − alternate", "systematic − alternate", "systematic − random"]
    # with other first levels the same differences are coefficients
    from_random = bcg.assign(alloc=bcg.moderators["alloc"].replace({"random": "_random"}))
    other = fit(from_random, test=test)
    own, row = other.wald, table.iloc[2]
    j = other.terms.index("alloc[T.systematic]")
    expected = [own.estimate[j], own.se[j], own.statistic[j], own.p_value[j], own.lower[j], own.upper[j]]
    found = row[["estimate", "se", "statistic", "p_value", "ci_lower", "ci_upper"]].tolist()
    assert found == pytest.approx(expected, rel=1e-9)
    assert (row["df"] if test != "z" else np.inf) == pytest.approx(np.broadcast_to(own.df, 4)[j], rel=1e-9)
    joint = joint_contrast_test(fit(bcg, test=test), {"a": {"alloc[T.random]": 1}, "b": {"alloc[T.systematic]": 1}})
    again = joint_contrast_test(fit(from_random, test=test), {"c": [0, 1, 0, 0], "d": [0, 1, -1, 0]})
    assert joint.p_value == pytest.approx(again.p_value, rel=1e-9)


@pytest.mark.parametrize("formula", ["C(alloc) + ablat", "0 + alloc + ablat", "alloc + center(ablat)"])
def test_pairs_do_not_depend_on_how_the_formula_codes(bcg, formula):
    expected = pairwise(fit(bcg), "alloc").drop(columns=["contrast", "note"])
    np.testing.assert_allclose(
        pairwise(fit(bcg, formula), "alloc").drop(columns=["contrast", "note"]), expected, rtol=1e-8
    )


def test_a_factor_of_numbers(bcg):
    early = bcg.assign(period=np.where(bcg.moderators["year"] < 1960, 1, 2))
    row = pairwise(fit(early, "C(period)"), "period").iloc[0]
    own = fit(early, "C(period)").tidy().iloc[1]
    assert row["contrast"] == "2 − 1"
    assert row["estimate"] == pytest.approx(own["estimate"], rel=1e-12)


ODD = ["my.alloc", "method of allocation", "alloc (how?)", "a-b+c:d*e", "Zuteilung, Ä/ß"]
ODD_LEVELS = {
    "alternate": "alt. (day, month)",
    "random": "C(x)[T.y]",
    "systematic": "a:b - 50 % \u2212 `q` 'r' \"s\" {t}",
}


@pytest.mark.parametrize("column", ODD)
@pytest.mark.parametrize("formula", ["`{}` + ablat", "C(`{}`) + ablat"])
def test_punctuation_in_the_names_of_factors_and_levels(bcg, column, formula):
    odd = bcg.assign(**{column: bcg.moderators["alloc"].map(ODD_LEVELS)})
    table = pairwise(fit(odd, formula.format(column)), column)
    # the levels sort as C(x)…, a:b…, alt.…: the pairs are the same, turned round
    first, second, third = sorted(ODD_LEVELS.values())
    assert table["contrast"].tolist() == [f"{second} − {first}", f"{third} − {first}", f"{third} − {second}"]
    plain = pairwise(fit(bcg), "alloc").set_index("contrast")["estimate"]
    expected = [plain["systematic − random"], -plain["random − alternate"], -plain["systematic − alternate"]]
    assert table["estimate"].tolist() == pytest.approx(expected, rel=1e-9)


def test_a_column_name_with_a_dot_is_one_name(bcg):
    odd = bcg.assign(**{"my.alloc": bcg.moderators["alloc"], "my.year": bcg.moderators["year"]})
    result = fit(odd, "my.alloc + my.year")
    assert pairwise(result, "my.alloc")["contrast"].tolist() == pairwise(fit(bcg), "alloc")["contrast"].tolist()
    with pytest.raises(UnknownChoice, match=r"Unknown factor 'my'\. .*Choose from: my\.alloc, my\.year"):
        pairwise(result, "my")
    with pytest.raises(ModelError, match=r"'my\.year' enters the model as a number.*write C\(`my\.year`\)"):
        pairwise(result, "my.year")


def test_p_values_are_adjusted_for_their_number(bcg):
    result = fit(bcg)
    plain = pairwise(result, "alloc")
    assert plain["p_adjusted"].equals(plain["p_value"])
    p = np.sort(plain["p_value"])
    holm = np.minimum(1, np.maximum.accumulate(p * [3, 2, 1]))  # Holm 1979
    hochberg = np.minimum.accumulate((p * [3, 3 / 2, 1])[::-1])[::-1]  # Benjamini & Hochberg 1995
    assert np.sort(pairwise(result, "alloc", adjust="bonferroni")["p_adjusted"]) == pytest.approx(np.minimum(1, 3 * p))
    assert np.sort(pairwise(result, "alloc", adjust="holm")["p_adjusted"]) == pytest.approx(holm)
    assert np.sort(pairwise(result, "alloc", adjust="fdr_bh")["p_adjusted"]) == pytest.approx(hochberg)
    for adjust in ADJUSTMENTS:
        table = pairwise(result, "alloc", adjust=adjust)
        assert (table["p_adjusted"] <= 1).all()
        assert table.drop(columns="p_adjusted").equals(plain.drop(columns="p_adjusted"))


def test_an_undefined_p_value_does_not_count():
    # an exact fit with a slope of 0: its t is 0/0 under Hartung–Knapp, the intercept's is infinite
    effects = m2.EffectSizes.from_arrays([0.5] * 4, [0.1] * 4, moderators={"dose": [1.0, 2, 3, 5]})
    table = contrasts(fit(effects, "dose"), {"mean": [1, 0], "slope": [0, 1]}, adjust="bonferroni")
    assert table["p_adjusted"].iloc[0] == table["p_value"].iloc[0] == 0
    assert np.isnan(table["p_adjusted"].iloc[1])
    assert table["note"].str.contains("standard error is 0").all()


def test_few_studies():
    result = m2.pool([0.1, 0.9], [0.04, 0.04])
    row, tidy = contrasts(result, {"twice": [2]}).iloc[0], result.tidy().iloc[0]
    assert (row["estimate"], row["se"]) == pytest.approx((2 * tidy["estimate"], 2 * tidy["se"]))
    assert row["p_value"] == pytest.approx(tidy["p_value"])
    with pytest.raises(ModelError, match="study 1 is the only one in the fit"):
        contrasts(m2.pool([0.5], [0.04]), {"twice": [2]})


def test_levels_in_the_order_of_a_categorical(bcg):
    ordered = pd.Categorical(bcg.moderators["alloc"], ["systematic", "random", "alternate"])
    table = pairwise(fit(bcg.assign(alloc=ordered)), "alloc")
    assert table["contrast"].tolist() == ["random − systematic", "alternate − systematic", "alternate − random"]
    plain = pairwise(fit(bcg), "alloc")
    assert table["estimate"].tolist() == pytest.approx(
        [-plain["estimate"][2], -plain["estimate"][1], -plain["estimate"][0]]
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "No contrast was given"),
        ({"x": [1, 2]}, r"'x' has 2 weights, but the model has 4 terms \(intercept, .*ablat\); give one for each"),
        ({"x": {"ablat": 0}}, "'x' has the weights .*; give finite numbers that are not all 0"),
        ({"x": {"ablat": np.inf}}, "give finite numbers"),
        ({"x": {"ablat": "b"}}, r"'x' has the weights .*'b'.*; give finite numbers"),
        ({"x": {"ablat": None}}, "give finite numbers"),
        ({"x": [[1], 2, 3, 4]}, "give finite numbers"),
        ([[0, 1]], r"weights by name, e\.g\. {'x': {'ablat': 1}}, but this is a list"),
        ("ablat", r"weights by name, e\.g\. {'x': {'ablat': 1}}, but this is a str"),
        (pd.DataFrame({"ablat": [1.0]}), "weights by name, .* but this is a DataFrame"),
        ({"ablat": 1}, r"'ablat' is 1; give the weights of its terms, e\.g\. {'ablat': {'ablat': 1}}"),
        ({"x": "ablat"}, "'x' is 'ablat'; give the weights of its terms"),
        ({"ablat": np.array(1.0)}, r"'ablat' is array\(1\.\); give the weights of its terms"),
    ],
)
def test_weights_that_are_none(bcg, given, message):
    for function in (contrasts, joint_contrast_test):
        with pytest.raises(ModelError, match=message):
            function(fit(bcg), given)


def test_names_that_do_not_exist(bcg):
    result = fit(bcg)
    with pytest.raises(UnknownChoice, match=r"Unknown term 'ablatt'\. Did you mean 'ablat'"):
        contrasts(result, {"x": {"ablatt": 1}})
    with pytest.raises(UnknownChoice, match=r"Unknown adjustment 'holms'\. Did you mean 'holm'"):
        contrasts(result, HALF, adjust="holms")
    with pytest.raises(UnknownChoice, match=r"Unknown factor 'aloc'\. Did you mean 'alloc'"):
        pairwise(result, "aloc")
    with pytest.raises(ModelError, match="confidence level is 95"):
        contrasts(result, HALF, level=95)


def test_contrasts_that_follow_from_each_other(bcg):
    with pytest.raises(ModelError, match="Of the contrasts a, b and c one follows from the others"):
        joint_contrast_test(fit(bcg), {"a": [0, 1, 0, 0], "b": [0, 0, 1e-6, 0], "c": [0, 1e6, -2, 0]})


def test_what_is_no_factor(bcg):
    with pytest.raises(ModelError, match="'alloc' interacts with another moderator"):
        pairwise(fit(bcg, "alloc * ablat"), "alloc")
    with pytest.raises(ModelError, match=r"'ablat' enters the model as a number.*C\(ablat\)"):
        pairwise(fit(bcg), "ablat")
    with pytest.raises(ModelError, match="no moderators, so there are no levels of 'alloc'"):
        pairwise(m2.pool(bcg), "alloc")


@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_scale(bcg, c):
    other = m2.EffectSizes.from_arrays(c * bcg.yi, c**2 * bcg.vi, moderators=bcg.moderators)
    before, after = pairwise(fit(bcg), "alloc"), pairwise(fit(other), "alloc")
    np.testing.assert_allclose(after["se"], c * before["se"], rtol=1e-12)
    np.testing.assert_allclose(after["p_value"], before["p_value"], rtol=1e-12)
