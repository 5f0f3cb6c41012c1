import re

import pytest

from metail2.errors import MetailError, ReportError
from metail2.plots.forest import forest
from metail2.plots.saving import save


@pytest.fixture
def result(made):
    return made([-0.9, -1.6, 0.2], [0.3, 0.2, 0.1], "RR", study=["Łódź & Co", "B", "C"])


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_picture_gives_the_same_bytes(result, tmp_path, suffix):
    first = save(forest(result, title="A"), tmp_path / f"first{suffix}")
    second = save(forest(result, title="A").figure, tmp_path / f"second{suffix}")
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


def test_svg_has_text_a_title_and_no_date(result, tmp_path):
    text = save(forest(result, title="A & B"), tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "<title>A &amp; B: Risk ratio, 3 studies</title>" in text
    assert "Łódź &amp; Co" in text
    assert "dc:date" not in text
    assert not re.search(r"> |  ", "".join(re.findall(r"<text[^>]*>[^<]*", text)))


def test_png_has_200_dots_an_inch(result, tmp_path):
    content = save(forest(result), tmp_path / "A.PNG").read_bytes()
    at = content.index(b"pHYs") + 4
    assert round(int.from_bytes(content[at : at + 4], "big") * 0.0254) == 200


def test_unknown_suffix_lists_the_possible_ones(result, tmp_path):
    with pytest.raises(MetailError, match=r"saved as \.png, \.svg, \.pdf, not as 'a.gif'"):
        save(forest(result), tmp_path / "a.gif")


def test_a_file_that_cannot_be_written_is_named(result, tmp_path):
    with pytest.raises(ReportError, match=r"Cannot write the picture to .*nowhere"):
        save(forest(result), tmp_path / "nowhere" / "a.png")
