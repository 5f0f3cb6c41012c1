"""Seeds, counts, levels and wrong objects mean the same to every function of a result."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import ModelError

NAN = float("nan")
EFFECTS = m2.EffectSizes.from_arrays(
    [0.41, -0.10, 0.62, 0.05, 0.33], [0.04, 0.09, 0.02, 0.15, 0.01], moderators={"dose": [1.0, 2, 2, 5, 7]}
)
RESULT = m2.pool(EFFECTS)
REGRESSION = m2.pool(EFFECTS, moderators="dose")

SEEDED = {
    "bootstrap": lambda seed: m2.bootstrap(RESULT, replicates=9, seed=seed).draws,
    "gosh": lambda seed: m2.gosh(RESULT, subsets=9, seed=seed).table(),
    "permutation_test": lambda seed: m2.permutation_test(RESULT, permutations=9, seed=seed),
    "permutation_interval": lambda seed: m2.permutation_interval(RESULT, 0.5, permutations=9, seed=seed),
    "qq_envelope": lambda seed: m2.qq_envelope(RESULT, replicates=50, seed=seed),
}


@pytest.mark.parametrize("function", list(SEEDED))
@pytest.mark.parametrize("seed", [-1, 1.5, "a", NAN, True, [1], np.random.default_rng(1)])
def test_what_is_no_seed(function, seed):
    with pytest.raises(ModelError, match=r"^The seed is .*; give a whole number of at least 0, or None"):
        SEEDED[function](seed)


@pytest.mark.parametrize("function", list(SEEDED))
def test_what_is_a_seed(function):
    SEEDED[function](None)
    first, again = (SEEDED[function](seed) for seed in (7, np.int64(7)))
    assert first.equals(again) if isinstance(first, pd.DataFrame) else first == again


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda count: m2.bootstrap(RESULT, replicates=count), "replicates"),
        (lambda count: m2.gosh(RESULT, subsets=count), "subsets"),
        (lambda count: m2.permutation_test(RESULT, permutations=count), "permutations"),
        (lambda count: m2.permutation_interval(RESULT, permutations=count), "permutations"),
        (lambda count: m2.qq_envelope(RESULT, replicates=count), "replicates"),
        (lambda count: m2.profile_tau2(RESULT, points=count), "points"),
    ],
)
@pytest.mark.parametrize("count", [2.5, "10", NAN, np.inf, True, [5], 0, -3])
def test_what_is_no_number_of(function, what, count):
    with pytest.raises(ModelError, match=rf"{what} were asked for; give a whole number of at least \d+\.$"):
        function(count)


def test_none_is_no_number_where_there_is_no_default():
    for function, what in ((m2.bootstrap, "replicates"), (m2.qq_envelope, "replicates"), (m2.profile_tau2, "points")):
        with pytest.raises(ModelError, match=f"None {what} were asked for"):
            function(RESULT, **{what: None})


def test_whole_numbers_of_every_type():
    for count in (60, 60.0, np.int32(60), np.float64(60)):
        assert len(m2.bootstrap(RESULT, replicates=count, seed=1).draws) == 60


def test_levels_are_those_of_the_fit_unless_given():
    fitted, given = m2.pool(EFFECTS, level=0.8), 0.8
    tables = [
        (lambda result, *level: m2.bootstrap(result, replicates=40, seed=1).interval(*level)),
        (lambda result, *level: m2.profile_tau2(result, 20, *level).fits),
        (lambda result, *level: m2.qq_envelope(result, 50, 1, *level)),
        (lambda result, *level: m2.contrasts(result, {"twice": [2]}, "none", *level)),
        (lambda result, *level: pd.DataFrame([m2.permutation_interval(result, *level)])),
        (lambda result, *level: pd.DataFrame([m2.henmi_copas(result, *level).ci_upper])),
    ]
    for table in tables:
        pd.testing.assert_frame_equal(table(fitted), table(RESULT, given), rtol=1e-12)
        assert not table(fitted).equals(table(RESULT))
        with pytest.raises(ModelError, match="confidence level is 80"):
            table(RESULT, 80)


READERS = [
    m2.baujat, m2.blup, m2.bootstrap, m2.gosh, m2.influence, m2.permutation_interval, m2.permutation_test,
    m2.profile_tau2, m2.qq_envelope, m2.residuals, m2.vif, lambda result: m2.contrasts(result, {"x": [1]}),
    lambda result: m2.joint_contrast_test(result, {"x": [1]}), lambda result: m2.pairwise(result, "dose"),
    lambda result: m2.likelihood_ratio(result, result),
]  # fmt: skip


@pytest.mark.parametrize("function", READERS)
@pytest.mark.parametrize(
    ("thing", "kind"), [(None, "None"), ([1.0, 2.0], "a list"), (EFFECTS, "an EffectSizes"), (EFFECTS.frame, "a DataF")]
)
def test_what_is_no_result(function, thing, kind):
    with pytest.raises(ModelError, match=rf" reads a result of pool\(\) or RandomEffects, but this is {kind}\w*\.$"):
        function(thing)


def test_only_functions_that_leave_studies_out_name_those_that_do_so_for_every_model():
    other = m2.LocationScale("dose").fit(EFFECTS)
    for function in (m2.influence, m2.residuals, m2.baujat):
        with pytest.raises(ModelError, match="leave_one_out and cumulative read any pooled result"):
            function(other)
    for function in (m2.vif, m2.blup, m2.bootstrap):
        with pytest.raises(ModelError, match=r"but this is a LocationScaleResult\.$"):
            function(other)


def test_results_show_their_main_figures():
    shown = {
        "Parametric bootstrap of 5 studies, 40 replicates; 95 % percentiles": m2.bootstrap(RESULT, replicates=40),
        "All 31 subsets of 5 studies": m2.gosh(RESULT),
        "9 random subsets of 5 studies": m2.gosh(RESULT, subsets=9),
        "Profile of the restricted likelihood at": m2.profile_tau2(REGRESSION),
        m2.henmi_copas(RESULT).summary(): m2.henmi_copas(RESULT),
    }
    for head, found in shown.items():
        assert repr(found).startswith(head)
        assert len(repr(found).splitlines()) <= 6
        assert "array" not in repr(found)
    gosh = m2.gosh(RESULT)
    median = f"{np.median(gosh.means.estimate):.6f}"
    assert median in repr(gosh).splitlines()[2]
    assert "dose" in repr(m2.profile_tau2(REGRESSION))
