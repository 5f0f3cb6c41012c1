"""What is read on the screen: help, lists, version; all fit 80 columns."""

import pytest

import metail2 as m2
from metail2.cli.analysis import MODELS
from metail2.cli.output import FORMATS
from metail2.effects.counts import TO
from metail2.effects.transforms import TRANSFORMS
from metail2.kernels.inference import TESTS
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
    monkeypatch.setenv("COLUMNS", "120")
    text = run("measures").out
    starts = {line.split(" ")[0]: line for line in text.split("\n") if line}
    for code, measure in m2.MEASURES.items():
        assert measure.name in starts[code]
        for names in measure.family.columns:
            assert " ".join(names) in " ".join(text.split())
    assert starts["RR"].split("  ")[-1] == "ratio"
    assert "change: columns mean_post sd_post mean_pre sd_pre n r, or d n\nSMCC  " in text


def test_long_names_go_on_in_the_next_line(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "\nSMD   standardised mean difference          as it is                  as it is\n      (Hedges' g)\n" in (
        run("measures").out
    )


def test_datasets(run):
    text = run("datasets").out
    listed = m2.list_datasets()
    assert [line.split("  ")[0] for line in text.split("\n") if line[:1].strip()] == list(listed["name"])
    assert "bcg  (table: 13 studies, RR)\n  BCG vaccine against tuberculosis: 13 trials\n  Colditz GA" in text
    assert "il2  (records: 393 figures)\n" in text
