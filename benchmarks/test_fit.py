"""One random-effects fit, beside statsmodels and (where it is installed) PyMARE."""

from importlib.util import find_spec

import numpy as np
import pytest
from statsmodels.stats.meta_analysis import combine_effects

import metail2 as m2

SIZES = (13, 1000)


def data(k):
    if k == 13:
        effects = m2.effect_sizes(
            m2.load_dataset("bcg"), "RR", study="author", events1="tpos", n1="tn", events2="cpos", n2="cn"
        )
        return effects.yi, effects.vi
    rng = np.random.default_rng(1)
    vi = rng.uniform(0.01, 0.5, k)
    return rng.normal(0.2, np.sqrt(vi + 0.1)), vi


@pytest.fixture(params=SIZES, ids=lambda k: f"k={k}")
def problem(request, benchmark):
    benchmark.group = f"one fit, k = {request.param}"
    return data(request.param)


def test_metail2(benchmark, problem):
    """REML with Hartung–Knapp, Q and I²."""
    result = benchmark(m2.pool, *problem)
    assert np.isfinite(result.estimate)


def test_metail2_with_its_table(benchmark, problem):
    result = benchmark(lambda: m2.pool(*problem).tidy())
    assert len(result) == 1


def test_metail2_with_every_figure(benchmark, problem):
    """Likelihood, information criteria and prediction interval too."""
    result = benchmark(lambda: m2.pool(*problem).glance())
    assert len(result) == 1


def test_metail2_dersimonian_laird(benchmark, problem):
    result = benchmark(m2.pool, *problem, tau2="DL")
    assert np.isfinite(result.estimate)


def test_statsmodels_paule_mandel(benchmark, problem):
    """The default of `combine_effects`: the iterated (Paule–Mandel) τ², and its table."""
    result = benchmark(lambda: combine_effects(*problem).summary_frame())
    assert "random effect" in result.index


def test_statsmodels_dersimonian_laird(benchmark, problem):
    result = benchmark(lambda: combine_effects(*problem, method_re="dl").summary_frame())
    assert "random effect" in result.index


if find_spec("pymare"):  # not a dependency of metail2

    @pytest.mark.filterwarnings("ignore")
    def test_pymare_reml(benchmark, problem):
        """PyMARE's REML, with the summary that holds its estimate."""
        from pymare import Dataset
        from pymare.estimators import VarianceBasedLikelihoodEstimator

        yi, vi = problem
        ones = np.ones((len(yi), 1))

        def fit():
            dataset = Dataset(y=yi[:, None], v=vi[:, None], X=ones, add_intercept=False)
            return VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(dataset).summary()

        assert np.isfinite(benchmark(fit).get_fe_stats()["est"]).all()
