"""What README promises is run."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_readme_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert printed.getvalue().strip() == blocks("text")[0].strip()
    assert (tmp_path / "treg.png").stat().st_size > 10_000


def test_the_example_is_short():
    assert len(blocks("python")[0].strip().splitlines()) <= 15


@pytest.mark.parametrize("command", ["metail2 report il2 --output out", "-m pytest"])
def test_both_commands_are_one_line(command):
    assert len(re.findall(rf"^    python3 -m venv .*{re.escape(command)}$", README, flags=re.MULTILINE)) == 1


def test_the_picture_is_there():
    picture = re.search(r"!\[.*?\]\((.*?)\)", README).group(1)
    source = Path(__file__).parents[1] / picture
    assert source.stat().st_size > 10_000
