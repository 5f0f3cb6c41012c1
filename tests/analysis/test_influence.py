"""Influence of studies on pooled effects and meta-regressions, against refits and metafor 3.8."""

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.baujat import baujat
from metail2.analysis.influence import influence
from metail2.errors import MetailWarning, ModelError

COLUMNS = [
    "study", "rstudent", "dffits", "cooks_distance", "cov_ratio", "tau2_deleted", "q_deleted", "hat", "weight",
    "dfbeta_intercept", "influential", "note",
]  # fmt: skip

# metafor 3.8: rma(yi, vi, mods = ~ ablat + factor(alloc), method = "REML", test = "knha"), threshold 1e-12, on the BCG
# trials; studies 1, 8 and 13, columns as in INFLUENCE below
METAFOR = {
    0: [0.41743523155, 0.165743924996, 0.0320506373576, 1.85383357410, 0.1653703277455, 26.1147078984, 0.0970898904154,
        3.78840471129, -0.0217531372761, 0.0377648700576, 0.0792225372413, -0.02283464628934],
    7: [1.23001235447, 1.200255976344, 1.3445821449592, 1.52875307411, 0.1402953093711, 18.9737123535, 0.4884280153810,
        11.99029358575, 0.5836515935278, -0.8434526623134, 0.5334598189709, -0.00941576084152],
    12: [1.56045241992, 1.090527783657, 1.0016331584888, 0.35456991715, 0.0715706352849, 17.7651589183, 0.2751483571755,
         8.24646840610, -0.2492238066303, 0.2968231158922, -0.1038439346930, 0.77401194787910],
}  # fmt: skip
BAUJAT = {0: (0.172897382899, 0.0235795925229), 7: (0.781980709369, 0.7296794932162)}


@pytest.fixture(scope="module")
def bcg():
    frame = m2.load_dataset("bcg").rename(columns={"tpos": "events1", "tn": "n1", "cpos": "events2", "cn": "n2"})
    return m2.effect_sizes(frame, "RR", study="author")


def test_columns_and_labels(bcg):
    table = influence(m2.pool(bcg))
    assert list(table) == COLUMNS
    assert table["study"].tolist() == list(bcg.study)
    assert table["influential"].dtype == bool
    assert (table["note"] == "").all()


def test_moderators_as_in_metafor(bcg):
    result = m2.pool(bcg, moderators="ablat + C(alloc)")
    table = influence(result)
    names = [name for name in table if name not in ("study", "influential", "note")]
    assert names[8:] == [f"dfbeta_{term}" for term in result.terms]
    for row, expected in METAFOR.items():
        assert table.loc[row, names].tolist() == pytest.approx(expected, rel=1e-8)
    coordinates = baujat(result)
    for row, expected in BAUJAT.items():
        assert coordinates.loc[row, ["contribution", "influence"]].tolist() == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("tau2", ["CE", "DL", "REML", "PM", "SJ"])
@pytest.mark.parametrize("moderators", [None, "ablat"])
def test_deletions_are_refits(bcg, tau2, moderators):
    table = influence(m2.pool(bcg, tau2=tau2, moderators=moderators))
    for i in (0, 3, 12):
        refit = m2.pool(bcg.drop(i), tau2=tau2, moderators=moderators)
        assert table["tau2_deleted"][i] == pytest.approx(refit.tau2, rel=1e-9)
        assert table["q_deleted"][i] == pytest.approx(refit.q, rel=1e-10)


def test_a_study_that_alone_determines_a_coefficient_cannot_be_left_out():
    effects = m2.EffectSizes.from_arrays(
        [0.1, 0.5, 0.3, 0.9, 0.2], [0.1, 0.2, 0.3, 0.1, 0.2], study="abcde", moderators={"new": [0.0, 0, 0, 0, 1]}
    )
    table = influence(m2.pool(effects, moderators="new"))
    figures = [name for name in table if name not in ("study", "hat", "weight", "influential", "note")]
    assert table.loc[4, figures].isna().all()
    assert table.loc[:3, figures].notna().all(axis=None)
    reason = "without this study: the moderator 'new' is 0 in every study, so it has no coefficient."
    assert table["note"].tolist() == [""] * 4 + [reason]
    assert table["hat"][4] == pytest.approx(1)


def test_two_studies_have_no_influence_to_show():
    table = influence(m2.pool([0.1, 0.5], [0.1, 0.2]))
    assert table[["rstudent", "dffits", "cooks_distance", "cov_ratio", "tau2_deleted"]].isna().all(axis=None)
    assert (table["note"] == "one study would be left, and nothing pooled").all()
    assert not table["influential"].any()


def test_as_many_coefficients_as_would_remain():
    effects = m2.EffectSizes.from_arrays([0.1, 0.5, 0.3], [0.1, 0.2, 0.3], moderators={"x": [1.0, 2.0, 4.0]})
    table = influence(m2.pool(effects, moderators="x"))
    assert table["rstudent"].isna().all()
    assert (
        table["note"].str.startswith("without this study: 2 studies cannot support 2 coefficients (intercept, x)").all()
    )


def test_effects_that_agree():
    yi, vi = [0.3] * 4, [0.1, 0.2, 0.3, 0.4]
    by_z = influence(m2.pool(yi, vi, test="z"))
    assert (by_z[["rstudent", "dffits", "cooks_distance", "dfbeta_intercept", "q_deleted"]] == 0).all(axis=None)
    by_hartung_knapp = influence(m2.pool(yi, vi))
    assert by_hartung_knapp["cooks_distance"].isna().all()
    assert by_hartung_knapp["note"].str.contains("all effects agree exactly").all()


@pytest.mark.parametrize("test", ["z", "knapp_hartung"])
def test_a_regression_that_fits_exactly_leaves_no_rounding(test):
    effects = m2.EffectSizes.from_arrays([0.4] * 5, [0.1, 0.2, 0.1, 0.3, 0.2], moderators={"x": [1.0, 2, 3, 4, 6]})
    result = m2.pool(effects, moderators="x", test=test)
    figures = influence(result)[["rstudent", "dffits", "cooks_distance", "dfbeta_intercept", "dfbeta_x"]]
    assert figures.isna().all(axis=None) if test == "knapp_hartung" else (figures == 0).all(axis=None)
    assert not np.isinf(baujat(result)["influence"]).any()


def test_one_study_apart_from_others_that_agree():
    table = influence(m2.pool([0.3, 0.3, 0.3, 2.0], [0.1, 0.2, 0.3, 0.4]))
    assert np.isinf(table["rstudent"][3])
    assert table["note"][3] == (
        "the other studies agree exactly with their fit: without this one Hartung–Knapp standard errors are 0"
    )
    assert np.isfinite(table.loc[:2, ["rstudent", "dffits", "cov_ratio"]]).all(axis=None)


def test_studies_that_are_not_in_the_fit_do_not_appear():
    with pytest.warns(MetailWarning, match="study 2: left out"):
        result = m2.pool([0.3, np.nan, 0.1, 0.9, 0.4], [0.1, 0.2, 0.3, 0.4, 0.1])
    table = influence(result)
    assert table["study"].tolist() == ["study 1", "study 3", "study 4", "study 5"]
    without = influence(m2.pool([0.3, 0.1, 0.9, 0.4], [0.1, 0.3, 0.4, 0.1]))
    np.testing.assert_array_equal(table.iloc[:, 1:-1].astype(float), without.iloc[:, 1:-1].astype(float))


def test_scale_does_not_matter(bcg):
    base = influence(m2.pool(bcg.yi, bcg.vi))
    scaled = influence(m2.pool(1e8 * bcg.yi, 1e16 * bcg.vi))
    same = ["rstudent", "dffits", "cooks_distance", "cov_ratio", "q_deleted", "hat", "weight", "dfbeta_intercept"]
    np.testing.assert_allclose(scaled[same], base[same], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(scaled["tau2_deleted"], 1e16 * base["tau2_deleted"], rtol=1e-12)


def test_the_flag_of_a_gross_outlier():
    rng = np.random.default_rng(2)
    yi = np.append(rng.normal(0, 0.3, 15), 6.0)
    table = influence(m2.pool(yi, np.full(16, 0.1)))
    assert table["influential"].tolist() == [False] * 15 + [True]


def test_one_study_and_other_models_are_refused(bcg):
    with pytest.raises(ModelError, match="influence compares studies, and study 1 is the only one in the fit"):
        influence(m2.pool([0.3], [0.1]))
    with pytest.raises(ModelError, match="influence reads a result of pool"):
        influence(m2.MantelHaenszel("OR").fit(bcg.frame.drop(columns="study")))
