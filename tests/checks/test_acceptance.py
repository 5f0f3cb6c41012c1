"""What an entry of an accept list covers: a study, where needed a row or column, and never several errors at once."""

import pytest

from metail2.checks.acceptance import Acceptance
from metail2.checks.catalogue import CHECKS
from metail2.checks.definition import found
from metail2.checks.findings import Findings
from metail2.cli.findings_text import findings_text
from metail2.errors import RecordError
from metail2.report.findings_page import findings_page

PLACES = (("Adams", 2, "n1"), ("Adams", 2, "n2"), ("Adams: SPRINT", 3, "n2"))


def accepted(*accept, code="M015"):
    """Findings of one code, and the reason for each."""
    made = [found(CHECKS[code], "is wrong", file="t", row=row, study=study, column=name) for study, row, name in PLACES]
    marked = Findings.of(made, accept)
    return {(one.study, one.column): one.accepted for one in marked if one.code == code}, marked


@pytest.mark.parametrize(
    ("text", "study", "row", "column", "reason"),
    [
        ("M031 he2020: the reason", "he2020", None, "", "the reason"),
        ("M031: the reason", "", None, "", "the reason"),
        ("M031 he2020 [row 172]: so", "he2020", 172, "", "so"),
        ("M031 he2020 [column n1]: so: here", "he2020", None, "n1", "so: here"),
        ("M031 he2020 [row 172, column value]: so", "he2020", 172, "value", "so"),
        ("M031 [column n1]: so", "", None, "n1", "so"),
        ("M031 Hall 2013 [abstract]: so", "Hall 2013 [abstract]", None, "", "so"),
        ("M031 Adams: SPRINT: so: here", "Adams: SPRINT", None, "", "so: here"),
        ("M031 Adams: SPRINT [row 3]: so", "Adams: SPRINT", 3, "", "so"),
        ("M031 Adams: effective n", "Adams", None, "", "effective n"),
        ("M031 Wu: so", "Wu", None, "", "so"),
    ],
)
def test_an_entry_is_read(text, study, row, column, reason):
    entry = Acceptance.parse(text, {"Adams", "Adams: SPRINT", "he2020"})
    assert (entry.study, entry.row, entry.column, entry.reason) == (study, row, column, reason)


def test_a_row_or_column_of_a_study_is_accepted_and_nothing_else():
    marks, marked = accepted("M015 Adams [column n1]: effective size")
    assert marks == {("Adams", "n1"): "effective size", ("Adams", "n2"): "", ("Adams: SPRINT", "n2"): ""}
    assert len(marked.errors) == 2
    marks, _ = accepted("M015 Adams: SPRINT: effective size")
    assert [key for key, reason in marks.items() if reason] == [("Adams: SPRINT", "n2")]
    marks, _ = accepted("M015 Adams [row 2]: both")
    assert [key for key, reason in marks.items() if reason] == [("Adams", "n1"), ("Adams", "n2")]
    marks, _ = accepted("M015 [column n2]: all")
    assert [key for key, reason in marks.items() if reason] == [("Adams", "n2"), ("Adams: SPRINT", "n2")]


@pytest.mark.parametrize(("entry", "count"), [("M015 Adams: effective size", 2), ("M015: effective size", 3)])
def test_several_errors_are_not_accepted_at_once(entry, count):
    with pytest.raises(RecordError) as raised:
        accepted(entry)
    assert str(raised.value) == (
        f"accept holds '{entry}', which covers {count} errors; accept each by its row or column: "
        "'M015 Adams [row 2, column n1]: …'."
    )


def test_several_warnings_may_be_accepted_at_once():
    marks, _ = accepted("M060 Adams: both as printed", code="M060")
    assert [key for key, reason in marks.items() if reason] == [("Adams", "n1"), ("Adams", "n2")]
    marks, _ = accepted("M060: all as printed", code="M060")
    assert all(marks.values())
    marks, _ = accepted("M060 Adams [row 2, column n2]: as printed", code="M060")
    assert [key for key, reason in marks.items() if reason] == [("Adams", "n2")]


def test_an_entry_that_names_the_wrong_row_is_told():
    _, marked = accepted("M015 Adams [row 9]: effective size")
    (stale,) = [one for one in marked if one.code == "M009"]
    assert stale.study == "Adams"
    assert "accepts M015 (" in stale.message
    assert ") in row 9, which is not found; remove the entry" in stale.message


def test_an_accepted_error_is_told_from_what_is_less_grave():
    _, marked = accepted("M015 [column n1]: looked at", "M015 [column n2]: too")
    assert marked.errors == ()
    assert marked.summary.startswith("0 errors, ")
    assert "(3 accepted, of them 3 errors)" in marked.summary
    text = findings_text(marked, "text", "t", colour=False)
    assert "Accepted errors: cannot be true, but somebody looked at it" in text
    assert "accepted error: looked at" in text
    page = findings_page(marked, "t")
    assert "<h3>Accepted errors (3): cannot be true, but" in page
    assert page.index("Accepted error: looked at") < page.find("<summary>Accepted (") % (len(page) + 1)
