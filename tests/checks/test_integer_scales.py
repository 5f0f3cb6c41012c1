"""GRIM, GRIMMER and percentages against enumeration: what whole numbers can give, and nothing else, passes."""

import itertools
import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from metail2.checks.integer_scales import sd_impossible, totals
from metail2.checks.validate import validate
from metail2.conversions.counts import events_from_percent

WAYS = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN)


def prints(exact, decimals):
    """Every way in which a fraction is printed."""
    scaled = Decimal(exact.numerator) * 10**decimals / Decimal(exact.denominator)
    return {int(scaled.quantize(Decimal(1), rounding=way)) for way in WAYS}


def roots(square, decimals):
    """Every way in which the root of a fraction is printed, by whole numbers only."""
    scaled = square * 100**decimals
    cut = math.isqrt(math.floor(scaled))
    rounded = (math.isqrt(math.floor(4 * scaled)) + 1) // 2
    ties = {cut} if Fraction(2 * cut + 1, 2) ** 2 == scaled else set()  # a half rounds to even as well
    return {cut, rounded} | ties


def codes(mean, sd, n, items=1):
    table = pd.DataFrame({"study": ["A"], "mean": [mean], "sd": [sd], "n": [str(n)]})
    return [finding.code for finding in validate(table, scale_items=items) if finding.code in ("M050", "M051")]


def passes(units, decimals, sd_units, sd_decimals, n, items):
    """Which pairs of printed mean and SD the two checks let pass, as arrays."""
    size = len(units)
    full = [np.full(size, x, dtype=float) for x in (n, items)]
    means = totals(units / 10.0**decimals, np.full(size, decimals), full[0] * items)
    wrong = sd_impossible(sd_units / 10.0**sd_decimals, np.full(size, sd_decimals), *full, means)
    return ~means.impossible & ~wrong


@pytest.mark.parametrize("decimals", [0, 1, 2, 3])
@pytest.mark.parametrize("items", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 16, 30, 99])
def test_grim_lets_pass_what_some_total_gives_and_nothing_else(n, items, decimals):
    units = np.arange(3 * 10**decimals + 1)
    possible = set().union(*(prints(Fraction(total, n * items), decimals) for total in range(4 * n * items + 1)))
    found = totals(units / 10.0**decimals, np.full(len(units), decimals), np.full(len(units), float(n * items)))
    assert found.known.all()
    assert set(units[~found.impossible].tolist()) == possible & set(units.tolist())


@pytest.mark.parametrize(
    ("n", "items", "decimals", "sd_decimals"),
    [(2, 1, 2, 2), (2, 3, 2, 1), (3, 1, 2, 2), (3, 2, 2, 2), (4, 1, 2, 2), (4, 1, 2, 3), (4, 2, 1, 2), (5, 1, 1, 2),
     (5, 1, 2, 3), (6, 1, 2, 2), (6, 2, 2, 3), (7, 1, 2, 2), (8, 1, 1, 2), (9, 1, 0, 2)],
)  # fmt: skip
def test_grim_and_grimmer_let_pass_what_some_sample_gives_and_nothing_else(n, items, decimals, sd_decimals):
    """Every multiset of n sums of items is listed that has a mean from 0 to `top` and an SD below R/√n.

    A sample with a value beyond −R to R + top·items has a larger SD than that, so the list is complete.
    """
    reach = {2: 12, 3: 9, 4: 8, 5: 6, 6: 5, 7: 4, 8: 4, 9: 3}[n]
    top = 1 if decimals else 2  # a mean printed as 1 can be 1.9, cut off
    possible = set()
    for sample in itertools.combinations_with_replacement(range(-reach, reach + top * items + 1), n):
        total = sum(sample)
        if 0 <= total <= top * n * items:
            square = Fraction(n * sum(x * x for x in sample) - total * total, n * (n - 1) * items * items)
            for mean in prints(Fraction(total, n * items), decimals):
                possible |= {(mean, sd) for sd in roots(square, sd_decimals)}
    largest = int(reach / items / math.sqrt(n) * 10**sd_decimals) - 2
    grid = list(itertools.product(range(1, 10**decimals if decimals else 2), range(largest)))
    means, sds = np.array(grid).T
    accepted = set(
        zip(*(x[passes(means, decimals, sds, sd_decimals, n, items)].tolist() for x in (means, sds)), strict=True)
    )
    compared = set(zip(means.tolist(), sds.tolist(), strict=True))
    assert accepted == possible & compared
    assert accepted
    assert accepted != compared


def test_no_random_sample_is_accused_however_it_is_printed():
    rng = np.random.default_rng(7)
    kept = {name: [] for name in ("mean", "sd", "mean_decimals", "sd_decimals", "n", "items")}
    for _ in range(4000):
        n, items = int(rng.integers(2, 60)), int(rng.choice([1, 1, 2, 5, 10]))
        sums = rng.integers(-3 if rng.random() < 0.3 else 0, rng.integers(2, 12) * items, n).tolist()
        total, (d, e) = sum(sums), rng.integers(0, 5, 2).tolist()
        square = Fraction(n * sum(x * x for x in sums) - total * total, n * (n - 1) * items * items)
        mean = int(rng.choice(sorted(prints(abs(Fraction(total, n * items)), d)))) * (-1 if total < 0 else 1)
        sd = int(rng.choice(sorted(roots(square, e))))
        for name, value in zip(kept, (mean / 10**d, sd / 10**e, d, e, n, items), strict=True):
            kept[name].append(value)
    data = {name: np.array(values, dtype=float) for name, values in kept.items()}
    means = totals(data["mean"], data["mean_decimals"].astype(int), data["n"] * data["items"])
    wrong = sd_impossible(data["sd"], data["sd_decimals"].astype(int), data["n"], data["items"], means)
    assert means.known.all()
    assert not means.impossible.any()
    assert not wrong.any()


def test_power():
    """Of figures with two decimals drawn at random so many are found: 1 − 1.5n/100 of the means for GRIM."""
    rng = np.random.default_rng(8)
    size, n = 20_000, 17.0
    means = totals(np.round(rng.uniform(1, 5, size), 2), np.full(size, 2), np.full(size, n))
    assert means.impossible.mean() == pytest.approx(1 - 1.5 * n / 100, abs=0.02)
    possible = np.round(rng.integers(17, 85, size) / n, 2)
    means = totals(possible, np.full(size, 2), np.full(size, n))
    sds = np.round(rng.uniform(0.5, 2, size), 2)
    wrong = sd_impossible(sds, np.full(size, 2), np.full(size, n), np.ones(size), means)
    assert 0.35 < wrong.mean() < 0.75


@pytest.mark.parametrize("decimals", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 7, 26, 53, 150])
def test_percentages_agree_with_the_conversion_that_lists_counts(n, decimals):
    printed = [f"{unit / 10**decimals:.{decimals}f}" for unit in range(0, 100 * 10**decimals + 1, 7)]
    found = totals(
        np.array(printed, dtype=float), np.full(len(printed), decimals), np.full(len(printed), float(n)), 100
    )
    assert [not bad for bad in found.impossible] == [len(events_from_percent(text, n)) > 0 for text in printed]


@pytest.mark.parametrize(
    ("mean", "sd", "n", "items", "expected"),
    [
        ("3.47", "", 17, 1, []),  # 59/17 = 3.4706
        ("3.48", "", 17, 1, ["M050"]),
        ("-3.48", "", 17, 1, ["M050"]),
        ("3.48", "", 17, 5, []),  # a total of 296 over 85
        ("3.48", "", 170, 1, []),
        ("0.00", "0.00", 17, 1, []),
        ("2.50", "0.53", 8, 1, []),  # four twos and four threes: 0.5345
        ("2.50", "0.54", 8, 1, ["M051"]),
        ("2.50", "0.50", 8, 1, ["M051"]),  # so with n, not n − 1
        ("3.444444444444444", "1.2", 17, 1, []),  # computed, not printed
        ("3.5", "1.2", 1, 1, ["M050"]),
        ("2.5", "2.12132", 2, 1, []),  # 1 and 4
        ("2.5", "2.0", 2, 1, ["M051"]),  # only odd differences, over √2
        ("", "1.2", 17, 1, []),
        ("x", "1.2", 17, 1, []),
    ],
)
def test_single_figures(mean, sd, n, items, expected):
    assert codes(mean, sd, n, items) == expected


def test_a_column_says_which_scales_are_whole():
    table = pd.DataFrame({"study": ["A", "B", "C"], "mean1": ["3.48"] * 3, "n1": [17] * 3, "scale_items": [1, 5, None]})
    assert [(x.code, x.study, x.column) for x in validate(table) if x.code == "M050"] == [("M050", "A", "mean1")]
    assert [x.study for x in validate(table, scale_items=1) if x.code == "M050"] == ["A", "C"]


def test_nothing_is_tested_unless_it_is_declared():
    assert not len(validate(pd.DataFrame({"study": ["A"], "mean1": ["3.48"], "sd1": ["1.0"], "n1": ["17"]})))


def test_huge_and_odd_figures_are_let_pass():
    size = 6
    values = np.array([1e300, np.inf, np.nan, 1e15, 3.0, 3.0])
    n = np.array([10.0, 10, 10, 1e12, 2.5, -1])
    found = totals(values, np.full(size, 2), n)
    assert not found.impossible.any()
    assert not sd_impossible(values, np.full(size, 2), n, np.ones(size), found).any()


def test_of_a_hundred_thousand_rows_the_true_ones_pass_and_each_is_judged_as_if_alone():
    rng = np.random.default_rng(9)
    k, most = 100_000, 60
    n = rng.integers(2, most, k)
    values = rng.integers(0, 7, (k, most)) * (np.arange(most) < n[:, None])
    total, squares = values.sum(axis=1), (values**2).sum(axis=1)
    mean = np.round(total / n, 2)
    true = np.round(np.sqrt((n * squares - total**2) / (n * (n - 1))), 2)
    two, one, n = np.full(k, 2), np.ones(k), n.astype(float)
    means = totals(mean, two, n)
    assert not means.impossible.any()
    assert not sd_impossible(true, two, n, one, means).any()
    drawn = np.round(rng.uniform(0.2, 4, k), 2)
    wrong = sd_impossible(drawn, two, n, one, means)
    alone = [
        sd_impossible(drawn[row], two[row], n[row], one[row], totals(mean[row], two[row], n[row])).item()
        for row in (slice(i, i + 1) for i in range(0, k, 400))
    ]
    assert wrong[::400].tolist() == alone
    assert set(alone) == {False, True}
