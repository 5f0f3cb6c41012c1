"""Reviews made by hand (every name and figure is invented), and changed copies of them."""

import zipfile
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture
def zipped(tmp_path):
    """Pack a folder of the data; changes are {end of a name: text → text, or bytes, or None to leave the file out}."""

    def pack(folder, changes=None, extra=None):
        target = tmp_path / f"{folder}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((DATA / folder).rglob("*.csv")):
                content = path.read_bytes()
                for end, change in (changes or {}).items():
                    if path.name.endswith(end):
                        content = change(content.decode()).encode() if callable(change) else change
                if content is not None:
                    archive.writestr(path.relative_to(DATA / folder).as_posix(), content)
            for name, content in (extra or {}).items():
                archive.writestr(name, content)
        return target

    return pack


@pytest.fixture
def rm5(tmp_path):
    """Write a copy of the RevMan 5 file in which a text is replaced (each text must be there)."""

    def change(*pairs):
        text = (DATA / "made_up.rm5").read_text("latin-1")
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        target = tmp_path / "changed.rm5"
        target.write_bytes(text.encode("latin-1"))
        return target

    return change
