"""read_review(): what a file is, told from its content, and the reader for it."""

from __future__ import annotations

import os
from pathlib import Path

from metail2.errors import RecordError
from metail2.records.reviews.archive import Members, folder_members, read_file, zip_members
from metail2.records.reviews.package import OVERALL, ROWS, read_package
from metail2.records.reviews.review import Review
from metail2.records.reviews.rm5 import read_rm5
from metail2.records.reviews.templates import ARMS, RESULTS, read_study_data

ZIP = b"PK"
MARKUP = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<\x00", b"\xfe\xff\x00<")
"""How XML begins, without and with the byte-order marks of UTF-8 and UTF-16."""
KNOWN = "a RevMan 5 file (.rm5), a Cochrane data package (.zip, or its folder), or study results (study-results.csv)"


def read_review(path: str | os.PathLike[str]) -> Review:
    """Read a review: its analyses, their study data, and the results stored with them.

    Parameters
    ----------
    path : str or path
        A RevMan 5 file (``.rm5``); a Cochrane data package, version 1 or 2 (``.zip``, or the folder it was unpacked
        to); or study results in RevMan's template, as Covidence exports them (``study-results.csv``; a
        ``study-arms.csv`` beside it, of the same beginning, gives the interventions). What it is, is told from its
        content, not from the end of its name.

    Returns
    -------
    Review
        ``review.effects("1.1")`` gives the effects of an analysis, ready to be pooled.

    Raises
    ------
    RecordError
        If the file is none of these, is damaged, or a cell holds no number; one sentence that names the file, row,
        study and column. Figures that cannot be are read as they stand: `validate` lists them, `effects` refuses them.

    Warns
    -----
    MetailWarning
        Names the studies of which arms of one intervention were combined (study results only).
    """
    source = Path(path)
    if source.is_dir():
        return _read_members(folder_members(source))
    data = read_file(source)
    if data.startswith(ZIP):
        return _read_members(zip_members(source.name, data))
    if data.lstrip(b" \t\r\n").startswith(MARKUP):
        return read_rm5(source.name, data)
    if source.suffix.lower() == ".zip":
        raise RecordError(f"{source.name} is not a zip, whatever its name says; download the data package again.")
    if not data.strip():
        raise RecordError(f"{source.name} is empty; give {KNOWN}.")
    return _read_csv(source)


def is_package(folder: Path) -> bool:
    """Whether a folder holds an unpacked data package or study results rather than trial records."""
    members = folder_members(folder)
    return any(members.name(part) is not None for part in (OVERALL, ROWS, RESULTS))


def _read_members(members: Members) -> Review:
    if members.name(OVERALL) is None and members.name(ROWS) is None and members.name(RESULTS) is not None:
        return read_study_data(members)
    return read_package(members)


def _read_csv(source: Path) -> Review:
    """Study results alone; the arms file beside them begins with the same words."""
    header = read_file(source)[:2000].decode("utf-8-sig", errors="replace").partition("\n")[0]
    if not all(name in header for name in ("Study", "Outcome", "Arm")):
        raise RecordError(f"{source.name} is not a file of a review that can be read here; give {KNOWN}.")
    named = source.name if f"-{source.name}".endswith(f"-{RESULTS}") else RESULTS
    readers = {named: lambda: read_file(source)}
    start = source.name.removesuffix(RESULTS)
    beside = source.with_name(f"{start}{ARMS}")
    if start != source.name and beside.is_file():
        readers[ARMS] = lambda: read_file(beside)
    return read_study_data(Members(source.name, readers))
