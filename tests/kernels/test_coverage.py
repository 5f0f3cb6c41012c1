"""The simulation behind docs/coverage.md: what it promises, and that it can be run."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from metail2.kernels.coefficient_tests import TESTS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("coverage_study", ROOT / "benchmarks" / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def held(coverage, fitted, name):
    lower, upper = coverage.mean_interval(name, fitted)
    return coverage.found((lower <= 0) & (upper >= 0), upper - lower)


@pytest.mark.parametrize("k", [5, 20])
@pytest.mark.parametrize("i2", [25, 50, 75])
def test_hartung_knapp_holds_95_percent_with_equal_sizes(coverage, k, i2):
    cell = coverage.Cell(k, "equal", i2)
    fitted = cell.fit(4000, np.random.default_rng([1, k, i2]))
    found = {name: held(coverage, fitted, name) for name in TESTS}
    assert 93 <= found["knapp_hartung"].coverage <= 97
    assert found["knapp_hartung"].error == pytest.approx(0.34, abs=0.04)
    assert found["kenward_roger"].coverage == found["knapp_hartung_adhoc"].coverage >= found["knapp_hartung"].coverage
    assert found["z"].coverage < found["t"].coverage


def test_one_large_study_costs_hartung_knapp_its_coverage(coverage):
    cell = coverage.Cell(5, "one large", 25)
    fitted = cell.fit(4000, np.random.default_rng(2))
    assert 83 < held(coverage, fitted, "knapp_hartung").coverage < 88
    new = dict(coverage.prediction(cell, cell.fit(500, np.random.default_rng(3)), 500, 3))
    assert new["hk"].coverage < 80 < 90 < new["nagashima"].coverage


@pytest.mark.parametrize("sizes", ["equal", "tenfold spread", "one large"])
def test_i2_fixes_tau2_by_the_typical_variance(coverage, sizes):
    cell = coverage.Cell(7, sizes, 40)
    w = 1 / cell.vi
    typical = 6 / (w.sum() - (w**2).sum() / w.sum())
    assert cell.tau2 / (cell.tau2 + typical) == pytest.approx(0.4, rel=1e-12)


def test_what_is_undefined_is_counted_and_not_covered(coverage):
    found = coverage.found(np.array([1.0, 0.0, 1.0, 1.0]), np.array([2.0, 1.0, np.nan, 4.0]))
    assert (found.coverage, found.undefined, found.width) == (pytest.approx(200 / 3), 25, 3)
    assert coverage.coverage(found) == "66.7 (27.2), 25 % undefined"
    assert coverage.coverage(coverage.found(np.ones(2), np.full(2, np.nan))) == "undefined"


def test_the_page_has_a_place_for_every_table_and_keeps_its_text(coverage, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["coverage.py", "--sets", "20", "--draws", "20", "--output", f"{tmp_path / 'c.md'}"]
    )
    coverage.main()
    written, kept = (tmp_path / "c.md").read_text("utf-8"), coverage.PAGE.read_text("utf-8")
    assert "20 data sets a cell, seed 2026, 20 draws" in written
    assert written.count("\n| 5 | equal | 25 % |") == kept.count("\n| 5 | equal | 25 % |") == 4
    assert [line for line in written.splitlines() if line.startswith("#")] == [
        line for line in kept.splitlines() if line.startswith("#")
    ]
    with pytest.raises(ValueError, match="0 places for 'nowhere'"):
        coverage.fill(kept, {"nowhere": ""})
