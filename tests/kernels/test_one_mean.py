"""One mean has its own search for the maximum of the likelihood: the general answer, and the right one."""

import mpmath as mp
import numpy as np
import pytest

from metail2.kernels.likelihood import local_maxima, maximise, profile_ml, profile_reml
from metail2.kernels.one_mean import one_mean
from metail2.kernels.one_search import highest
from metail2.kernels.tau2 import TAU2
from metail2.kernels.wls import weighted_fit

GENERAL = {True: profile_reml, False: profile_ml}
BOTH = pytest.mark.parametrize("restricted", [True, False])


def hard_problems(decades, count, seed=1):
    """Variances over several orders of magnitude, and effects that either fit them or do not."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        k = int(rng.integers(2, 9))
        v = 10 ** rng.uniform(-decades, 0, k)
        yield rng.normal(0, np.sqrt(v) * rng.choice([0.5, 1, 3], size=k)), v


def exact_tau2(y, v, restricted, start):
    """Root of the score near `start` with 50 digits, from the textbook's sums over pairs."""
    y, v = [mp.mpf(float(value)) for value in y], [mp.mpf(float(value)) for value in v]

    def score(tau2):
        w = [1 / (value + tau2) for value in v]
        total = mp.fsum(w)
        mean = mp.fsum(a * b for a, b in zip(w, y, strict=True)) / total
        slope = mp.fsum((a * (b - mean)) ** 2 for a, b in zip(w, y, strict=True))
        trace = total - mp.fsum(a * a for a in w) / total if restricted else total
        return 1 - trace / slope

    return mp.findroot(score, (mp.mpf(start), mp.mpf(start) * (1 + mp.mpf("1e-9"))))


@BOTH
@pytest.mark.parametrize("decades", [4, 8])
def test_the_general_search_finds_the_same(restricted, decades):
    several = 0
    for y, v in hard_problems(decades, 500):
        found = highest(one_mean(y, v, restricted=restricted))
        general = maximise(GENERAL[restricted], y, v, np.ones((len(y), 1)))
        near = 1e-12 * max(float(found.tau2), v.min())
        if abs(found.tau2 - general.tau2) > near:  # a score that hardly falls: the general search has fewer digits
            assert decades == 8
            assert abs(found.tau2 - general.tau2) <= 1e4 * near
            with mp.workdps(50):
                assert abs(found.tau2 - exact_tau2(y, v, restricted, float(found.tau2))) <= near
        assert found.maxima == general.maxima
        assert found.iterations <= 12
        several += int(found.maxima > 1)
    assert several > 5


@BOTH
@pytest.mark.parametrize("decades", [1, 4, 12])
def test_fifty_digits(restricted, decades):
    positive = 0
    for y, v in hard_problems(decades, 40, seed=2):
        tau2 = float(highest(one_mean(y, v, restricted=restricted)).tau2)
        if tau2 > 0:
            positive += 1
            with mp.workdps(50):
                assert abs(tau2 - exact_tau2(y, v, restricted, tau2)) <= 2e-13 * max(tau2, v.min())
    assert positive > 5


@pytest.mark.parametrize("k", [13, 1000, 10_000])
def test_many_studies(k):
    rng = np.random.default_rng(k)
    v = rng.uniform(0.01, 0.3, k)
    y = rng.normal(50, np.sqrt(v + 0.1))
    found, general = highest(one_mean(y, v, restricted=True)), maximise(profile_reml, y, v, np.ones((k, 1)))
    assert float(found.tau2) == pytest.approx(float(general.tau2), rel=1e-12)


@pytest.mark.parametrize("unit", [1e-30, 1e-8, 1.0, 1e8, 1e30])
@pytest.mark.parametrize("gap", [0.0, 0.5, 1.9, 2.1, 300.0])
def test_two_studies_in_any_unit(unit, gap):
    """With two equal variances REML is closed: (y₁ − y₂)²/2 − v."""
    found = highest(one_mean(np.array([1.0, 1 + gap]) * unit, np.full(2, 2.0) * unit**2, restricted=True))
    assert float(found.tau2) == pytest.approx(max(0, gap**2 / 2 - 2) * unit**2, rel=1e-12, abs=0)
    assert found.maxima == 1


@BOTH
def test_effects_that_agree_exactly(restricted):
    found = highest(one_mean(np.full(5, 0.7), np.array([1e-9, 0.2, 3, 0.1, 1e5]), restricted=restricted))
    assert (found.tau2, found.iterations, found.maxima) == (0, 0, 1)


@pytest.mark.parametrize("code", ["ML", "REML"])
def test_one_problem_and_a_row_of_many_agree(code):
    y, v = (
        np.array(values) for values in zip(*[pair for pair in hard_problems(4, 80) if len(pair[0]) == 5], strict=True)
    )
    x = np.ones((5, 1))
    many = TAU2[code](y, v, x)
    assert len(y) > 5
    for i in range(len(y)):
        one = TAU2[code](y[i], v[i], x)
        np.testing.assert_allclose(one.value, many.value[i], rtol=0, atol=1e-12 * max(v[i].min(), many.value[i]))
        np.testing.assert_allclose(one.se, many.se[i], rtol=1e-11)
        assert one.maxima == many.maxima[i]


@pytest.mark.parametrize(
    ("restricted", "y", "v", "near"),
    [
        (False, [-0.02787, 0.0614, 0.001697, -0.09689], [0.0002376, 0.01754, 3.026e-06, 0.002424], 1.0355e-4),
        (
            True,
            [-0.3107, -0.7349, -0.2541, 0.04036, 0.01044],
            [0.04136, 0.1776, 0.04096, 0.007428, 0.0002298],
            6.955e-3,
        ),
        (False, [-0.1427, -0.01266, -0.7901], [0.004195, 0.0002224, 0.1354], 1.530e-3),
        (True, [-0.1586, 0.03004, -0.0004412], [0.006156, 0.002217, 0.0001577], 1.628e-3),
    ],
)
def test_a_maximum_between_two_points_of_the_grid_is_found(restricted, y, v, near):
    """The score is negative at both points, and positive for a moment between them."""
    y, v = np.array(y), np.array(v)
    x = np.ones((len(y), 1))
    found = highest(one_mean(y, v, restricted=restricted))
    assert (found.maxima, maximise(GENERAL[restricted], y, v, x).maxima) == (2, 2)
    together = maximise(GENERAL[restricted], np.stack([y, y[::-1]]), np.stack([v, v[::-1]]), x)
    assert together.maxima.tolist() == [2, 2]
    places = local_maxima(GENERAL[restricted], y[None], v[None], x).tau2
    dense = np.geomspace(near / 2, 2 * near, 20_001)
    excess = np.array(one_mean(y, v, restricted=restricted).excess(dense))
    (fall,) = np.flatnonzero((excess[:-1] > 0) & (excess[1:] <= 0))
    assert dense[fall] <= places.max() <= dense[fall + 1]


BEYOND = [
    (-0.2574037000122486, 0.3720747384931545), (-2.012354436449658, 11.791395261349082),
    (4.229549118400687, 9.329599399236997), (0.24724251706317293, 0.06287486416546365),
    (-0.11215617514309079, 0.02026648506612893), (-3.172356771685812, 6.118200430342514),
    (-0.6508977170289739, 0.2417302527102435), (-2.583868174232155, 4.215675846647498),
    (-0.1693706565532378, 1.4996850840361011), (-0.7964583587866845, 0.3893218598200071),
    (0.1896547473863958, 0.12558174980371076), (1.805787483410057, 4.444143876201993),
    (-1.6721926381895187, 2.5493477911862166), (-0.48449709687023407, 0.7771980380185628),
    (-1.6184623181942457, 23.692251972939616), (0.2431704275421791, 6.266147436616385),
    (0.12462602868407076, 0.04254434456466301), (-1.9314587912092096, 0.3107301234151488),
    (-0.016728704890058205, 0.13369632917864469), (-0.5045217008665283, 0.08518689825087941),
]  # fmt: skip


@pytest.mark.parametrize("seed", [5277, 10126, 19624])
def test_a_last_term_that_is_small_by_chance_does_not_end_the_search(seed):
    """Here the last term of the polynomial is next to nothing while its error is up to 4e-9."""
    rng = np.random.default_rng(seed)
    v = np.exp(rng.normal(-2, 1, 12))
    y = rng.normal(0, np.sqrt(v + 0.2))
    tau2 = float(highest(one_mean(y, v, restricted=True)).tau2)
    with mp.workdps(50):
        assert abs(tau2 - exact_tau2(y, v, True, tau2)) <= 2e-13 * tau2


def test_a_root_far_beyond_all_points_is_not_believed():
    """The first estimate errs by fifty times what it claims: the points around it all lie on one side of the root."""
    y, v = np.array(BEYOND).T
    for order in (slice(None), slice(None, None, -1)):
        tau2 = float(highest(one_mean(y[order], v[order], restricted=True)).tau2)
        with mp.workdps(50):
            assert abs(tau2 - exact_tau2(y, v, True, tau2)) <= 2e-13 * tau2


@BOTH
@pytest.mark.parametrize("decades", [0, 1, 4, 12])
def test_the_fit_at_the_maximum_is_that_of_the_regression(restricted, decades):
    for y, v in hard_problems(decades, 40, seed=3):
        found = highest(one_mean(y, v, restricted=restricted))
        general = weighted_fit(y, 1 / (v + found.tau2), np.ones((len(y), 1)))
        assert type(found.fit) is type(general)
        np.testing.assert_allclose(found.fit.covariance, general.covariance, rtol=1e-14)
        np.testing.assert_allclose(found.fit.weights, general.weights, rtol=1e-15)
        rounding = 1e-15 * np.abs(y).max()
        np.testing.assert_allclose(found.fit.beta, general.beta, rtol=0, atol=rounding)
        np.testing.assert_allclose(found.fit.residual, general.residual, rtol=0, atol=rounding)
        np.testing.assert_allclose(found.fit.scores / found.fit.weights, found.fit.residual, rtol=1e-15)


@BOTH
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_effects_that_cancel_have_a_mean_of_0(restricted, unit):
    y, v = np.array([-0.5, 0.5, -0.2, 0.2, 0.1, -0.1]) * unit, np.repeat([0.07, 0.2, 0.13], 2) * unit**2
    assert highest(one_mean(y, v, restricted=restricted)).fit.beta[0] == 0
    small = highest(one_mean(y + 1e-13 * unit, v, restricted=restricted)).fit.beta[0]
    assert small == pytest.approx(1e-13 * unit, rel=1e-2, abs=0)
