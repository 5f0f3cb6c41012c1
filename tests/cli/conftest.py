from typing import NamedTuple

import pytest

from metail2.cli import main

HEADER = "study,events1,n1,events2,n2"
ROWS = ("A 2001,1,10,2,10", "B 2002,3,12,2,11", "C 2003,4,20,5,20")
BCG_COLUMNS = ("events1=tpos", "n1=tn", "events2=cpos", "n2=cn")


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Run a command line in this process."""

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ended(end.value.code, out, err)

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bcg():
    """The words that say which data and columns the BCG trials are."""
    return ["bcg", "--measure", "RR", "--study", "author", *(f"--column={pair}" for pair in BCG_COLUMNS)]


@pytest.fixture
def table(folder):
    """Write a CSV file of rows in the working folder; three good ones by default."""

    def table(*rows, header=HEADER, name="trials.csv"):
        (folder / name).write_text("\n".join([header, *(rows or ROWS), ""]), encoding="utf-8")
        return name

    return table


@pytest.fixture
def untouched(folder):
    """Check afterwards that the working folder holds what it held when this was called."""
    listings = []

    def remember():
        listings.append(sorted(path.name for path in folder.iterdir()))

    yield remember
    assert [sorted(path.name for path in folder.iterdir())] == listings
