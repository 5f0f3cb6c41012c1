"""What is read on the screen: help, lists, version; all fit 80 columns."""

from pathlib import Path

import pytest

import metail2 as m2
from metail2.cli.analysis import MODELS
from metail2.cli.output import FORMATS
from metail2.effects.counts import TO
from metail2.effects.transforms import TRANSFORMS
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.tau2 import TAU2

SCREENS = ["--help", "report --help", "pool --help", "forest --help", "datasets", "datasets --help", "measures"]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", SCREENS)
def test_screens_fit_the_terminal(run, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = run(*words.split())
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.split("\n"))) <= columns
    assert "…" not in ended.out
    assert "..." not in ended.out.replace("[ARGS]...", "")


def test_version(run):
    assert run("--version") == (0, f"metail2 {m2.__version__}\n", "")


@pytest.mark.parametrize("choices", [TAU2, TESTS, TRANSFORMS, TO, MODELS, FORMATS], ids=str)
def test_help_names_every_choice(run, choices):
    listed = run("pool", "--help").out.replace(",", " ").replace(".", " ").replace(":", " ").split()
    assert set(choices) <= set(listed)


@pytest.mark.parametrize("words", ["--help", "pool --help", "forest --help", "report --help"])
def test_help_says_what_the_exit_status_means(run, words):
    assert "  Exit status:\n    0  done\n    1  the data cannot be used as asked" in run(*words.split()).out


def test_measures_lists_the_registry(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    text = run("measures").out
    lines = {line.split()[0]: line for line in text.split("\n") if line.startswith("  ") and line[2:3] != " "}
    for code, measure in m2.MEASURES.items():
        assert measure.name.split()[0] in lines[code]
        for names in measure.family.columns:
            assert " ".join(names) in " ".join(text.split())
    assert lines["RR"] == "  RR      risk ratio; pooled as log risk ratio, shown as ratio"


def test_one_measure_is_told_whole(run):
    text = run("measures", "SMD").out
    assert "vtype LS   1/n1 + 1/n2 + g²/(2(n1 + n2))" in text
    assert "variances  LS, LS2, UB, H0 (the first by default)" in text
    assert "Did you mean 'SMD'?" in run("measures", "smd").err


def test_the_documented_table_is_that_of_the_registry(run):
    page = (Path(__file__).parents[2] / "docs" / "measures.md").read_text(encoding="utf-8")
    assert page.endswith(run("measures", "--markdown").out)


def test_datasets(run):
    text = run("datasets").out
    listed = m2.list_datasets()
    assert [line.split("  ")[0] for line in text.split("\n") if line[:1].strip()] == list(listed["name"])
    assert "bcg  (table: 13 studies, RR)\n  BCG vaccine against tuberculosis: 13 trials\n  Colditz GA" in text
    assert "il2  (records: 393 figures)\n" in text
