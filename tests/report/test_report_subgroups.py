"""Subgroup analyses in a report."""

import pytest

from metail2.errors import ReportError
from metail2.report import build as module

ANALYSIS = 'subgroup = "disease"\n{}test = "z"\n'


@pytest.fixture(autouse=True)
def _only_svg(monkeypatch):
    monkeypatch.setattr(module, "FORMATS", ("svg",))


@pytest.mark.parametrize("more", ["", "common_tau2 = true\n"])
def test_each_group_has_its_row(build, outcome_toml, more):
    folder = build(outcome_toml(studies=("one", "two", "three"), analysis=ANALYSIS.format(more)))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "pox (2 studies)" in page
    assert "gout (1 study)" in page
    assert "Difference between groups: χ² = " in page
    assert ("each with its own τ²" in page) == (more == "")
    svg = next((folder / "figures").glob("*.svg")).read_text(encoding="utf-8")
    assert "Subtotal" in svg


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        ('subgroup = "illness"\n', "Unknown column of groups 'illness'"),
        ("common_tau2 = true\n", "name their column in subgroup"),
        ('model = "mantel_haenszel"\nsubgroup = "disease"\n', "subgroup belongs to a random_effects model"),
    ],
)
def test_wrong_specifications(build, outcome_toml, analysis, said):
    with pytest.raises(ReportError, match=said):
        build(outcome_toml(studies=("one", "two", "three"), analysis=analysis))
