"""Effect sizes of a million rows, beside the same work in statsmodels and (where it is installed) PyMARE."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.meta_analysis import effectsize_2proportions, effectsize_smd

import metail2 as m2

ROWS = 1_000_000


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(2026)
    n1, n2 = rng.integers(20, 400, (2, ROWS)).astype(float)
    return pd.DataFrame(
        {"events1": rng.integers(1, 20, ROWS), "n1": n1, "events2": rng.integers(1, 20, ROWS), "n2": n2}, dtype=float
    )


@pytest.fixture(scope="module")
def means():
    rng = np.random.default_rng(2027)
    columns = {}
    for arm in "12":
        columns[f"mean{arm}"] = rng.normal(50, 5, ROWS)
        columns[f"sd{arm}"] = rng.uniform(5, 15, ROWS)
        columns[f"n{arm}"] = rng.integers(10, 200, ROWS).astype(float)
    return pd.DataFrame(columns)


@pytest.mark.benchmark(group="risk ratio, 1,000,000 rows")
def test_metail2_risk_ratio(benchmark, counts):
    """Counts checked, zero cells looked for, effects and variances."""
    effects = benchmark(m2.effect_sizes, counts, "RR")
    assert np.isfinite(effects.vi).all()


@pytest.mark.benchmark(group="risk ratio, 1,000,000 rows")
def test_statsmodels_risk_ratio(benchmark, counts):
    events1, n1, events2, n2 = (counts[name].to_numpy() for name in counts)
    _, variance = benchmark(effectsize_2proportions, events1, n1, events2, n2, statistic="risk-ratio")
    assert np.isfinite(variance).all()


@pytest.mark.benchmark(group="standardised mean difference, 1,000,000 rows")
def test_metail2_smd(benchmark, means):
    """Figures checked, exact small-sample factor."""
    effects = benchmark(m2.effect_sizes, means, "SMD")
    assert np.isfinite(effects.vi).all()


@pytest.mark.benchmark(group="standardised mean difference, 1,000,000 rows")
def test_metail2_smd_approximate_correction(benchmark, means):
    """The factor 1 − 3/(4m − 1), which the others use."""
    effects = benchmark(m2.effect_sizes, means, "SMD", correction="approximate")
    assert np.isfinite(effects.vi).all()


@pytest.mark.benchmark(group="standardised mean difference, 1,000,000 rows")
def test_statsmodels_smd(benchmark, means):
    columns = [means[name].to_numpy() for name in means]
    _, variance = benchmark(effectsize_smd, *columns)
    assert np.isfinite(variance).all()


if find_spec("pymare"):  # not a dependency of metail2

    @pytest.mark.benchmark(group="standardised mean difference, 1,000,000 rows")
    @pytest.mark.filterwarnings("ignore")
    def test_pymare_smd(benchmark, means):
        """Hedges' g by PyMARE's converter."""
        from pymare.effectsize import TwoSampleEffectSizeConverter

        columns = {name: means[name].to_numpy() for name in means}
        names = {"mean1": "m1", "mean2": "m2"}

        def convert():
            converter = TwoSampleEffectSizeConverter(**{names.get(k, k): v for k, v in columns.items()})
            return converter.to_dataset(measure="SMD")

        assert np.isfinite(benchmark.pedantic(convert, rounds=3).v).all()
