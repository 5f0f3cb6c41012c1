"""The command as the shell sees it: exit status, streams, no traceback, no colour, speed."""

import os
import subprocess
import sys
import warnings
from importlib.metadata import entry_points

import pytest

import metail2
from metail2.cli import analysis, main

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def metail2_process(*words, **options):
    command = [sys.executable, "-m", "metail2", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=ENVIRONMENT, **options)


def test_results_and_errors_have_their_own_streams(bcg):
    good, bad = metail2_process("pool", *bcg), metail2_process("pool", "no.csv", "--measure", "RR")
    assert (good.returncode, good.stderr) == (0, "")
    assert "risk ratio 0.489, 95 % interval 0.330 to 0.726" in good.stdout
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: no.csv does not exist")
    assert "\x1b" not in good.stdout + bad.stderr


def test_the_installed_command():
    (script,) = entry_points(group="console_scripts", name="metail2")
    assert script.load() is main


@pytest.mark.skipif(os.name == "nt", reason="pipes break in another way there")
def test_a_reader_that_leaves_early(bcg):
    command = [sys.executable, "-m", "metail2", "pool", *bcg]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk(bcg):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "metail2", "pool", *bcg]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False)
    assert (ended.returncode, ended.stderr) == (2, "error: standard output: No space left on device.\n")


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("words", ["measures", "--help", "pool --level 2", "pool no.csv --measure RR"])
def test_no_colour_in_a_terminal_either(words):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "metail2", *words.split()]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=ENVIRONMENT | {"TERM": "xterm-256color"}):
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert len(shown) > 40
    assert b"\x1b" not in shown


def test_text_that_the_terminal_cannot_show(bcg):
    ended = subprocess.run(
        [sys.executable, "-m", "metail2", "pool", *bcg],
        capture_output=True, env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")


def processor_time(*command):
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.skipif(os.name == "nt", reason="needs the resource module")
def test_help_is_quick():
    assert processor_time("-m", "metail2", "--help") < 0.5 + processor_time("-c", "import pandas")


def test_help_imports_no_heavy_package():
    code = "import sys; from metail2.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split("\n")[-2].split())
    assert "typer" in loaded
    assert loaded.isdisjoint({"numpy", "pandas", "scipy", "matplotlib", "statsmodels", "forestplot", "rich.console"})


def failing(monkeypatch, error):
    def prepared(_self):
        raise error

    monkeypatch.setattr(analysis.Analysis, "prepared", prepared)


def test_an_unexpected_error_is_one_sentence(run, monkeypatch, bcg):
    failing(monkeypatch, KeyError("yi"))
    assert run("pool", *bcg) == (
        1,
        "",
        "error: metail2 failed unexpectedly (KeyError: 'yi'); run again with --debug (metail2 --debug …) and report "
        "what it prints.\n",
    )


@pytest.mark.parametrize(("error", "status"), [(KeyError("yi"), 1), (metail2.MetailError("no"), 1), (OSError("no"), 2)])
def test_debug_adds_the_traceback(run, monkeypatch, bcg, error, status):
    failing(monkeypatch, error)
    ended = run("--debug", "pool", *bcg)
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.splitlines()[-1].startswith("error: ")


def test_an_interruption_is_quiet(run, monkeypatch, bcg):
    failing(monkeypatch, KeyboardInterrupt())
    assert run("pool", *bcg) == (130, "", "")


def warning(monkeypatch, *messages):
    def prepared(_self):
        for message, category in messages:
            warnings.warn(message, category, stacklevel=1)
        raise metail2.MetailError("The end.")

    monkeypatch.setattr(analysis.Analysis, "prepared", prepared)


TWICE = [("Study A\n is left out.", metail2.MetailWarning)] * 2


def test_a_warning_is_one_line_shown_once(run, monkeypatch, bcg):
    warning(monkeypatch, *TWICE)
    assert run("pool", *bcg).err == "warning: Study A is left out.\nerror: The end.\n"


@pytest.mark.filterwarnings("default")
def test_warnings_of_other_packages_are_for_debugging(run, monkeypatch, bcg):
    warning(monkeypatch, ("old", FutureWarning))
    assert run("pool", *bcg).err == "error: The end.\n"
    assert "warning: old\n" in run("--debug", "pool", *bcg).err


def test_the_warning_filters_are_put_back(run, bcg):
    before = warnings.filters[:], warnings.showwarning
    run("pool", *bcg)
    assert (warnings.filters[:], warnings.showwarning) == before
