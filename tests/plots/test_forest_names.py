"""Names of many letters or tall ones, titles over their columns, and figures that stay with their units."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg

from metail2.plots.fonts import fonts_for
from metail2.plots.forest import forest
from metail2.plots.forest_axes import DROP, ROW
from metail2.plots.forest_table import HANG, LEADING, NAME_ROOM, Row, name_lines
from metail2.plots.forest_words import held

LONG = "Smith, Jones and the Investigators of the Multicentre Randomised Trial of Low-Dose Interleukin-2 in Lupus 2019"
NBSP = "\u00a0"


def names(ax):
    return [label.get_text().replace(NBSP, " ") for label in reversed(ax.get_yticklabels())]


def studies(made, first, **options):
    return made([0.3, 0.5, 0.1], [0.2, 0.1, 0.1], "OR", study=[first, "Short", "Last"], **options)


def test_a_long_name_goes_on_below_and_its_year_is_not_left_alone(made):
    ax = forest(studies(made, LONG))
    assert names(ax)[:5] == [
        "Study",
        "Smith, Jones and the Investigators of the",
        "  Multicentre Randomised Trial of Low-Dose",
        "  Interleukin-2 in Lupus 2019",
        "Short",
    ]


def test_its_figures_and_its_square_stand_beside_the_first_line_and_the_picture_grows(made):
    ax, short = forest(studies(made, LONG)), forest(studies(made, "Smith"))
    first = 4 + 2 * LEADING
    np.testing.assert_allclose(ax.get_yticks(), [0, 1, 2, 3, 4, 4 + LEADING, first, first + 1], rtol=1e-12)
    figures = {text.xy[1] for text in ax.texts if "(0.56 to" in text.get_text()}
    assert figures == {ax.get_yticks()[-2]}
    squares = next(c for c in ax.collections if type(c).__name__ == "PathCollection").get_offsets()
    drawn = squares[np.isfinite(squares.filled(np.nan)).all(axis=1)]
    np.testing.assert_array_equal(drawn[:, 1], [2, 3, ax.get_yticks()[-2]])
    grown = ax.figure.get_figheight() - short.figure.get_figheight()
    assert 72 * grown == pytest.approx(2 * LEADING * ROW, rel=1e-9)


@pytest.mark.parametrize("name", [LONG, "x" * 150, "Łódź–Kraków–" * 10, "word " * 40, "محمد أحمد " * 12])
@pytest.mark.parametrize(("kind", "indent"), [("study", ""), ("study", "  "), ("heading", "")])
def test_no_letter_of_a_name_is_lost(name, kind, indent):
    fonts = fonts_for([name])
    first, *others = name_lines(Row(kind, indent + name.strip(), 0.3, 0.1, 0.5), fonts)
    assert "".join("".join(row.label for row in (first, *others)).split()) == "".join(name.split())
    assert (first.kind, first.estimate, first.joined) == (kind, 0.3, False)
    assert {(row.kind, row.joined) for row in others} == {("more" if kind == "study" else kind, True)}
    assert all(np.isnan(row.estimate) and row.label.startswith(indent + " " * HANG) for row in others)
    room = fonts.width("x" * (NAME_ROOM + HANG), 10, mono=True)
    assert max(fonts.width(row.label, 10, True, kind == "heading") for row in (first, *others)) <= room


@pytest.mark.parametrize("kind", ["study", "heading", "note", "total"])
def test_a_short_name_stays_as_it_is(kind):
    row = Row(kind, "  Comstock and Webster 1969")
    assert name_lines(row, fonts_for([])) == [row]


def test_a_name_that_is_not_monospace_is_indented_as_the_others(made):
    ax = forest(made([0.1, 0.2], [1, 1], "MD", study=["Nguyễn", "Smith"], group="a"))
    written = [label.get_text() for label in ax.get_yticklabels()][-4:-2]
    assert [text.strip() for text in written] == ["Smith", "Nguyễn"]
    fonts = fonts_for(written)
    first, second = (fonts.width(text, 10, mono=True) - fonts.width(text.strip(), 10, mono=True) for text in written)
    assert second == pytest.approx(first, rel=0.1)


def test_names_with_tall_letters_stand_on_the_line_of_their_figures(made, monkeypatch):
    tall = ["Ǻngström", "ẤỆỖ", "x", "gypsy", "محمد", "Smith"]
    ax = forest(made(np.arange(6), np.ones(6), "MD", study=tall), arms=("Ǻ", "b"))
    written = {}
    draw = RendererAgg.draw_text

    def noted(self, gc, x, y, text, *rest, **style):
        written[text] = y
        draw(self, gc, x, y, text, *rest, **style)

    monkeypatch.setattr(RendererAgg, "draw_text", noted)
    ax.figure.canvas.draw()
    lines = [text for text in ax.texts if text.get_text().count(" to ") and text.xy[1] >= 1]
    beside = dict(zip(ax.get_yticks(), (label.get_text() for label in ax.get_yticklabels()), strict=True))
    pairs = [(written[line.get_text()], written[beside[line.xy[1]]]) for line in lines]
    assert len(pairs) == 7
    np.testing.assert_allclose(*np.transpose(pairs), rtol=0, atol=1e-6)
    height = ax.figure.canvas.get_renderer().height
    middles = [height - ax.transData.transform((0, line.xy[1]))[1] for line in lines]
    np.testing.assert_allclose(np.subtract([first for first, _ in pairs], middles), DROP * 100 / 72, rtol=1e-9)


@pytest.mark.parametrize("dpi", [72, 100, 200])
def test_titles_stand_over_the_middle_of_their_columns_at_every_resolution(made, dpi):
    inputs = {"events1": [4, 6, 1], "n1": [123, 306, 9], "events2": [11, 29, 2], "n2": [139, 303, 9]}
    ax = forest(studies(made, "Smith", inputs=inputs))
    ax.figure.set_dpi(dpi)
    ax.figure.canvas.draw()
    header = next(text for text in ax.texts if "Events" in text.get_text())
    box, letters = header.get_window_extent(), header.get_text()
    line = next(text.get_text() for text in ax.texts if "1.35" in text.get_text())
    ends = {
        "Experimental": (letters.index("Events"), letters.index("Total") + 5),
        "Control": (letters.rindex("Events"), letters.rindex("Total") + 5),
        "Odds ratio": (line.index("1.35"), line.index(")") + 1),
    }
    for title, (start, end) in ends.items():
        over = next(text for text in ax.texts if text.get_text() == title).get_window_extent()
        middle = box.x0 + (start + end) / 2 * box.width / len(letters)
        assert (over.x0 + over.x1) / 2 == pytest.approx(middle, abs=0.6 * dpi / 72)


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("I² = 45 % (95 % Q-profile 3 to 80 %)", "I²_=_45_% (95_% Q-profile 3_to_80_%)"),
        ("z = −1.60, df = 4, P < 1e−300; t", "z_=_−1.60, df_=_4, P_<_1e−300; t"),
        ("t, k − 1 df, SE and df − 1, on 2 df", "t, k_−_1_df, SE and df_−_1, on 2_df"),
        ("−0.2 to −0.1 and 2 to three; Smith 2001 a", "−0.2_to_−0.1 and 2 to three; Smith 2001 a"),
    ],
)
def test_figures_are_held_to_their_units_and_signs(note, expected):
    assert held(note).replace(NBSP, "_") == expected


def test_the_notes_of_a_picture_are_held(made):
    written = [text.get_text() for text in forest(studies(made, "Smith")).texts]
    assert any(f"I²{NBSP}={NBSP}0.0{NBSP}% (from" in text for text in written)
    assert any(f"t, k{NBSP}−{NBSP}1{NBSP}df, Hartung–Knapp SE." in text for text in written)


def test_huge_effects_keep_three_digits(made):
    ax = forest(made([-1.59e8, 2345.6, 12], [1e14, 9e6, 1], "MD"))
    written = "\n".join(text.get_text().replace(NBSP, " ") for text in ax.texts)
    assert "−1.59e+08 (−1.79e+08 to −1.39e+08)" in written
    assert "     2346     (−3534 to      8225)" in written
