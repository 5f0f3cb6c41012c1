"""Subgroup analysis beside fits of each group, a meta-regression, and a fixed-effect analysis of the group means."""

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.errors import MetailWarning, ModelError, UnknownChoice
from metail2.results import GROUP_COLUMNS, TIDY_COLUMNS, Grouped, Result


@pytest.fixture
def grouped(bcg):
    return m2.pool(bcg, subgroup="alloc")


def test_each_group_is_its_own_fit(bcg, grouped):
    table = grouped.groups().set_index("group")
    assert list(table.index) == ["random", "alternate", "systematic"]  # as they first appear
    for group in table.index:
        alone = m2.pool(bcg.subset(np.array(bcg.moderators["alloc"] == group)))
        tidy, glance = alone.tidy().iloc[0], alone.glance().iloc[0]
        for name in ("estimate", "se", "ci_lower", "ci_upper", "p_value"):
            assert table.loc[group, name] == pytest.approx(tidy[name], rel=1e-13)
        for name in ("k", "tau2", "i2", "q", "q_df", "q_p"):
            assert table.loc[group, name] == pytest.approx(glance[name], rel=1e-13)
        assert grouped.group(group).estimate == alone.estimate
    assert table["weight"].sum() == pytest.approx(100)
    assert tuple(grouped.groups().columns) == GROUP_COLUMNS


def test_all_studies_together_are_the_ungrouped_analysis(bcg, grouped):
    plain = m2.pool(bcg)
    assert (grouped.estimate, grouped.ci_lower, grouped.p_value) == (plain.estimate, plain.ci_lower, plain.p_value)
    assert grouped.tidy()["term"].tolist() == ["random", "alternate", "systematic", "overall"]
    assert tuple(grouped.tidy().columns) == TIDY_COLUMNS
    ratios = grouped.tidy(exponentiate=True)
    np.testing.assert_allclose(np.log(ratios["estimate"]), grouped.tidy()["estimate"])
    assert isinstance(grouped, Grouped)
    assert isinstance(grouped, Result)
    assert not isinstance(plain, Grouped)


def test_difference_with_separate_tau2_is_the_q_of_the_group_means(bcg):
    result = m2.pool(bcg, subgroup="alloc", test="z")
    means = result.groups()
    q = m2.pool(means["estimate"], means["se"] ** 2, tau2="CE", test="z").glance().iloc[0]
    assert result.glance()["q_between"].iloc[0] == pytest.approx(q["q"], rel=1e-11)
    assert result.glance()["q_between_p"].iloc[0] == pytest.approx(q["q_p"], rel=1e-11)
    # metafor 3.8: rma(b, sei = se, mods = ~ alloc, method = "FE") on the three REML fits prints QM(df = 2)
    assert result.glance()["q_between"].iloc[0] == pytest.approx(1.8614, abs=6e-5)
    # Hartung–Knapp changes the intervals, not the comparison
    assert m2.pool(bcg, subgroup="alloc").between == result.between


@pytest.mark.parametrize("test", ["z", "t", "knapp_hartung"])
def test_difference_with_common_tau2_is_the_moderator_test(bcg, test):
    result = m2.pool(bcg, subgroup="alloc", common_tau2=True, test=test)
    regression = m2.pool(bcg, moderators="alloc", test=test).glance().iloc[0]
    glance = result.glance().iloc[0]
    assert (glance["q_between"], glance["q_between_p"]) == pytest.approx(
        (regression["qm"], regression["qm_p"]), rel=1e-9
    )
    assert glance["q_between_df"] == regression["qm_df"] == 2
    assert result.groups()["tau2"].tolist() == pytest.approx([regression["tau2"]] * 3, rel=1e-9)


def test_means_with_common_tau2_are_weighted_means(bcg):
    result = m2.pool(bcg, subgroup="alloc", common_tau2=True, test="z")
    tau2 = result.groups()["tau2"].iloc[0]
    for _, row in result.groups().iterrows():
        own = np.array(bcg.moderators["alloc"] == row["group"])
        w = 1 / (bcg.vi[own] + tau2)
        assert row["estimate"] == pytest.approx((w * bcg.yi[own]).sum() / w.sum(), rel=1e-12)
        assert row["se"] == pytest.approx(w.sum() ** -0.5, rel=1e-12)
        half = stats.t.isf(0.025, 10) * np.hypot(row["se"], tau2**0.5)
        assert row["pi_upper"] == pytest.approx(row["estimate"] + half, rel=1e-12)


def test_q_of_the_parts_adds_up_for_a_common_effect(bcg):
    result = m2.pool(bcg, subgroup="alloc", tau2="CE", test="z")
    assert result.groups()["q"].sum() + result.between.statistic == pytest.approx(result.overall.q, rel=1e-12)


def test_studies_keep_their_order_and_name_their_group(bcg, grouped):
    studies = grouped.studies()
    assert studies["study"].tolist() == list(bcg.study)
    assert studies["group"].tolist() == bcg.moderators["alloc"].tolist()
    np.testing.assert_allclose(studies["weight"], m2.pool(bcg).studies()["weight"])


def test_a_study_without_a_group_is_named_and_left_out(bcg):
    labels = ["a"] * 6 + ["b"] * 6 + [None]
    with pytest.warns(MetailWarning, match=f"^{bcg.study[12]}: left out, because 'g' is missing"):
        result = m2.pool(bcg.assign(g=labels), subgroup="g")
    last = result.studies().iloc[12]
    assert (last["state"], last["group"], last["yi"]) == ("missing_group", "", bcg.yi[12])
    assert np.isnan(last["weight"])
    assert last["events1"] == bcg.inputs["events1"][12]
    assert result.overall.k == 12


def test_a_group_of_one_study(bcg):
    effects = bcg.assign(g=["a"] * 6 + ["b"] * 6 + ["c"])
    separate = m2.pool(effects, subgroup="g").groups().iloc[2]
    assert (separate["k"], separate["status"]) == (1, "one_study")
    assert separate["se"] == pytest.approx(bcg.vi[12] ** 0.5)
    assert np.isnan(separate["tau2"])
    common = m2.pool(effects, subgroup="g", common_tau2=True, test="z")
    row = common.groups().iloc[2]
    assert row["se"] == pytest.approx((bcg.vi[12] + row["tau2"]) ** 0.5, rel=1e-9)
    assert "one study" in row["status_reason"]
    with pytest.raises(ModelError, match="no group has a fit of its own"):
        common.group("c")
    with pytest.raises(UnknownChoice, match="group with a fit of its own 'd'"):
        m2.pool(effects, subgroup="g").group("d")


def test_what_must_stand_beside_a_group_says_whose_it_is(grouped):
    beside = grouped.companions()
    assert beside["group"].tolist() == ["random", "alternate"]
    assert beside["test"].tolist() == ["knapp_hartung_adhoc", "z"]
    text = grouped.summary()
    assert "alternate (k = 2): 0.582 (0.016 to 20.849)" in text
    assert "beside it, normal (z): 0.335 to 1.011" in text
    assert (
        "Difference between groups: χ² = 1.86 on 2 df, P = 0.39 (by model-based standard errors, each τ² taken as "
        "known); with a group of 2 studies it finds differences too often; prefer one τ² for all groups" in text
    )


def test_wrong_use(bcg):
    with pytest.raises(UnknownChoice, match=r"column of groups 'aloc'.*Did you mean 'alloc'"):
        m2.pool(bcg, subgroup="aloc")
    with pytest.raises(ModelError, match=r"'one' has one group with an effect \(x\)"):
        m2.pool(bcg.assign(one="x"), subgroup="one")
    with pytest.raises(ModelError, match="has no moderators"):
        m2.pool(bcg, subgroup="alloc", moderators="ablat")
    with pytest.raises(ModelError, match="name their column"):
        m2.pool(bcg, common_tau2=True)
    with pytest.raises(ModelError, match=r"more studies than groups, and there are 13 studies in 13 groups of 'own'"):
        m2.pool(bcg.assign(own=range(13)), subgroup="own", common_tau2=True)
    with pytest.raises(ModelError, match=r"The groups are \['alloc'\]; give the name of one column"):
        m2.pool(bcg, subgroup=["alloc"])
    with pytest.raises(UnknownChoice, match=r"Unknown column of groups 'g'\. There is none to choose from\."):
        m2.pool([0.1, 0.2], [0.1, 0.2], subgroup="g")
    with pytest.raises(ModelError, match="by RandomEffects, not by MantelHaenszel"):
        m2.Subgroups("alloc", m2.MantelHaenszel("OR"))


def test_a_column_of_any_name_keeps_its_values():
    """The regression on groups once took the name of a column of weights."""
    table = {"subgroup": [10.0, 1, 1, 10], "g": [1, 1, 2, 2]}
    effects = m2.EffectSizes.from_arrays([0.1, 0.5, 0.3, 0.9], [0.1, 0.2, 0.1, 0.3], moderators=table)
    for common in (False, True):
        found = m2.pool(effects, subgroup="g", weights="subgroup", common_tau2=common)
        assert found.overall.estimate == pytest.approx((1 + 0.5 + 0.3 + 9) / 22)
        assert found.groups()["estimate"].tolist() == pytest.approx([1.5 / 11, 9.3 / 11])


@pytest.mark.parametrize("common", [False, True])
def test_a_common_effect_predicts_no_new_study(bcg, common):
    groups = m2.pool(bcg, subgroup="alloc", tau2="CE", test="z", common_tau2=common).groups()
    assert groups[["pi_lower", "pi_upper"]].isna().all(axis=None)
    assert groups["status_reason"].str.contains("no prediction interval: a common-effect model").all()
    assert groups["status_reason"].str.contains("τ² is 0 by assumption").all()


def test_groups_that_read_alike_are_refused(bcg):
    with pytest.raises(ModelError, match="read alike"):
        m2.pool(bcg.assign(g=["a", "a "] * 6 + ["b"]), subgroup="g")


def test_groups_that_agree_exactly_cannot_be_compared():
    effects = m2.EffectSizes.from_arrays([1.0] * 4, [0.1] * 4, moderators={"g": list("aabb")})
    assert m2.pool(effects, subgroup="g", test="z").between.p_value == 1
    common = m2.pool(effects, subgroup="g", common_tau2=True)
    assert np.isnan(common.between.statistic)
    assert "cannot be compared: a standard error is 0" in common.summary()
    assert (common.groups()["status"] == "zero_se").all()
    assert common.groups()["status_reason"].str.startswith("all effects agree exactly with the fit").all()
    yi, vi = [0.1, 0.3, 0.2, 0.8, 1.0, 0.5], [0.04, 0.05, 0.03, 0.06, 0.08, 0.02]
    few = m2.EffectSizes.from_arrays(yi, vi, moderators={"g": list("aaabbc")})
    kenward_roger = m2.pool(few, subgroup="g", common_tau2=True, test="kenward_roger")
    assert "τ² is too poorly determined for an F distribution" in kenward_roger.summary()


def test_groups_under_a_common_tau2_show_the_other_intervals_too():
    yi, groups = [0.1, 0.12, 0.11, 0.6, 0.61, 0.62], list("aaabbb")
    close = m2.EffectSizes.from_arrays(yi, [0.05] * 6, moderators={"g": groups})
    result = m2.pool(close, subgroup="g", common_tau2=True)
    beside = result.companions()
    assert beside[["group", "test"]].to_numpy().tolist() == [
        ["a", "z"], ["b", "z"], ["a", "knapp_hartung_adhoc"], ["b", "knapp_hartung_adhoc"],
    ]  # fmt: skip
    for test, rows in beside.groupby("test"):
        other = m2.pool(close, subgroup="g", common_tau2=True, test=test)
        limits = ["ci_lower", "ci_upper", "p_value"]
        np.testing.assert_allclose(rows[limits], other.groups()[limits].astype(float), rtol=1e-12)
        assert result.between_beside[test].p_value == pytest.approx(other.between.p_value, rel=1e-12)
    assert beside["reason"].str.contains("times those behind z").sum() == 2
    # equal variances and groups: F = χ² = (0.61 − 0.11)²/(2·0.05/3) at τ² = 0 and a factor of 1
    assert "by Hartung–Knapp, ad hoc corrected F = 7.50 on 1 and 4 df, P = 0.052" in result.summary()
    assert "by normal (z) χ² = 7.50 on 1 df, P = 0.006" in result.summary()


def test_a_difference_by_other_standard_errors_than_the_intervals_says_so():
    close = m2.EffectSizes.from_arrays([0.1, 0.2, 0.5, 0.7], [0.05] * 4, moderators={"g": list("aabb")})
    assert "(by model-based standard errors)" in m2.pool(close, subgroup="g", tau2="CE").between_text()
    assert "model-based" not in m2.pool(close, subgroup="g", tau2="CE", test="z").between_text()


def test_i2_of_a_group_under_a_common_tau2(bcg):
    result = m2.pool(bcg, subgroup="alloc", common_tau2=True)
    row = result.groups().iloc[0]
    w = 1 / bcg.vi[np.array(bcg.moderators["alloc"] == "random")]
    typical = (len(w) - 1) * w.sum() / (w.sum() ** 2 - (w**2).sum())  # Higgins & Thompson 2002
    assert row["i2"] == pytest.approx(100 * row["tau2"] / (row["tau2"] + typical), rel=1e-12)


def test_labels_of_any_kind(bcg):
    result = m2.pool(bcg.assign(g=[1, 2] * 6 + [1]), subgroup="g")
    assert result.groups()["group"].tolist() == ["1", "2"]
    with pytest.warns(MetailWarning, match="'g' is missing"):
        gaps = m2.pool(bcg.assign(g=[1.0, 2.0] * 6 + [np.nan]), subgroup="g")
    assert gaps.groups()["group"].tolist() == ["1", "2"]
    for labels, said in (
        ([1, "1"] * 6 + [2], "different values that read alike"),
        (["", "a"] * 6 + ["a"], "a group called ''"),
        (["overall", "a"] * 6 + ["a"], "a group called 'overall'"),
    ):
        with pytest.raises(ModelError, match=said):
            m2.pool(bcg.assign(g=labels), subgroup="g")
    odd = m2.pool(bcg.assign(g=["α (β)", "x + y"] * 6 + ["`q`"]), subgroup="g", common_tau2=True)
    assert odd.groups()["group"].tolist() == ["α (β)", "x + y", "`q`"]
