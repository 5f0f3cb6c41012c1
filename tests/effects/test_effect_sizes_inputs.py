"""effect_sizes(): other columns than moments, the small-sample correction, labels, and reasons for what is missing."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gamma

import metail2 as m2
from metail2.errors import EffectSizeError, MetailWarning, UnknownChoice

STANDARDISED = ["SMD", "RPB", "ZPB", "RBIS", "ZBIS"]
LAWS = settings(max_examples=30, deadline=None, derandomize=True)


def table(**columns):
    values = np.broadcast_arrays(*map(np.atleast_1d, columns.values()))
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def one(frame, measure, **options):
    effects = m2.effect_sizes(frame, measure, **options)
    return float(effects.yi[0]), float(effects.vi[0])


MEANS = {"mean1": 5.0, "sd1": 2.0, "n1": 20, "mean2": 4.0, "sd2": 1.5, "n2": 25}
CHANGE = {"mean_post": 5.0, "sd_post": 2.0, "mean_pre": 4.0, "sd_pre": 1.5, "n": 20, "r": 0.6}


# ------------------------------------------------------------------------------------- other ways to give an effect
@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(3)
    return rng.normal(10, 3, 14), rng.normal(12, 2, 19)


@pytest.mark.parametrize("measure", STANDARDISED)
def test_standardised_differences_from_every_statistic(groups, measure):
    """SciPy's t, F, P and r of raw data give what the moments of the same data give."""
    x, y = groups
    moments = table(mean1=x.mean(), sd1=x.std(ddof=1), n1=14, mean2=y.mean(), sd2=y.std(ddof=1), n2=19)
    expected = pytest.approx(one(moments, measure), rel=1e-9)
    t, p = stats.ttest_ind(x, y)
    r = stats.pearsonr(np.repeat([1.0, 0.0], [14, 19]), np.concatenate([x, y])).statistic
    pooled = np.sqrt((13 * x.var(ddof=1) + 18 * y.var(ddof=1)) / 31)
    for statistic in (
        {"d": (x.mean() - y.mean()) / pooled},
        {"t": t},
        {"f": stats.f_oneway(x, y).statistic, "direction": -1},
        {"p": p, "direction": -1},
        {"r": r},
    ):
        assert one(table(**statistic, n1=14, n2=19), measure) == expected


@given(st.floats(-8, 8), st.integers(3, 80), st.integers(3, 80))
@LAWS
def test_f_and_p_need_the_direction_that_t_has(t, n1, n2):
    expected = one(table(t=t, n1=n1, n2=n2), "SMD")
    direction = 1 if t >= 0 else -1
    assert one(table(f=t**2, direction=direction, n1=n1, n2=n2), "SMD") == pytest.approx(expected, rel=1e-9)
    p = 2 * stats.t.sf(abs(t), n1 + n2 - 2)
    told = one(table(p=p, direction=direction, n1=n1, n2=n2), "SMD")
    assert told == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_a_p_value_of_1_is_no_difference():
    assert one(table(p=1.0, direction=-1, n1=10, n2=10), "SMD") == pytest.approx((0, 0.2))


def test_changes_from_every_statistic():
    rng = np.random.default_rng(4)
    pre = rng.normal(10, 3, 16)
    post = pre + rng.normal(1, 2, 16)
    change = post - pre
    moments = table(mean_post=post.mean(), sd_post=post.std(ddof=1), mean_pre=pre.mean(), sd_pre=pre.std(ddof=1), n=16,
                    r=np.corrcoef(pre, post)[0, 1])  # fmt: skip
    t, p = stats.ttest_rel(post, pre)
    summary = table(mean_change=change.mean(), sd_change=change.std(ddof=1), n=16)
    expected = pytest.approx(one(moments, "SMCC"), rel=1e-9)
    assert one(summary, "SMCC") == expected
    assert one(table(d=change.mean() / change.std(ddof=1), n=16), "SMCC") == expected
    assert one(table(t=t, n=16), "SMCC") == expected
    assert one(table(p=p, direction=np.sign(t), n=16), "SMCC") == expected
    assert one(moments, "MC") == pytest.approx(one(summary, "MC"), rel=1e-9)
    assert one(summary, "MC") == pytest.approx((change.mean(), change.var(ddof=1) / 16), rel=1e-12)


def test_the_first_whole_set_is_used_unless_another_is_named():
    both = table(**MEANS, t=1.0, cohen=0.3)
    assert one(both, "SMD") == one(table(**MEANS), "SMD")
    assert one(both, "SMD", t="t") == one(table(t=1.0, n1=20, n2=25), "SMD")
    assert one(both, "SMD", d="cohen") == one(table(d=0.3, n1=20, n2=25), "SMD")
    assert list(m2.effect_sizes(both, "SMD", d="cohen").inputs) == ["d", "n1", "n2"]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: m2.effect_sizes(table(p=0, direction=1, n1=9, n2=9), "SMD"),
         "study 1: column 'p' is 0, but it must be above 0: a P printed as 0.000 is a bound, from which no effect can "
         "be had; correct the entry."),
        (lambda: m2.effect_sizes(table(p=-0.1, direction=1, n1=9, n2=9), "SMD"),
         "study 1: column 'p' is -0.1, but it must be a two-sided P value, above 0 and at most 1; correct the entry."),
        (lambda: m2.effect_sizes(table(p=1.1, direction=1, n=9), "SMCC"),
         "study 1: column 'p' is 1.1, but it must be a two-sided P value, above 0 and at most 1; correct the entry."),
        (lambda: m2.effect_sizes(table(f=-1, direction=1, n1=9, n2=9), "SMD"),
         "study 1: column 'f' is -1, but it must be 0 or more; correct the entry."),
        (lambda: m2.effect_sizes(table(f=1, direction=0, n1=9, n2=9), "SMD"),
         "study 1: column 'direction' is 0, but it must be 1 or −1, the sign of the effect; correct the entry."),
        (lambda: m2.effect_sizes(table(r=1.1, n1=9, n2=9), "SMD"),
         "study 1: column 'r' is 1.1, but it must lie between −1 and 1; correct the entry."),
        (lambda: m2.effect_sizes(table(t=np.inf, n1=9, n2=9), "SMD"),
         "study 1: column 't' is inf, but it must be finite; correct the entry."),
        (lambda: m2.effect_sizes(table(t=1, n1=0, n2=9), "SMD"),
         "study 1: column 'n1' is 0, but it must be a number of patients above 0; correct the entry."),
        (lambda: m2.effect_sizes(table(mean_change=1, sd_change=-1, n=9), "MC"),
         "study 1: column 'sd_change' is -1, but it must be 0 or more; correct the entry."),
        (lambda: m2.effect_sizes(table(auc=1.2, n1=9, n2=9), "CLES"),
         "study 1: column 'auc' is 1.2, but it must lie between 0 and 1; correct the entry."),
        (lambda: m2.effect_sizes(table(**MEANS, d=1, t=2), "SMD", d="d", t="t"),
         "SMD is not computed from d and t together; it needs the columns mean1 sd1 n1 mean2 sd2 n2 or d n1 n2 or "
         "t n1 n2 or f direction n1 n2 or p direction n1 n2 or r n1 n2."),
        (lambda: m2.effect_sizes(table(mean_change=1, n=9), "MC"),
         "MC needs the columns mean_post sd_post mean_pre sd_pre n r or mean_change sd_change n; sd_change is missing. "
         'The table has mean_change, n; name a column as sd_change="its name".'),
    ],
)  # fmt: skip
def test_messages(act, message):
    with pytest.raises(EffectSizeError) as caught:
        act()
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------- the small-sample correction
DEGREES = {"SMD": 43, "SMDH": 43, "SMD1": 24, "SMD1H": 24, "SMN": 19, "SMCC": 19, "SMCR": 19, "SMCRH": 19,
           "SMCRP": 38 / 1.36, "SMCRPH": 38 / 1.36}  # fmt: skip


def test_the_measures_with_a_factor():
    assert {code for code, entry in m2.MEASURES.items() if entry.df is not None} == set(DEGREES)


@pytest.mark.parametrize(("measure", "df"), DEGREES.items())
def test_corrections(measure, df):
    frame = table(**MEANS, **CHANGE, mean=5.0, sd=2.0)
    exact, approximate, none = (
        one(frame, measure, correction=correction) for correction in ("exact", "approximate", "none")
    )
    j = gamma(df / 2) / (np.sqrt(df / 2) * gamma((df - 1) / 2))
    assert exact == one(frame, measure)
    assert exact[0] == pytest.approx(j * none[0], rel=1e-12)
    assert approximate[0] == pytest.approx((1 - 3 / (4 * df - 1)) * none[0], rel=1e-12)
    at_zero = exact[1] - (none[1] - exact[1]) / (none[0] ** 2 - exact[0] ** 2) * exact[0] ** 2
    for yi, vi in (exact, approximate, none):  # every variance is a + b·g², with g as corrected
        assert vi - at_zero == pytest.approx((exact[1] - at_zero) * (yi / exact[0]) ** 2, rel=1e-9)


@pytest.mark.parametrize(("vtype", "power"), [("LS2", 2), ("H0", 2), ("UB", 2)])
def test_variances_of_d_scale_with_the_square_of_the_factor(vtype, power):
    frame = table(**MEANS)
    exact, none = (one(frame, "SMD", vtype=vtype, correction=correction) for correction in ("exact", "none"))
    assert exact[1] / none[1] == pytest.approx((exact[0] / none[0]) ** power, rel=1e-12)


def test_corrections_of_too_few_patients():
    frame = table(d=0.5, n1=1, n2=2)
    for correction in ("exact", "approximate"):
        with pytest.warns(MetailWarning, match="there are too few patients"):
            assert np.isnan(m2.effect_sizes(frame, "SMD", correction=correction).yi[0])
    assert one(frame, "SMD", correction="none") == pytest.approx((0.5, 1.5 + 0.25 / 6))
    with pytest.warns(MetailWarning, match="there are too few patients"):
        m2.effect_sizes(table(d=0.5, n1=1, n2=1), "SMD", correction="none")


def test_a_correction_where_there_is_none():
    with pytest.raises(EffectSizeError) as caught:
        m2.effect_sizes(table(**MEANS), "MD", correction="none")
    assert str(caught.value) == (
        "MD has no small-sample factor, so correction='none' has no meaning; leave it out (the measures with one are "
        "SMD, SMDH, SMD1, SMD1H, SMCC, SMCR, SMCRH, SMCRP, SMCRPH and SMN)."
    )
    with pytest.raises(UnknownChoice) as unknown:
        m2.effect_sizes(table(**MEANS), "SMD", correction="hedges")
    assert str(unknown.value) == ("Unknown small-sample correction 'hedges'. Choose from: exact, approximate, none.")


# ------------------------------------------------------------------------------------- labels and columns
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_refused(missing):
    frame = pd.DataFrame({"study": ["Ann", missing, "Cy"], "r": [0.1, 0.2, 0.3], "n": [9, 9, 9]})
    with pytest.raises(EffectSizeError, match=r"^Row 2 has no label in column 'study'; give every row its study\.$"):
        m2.effect_sizes(frame, "COR")
    with pytest.raises(EffectSizeError, match=r"^Row 2 has no label in column 'trial'"):
        m2.effect_sizes(frame.rename(columns={"study": "trial"}), "COR", study="trial")


def test_labels_of_numbers():
    assert m2.effect_sizes(table(study=[1998, 2004], r=[0.1, 0.2], n=[9, 9]), "COR").study == ("1998", "2004")


def test_a_column_that_stands_twice_is_refused():
    frame = pd.DataFrame([[0.1, 9, 1, 2, 3]], columns=["r", "n", "n", "year", "year"])
    with pytest.raises(EffectSizeError) as caught:
        m2.effect_sizes(frame, "COR")
    assert str(caught.value) == "The table has more than one column called 'n' and 'year'; rename or remove one."


# ------------------------------------------------------------------------------------- reasons
def test_every_study_that_is_lost_is_told_why():
    frame = table(study=list("abcd"), meanA=[1.0, -1, np.nan, 2], sd1=1, n1=9, mean2=[1.0, 1, 1, 2],
                  sd2=[1, 1, 1, np.nan], n2=[9, 9, np.nan, 9])  # fmt: skip
    with pytest.warns(MetailWarning) as caught:
        m2.effect_sizes(frame, "ROM", mean1="meanA")
    assert str(caught[0].message) == (
        "The ratio of means of b, c and d cannot be computed with its variance from the figures given (b: the means "
        "are not both above 0 or both below it; c: meanA and n2 are missing; d: sd2 is missing); it stays in the table "
        "as NaN."
    )


def test_one_reason_is_told_once():
    with pytest.warns(MetailWarning) as caught:
        m2.effect_sizes(table(mean1=1, sd1=0, n1=9, mean2=[2, 3], sd2=0, n2=9), "MD")
    assert str(caught[0].message) == (
        "The mean difference of study 1 and study 2 cannot be computed with its variance from the figures given "
        "(both SDs are 0); the effect stays in the table, its variance is NaN."
    )


@pytest.mark.parametrize(
    ("measure", "columns"),
    [("SMDH", MEANS | {"sd1": 0, "sd2": 0}), ("SMD1", MEANS | {"n2": 2}), ("VR", MEANS | {"sd2": 0}),
     ("CVR", MEANS | {"mean1": -5}), ("RPB", MEANS | {"sd1": 0, "sd2": 0}), ("ZBIS", {"d": 9, "n1": 20, "n2": 20}),
     ("CLESN", MEANS | {"mean1": 4.0, "sd1": 0, "sd2": 0}), ("SMCRH", CHANGE | {"sd_pre": 0}),
     ("VRC", CHANGE | {"sd_post": 0}), ("CVRC", CHANGE | {"mean_pre": 0}),
     ("MNLN", {"mean": -1, "sd": 1, "n": 9}), ("SDLN", {"sd": 0, "n": 9}),
     ("CVLN", {"mean": 0, "sd": 1, "n": 9}), ("SMN", {"mean": 1, "sd": 0, "n": 9})],
)  # fmt: skip
def test_undefined_effects_have_the_reason_of_their_measure(measure, columns):
    with pytest.warns(MetailWarning) as caught:
        assert np.isnan(m2.effect_sizes(table(**columns), measure).yi[0])
    assert f"({m2.MEASURES[measure].undefined})" in str(caught[0].message)


@pytest.mark.parametrize("measure", ["CLESN", "AUCN"])
def test_an_area_of_1_has_no_variance_and_stops_nobody_else(measure):
    frame = table(mean1=[9.0, 2.0], sd1=0.25, n1=3, mean2=1.0, sd2=0.5, n2=3)
    with pytest.warns(MetailWarning, match=r"of study 1 cannot .* \(the area is 0 or 1 to machine precision, or"):
        effects = m2.effect_sizes(frame, measure)
    assert effects.yi[0] == 1
    assert np.isnan(effects.vi).tolist() == [True, False]


def test_rows_with_other_figures_are_joined():
    """Studies that print means and studies that print t become one set of effects."""
    means = m2.effect_sizes(table(study="Ann", **MEANS), "SMD")
    tests = m2.effect_sizes(table(study="Ben", t=2.1, n1=12, n2=11), "SMD")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joined = m2.EffectSizes.concat([means, tests])
    assert joined.study == ("Ann", "Ben")
    assert joined.yi.tolist() == [means.yi[0], tests.yi[0]]
