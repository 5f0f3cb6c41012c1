"""What ``validate`` and ``explain`` print: findings as text, CSV, JSON or HTML, and the catalogue of checks."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from metail2.cli.drawing import write_whole
from metail2.cli.guard import printable
from metail2.cli.listing import terminal_width
from metail2.errors import UnknownChoice

if TYPE_CHECKING:
    from metail2.checks.findings import Findings

FORMATS = ("text", "json", "csv", "html")
COLOURS = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "note": typer.colors.CYAN}


def check_findings_format(format: str) -> None:
    """Refuse, before anything is read, a format that findings cannot be written in."""
    if format not in FORMATS:
        raise UnknownChoice("format", format, FORMATS)


def show(findings: Findings, format: str, target: str, output: Path | None) -> None:
    """Print findings, or write them to a file and print how many there are."""
    if output is None:
        typer.echo(findings_text(findings, format, target, _in_colour()), nl=False)
        return
    text = findings_text(findings, format, target, colour=False)
    write_whole(output, lambda part: part.write_text(text, encoding="utf-8"))
    typer.echo(f"{findings.summary}\n{output}")


def _in_colour() -> bool:
    """Whether standard output is a terminal, and nobody asked for no colour (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def findings_text(findings: Findings, format: str, target: str, colour: bool) -> str:
    """Write findings in one of `FORMATS`.

    Parameters
    ----------
    findings : Findings
        What was found.
    format : str
        One of `FORMATS`.
    target : str
        What was looked at, for the heading of the page.
    colour : bool
        Whether text may hold colours.
    """
    if format == "json":
        return json.dumps([asdict(one) for one in findings], ensure_ascii=False, indent=1) + "\n"
    if format == "csv":
        return findings.frame().to_csv(index=False, lineterminator="\n")
    if format == "html":
        from metail2.report.findings_page import findings_page

        return findings_page(findings, target)
    return _as_text(findings, colour)


def _as_text(findings: Findings, colour: bool) -> str:
    """Group by severity, then by code with its title once; the last line counts."""
    from metail2.report.findings_view import sections

    blocks = []
    for section in sections(findings):
        lines = [_painted(f"{section.heading}: {section.meaning}", section.key, colour)]
        for group in section.groups:
            lines += ["", f"  {_painted(group.check.code, section.key, colour)}  {group.check.title}"]
            for finding in group.findings:
                lines.append(_filled(printable(finding.message), "    ", "      "))
                lines += (
                    [_filled(f"accepted {finding.severity}: {finding.accepted}", "      ", "      ")]
                    if finding.accepted
                    else []
                )
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, findings.summary]) + "\n"


def _painted(text: str, key: str, colour: bool) -> str:
    return typer.style(text, fg=COLOURS.get(key), bold=True) if colour else text


def check_text(code: str) -> str:
    """Say all about one check, in capitals or not."""
    from metail2.checks.catalogue import CHECKS

    if code.upper() not in CHECKS:
        raise UnknownChoice(CHECKS.kind, code, sorted(CHECKS))
    check = CHECKS[code.upper()]
    return f"{check.code}  {check.severity}: {check.title}\n\n{_filled(check.help, '  ', '  ')}\n"


def checks_text() -> str:
    """List the catalogue of checks: code, severity and title."""
    from metail2.checks.catalogue import CHECKS

    checks = [CHECKS[code] for code in sorted(CHECKS)]
    lines = [f"{check.code}  {check.severity:<8} {check.title}" for check in checks]
    return "\n".join(["code  severity what is found", *lines]) + "\n"


def checks_markdown() -> str:
    """Write the catalogue as the documentation's page."""
    from metail2.checks.catalogue import CHECKS

    checks = [CHECKS[code] for code in sorted(CHECKS)]
    return "\n".join(f"## {check.code}: {check.title} ({check.severity})\n\n{check.help}\n" for check in checks)


def _filled(text: str, first: str, further: str) -> str:
    return textwrap.fill(
        text, terminal_width(), initial_indent=first, subsequent_indent=further, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
