"""The report in the repository is the one that the code and the evidence give now."""

import json
from pathlib import Path

import pytest

RENDERED = Path(__file__).parents[2] / "reports" / "il2" / "rendered"


@pytest.fixture(scope="module")
def folder(il2):
    return il2[1]


def rounded(value):
    """Numbers to ten digits: other versions of NumPy and SciPy may differ in the last ones."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items() if key not in ("iterations", "gradient")}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def read(folder):
    return rounded(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def test_the_rendered_results_are_up_to_date(folder):
    assert read(RENDERED) == read(folder), "rebuild it: metail2 report il2 --output reports/il2/rendered"


@pytest.mark.parametrize("name", ["summary.csv", "coverage.csv"])
def test_the_rendered_tables_are_up_to_date(folder, name):
    assert (RENDERED / "tables" / name).read_text("utf-8") == (folder / "tables" / name).read_text("utf-8")


def test_the_rendered_page_has_the_same_outcomes(folder):
    fresh = (folder / "index.html").read_text(encoding="utf-8")
    kept = (RENDERED / "index.html").read_text(encoding="utf-8")
    for line in fresh.splitlines():
        if line.startswith("<h2") or line.startswith('<p class="question"'):
            assert line in kept
