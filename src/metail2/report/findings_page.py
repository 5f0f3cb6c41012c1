"""A page of findings that stands alone, in the style of the report."""

from __future__ import annotations

from metail2.checks.findings import Findings
from metail2.report.findings_view import sections
from metail2.report.page import template


def findings_page(findings: Findings, target: str) -> str:
    """Render findings as one self-contained HTML document.

    Parameters
    ----------
    findings : Findings
        What was found.
    target : str
        What was looked at, for the heading.
    """
    return template("findings_page.html").render(
        target=target, sections=sections(findings), counts=findings.summary, found=len(findings) > 0
    )
