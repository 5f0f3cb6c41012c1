"""Texts in scripts that Matplotlib's own fonts lack. STIXGeneral stands in for a font that the machine may have."""

import logging
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from metail2.errors import MetailWarning
from metail2.plots import fonts
from metail2.plots.fonts import ADVANCE, MARK, MONO, REPLACEMENT, SANS, SPARE, broken, fonts_for, left_to_right
from metail2.plots.forest import forest
from metail2.plots.forest_axes import TEXT
from metail2.plots.saving import save

CIRCLED = "ⒶⒷⒸⒹ"
"""In STIXGeneral, not in DejaVu Sans, and wider than a letter of DejaVu Sans Mono."""
CHINESE = "张伟"


@pytest.fixture
def borrowed(monkeypatch):
    monkeypatch.setattr(fonts, "FALLBACKS", ("Not Installed", "STIXGeneral", "STIXNonUnicode"))


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(fonts, "FALLBACKS", ("Not Installed",))


def figures(ax):
    ax.figure.canvas.draw()
    return [text for text in ax.texts if text.get_va() == "baseline" and text.get_ha() == "left"]


def test_own_fonts_draw_latin_greek_cyrillic_arabic_hebrew_and_armenian():
    found = fonts_for(["Łódź ß é", "Παπαδόπουλος", "Иванов", "محمد", "שרה", "Հայ"])
    assert (found.fallbacks, found.borrowed, found.missing) == ((), frozenset(), frozenset())


def test_a_fallback_is_used_only_where_it_is_needed(borrowed):
    found = fonts_for(["Smith", f"{CIRCLED} 2018"])
    assert (found.fallbacks, found.borrowed, found.missing) == (("STIXGeneral",), frozenset(CIRCLED), frozenset())
    assert found.style("Smith", mono=True, bold=True) == {"fontfamily": [*MONO], "fontweight": "bold"}
    assert found.style(f"{CIRCLED}", bold=True) == {"fontfamily": [*SANS, "STIXGeneral"], "fontweight": "normal"}


def test_what_no_font_draws_is_replaced(alone):
    found = fonts_for([f"{CHINESE} 2018", "\ud800"])
    assert found.missing == {*CHINESE, "\ud800"}
    assert found.drawable(f"{CHINESE} 2018\u00a0x\ud800") == f"{REPLACEMENT * 2} 2018\u00a0x{REPLACEMENT}"


def test_control_characters_are_replaced_and_named(made, tmp_path):
    assert fonts_for(["a\x00b\x1b"]).missing == {"\x00", "\x1b"}
    with pytest.warns(MetailWarning, match=r"the characters U\+0000 U\+0007 of study"):
        ax = forest(made([0.1, 0.2], [0.1] * 2, "MD", study=["a\x00b", "c\x07d"]))
    ElementTree.parse(save(ax, tmp_path / "a.svg"))


def test_width_is_measured_not_counted(borrowed):
    found = fonts_for([CIRCLED])
    letters = found.width("n" * 40, TEXT, mono=True) - found.width("n" * 20, TEXT, mono=True)
    assert letters == pytest.approx(20 * ADVANCE * TEXT, rel=1e-2)
    circles = found.width(CIRCLED * 10, TEXT, mono=True) - found.width(CIRCLED * 5, TEXT, mono=True)
    assert circles > 1.1 * letters


def test_lines_are_broken_between_words_and_only_then_within_one():
    found = fonts_for([])
    line = broken("one two three " * 20, 100, found, 8)
    assert " ".join(line).split() == ["one", "two", "three"] * 20
    assert max(found.width(each, 8) for each in line) <= 100
    cut = broken("← " + "w" * 100, 100, found, 8)
    assert "".join(cut) == "← " + "w" * 100
    assert cut[0].startswith("← www")
    assert max(found.width(each, 8) for each in cut) <= 100
    assert broken("", 100, found, 8) == []
    hyphens = broken("aaaaaaaa-" * 9, 60, found, 8)
    assert "".join(hyphens) == "aaaaaaaa-" * 9
    assert all(each.endswith("-") for each in hyphens[:-1])
    assert broken("a b", found.width("a b", 8, mono=True) / SPARE, found, 8, mono=True) == ["a b"]
    held = broken("dose of 5\u00a0mg " * 9, 60, found, 8)
    assert all("5\u00a0mg" in each for each in held if "5" in each or "mg" in each)


def test_an_accent_is_never_cut_from_its_letter():
    found = fonts_for([])
    lines = broken("g\u0303" * 40, 60, found, 8)
    assert len(lines) > 1
    assert set("".join(lines)[::2]) == {"g"}
    assert all(line.startswith("g") and line.endswith("\u0303") for line in lines)


def test_words_are_measured_once_each(monkeypatch):
    measured = []
    width = fonts.Fonts.width

    def counted(self, text, *style):
        measured.append(text)
        return width(self, text, *style)

    monkeypatch.setattr(fonts.Fonts, "width", counted)
    assert broken("one line", 100, fonts_for([]), 8) == ["one line"]
    assert measured == ["one line"]
    measured.clear()
    assert len(broken("one two three four five", 40, fonts_for([]), 8)) == 3
    assert measured == ["one two three four five", " ", "one", "two", "three", "four", "five"]


@pytest.mark.parametrize("name", ["Nguyễn 2019", "Ǻngström 2001"])
def test_a_letter_that_the_monospace_font_would_take_apart_is_drawn_by_another(name):
    found = fonts_for([name, "Łódź"])
    assert found.style(name, mono=True)["fontfamily"] == [*SANS]
    assert found.style("Łódź", mono=True)["fontfamily"] == [*MONO]
    # Taken apart, the accent would have a width of its own.
    assert found.width(name, 100, mono=True) == found.width(name, 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Smith 2001: 0.5", "Smith 2001: 0.5"),
        ("محمد 2016: 0.5 was", f"{MARK}محمد{MARK} 2016: 0.5 was"),
        ("محمد 2020a", f"{MARK}محمد{MARK} 2020a"),
        ("أحمد 3.4 mg", f"{MARK}أحمد{MARK} 3.4 mg"),
        ("א׳ כהן, ב׳ לוי (2020)", f"{MARK}א׳ כהן, ב׳ לוי{MARK} (2020)"),
        ("سارة/ليلى 2020-2021", f"{MARK}سارة/ليلى{MARK} 2020-2021"),
        ("a, שרה b", f"{MARK}a, שרה{MARK} b"),
        ("one\nשרה 3.4 mg", f"one\n{MARK}שרה{MARK} 3.4 mg"),
    ],
)
def test_names_from_right_to_left_leave_the_line_in_its_order(text, expected):
    assert left_to_right(text) == expected


NAMES = ["Smith 2001", f"{CIRCLED * 6} 2018", "محمد 2016", "Иванов 2015", "A label that is much longer than others"]


def test_figures_begin_at_one_place_behind_the_widest_name_in_every_script(made, borrowed, caplog):
    yi, vi = np.linspace(-1, 1, 5), np.full(5, 0.1)
    with caplog.at_level(logging.WARNING):
        ax = forest(made(yi, vi, "SMD", study=NAMES, group=[CIRCLED, *["a"] * 4]), title=CIRCLED, unit=CIRCLED)
        written = figures(ax)
    starts = {round(text.get_window_extent().x0, 6) for text in written if text.get_text().strip()}
    plain = [text.get_text().replace("\u00a0", " ") for text in written if " to " in text.get_text()]
    assert len({line.index(" to ") for line in plain}) == 1
    assert len(starts) == 1
    assert max(label.get_window_extent().x1 for label in ax.get_yticklabels()) < starts.pop()
    assert max(text.get_window_extent().x1 for text in written) < ax.bbox.x0
    assert not caplog.records


def test_an_arabic_name_does_not_turn_the_figures_round(made):
    result = made([0.91, 0.2], [0.1, 0.1], "MD", study=["محمد 2016", "Smith 2001"])
    line = next(text.get_text() for text in figures(forest(result)) if "0.91" in text.get_text())
    assert line.split() == ["50.0", "%", "0.91", "(0.29", "to", "1.53)"]


def test_arms_in_wide_letters_stand_over_the_middle_of_their_columns(made, borrowed):
    inputs = {"events1": [4, 6], "n1": [123, 306], "events2": [11, 29], "n2": [139, 303]}
    ax = forest(made([-0.9, -1.6], [0.3, 0.2], "RR", inputs=inputs), arms=(CIRCLED * 4, "B"))
    ax.figure.canvas.draw()
    header = next(text for text in figures(ax) if "Events" in text.get_text())
    first = next(text for text in ax.texts if text.get_text() == CIRCLED * 4).get_window_extent()
    second = next(text for text in ax.texts if text.get_text() == "B").get_window_extent()
    box = header.get_window_extent()
    assert box.x0 - 1 < first.x0
    assert first.x1 < second.x0
    # Its columns are as wide as the title: "Events  Total" is padded to the left.
    advance = ADVANCE * TEXT * ax.figure.dpi / 72
    assert first.width <= (header.get_text().index("Total") + len("Total")) * advance


def test_one_warning_names_the_studies_that_no_font_draws(made, alone, tmp_path):
    result = made([0.1, 0.2, 0.3], [0.1] * 3, "MD", study=[f"{CHINESE} 2018", "Smith", "김 2020"], group=["伟", "", ""])
    with pytest.warns(MetailWarning) as caught:
        ax = forest(result, title="伟大", favours=("a", "b"))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert str(caught[0].message).startswith(
        "No installed font has the characters 伟 大 张 김 of group '伟', study '张伟 2018', study '김 2020' and "
        "'伟大': they are drawn as \ufffd; install a font that has them, such as Noto Sans CJK (if it is installed, "
        "delete Matplotlib's list of fonts in "
    )
    names = [label.get_text().strip("\u00a0") for label in ax.get_yticklabels()]
    assert f"{REPLACEMENT * 2} 2018" in names
    for suffix in ("png", "svg", "pdf"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save(ax, tmp_path / f"a.{suffix}")


def test_a_study_named_as_the_column_or_as_another_keeps_its_row(made):
    ax = forest(made([1, 2, 3, 4], [1] * 4, "MD", study=["Study", "Study", "\u00a0", ""]))
    ax.figure.canvas.draw()
    written = [text.get_text().strip("\u00a0") for text in figures(ax)]
    assert [line.split()[2] for line in written[1:5]] == ["1.00", "2.00", "3.00", "4.00"]
    assert len(ax.containers[0].lines[2][0].get_segments()) >= 4
