"""Peto from O − E and V: log-rank tests, printed tables, and what cannot be pooled."""

import math

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import EffectSizeError, MetailError, MetailWarning, ModelError, UnknownChoice
from metail2.results import STUDY_COLUMNS

TRIALS = pd.DataFrame({"study": ["Ann", "Ben", "Cal"], "o_minus_e": [-8.5, 3.0, -2.2], "v": [16.0, 7.5, 9.1]})


def scores(*rows):
    return pd.DataFrame(rows, columns=["study", "o_minus_e", "v"])


def test_the_pooled_log_hazard_ratio_is_the_sum_over_the_sum():
    result = m2.Peto().fit(TRIALS)
    total, variance = TRIALS["o_minus_e"].sum(), TRIALS["v"].sum()
    tidy = result.tidy().iloc[0]
    assert tidy["estimate"] == pytest.approx(total / variance, rel=1e-14)
    assert tidy["se"] == pytest.approx(1 / math.sqrt(variance), rel=1e-14)
    assert tidy["statistic"] == pytest.approx(total / math.sqrt(variance), rel=1e-14)
    q = (TRIALS["o_minus_e"] ** 2 / TRIALS["v"]).sum() - total**2 / variance
    assert result.q == pytest.approx(q, rel=1e-12)
    assert result.q_df == 2
    assert result.glance()[["measure", "method", "k"]].iloc[0].tolist() == ["HR", "PETO", 3]
    assert result.summary().startswith("Hazard ratio, 3 studies, Peto")


def test_it_is_the_inverse_variance_mean_of_the_log_rank_estimates():
    """The same pooled by weights V, which is what a common-effect model of (O − E)/V and 1/V does."""
    other = m2.pool(m2.effect_sizes(TRIALS, "HR"), tau2="CE", test="z")
    result = m2.Peto().fit(TRIALS)
    assert result.estimate == pytest.approx(other.estimate, rel=1e-13)
    assert result.se == pytest.approx(other.se, rel=1e-13)
    assert result.q == pytest.approx(other.q, rel=1e-11)


def test_studies_show_both_columns():
    table = m2.Peto().fit(TRIALS).studies()
    assert tuple(table) == (*STUDY_COLUMNS, "o_minus_e", "v")
    assert table["o_minus_e"].tolist() == TRIALS["o_minus_e"].tolist()
    assert table["yi"].tolist() == pytest.approx((TRIALS["o_minus_e"] / TRIALS["v"]).tolist(), rel=1e-14)
    assert table["weight"].tolist() == pytest.approx((100 * TRIALS["v"] / TRIALS["v"].sum()).tolist(), rel=1e-14)


def test_counts_and_their_own_scores_give_the_same(bcg_frame):
    whole = m2.Peto().fit(bcg_frame)
    printed = whole.studies()[["study", "o_minus_e", "v"]]
    result = m2.Peto(measure="PETO").fit(printed)
    assert result.tidy().to_numpy()[0, 1:].tolist() == pytest.approx(
        whole.tidy().to_numpy()[0, 1:].tolist(), rel=1e-12, nan_ok=True
    )
    assert result.q == pytest.approx(whole.q, rel=1e-12)
    assert result.glance()["measure"].iloc[0] == "PETO"
    assert result.summary().startswith("Odds ratio (Peto), 13 studies")


def test_what_a_table_of_both_means_is_asked(bcg_frame):
    both = bcg_frame.assign(o_minus_e=1.5, v=4.0)
    with pytest.raises(ModelError, match=r'say which are pooled: Peto\(measure="PETO"\) for the odds ratio of the cou'):
        m2.Peto().fit(both)
    assert m2.Peto(measure="HR").fit(both).estimate == pytest.approx(0.375)
    assert m2.Peto(measure="PETO").fit(both).estimate == m2.Peto().fit(bcg_frame).estimate


def test_a_study_without_variance_has_no_weight():
    result, without = m2.Peto().fit(pd.concat([TRIALS, scores(("Dee", 0, 0))])), m2.Peto().fit(TRIALS)
    assert result.tidy().equals(without.tidy())
    assert result.q == without.q
    row = result.studies().iloc[3]
    assert row[["weight", "state", "o_minus_e", "v"]].tolist() == [0, "no_events", 0, 0]
    assert np.isnan(row["yi"])
    nothing = m2.Peto().fit(scores(("Dee", 0, 0), ("Eve", 0, 0)))
    assert np.isnan(nothing.estimate)
    assert nothing.glance()["status"].iloc[0] == "undefined"
    assert (
        nothing.glance()["status_reason"]
        .iloc[0]
        .startswith("Peto's hazard ratio is undefined, because no study has a V above 0")
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("Dee", 1.5, 0), "Dee: column 'o_minus_e' is 1.5 although column 'v' is 0; without variance nothing can"),
        (("Dee", 1.5, -2), "Dee: column 'v' is -2, but it must be above 0; correct the entry."),
        (("Dee", 1.5, np.inf), "Dee: column 'v' is inf, but it must be above 0"),
        (("Dee", -np.inf, 2), "Dee: column 'o_minus_e' is -inf, but it must be finite"),
        (("Dee", "four", 2), "Dee: column 'o_minus_e' holds 'four', which is not a number"),
        (("Dee", 4, "n/a?"), "Dee: column 'v' holds 'n/a?', which is not a number"),
    ],
)
def test_impossible_figures_are_named(row, message):
    with pytest.raises(MetailError) as caught:
        m2.Peto().fit(pd.concat([TRIALS, scores(row)]))
    assert str(caught.value).startswith(message)


def test_missing_figures_are_left_out_by_name():
    frame = pd.concat([TRIALS, scores(("Dee", 1.0, np.nan), ("Eve", np.nan, 0))])
    with pytest.warns(MetailWarning) as caught:
        result = m2.Peto().fit(frame)
    assert [str(w.message) for w in caught] == ["Dee and Eve: left out of the fit, because O − E or V is missing."]
    assert result.estimate == m2.Peto().fit(TRIALS).estimate
    assert result.studies()["state"].tolist() == ["used"] * 3 + ["missing"] * 2
    with pytest.raises(ModelError, match="No study has O − E and V, so there is nothing to pool"):
        m2.Peto().fit(scores(("Dee", np.nan, 1.0)))


def test_what_cannot_be_pooled(bcg_frame):
    with pytest.raises(EffectSizeError, match="The table has no rows"):
        m2.Peto().fit(scores())
    with pytest.raises(ModelError, match="beside o_minus_e there is no column v"):
        m2.Peto().fit(TRIALS.drop(columns="v"))
    with pytest.raises(ModelError, match="A hazard ratio is pooled from the columns o_minus_e and v; give both"):
        m2.Peto(measure="HR").fit(bcg_frame)
    with pytest.raises(EffectSizeError, match="more than one column called 'v'"):
        m2.Peto().fit(TRIALS.set_axis(["v", "o_minus_e", "v"], axis=1))
    with pytest.raises(ModelError, match="Give a DataFrame of counts, or effects that carry them, not list"):
        m2.Peto().fit([1, 2])
    for measure in ("OR", "or", "RR"):
        with pytest.raises(UnknownChoice) as caught:
            m2.Peto(measure=measure)
        assert str(caught.value) == f"Unknown measure of Peto '{measure}'. Did you mean 'PETO'? Choose from: PETO, HR."
    with pytest.raises(UnknownChoice, match=r"'HRR'\. Did you mean 'HR'\?"):
        m2.Peto(measure="HRR")
    printed = m2.effect_sizes(pd.DataFrame({"hr": [0.5], "ci_lower": [0.3], "ci_upper": [0.9]}), "HR")
    with pytest.raises(EffectSizeError, match="PETO needs the columns events1 n1 events2 n2 or a b c d"):
        m2.Peto().fit(printed)


def test_effects_from_log_rank_tests_carry_their_scores():
    assert m2.Peto().fit(m2.effect_sizes(TRIALS, "HR")).tidy().equals(m2.Peto().fit(TRIALS).tidy())
