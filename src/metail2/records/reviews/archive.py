"""The files of a zip or a folder, read into memory one at a time and never written to disk."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from metail2.errors import RecordError
from metail2.records.files import Table, csv_rows, frame

LARGEST = 200_000_000
"""Bytes of one file once unpacked; the largest data packages hold a few million."""
MOST_MEMBERS = 20_000
MAC = "__MACOSX/"
"""Folder of what a Mac adds to a zip: a second file of the same name for every file."""
INNER = "-data.zip"
"""A download from RevMan holds the package as a zip of this name within another."""


@dataclass(frozen=True, slots=True)
class Members:
    """Files that can be asked for by the end of their name.

    Attributes
    ----------
    file : str
        What to call the whole in a message.
    readers : mapping of str to callable
        Name of each file, with what returns its bytes.
    """

    file: str
    readers: Mapping[str, Callable[[], bytes]]

    @property
    def title(self) -> str:
        """The review's number, with which its files begin."""
        starts = [PurePosixPath(name).name.split("-")[0] for name in self.readers if name.endswith(".csv")]
        return starts[0] if starts else self.file

    def name(self, suffix: str) -> str | None:
        """Name of the file that ends so, after a dash or as a whole; None where there is none.

        Raises
        ------
        RecordError
            If there are two.
        """
        found = [name for name in self.readers if f"-{PurePosixPath(name).name}".endswith(f"-{suffix}")]
        if len(found) > 1:
            raise RecordError(
                f"{self.file} holds two files {suffix} ({found[0]} and {found[1]}); give the package of one review."
            )
        return found[0] if found else None

    def table(self, suffix: str) -> Table:
        """Read the CSV file that ends so.

        Raises
        ------
        RecordError
            If it is missing or no CSV file.
        """
        name = self.name(suffix)
        if name is None:
            names = sorted(PurePosixPath(name).name for name in self.readers)[:5]
            raise RecordError(
                f"{self.file} has no file {suffix}, so it is no whole Cochrane data package; it holds: "
                f"{', '.join(names) or 'no file'}."
            )
        file = PurePosixPath(name).name
        return frame(file, csv_rows(file, self.readers[name]()))


def zip_members(file: str, data: bytes) -> Members:
    """List the files of a zip; where it is a download that holds the package as a zip, those of the inner one.

    Raises
    ------
    RecordError
        If a zip is damaged, or a name in it points outside.
    """
    outer = _listed(file, data)
    inner = [name for name in outer.readers if name.endswith(INNER)]
    if len(inner) != 1:
        return outer
    return _listed(f"{file}, {PurePosixPath(inner[0]).name}", outer.readers[inner[0]]())


def _listed(file: str, data: bytes) -> Members:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError):
        raise RecordError(f"{file} is a zip that is damaged or cut off; download it again.") from None
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and MAC not in entry.filename]
    _refuse_harmful(file, entries)
    return Members(file, {entry.filename: _reader(file, archive, entry) for entry in entries})


def folder_members(folder: Path) -> Members:
    """List the files of a folder, also those in its folders."""
    paths = sorted(path for path in folder.rglob("*.csv") if path.is_file())
    return Members(folder.name, {path.relative_to(folder).as_posix(): _file_reader(path) for path in paths})


def read_file(path: Path) -> bytes:
    """Read a file whole.

    Raises
    ------
    RecordError
        If it cannot be opened, or is larger than `LARGEST`.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise RecordError(f"{path.name} is larger than {LARGEST:,} bytes, so it is not read; check what it is.")
        return path.read_bytes()
    except FileNotFoundError as problem:
        raise RecordError(f"{path} does not exist; give a RevMan 5 file, a data package or a CSV file.") from problem
    except OSError as problem:
        raise RecordError(f"{path} cannot be read ({problem.strerror}); check that you may open it.") from problem


def _refuse_harmful(file: str, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_MEMBERS:
        raise RecordError(f"{file} holds {len(entries):,} files, far more than a data package; it is not read.")
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise RecordError(
                f"{file} holds a file {entry.filename!r}, whose name points outside the zip; it is not read, so "
                "download the package again from where you trust it."
            )


def _reader(file: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: _unpack(file, archive, entry)


def _file_reader(path: Path) -> Callable[[], bytes]:
    return lambda: read_file(path)


def _unpack(file: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Unpack one file; the size that the zip declares is not believed."""
    name = PurePosixPath(entry.filename).name
    try:
        with archive.open(entry) as stream:
            data = stream.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        raise RecordError(f"{file}: the file {name} in it is damaged; download it again.") from None
    except (RuntimeError, NotImplementedError):  # encrypted; packed in a way that zipfile does not know
        raise RecordError(
            f"{file}: the file {name} in it is encrypted or packed in an unknown way; pack it again as an ordinary zip."
        ) from None
    if len(data) > LARGEST:
        raise RecordError(
            f"{file}: the file {name} in it unpacks to more than {LARGEST:,} bytes, far more than any data package "
            "holds; it is not read."
        )
    return data
