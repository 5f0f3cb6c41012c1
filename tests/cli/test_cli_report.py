"""The command only hands over: what a report holds is tested with the report."""

from pathlib import Path

import pytest

from metail2.errors import ReportError, UnknownChoice
from metail2.report import build


@pytest.fixture
def built(monkeypatch):
    """Stand in for the report: remember the call."""
    calls = []

    def build_report(report, output, command):
        calls.append((report, output, command))
        return build.BuiltReport(output / "index.html", "Outcome A  pooled\nOutcome B  one study")

    monkeypatch.setattr(build, "build_report", build_report)
    return calls


def test_the_summary_and_the_page_are_printed(run, built):
    assert run("report", "il2") == (0, "Outcome A  pooled\nOutcome B  one study\n\nout/index.html\n", "")
    assert built == [("il2", Path("out"), "metail2 report il2 --output out")]


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_the_command_is_written_as_it_could_be_typed(run, built, option):
    run("report", "my plan.toml", option, "my results")
    assert built == [("my plan.toml", Path("my results"), "metail2 report 'my plan.toml' --output 'my results'")]


def refused_place():
    error = ReportError("The report cannot be written to out: Permission denied.")
    error.__cause__ = PermissionError("Permission denied")
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ReportError("Outcome 'salt': two analyses have one id."), 1),
        (UnknownChoice("report", "il3", ["il2"]), 2),
        (refused_place(), 2),
    ],
)
def test_errors_of_the_report(run, monkeypatch, error, status):
    def build_report(report, output, command):
        raise error

    monkeypatch.setattr(build, "build_report", build_report)
    assert run("report", "il2") == (status, "", f"error: {error}\n")
