"""Errors are for what cannot be: no true sample is accused, and limits are where enumeration puts them."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from metail2.checks.validate import validate


def samples(rng, count):
    """Random samples of very different shapes, as rows of their summary."""
    for _ in range(count):
        n = int(rng.integers(2, 40))
        values = {
            0: lambda n=n: rng.normal(rng.uniform(-20, 20), rng.uniform(0.1, 9), n),
            1: lambda n=n: rng.lognormal(0, 1.5, n),
            2: lambda n=n: rng.integers(0, 4, n).astype(float),
            3: lambda n=n: np.where(rng.random(n) < 0.5, -3.0, 7.0),
            4: lambda n=n: np.r_[rng.normal(0, 0.01, n - 1), 50.0],
            5: lambda n=n: np.r_[np.full(n // 2, 1.0), np.full(n - n // 2, 4.0)],
            6: lambda n=n: np.r_[0.0, np.full(n - 2, 5.0), 10.0],
        }[int(rng.integers(7))]()
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        half = 1.96 * values.std(ddof=1) / math.sqrt(n)
        yield n, {
            "mean1": values.mean(), "sd1": values.std(ddof=1), "min1": values.min(), "q1_1": quartiles[0],
            "median1": quartiles[1], "q3_1": quartiles[2], "max1": values.max(), "mean1_lower": values.mean() - half,
            "mean1_upper": values.mean() + half,
        }  # fmt: skip


def printed(value, decimals, cut):
    """A figure rounded or cut off to some decimals."""
    return f"{math.trunc(round(value * 10**decimals, 9)) / 10**decimals if cut else value:.{decimals}f}"


@pytest.mark.parametrize("mixed", [False, True])
def test_no_true_sample_is_accused_however_it_is_printed(mixed):
    rng = np.random.default_rng(10)
    rows = []
    for n, figures in samples(rng, 3000):
        cut, decimals = rng.random() < 0.3, rng.integers(0, 4, len(figures)) if mixed else [int(rng.integers(0, 4))] * 9
        texts = (printed(value, int(d), cut) for value, d in zip(figures.values(), decimals, strict=True))
        rows.append({"study": f"S{len(rows)}", "n1": str(n), **dict(zip(figures, texts, strict=True))})
    findings = validate(pd.DataFrame(rows))
    assert not findings.errors, findings.errors[:5]
    # an SD printed as 0, a skewed quantity, and the few shapes of samples with two values, repeat
    assert {finding.code for finding in findings} <= {"M011", "M039", "M081"}


@pytest.mark.parametrize("n", range(2, 7))
def test_the_limits_of_sds_are_those_of_samples(n):
    """The extreme SDs of n values from 0 to 10, found by a search, pass; those a little beyond do not."""
    middle = itertools.product(range(0, 11, 1 if n < 5 else 5), repeat=n - 2)
    spreads = [np.std([0, *values, 10], ddof=1) for values in middle]
    for sd, beyond in ((min(spreads), -0.01), (max(spreads), 0.01)):
        row = {"study": ["A"], "n1": [str(n)], "min1": ["0.000"], "max1": ["10.000"]}
        assert not len(validate(pd.DataFrame(row | {"sd1": [f"{sd:.5f}"]})))
        assert [x.code for x in validate(pd.DataFrame(row | {"sd1": [f"{sd + beyond:.5f}"]}))] == ["M023"]


def test_the_limit_of_an_sd_with_its_mean_is_reached_by_values_at_the_ends():
    values = np.r_[np.zeros(7), np.full(3, 10.0)]
    row = {"study": ["A"], "n1": ["10"], "min1": ["0.000"], "max1": ["10.000"], "mean1": [f"{values.mean():.3f}"]}
    sd = values.std(ddof=1)
    assert "M023" not in {x.code for x in validate(pd.DataFrame(row | {"sd1": [f"{sd:.3f}"]}))}
    assert "M023" in {x.code for x in validate(pd.DataFrame(row | {"sd1": [f"{sd + 0.02:.3f}"]}))}


def test_the_limit_between_mean_and_median_is_approached_by_a_single_far_value():
    values = np.r_[np.zeros(5), np.full(4, 10.0)]  # median 0, mean 4.44
    row = {"study": ["A"], "n1": ["9"], "mean1": [f"{values.mean():.3f}"], "median1": ["0.000"]}
    lowest = values.mean() * math.sqrt(9 / 8)
    assert values.std(ddof=1) > lowest
    assert "M025" not in {x.code for x in validate(pd.DataFrame(row | {"sd1": [f"{lowest + 0.002:.3f}"]}))}
    assert "M025" in {x.code for x in validate(pd.DataFrame(row | {"sd1": [f"{lowest - 0.005:.3f}"]}))}
