"""What harmonising and pooling the IL-2 evidence must give, beside arithmetic done here on the printed figures."""

import math
import re
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

import metail2 as m2
from metail2.errors import MetailWarning, ModelError, RecordError
from metail2.models.studies_only import StudiesOnly

RECORDS = m2.load_records("il2")
Z = NormalDist().inv_cdf(0.975)
SRI4 = {
    "timepoint": "week 12",
    "population": {"humrich2022": "all_randomised"},
    "arm_sizes": {"humrich2022": "allocation"},
}
TREG = {
    "timepoint": {"qin_as": "week 1", "zhang2016ra": "day 5", "feng2019": "after"},
    "studies": ["qin_as", "zhang2016ra", "feng2019"],
}


def risk_ratio(a, n1, c, n2):
    return math.log(a / n1 / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2


def log_ratio_of_means(post, sd_post, pre, sd_pre, n, r):
    """The log ratio of means of one group before and after, by the delta method, with Lajeunesse's correction."""
    variance = (sd_post / post) ** 2 + (sd_pre / pre) ** 2 - 2 * r * sd_post * sd_pre / (post * pre)
    return math.log(post / pre) + ((sd_post / post) ** 2 - (sd_pre / pre) ** 2) / (2 * n), variance / n


def weighted(yi, vi, tau2=0.0):
    w = 1 / (np.asarray(vi) + tau2)
    mean = (w * yi).sum() / w.sum()
    return mean, 1 / math.sqrt(w.sum()), (w * (yi - mean) ** 2).sum(), w


def der_simonian_laird(yi, vi):
    _, _, q, w = weighted(yi, vi)
    return max(0.0, (q - (len(yi) - 1)) / (w.sum() - (w**2).sum() / w.sum())), q


def knapp_hartung(yi, vi, tau2, floor=0.0):
    mean, se, q, _ = weighted(yi, vi, tau2)
    half = stats.t.isf(0.025, len(yi) - 1) * se * math.sqrt(max(floor, q / (len(yi) - 1)))
    return mean, mean - half, mean + half


def ratio(result):
    return tuple(np.exp([result.estimate, result.ci_lower, result.ci_upper]))


def shown(values, digits=3):
    return [round(float(value), digits) for value in values]


def trail_of(effects, quantity, study=None):
    """Last value of a quantity in the trail, where several steps lead to it."""
    trail = effects.trail
    here = trail[(trail["quantity"] == quantity) & ((trail["study"] == study) if study else True)]
    return here.iloc[-1]


# ---------------------------------------------------------------- SRI-4 at week 12


@pytest.fixture(scope="module")
def sri4():
    return m2.harmonise(RECORDS, "sri4_response", "RR", studies=["he2020", "humrich2022"], **SRI4)


def test_sri4_counts_come_from_the_printed_percentages(sri4):
    assert list(sri4.study) == ["He 2020", "Humrich 2022 (LUPIL-2)"]
    assert sri4.inputs["events1"].tolist() == [16, 34]
    assert sri4.inputs["n1"].tolist() == [29, 50]
    assert sri4.inputs["events2"].tolist() == [9, 29]
    assert sri4.inputs["n2"].tolist() == [30, 50]
    by_hand = np.array([risk_ratio(16, 29, 9, 30), risk_ratio(34, 50, 29, 50)])
    np.testing.assert_allclose(sri4.yi, by_hand[:, 0], rtol=1e-12)
    np.testing.assert_allclose(sri4.vi, by_hand[:, 1], rtol=1e-12)


def test_sri4_assumes_the_arms_of_lupil_2_only(sri4):
    assumed = sri4.trail[sri4.trail["basis"] == "assumed"]
    assert set(assumed["study"]) == {"Humrich 2022 (LUPIL-2)"}
    assert set(assumed["quantity"]) == {"n1", "n2"}
    assert set(assumed["assumption"]) == {"1:1 allocation gave arms of equal size"}


def test_sri4_by_der_simonian_laird(sri4):
    result = m2.pool(sri4, tau2="DL", test="z")
    tau2, q = der_simonian_laird(sri4.yi, sri4.vi)
    mean, se, _, _ = weighted(sri4.yi, sri4.vi, tau2)
    assert result.tau2 == pytest.approx(tau2, rel=1e-10)
    assert result.q == pytest.approx(q, rel=1e-10)
    assert ratio(result) == pytest.approx(np.exp([mean, mean - Z * se, mean + Z * se]), rel=1e-10)
    assert shown(ratio(result)) == [1.341, 0.896, 2.007]
    glance = result.glance().iloc[0]
    assert shown([glance["q"], glance["tau2"]], 4)[1] == 0.0365
    assert (round(glance["q"], 3), round(glance["i2_q"], 1)) == (1.563, 36.0)


def test_sri4_common_effect(sri4):
    result = m2.pool(sri4, tau2="CE", test="z")
    mean, se, _, _ = weighted(sri4.yi, sri4.vi)
    assert ratio(result) == pytest.approx(np.exp([mean, mean - Z * se, mean + Z * se]), rel=1e-10)
    assert shown(ratio(result)) == [1.274, 0.969, 1.675]


def test_sri4_hartung_knapp_with_two_studies_is_very_wide_and_z_stands_beside_it(sri4):
    result = m2.pool(sri4)
    assert shown(ratio(result)[1:], 2)[0] == 0.10
    assert round(ratio(result)[2]) == 18
    beside = result.companions()
    assert beside["test"].tolist() == ["z"]
    assert result.summary().count("z") > 0


def test_sri4_per_protocol_is_the_only_split_of_53():
    effects = m2.harmonise(
        RECORDS, "sri4_response", "RR", studies=["humrich2022"], timepoint="week 12", population="per_protocol"
    )
    assert {name: values.tolist() for name, values in effects.inputs.items()} == {
        "events1": [20], "n1": [24], "events2": [15], "n2": [29]
    }  # fmt: skip
    steps = effects.trail[effects.trail["conversion"] == "counts from percentages and total"]
    assert (
        steps["formula"].tolist()
        == ["the only split of 53 that prints as 83.3 and 51.7 % (rounding or truncation)"] * 4
    )
    assert "assumed" not in set(effects.trail["basis"])


def test_68_and_58_percent_of_100_fit_18_splits_by_rounding_and_are_refused_with_the_list():
    with pytest.raises(RecordError) as caught:
        m2.harmonise(
            RECORDS, "sri4_response", "RR", studies=["humrich2022"], timepoint="week 12", population="all_randomised"
        )
    message = str(caught.value)
    assert message.startswith(
        "Humrich 2022 (LUPIL-2), week 12: the arm sizes are not printed, and 68 % and 58 % of 100"
    )
    assert "18 splits by rounding (" in message
    listed = message.split("18 splits by rounding (")[1].split(")")[0].split("; ")
    assert len(listed) == 18
    for split in listed:
        a, n1, c, n2 = map(int, re.fullmatch(r"(\d+)/(\d+) and (\d+)/(\d+)", split).groups())
        assert n1 + n2 == 100
        assert (round(100 * a / n1), round(100 * c / n2)) == (68, 58)
    assert "34/50 and 29/50" in listed
    assert message.endswith("Add the arm sizes to the records, or assume equal arms with arm_sizes='allocation'.")


# ---------------------------------------------------------------- clinical response


def clinical(arm_sizes):
    acr20 = m2.harmonise(RECORDS, "acr20_response", "RR", timepoint="week 12", arm_sizes=arm_sizes)
    salt = m2.harmonise(RECORDS, "salt50_response", "RR")
    lupus = m2.harmonise(RECORDS, "sri4_response", "RR", studies=["he2020", "humrich2022"], **SRI4)
    return m2.EffectSizes.concat([lupus, salt, acr20])


def test_clinical_response_per_protocol():
    effects = clinical("printed")
    by_hand = np.array([risk_ratio(*c) for c in ((16, 29, 9, 30), (34, 50, 29, 50), (3, 21, 2, 22), (12, 17, 10, 23))])
    np.testing.assert_allclose(effects.yi, by_hand[:, 0], rtol=1e-12)
    np.testing.assert_allclose(effects.vi, by_hand[:, 1], rtol=1e-12)
    result = m2.pool(effects)
    assert shown(ratio(result)) == [1.377, 0.971, 1.953]
    assert ratio(result) == pytest.approx(np.exp(knapp_hartung(*by_hand.T, result.tau2)), rel=1e-9)
    adhoc = m2.pool(effects, test="knapp_hartung_adhoc")
    assert shown(ratio(adhoc)[1:]) == [0.868, 2.184]
    assert ratio(adhoc) == pytest.approx(np.exp(knapp_hartung(*by_hand.T, result.tau2, floor=1.0)), rel=1e-9)


def test_clinical_response_all_randomised():
    effects = clinical("randomised")
    assert effects.inputs["n1"].tolist() == [29, 50, 21, 23]
    assert effects.inputs["n2"].tolist() == [30, 50, 22, 24]
    by_hand = np.array([risk_ratio(*c) for c in ((16, 29, 9, 30), (34, 50, 29, 50), (3, 21, 2, 22), (12, 23, 10, 24))])
    np.testing.assert_allclose(effects.yi, by_hand[:, 0], rtol=1e-12)
    hk, z = m2.pool(effects), m2.pool(effects, test="z")
    assert hk.tau2 == 0
    mean, se, _, _ = weighted(*by_hand.T)
    assert ratio(z) == pytest.approx(np.exp([mean, mean - Z * se, mean + Z * se]), rel=1e-9)
    assert shown(ratio(z)) == [1.276, 0.997, 1.634]
    assert ratio(hk) == pytest.approx(np.exp(knapp_hartung(*by_hand.T, 0.0)), rel=1e-9)
    assert shown(ratio(hk)[1:]) == [0.950, 1.715]
    assert "z" in hk.companions()["test"].tolist()


def test_non_responders_are_an_assumption_that_says_how_many():
    trail = clinical("randomised").trail
    said = trail[(trail["study"] == "Zhang 2022") & (trail["basis"] == "assumed")]
    assert said[["quantity", "value", "assumption"]].to_numpy().tolist() == [
        ["n1", 23.0, "the 6 randomised patients without an outcome did not respond"],
        ["n2", 24.0, "the 1 randomised patient without an outcome did not respond"],
    ]


def test_le_duff_is_the_only_split_of_43():
    effects = m2.harmonise(RECORDS, "salt50_response", "RR")
    assert [effects.inputs[name].tolist() for name in ("events1", "n1", "events2", "n2")] == [[3], [21], [2], [22]]
    table = [[3, 18], [2, 20]]
    assert round(stats.fisher_exact(table).pvalue, 2) == 0.66  # as printed


def test_38_4_percent_of_26_is_10_only_by_truncation():
    effects = m2.harmonise(RECORDS, "clinical_response", "PR", studies=["allegretti2023"])
    assert (effects.inputs["events"].tolist(), effects.inputs["n"].tolist()) == ([10], [26])
    step = effects.trail[effects.trail["quantity"] == "events"].iloc[0]
    assert step["formula"] == "the only count of 26 that prints as 38.4 % (truncation)"
    assert round(1000 / 26, 1) == 38.5


# ---------------------------------------------------------------- regulatory T cells


@pytest.mark.parametrize("r", [0.3, 0.4, 0.5, 0.6, 0.7])
def test_treg_counts_hardly_move_with_the_correlation(r):
    effects = m2.harmonise(RECORDS, "treg_count", "ROMC", r=r, **TREG)
    by_hand = np.array(
        [
            log_ratio_of_means(73.46, 33.79, 22.58, 12.80, 17, r),
            log_ratio_of_means(78.55, 44.67, 18.67, 14.08, 26, r),
            log_ratio_of_means(20.71, 14.47, 8.1, 7.59, 35, r),
        ]
    )
    np.testing.assert_allclose(effects.yi, by_hand[:, 0], rtol=1e-12)
    np.testing.assert_allclose(effects.vi, by_hand[:, 1], rtol=1e-12)
    result = m2.pool(effects)
    assert ratio(result) == pytest.approx(np.exp(knapp_hartung(*by_hand.T, result.tau2)), rel=1e-9)
    assert ratio(result) == pytest.approx([3.267, 1.767, 6.039], rel=0.005)
    if r == 0.5:
        assert shown(ratio(result)) == [3.267, 1.767, 6.039]
    # what the sampling variances lose, the variance between studies takes over
    total = m2.pool(m2.harmonise(RECORDS, "treg_count", "ROMC", r=0.5, **TREG))
    assert result.tau2 + by_hand[:, 1].mean() == pytest.approx(total.tau2 + total.effects.vi.mean(), rel=0.05)


def test_hartemann_arms_combined():
    effects = m2.harmonise(RECORDS, "treg_pct_cd4", "MD", studies=["hartemann2013"])
    means, sds, n = np.array([2.8, 3.9, 4.8]), np.array([1.2, 1.8, 1.9]), 6
    grand = means.mean()
    sd = math.sqrt(((n - 1) * (sds**2).sum() + n * ((means - grand) ** 2).sum()) / (3 * n - 1))
    assert effects.inputs["n1"].tolist() == [18]
    assert effects.inputs["mean1"] == pytest.approx(grand, rel=1e-12)
    assert effects.inputs["sd1"] == pytest.approx(sd, rel=1e-12)
    assert shown([effects.inputs["mean1"][0], effects.inputs["sd1"][0]], 4) == [3.8333, 1.7738]
    assert effects.yi == pytest.approx(grand - 0.5, rel=1e-12)
    assert effects.vi == pytest.approx(sd**2 / 18 + 0.4**2 / 6, rel=1e-12)
    assert shown([effects.yi[0], math.sqrt(effects.vi[0])], 4) == [3.3333, 0.4489]
    assert effects.V is None
    assert trail_of(effects, "sd1")["conversion"] == "3 arms combined"


def test_hartemann_arms_apart_share_their_control_and_are_not_pooled():
    effects = m2.harmonise(RECORDS, "treg_pct_cd4", "MD", studies=["hartemann2013"], arms="separate")
    assert list(effects.study) == ["Hartemann 2013, 0.33 MIU", "Hartemann 2013, 1 MIU", "Hartemann 2013, 3 MIU"]
    assert shown(effects.yi, 10) == [2.3, 3.4, 4.3]
    by_hand = np.array([1.2, 1.8, 1.9]) ** 2 / 6 + 0.4**2 / 6
    np.testing.assert_allclose(effects.vi, by_hand, rtol=1e-12)
    assert shown(np.sqrt(effects.vi)) == [0.516, 0.753, 0.793]
    off = effects.V[~np.eye(3, dtype=bool)]
    np.testing.assert_allclose(off, 0.4**2 / 6, rtol=1e-12)
    assert shown(off[:1], 5) == [0.02667]
    np.testing.assert_array_equal(np.diag(effects.V), effects.vi)
    with pytest.raises(ModelError, match=r"Hartemann 2013, 0\.33 MIU.*Hartemann 2013, 3 MIU"):
        m2.pool(effects)


def test_louapre_folds_are_read_on_the_log_scale():
    effects = m2.harmonise(RECORDS, "treg_fold", "ROM", timepoint="day 15", arm_sizes="allocation")
    by_hand = []
    for median, q1, q3 in ((1.26, 1.21, 1.33), (1.01, 0.95, 1.05)):
        median, q1, q3 = map(math.log, (median, q1, q3))
        weight = 0.7 + 0.39 / 15
        spread = 2 * NormalDist().inv_cdf((0.75 * 15 - 0.125) / 15.25)
        by_hand.append((weight * (q1 + q3) / 2 + (1 - weight) * median, (q3 - q1) / spread))
    (mean1, sd1), (mean2, sd2) = by_hand
    assert shown([mean1, sd1, mean2, sd2]) == [0.236, 0.077, 0.002, 0.082]
    assert effects.yi == pytest.approx(mean1 - mean2, rel=1e-10)
    assert effects.vi == pytest.approx((sd1**2 + sd2**2) / 15, rel=1e-10)
    assert shown(np.exp(effects.yi)) == [1.264]
    n = effects.trail[effects.trail["quantity"].isin(["n1", "n2"])]
    assert n["value"].tolist() == [15, 15]
    assert set(n["basis"]) == {"assumed"}


def test_kennedy_nasser_keeps_the_means_and_imputes_the_sds():
    effects = m2.harmonise(RECORDS, "treg_pct_cd4", "ROMC", studies=["kennedynasser2014"], timepoint="after", r=0.5)
    spread = 2 * NormalDist().inv_cdf((16 - 0.375) / 16.25)
    sd_pre, sd_post = 11 / spread, (31.1 - 1.2) / spread
    assert shown([sd_pre, sd_post], 1) == [3.1, 8.5]
    assert effects.inputs["mean_pre"].tolist() == [4.8]
    assert effects.inputs["mean_post"].tolist() == [11.1]
    assert effects.inputs["sd_pre"] == pytest.approx(sd_pre, rel=1e-10)
    assert effects.inputs["sd_post"] == pytest.approx(sd_post, rel=1e-10)
    assert trail_of(effects, "mean_pre")["basis"] == "printed"
    assert trail_of(effects, "sd_pre")["basis"] == "assumed"
    yi, vi = log_ratio_of_means(11.1, sd_post, 4.8, sd_pre, 16, 0.5)
    assert (effects.yi[0], effects.vi[0]) == pytest.approx((yi, vi), rel=1e-10)


def test_counts_and_fractions_of_treg_are_never_in_one_pool():
    with pytest.raises(RecordError, match=r"a count of cells but Kennedy-Nasser 2014 prints a fraction of cells"):
        m2.harmonise(
            RECORDS, ["treg_count", "treg_pct_cd4"], "ROMC", studies=["qin_as", "kennedynasser2014"],
            timepoint={"qin_as": "week 1", "kennedynasser2014": "after"}, r=0.5,
        )  # fmt: skip


# ---------------------------------------------------------------- SALT, platelets, SLEDAI


@pytest.mark.parametrize(
    ("r", "low", "high"), [(0.3, -52.5, 21.6), (0.5, -48.3, 17.4), (0.7, -43.4, 12.5), (0.9, -37.5, 6.6)]
)
def test_castela_salt_by_luo_and_wan(r, low, high):
    effects = m2.harmonise(RECORDS, "salt", "MC", studies=["castela2014"], r=r)
    weight, spread = 4 / (4 + 5**0.75), 2 * NormalDist().inv_cdf((5 - 0.375) / 5.25)
    pre, post = weight * 163 / 2 + (1 - weight) * 82, weight * 128 / 2 + (1 - weight) * 69
    sd_pre, sd_post = 37 / spread, 72 / spread
    assert shown([pre, post]) == [81.728, 66.277]
    assert shown([sd_pre, sd_post], 2) == [15.68, 30.51]
    for name, value in (("mean_pre", pre), ("mean_post", post), ("sd_pre", sd_pre), ("sd_post", sd_post)):
        assert effects.inputs[name] == pytest.approx(value, rel=1e-10)
    se = math.sqrt((sd_pre**2 + sd_post**2 - 2 * r * sd_pre * sd_post) / 5)
    assert effects.yi == pytest.approx(post - pre, rel=1e-10)
    assert shown(effects.yi, 2) == [-15.45]
    assert math.sqrt(effects.vi[0]) == pytest.approx(se, rel=1e-10)
    row = StudiesOnly("alone", small_sample=True).fit(effects).studies().iloc[0]
    half = stats.t.isf(0.025, 4) * se
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((post - pre - half, post - pre + half), rel=1e-10)
    assert shown([row["ci_lower"], row["ci_upper"]], 1) == [low, high]


def test_one_patient_has_a_platelet_rise_and_no_variance():
    effects = m2.harmonise(RECORDS, "platelets", "MC", r=0.5)
    assert effects.yi.tolist() == [85 - 36]
    assert np.isnan(effects.vi).tolist() == [True]
    last = effects.trail.iloc[-1]
    assert (last["quantity"], last["value"]) == ("yi", 49)
    assert last["assumption"] == "one patient: the variance is undefined"
    state = StudiesOnly("alone").fit(effects).studies()["state"]
    assert state.tolist() == ["variance_undefined"]
    with (
        pytest.warns(MetailWarning, match="left out of the fit"),
        pytest.raises(ModelError, match="No effect has both a value and a variance"),
    ):
        m2.pool(effects)


def test_one_salt_series_is_not_pooled():
    result = m2.pool(m2.harmonise(RECORDS, "salt", "MC", studies=["castela2014"], r=0.5))
    glance = result.glance().iloc[0]
    assert glance["k"] == 1
    assert np.isnan(glance["tau2"])
    assert glance["status_reason"]


def test_both_arms_of_he_2020_moved_on_the_scale_of_the_log_ratio():
    moved = {
        role: -m2.harmonise(
            RECORDS, "sledai", "ROMC", studies=["he2020"], timepoint="week 12", r=0.5, role=role
        ).yi[0]
        for role in ("experimental", "control")
    }  # fmt: skip
    assert shown(moved.values(), 2) == [0.72, 0.45]
    figures = RECORDS.figures[
        (RECORDS.figures["study_id"] == "he2020") & (RECORDS.figures["outcome"] == "sledai")
    ].set_index(["role", "timepoint", "statistic"])["value"]
    for role, change in moved.items():
        moments = []
        for when in ("week 12", "baseline"):
            low, median, high, n = (figures[role, when, name] for name in ("min", "median", "max", "n"))
            weight = 4 / (4 + n**0.75)
            moments.append(weight * (low + high) / 2 + (1 - weight) * median)
            moments.append((high - low) / (2 * NormalDist().inv_cdf((n - 0.375) / (n + 0.25))))
        assert change == pytest.approx(-log_ratio_of_means(*moments, n, 0.5)[0], rel=1e-10)


# ---------------------------------------------------------------- adverse events


def adverse(outcome, measure="RR"):
    return m2.harmonise(RECORDS, outcome, measure, studies=["hartemann2013", "he2020"], timepoint="study")


def mantel_haenszel_rr(tables):
    """Mantel–Haenszel risk ratio with the variance of Greenland and Robins, written out."""
    r = s = p = 0.0
    for a, n1, c, n2 in tables:
        n = n1 + n2
        r, s = r + a * n2 / n, s + c * n1 / n
        p += (n1 * n2 * (a + c) - a * c * n) / n**2
    half = Z * math.sqrt(p / (r * s))
    return [math.exp(math.log(r / s) + sign * half) for sign in (0, -1, 1)]


def mantel_haenszel_rd(tables):
    """Mantel–Haenszel risk difference with the variance of Sato, written out."""
    weight = sum(n1 * n2 / (n1 + n2) for _, n1, _, n2 in tables)
    rd = sum((a * n2 - c * n1) / (n1 + n2) for a, n1, c, n2 in tables) / weight
    p = sum((n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / (n1 + n2) ** 2 for a, n1, c, n2 in tables)
    q = sum((a * (n2 - c) + c * (n1 - a)) / (2 * (n1 + n2)) for a, n1, c, n2 in tables)
    half = Z * math.sqrt((rd * p + q) / weight**2)
    return [half, rd], [rd, rd - abs(half), rd + abs(half)]


def tables_of(effects):
    return list(zip(*(effects.inputs[name] for name in ("events1", "n1", "events2", "n2")), strict=True))


def test_injection_site_reaction():
    effects = adverse("injection_site_reaction")
    tables = tables_of(effects)
    assert tables[0] == (8, 18, 0, 6)
    rr = m2.MantelHaenszel("RR").fit(effects)
    assert ratio(rr) == pytest.approx(mantel_haenszel_rr(tables), rel=1e-9)
    assert shown(ratio(rr)[:2], 2) == [6.69, 1.45]
    assert round(ratio(rr)[2], 1) == 30.9
    rd = m2.MantelHaenszel("RD").fit(effects)
    assert [rd.estimate, rd.ci_lower, rd.ci_upper] == pytest.approx(mantel_haenszel_rd(tables)[1], rel=1e-9)
    assert shown([rd.estimate, rd.ci_lower, rd.ci_upper]) == [0.291, 0.130, 0.452]


def test_injection_site_reaction_with_a_correction():
    effects = adverse("injection_site_reaction")
    a, n1, c, n2 = tables_of(effects)[0]
    corrected = risk_ratio(a + 0.5, n1 + 1, c + 0.5, n2 + 1)
    assert (effects.yi[0], effects.vi[0]) == pytest.approx(corrected, rel=1e-12)
    result = m2.pool(effects, tau2="CE", test="z")
    assert shown(ratio(result), 2) == [4.97, 1.39, 17.8]


def test_influenza_like_ratio_is_undefined_and_says_so():
    effects = adverse("influenza_like")
    tables = tables_of(effects)
    assert [c for _, _, c, _ in tables] == [0, 0]
    ratio_result = m2.MantelHaenszel("RR").fit(effects)
    assert math.isnan(ratio_result.estimate)
    glance = ratio_result.glance().iloc[0]
    assert glance["status"] == "undefined"
    assert glance["status_reason"].startswith(
        "the Mantel–Haenszel ratio is undefined, because no event occurred in any control arm"
    )
    assert "undefined" in ratio_result.summary()
    rd = m2.MantelHaenszel("RD").fit(effects)
    assert [rd.estimate, rd.ci_lower, rd.ci_upper] == pytest.approx(mantel_haenszel_rd(tables)[1], rel=1e-9)
    assert shown([rd.estimate, rd.ci_lower, rd.ci_upper]) == [0.157, 0.047, 0.268]


def test_serious_events_keep_the_double_zero_study_in_the_difference_only():
    effects = adverse("serious_adverse_event", "RD")
    tables = tables_of(effects)
    assert tables[0] == (0, 18, 0, 6)
    rd = m2.MantelHaenszel("RD").fit(effects)
    assert [rd.estimate, rd.ci_lower, rd.ci_upper] == pytest.approx(mantel_haenszel_rd(tables)[1], rel=1e-9)
    assert shown([rd.estimate, rd.ci_lower, rd.ci_upper]) == [-0.077, -0.165, 0.012]
    sizes = [n1 * n2 / (n1 + n2) for _, n1, _, n2 in tables]
    assert rd.studies()["weight"].tolist() == pytest.approx([100 * w / sum(sizes) for w in sizes], rel=1e-9)
    rr = m2.MantelHaenszel("RR").fit(adverse("serious_adverse_event"))
    assert rr.glance()["k"].tolist() == [1]
    assert rr.studies()["state"].tolist() == ["no_events", "used"]


@pytest.mark.parametrize("outcome", ["injection_site_reaction", "influenza_like", "serious_adverse_event"])
def test_observation_windows_travel_with_the_effects(outcome):
    days = "60 days" if outcome == "serious_adverse_event" else "6 days"
    assert adverse(outcome).moderators["window"].tolist() == [days, "24 weeks"]


# ---------------------------------------------------------------- for every outcome of the report

QUESTIONS = {
    "sri4": ("sri4_response", "RR", {"studies": ["he2020", "humrich2022"], **SRI4}),
    "acr20": ("acr20_response", "RR", {"timepoint": "week 12", "arm_sizes": "randomised"}),
    "salt": ("salt", "MC", {"studies": ["castela2014"], "r": 0.5}),
    "treg_by_dose": ("treg_pct_cd4", "MD", {"studies": ["hartemann2013"], "arms": "separate"}),
    "treg": ("treg_pct_cd4", "MD", {"studies": ["hartemann2013"]}),
    "treg_fold": ("treg_fold", "ROM", {"timepoint": "day 15", "arm_sizes": "allocation"}),
    "treg_count": ("treg_count", "ROMC", {"r": 0.5, **TREG}),
    "platelets": ("platelets", "MC", {"r": 0.5}),
    "sledai": ("sledai", "MD", {"studies": ["he2020"], "timepoint": "week 12"}),
    "basdai": ("basdai", "SMCR", {"studies": ["qin_as"], "r": 0.5}),
    "remission": ("clinical_remission", "PLO", {"studies": ["allegretti2023"]}),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_trail_leads_from_printed_words_to_the_effect(name):
    outcome, measure, options = QUESTIONS[name]
    effects = m2.harmonise(RECORDS, outcome, measure, **options)
    trail, figures = effects.trail, RECORDS.figures.set_index("record_id")
    assert set(trail["basis"]) <= {"printed", "derived", "assumed"}
    assert ((trail["basis"] == "assumed") <= (trail["assumption"] != "")).all()
    assert list(dict.fromkeys(trail["study"])) == list(effects.study)
    for i, study in enumerate(effects.study):
        steps = trail[trail["study"] == study]
        assert steps["step"].tolist() == list(range(1, len(steps) + 1))
        assert (steps["records"] != "").any()
        assert trail_of(effects, "yi", study)["value"] == effects.yi[i]
        if not np.isnan(effects.vi[i]):
            assert trail_of(effects, "vi", study)["value"] == effects.vi[i]
            assert steps["quantity"].tolist()[-2:] == ["yi", "vi"]
        for quantity, values in effects.inputs.items():
            named = "n_post" if quantity == "n" and "sd_pre" in effects.inputs else quantity
            if not np.isnan(values[i]):
                assert trail_of(effects, named, study)["value"] == values[i]
        for step in steps[steps["records"] != ""].to_dict("records"):
            if step["records"] == "studies":  # the total of a single-arm study stands in the table of studies
                assert step["quotes"] == RECORDS.studies.set_index("label").loc[study, "note"]
                continue
            ids = step["records"].split("; ")
            assert set(ids) <= set(figures.index)
            label = RECORDS.study(str(figures.loc[ids[0], "study_id"]))["label"]
            assert study.startswith(label)
            assert step["quotes"] == " | ".join(dict.fromkeys(figures.loc[i, "quote"] for i in ids))
            if step["basis"] == "printed":
                assert step["value"] == figures.loc[ids[0], "value"]


@pytest.mark.parametrize(
    ("studies", "message"),
    [
        (
            ["miao2021", "yunzhi2022"],
            "Miao 2021 and Yunzhi 2022 (abstract) may be the same patients (cohort 'peking_myositis'); keep one with "
            "studies.",
        ),
    ],
)
def test_a_cohort_is_entered_once(studies, message):
    labels = [RECORDS.study(study)["label"] for study in studies]
    message = message.replace("Miao 2021", labels[0]).replace("Yunzhi 2022 (abstract)", labels[1])
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        m2.harmonise(RECORDS, "cdasi", "MC", studies=studies, r=0.5)


def test_events_are_not_patients():
    with pytest.raises(
        RecordError,
        match=r"^Seelig 2018 \(DILfrequency\), arm il2, study counts events, not patients, so no proportion of "
        r"patients can be had; leave it out\.$",
    ):
        m2.harmonise(RECORDS, "injection_site_reaction", "PR", studies=["seelig2018"])
