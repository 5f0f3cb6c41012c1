"""The skewness test: its statistics, its null distribution by simulation, its power, its published approximation."""

import numpy as np
import pytest

from metail2.conversions import skewness_test
from metail2.conversions.skewness import critical_value
from metail2.errors import EffectSizeError

SCENARIOS = {
    "range": ("minimum", "maximum"),
    "quartiles": ("q1", "q3"),
    "five": ("minimum", "q1", "q3", "maximum"),
}
NAMES = ("minimum", "q1", "median", "q3", "maximum")


def five_numbers(draw, n, replicates, seed):
    sample = draw(np.random.default_rng(seed), (replicates, n))
    return dict(zip(NAMES, np.quantile(sample, [0, 0.25, 0.5, 0.75, 1], axis=1), strict=True))


def rejected(printed, scenario, n, level=0.05):
    kept = {name: printed[name] for name in (*SCENARIOS[scenario], "median")}
    verdict = skewness_test(**kept, n=n, level=level).verdict
    return (verdict != "skewness not detected").mean(), (verdict == "skewed to the right").mean()


def normal(random, shape):
    return random.normal(size=shape)


@pytest.mark.parametrize("n", [5, 9, 13, 25, 101])
def test_size_is_the_level_where_quartiles_are_order_statistics(n):
    replicates = 60_000
    printed = five_numbers(normal, n, replicates, 20230700 + n)
    for scenario in SCENARIOS:
        for level in (0.05, 0.2):
            size, right = rejected(printed, scenario, n, level)
            se = np.sqrt(level * (1 - level) / replicates)
            print(f"n={n} {scenario}: size {size:.4f} at level {level} (MCSE {se:.4f}), to the right {right:.4f}")
            assert abs(size - level) < 4 * se + 0.0005
            assert abs(right - level / 2) < 4 * se


@pytest.mark.parametrize(
    ("n", "sizes"), [(6, (0.030, 0.006, 0.030)), (20, (0.047, 0.030, 0.039)), (48, (0.049, 0.042, 0.044))]
)
def test_size_is_smaller_where_figures_are_interpolated(n, sizes):
    printed = five_numbers(normal, n, 60_000, 20230700 + n)
    got = [rejected(printed, scenario, n)[0] for scenario in SCENARIOS]
    print(f"n={n}: size {', '.join(f'{size:.4f}' for size in got)}")
    assert got == pytest.approx(sizes, abs=0.0035)


def test_power_on_skewed_values():
    print("\npower: range, quartiles, five")
    power = {}
    for name, draw in (
        ("log-normal 0.6", lambda random, shape: random.lognormal(0, 0.6, shape)),
        ("exponential", lambda random, shape: random.exponential(1, shape)),
    ):
        for n in (25, 101):
            printed = five_numbers(draw, n, 4000, 20230800 + n)
            power[name, n] = [rejected(printed, scenario, n)[1] for scenario in SCENARIOS]
            print(f"{name} n={n}: {', '.join(f'{share:.3f}' for share in power[name, n])}")
            # what is to the left is to the left: mirrored values mirror the verdict
            mirrored = {name: -printed[mirror] for name, mirror in zip(NAMES, reversed(NAMES), strict=True)}
            assert rejected(mirrored, "five", n)[1] < 0.01
    assert power["exponential", 101][2] > 0.95
    assert power["exponential", 101][2] > power["exponential", 25][2] > 0.5


@pytest.mark.parametrize("n", [25, 50, 101, 400, 1000])
def test_published_approximations_lie_near(n):
    # as the package metamedian has them, read in its source: 1/ln(n + 9) + 2.5/(n + 1), 2.65/√n − 6/n², 3/√n − 40/n³
    near = {
        "range": 1 / np.log(n + 9) + 2.5 / (n + 1),
        "quartiles": 2.65 / np.sqrt(n) - 6 / n**2,
        "five": 3 / np.sqrt(n) - 40 / n**3,
    }
    for scenario, value in near.items():
        assert critical_value(scenario, float(n), 0.05) == pytest.approx(value, rel=0.02)


def test_statistics_by_hand():
    printed = {"minimum": 1.0, "q1": 3.0, "median": 4.0, "q3": 7.0, "maximum": 20.0, "n": 40}
    outer, inner = (1 + 20 - 8) / 19, (3 + 7 - 8) / 4
    weight = 2.65 * np.log(0.6 * 40) / np.sqrt(40)
    five = skewness_test(**printed)
    assert five.statistic == pytest.approx(max(weight * outer, inner))
    assert five.verdict == "skewed to the right"
    only = skewness_test(q1=3, median=4, q3=7, n=40)
    assert only.statistic == pytest.approx(inner)
    left = skewness_test(minimum=-20, median=-4, maximum=-1, n=40)
    assert left.statistic == pytest.approx(-outer)
    assert left.verdict == "skewed to the left"


def test_in_five_figures_the_stronger_part_decides_the_direction():
    # the range leans a little to the left, the quartiles strongly to the right
    found = skewness_test(minimum=0, q1=4.9, median=5, q3=7, maximum=9.8, n=100)
    assert found.verdict == "skewed to the right"


def test_what_cannot_be_tested_is_not_decided():
    found = skewness_test(
        minimum=[1, None, 2, 1, 1],
        q1=[None, 2, None, None, None],
        median=[3, 3, 2, np.nan, 3],
        q3=[None, None, None, None, None],
        maximum=[9, 9, 2, 9, 9],
        n=[2, 30, 30, 30, None],
    )
    assert found.verdict.tolist() == ["none"] * 5
    assert np.isnan(found.critical).tolist() == [True, True, False, False, True]
    assert np.isnan(found.statistic).tolist() == [False, True, True, True, False]


def test_shapes_follow_broadcasting():
    found = skewness_test(q1=[[1], [2]], median=5, q3=[8, 9, 10], n=20)
    assert found.statistic.shape == found.critical.shape == found.verdict.shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: skewness_test(q1=6, median=5, q3=9, n=20), "The lower quartile 6 is above the median 5."),
        (lambda: skewness_test(q1=4, median=5, q3=9, n=0), "The number of people 0 is not a count of at least 1."),
        (lambda: skewness_test(q1=4, median=5, q3=9, n=9, level=5), "The level 5 is not between 0 and 1."),
    ],
)
def test_impossible_figures_are_refused(call, message):
    with pytest.raises(EffectSizeError) as error:
        call()
    assert str(error.value) == message
