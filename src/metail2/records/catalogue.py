"""The shipped data sets and reports: where they are, what they hold, and that nobody changed them."""

from __future__ import annotations

import hashlib
import io
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from metail2.errors import RecordError, UnknownChoice

TABLE, RECORDS = "table", "records"
CATALOGUE_COLUMNS = ("name", "kind", "title", "rows", "measure", "source")


def list_datasets() -> pd.DataFrame:
    """List the shipped data sets.

    Returns
    -------
    pandas.DataFrame
        One row a data set: ``name``; ``kind`` (``"table"``: read with `load_dataset`, ``"records"``: read with
        `load_records`); ``title``; ``rows`` (studies of a table, printed figures of records); ``measure`` (an effect
        measure that suits the columns, empty for records); ``source``.

    Raises
    ------
    RecordError
        The folder of data sets is not there: the installation is incomplete.
    """
    entries = _entries()
    rows = [{**entry, "name": name, "rows": _count_rows(name, entry["kind"])} for name, entry in entries.items()]
    return pd.DataFrame(rows, columns=list(CATALOGUE_COLUMNS))


def load_dataset(name: str) -> pd.DataFrame:
    """Load a shipped teaching data set, checked against its published sha256.

    Parameters
    ----------
    name : str
        A name of `list_datasets` whose kind is ``"table"``, e.g. ``"bcg"``.

    Returns
    -------
    pandas.DataFrame
        One row a study; the meaning and unit of every column are in ``datasets/NAME.toml``.

    Raises
    ------
    UnknownChoice
        There is no such data set.
    RecordError
        The name belongs to trial records, or the file is not the one that was published.
    """
    entry = _entry(name)
    if entry["kind"] == RECORDS:
        raise RecordError(
            f"{name!r} holds trial records, not one table of studies; read it with load_records({name!r})."
        )
    data = _unix_lines(_home("datasets") / f"{name}.csv")
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise RecordError(
            f"datasets/{name}.csv is not the file that was published (its sha256 is not the one in {name}.toml); "
            "reinstall metail2 or restore the file."
        )
    return pd.read_csv(io.BytesIO(data))


def records_folder(name: str) -> Path:
    """Find the folder of shipped trial records, e.g. ``"il2"``.

    Raises
    ------
    UnknownChoice
        There is no such data set.
    RecordError
        The name belongs to a table of studies.
    """
    if _entry(name)["kind"] == TABLE:
        raise RecordError(f"{name!r} is one table of studies, not trial records; read it with load_dataset({name!r}).")
    return _home("datasets") / name


def report_folder(name: str) -> Path:
    """Find the folder of a shipped report, which holds its ``report.toml``.

    Raises
    ------
    UnknownChoice
        There is no such report.
    RecordError
        The folder of reports is not there: the installation is incomplete.
    """
    return _home("reports") / _choose("report", name, report_names())


def report_names() -> list[str]:
    """Names of the shipped reports, sorted."""
    return [path.parent.name for path in sorted(_home("reports").glob("*/report.toml"))]


def _home(kind: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    # the installed wheel carries the folder inside the package; in the repository it stands two levels above
    for home in (package / kind, package.parents[1] / kind):
        if home.is_dir():
            return home
    raise RecordError(f"The folder {kind!r} that is shipped with metail2 was not found; reinstall metail2.")


def _entries() -> dict[str, dict[str, Any]]:
    files: Iterable[Path] = sorted(_home("datasets").glob("*.toml"))
    return {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in files}


def _entry(name: str) -> dict[str, Any]:
    entries = _entries()
    return entries[_choose("data set", name, entries)]


def _choose(kind: str, name: str, choices: Iterable[str]) -> str:
    known = list(choices)
    if name not in known:
        raise UnknownChoice(kind, name, known)
    return name


def _count_rows(name: str, kind: str) -> int:
    file = {TABLE: f"{name}.csv", RECORDS: f"{name}/outcomes.csv"}[kind]
    return len(pd.read_csv(_home("datasets") / file, usecols=[0]))


def _unix_lines(file: Path) -> bytes:
    # git may have checked the file out with Windows line ends, which are not a change of the figures
    return file.read_bytes().replace(b"\r\n", b"\n")
