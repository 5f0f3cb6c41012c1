"""Drawing a forest plot: the room each part takes, and what is put on the Axes that forestplot has drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.plots.fonts import ADVANCE, MONO, NBSP, Fonts, broken, left_to_right
from metail2.plots.forest_scale import Scale, Ticks, axis_limits, choose_ticks
from metail2.plots.forest_table import BETWEEN, DIAMONDS, STUDY_PART, SUMMARIES, Row, Table
from metail2.plots.quiet import draw_forest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

Floats = NDArray[np.float64]

ACCENT, INK, MUTED, PALE = "#2f6f8f", "#1c2b33", "#5b6770", "#9fbccb"

# Lengths in points, before scaling to the room there is.
TEXT, SMALL, TITLE = 8.5, 7.5, 10.5
ROW, NOTE_ROW = 15.0, 11.5
DROP = 0.38 * TEXT
"""How far the baseline lies under the middle of a row: half the height of an "l"."""
PLOT, GAP, MARGIN = 220.0, 12.0, 10.0
TICK_ROOM, LABEL_ROOM, TITLE_ROOM = 17.0, 13.0, 20.0
LARGEST, SMALLEST = 9.0, 2.2
"""Sides of the squares with the largest weight, and the least that can be seen."""
FAVOURS_WIDTH = 110.0
"""Room after which a favours label goes on in a second line."""
BOLD = ("header", "heading", "total", *DIAMONDS)
"""Kinds of rows in bold type."""


@dataclass(frozen=True, slots=True)
class Words:
    """The texts around the table and the axis."""

    title: str
    axis: str
    favours: tuple[str, str] | None
    notes: list[str]
    description: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn, before it is placed; lengths in points.

    Attributes
    ----------
    table : Table
        Rows and their text.
    scale : Scale
        The axis.
    limits : tuple of float
        Its ends.
    ticks : Ticks
        Its ticks.
    null : float
        Position of no effect; NaN if there is none.
    words : Words
        The texts, notes and favours labels broken into lines.
    fonts : Fonts
        What the texts are drawn with.
    figures_left : float
        Where the table's figures begin, from its left edge.
    left, right, above, below : float
        Room that the texts take around the plot.
    """

    table: Table
    scale: Scale
    limits: tuple[float, float]
    ticks: Ticks
    null: float
    words: Words
    fonts: Fonts
    figures_left: float
    left: float
    right: float
    above: float
    below: float

    @property
    def size(self) -> tuple[float, float]:
        """Natural width and height."""
        return self.left + PLOT + self.right, self.above + self.body + self.below

    @property
    def body(self) -> float:
        """Natural height of the rows with their headers."""
        return ROW * (self.table.places[0] + 2)


def characters(text: str, fonts: Fonts) -> int:
    """Return the room of a text in the table's header, in characters."""
    return math.ceil(fonts.width(text, TEXT, mono=True, bold=True) / (ADVANCE * TEXT))


def compose(table: Table, scale: Scale, null: float, words: Words, fonts: Fonts) -> Picture:
    """Choose the axis, break the texts into lines, and work out how much room everything takes.

    Parameters
    ----------
    table : Table
        Rows and their text.
    scale : Scale
        The axis.
    null : float
        Position of no effect; NaN if there is none.
    words : Words
        The texts.
    fonts : Fonts
        What they are drawn with.

    Returns
    -------
    Picture
        Ready to draw at any size.
    """
    limits = axis_limits(*_positions(table.rows, scale), null, _typical_width(table.rows, scale))
    ticks = choose_ticks(scale, limits, lambda positions, labels: _clear(positions, labels, limits, fonts))
    favours = words.favours and _wrapped(words.favours, fonts)
    widest, names = _named(table, fonts)
    figures_left = names + len(BETWEEN) * ADVANCE * TEXT
    left = MARGIN + max(figures_left + table.width * ADVANCE * TEXT, widest) + GAP
    right = MARGIN + _overhang(limits, ticks, null, words.axis, favours, fonts)
    width = left + PLOT + right - 2 * MARGIN
    title = broken(words.title, width, fonts, TITLE, bold=True)
    notes = [line for note in words.notes for line in broken(note, width, fonts, SMALL)]
    lines = favours[0].count("\n") + 1 if favours else 0
    below = MARGIN + TICK_ROOM + LABEL_ROOM + lines * NOTE_ROW + len(notes) * NOTE_ROW + 8 * bool(notes)
    above = MARGIN + TITLE_ROOM * len(title)
    lined = Words("\n".join(title), words.axis, favours, notes, words.description)
    return Picture(table, scale, limits, ticks, null, lined, fonts, figures_left, left, right, above, below)


def _named(table: Table, fonts: Fonts) -> tuple[float, float]:
    """Measure the first column: all of it, and without the notes, which run over the other columns."""
    kinds = ["header", *(row.kind for row in table.rows)]
    widths = [
        fonts.width(name, TEXT, mono=True, bold=kind in BOLD) for name, kind in zip(table.names, kinds, strict=True)
    ]
    return max(widths), max(width for width, kind in zip(widths, kinds, strict=True) if kind != "note")


def _positions(rows: list[Row], scale: Scale) -> tuple[Floats, Floats, Floats]:
    """Place estimates, lower and upper ends on the axis."""
    points, lower, upper = scale.at([(row.estimate, row.lower, row.upper) for row in rows]).T
    return points, lower, upper


def _typical_width(rows: list[Row], scale: Scale) -> float:
    """Return the median width of the studies' intervals, 0 if there are none."""
    _, lower, upper = _positions([row for row in rows if row.kind == "study"], scale)
    widths = (upper - lower)[np.isfinite(upper - lower)]
    return float(np.median(widths)) if len(widths) else 0.0


def _position(row: Row, scale: Scale) -> tuple[float, float, float]:
    estimate, lower, upper = scale.at([row.estimate, row.lower, row.upper]).tolist()
    return estimate, lower, upper


def _offsets(positions: Any, limits: tuple[float, float]) -> Floats:
    """Turn axis positions into points from the left end of the plot."""
    return np.asarray((np.asarray(positions) - limits[0]) / (limits[1] - limits[0]) * PLOT)


def _clear(positions: Floats, labels: list[str], limits: tuple[float, float], fonts: Fonts) -> bool:
    """Say whether tick labels stand clear of each other."""
    halves = np.array([fonts.width(label, SMALL) for label in labels]) / 2
    return bool(np.all(np.diff(_offsets(positions, limits)) > halves[1:] + halves[:-1] + 5))


def _overhang(limits: tuple[float, float], ticks: Ticks, null: float, axis: str, favours: Any, fonts: Fonts) -> float:
    """Work out how far texts under the axis reach beyond its right end."""
    ends = [PLOT / 2 + fonts.width(axis, SMALL) / 2]
    ends += [
        float(_offsets(position, limits)) + fonts.width(label, SMALL) / 2
        for position, label in zip(ticks.major, ticks.labels, strict=True)
    ]
    if favours:
        ends.append(
            float(_offsets(null, limits)) + 6 + max(fonts.width(line, SMALL) for line in favours[1].split("\n"))
        )
    return max(0.0, *(end - PLOT for end in ends))


def _wrapped(favours: tuple[str, str], fonts: Fonts) -> tuple[str, str]:
    """Break both sides into the same number of lines."""
    left, right = (broken(side, FAVOURS_WIDTH, fonts, SMALL) for side in favours)
    count = max(len(left), len(right))
    left, right = (side + [NBSP] * (count - len(side)) for side in (left, right))
    return "\n".join(left), "\n".join(right)


class Canvas:
    """An Axes and the scale at which a picture is drawn on it.

    Attributes
    ----------
    ax : Axes
        Where to draw.
    picture : Picture
        What to draw.
    factor : float
        What lengths in points are multiplied by.
    width, height : float
        Size of the plot with its headers, in points.
    """

    def __init__(self, ax: Axes, picture: Picture) -> None:
        self.ax, self.picture = ax, picture
        room, page = ax.get_position(), ax.figure.bbox
        wide, high = 72 * float(page.width) / ax.figure.dpi, 72 * float(page.height) / ax.figure.dpi
        width, height = picture.size
        self.factor = factor = min(1.0, room.width * wide / width, room.height * high / height)
        self.width = room.width * wide - (picture.left + picture.right) * factor
        self.height = room.height * high - (picture.above + picture.below) * factor
        corner = (room.x0 + picture.left * factor / wide, room.y0 + picture.below * factor / high)
        ax.set_position((*corner, self.width / wide, self.height / high))

    def draw(self) -> None:
        """Draw everything."""
        self._paper()
        self._forestplot()
        self._rows()
        self._rules()
        self._axis()
        table = self.picture.table
        for place, row in zip(table.places[1:], table.rows, strict=True):
            if row.kind in DIAMONDS:
                self._diamond(row, place)
            elif row.kind == "prediction":
                self._prediction(row, place)
            if row.kind in ("study", *DIAMONDS, "prediction"):
                self._arrows(row, place)
        self._notes()
        self.ax.set_label(self.picture.words.description)

    def _paper(self) -> None:
        """Lay white paper under an Axes that may come with another style."""
        from matplotlib.patches import Rectangle

        picture, factor = self.picture, self.factor
        left, below = picture.left * factor / self.width, picture.below * factor / self.height
        wide = 1 + left + picture.right * factor / self.width
        high = 1 + below + picture.above * factor / self.height
        style: Any = {"facecolor": "white", "edgecolor": "none", "transform": self.ax.transAxes, "clip_on": False}
        self.ax.add_patch(Rectangle((-left, -below), wide, high, zorder=-2, **style))
        self.ax.grid(False)

    def _forestplot(self) -> None:
        """Let forestplot draw the whiskers, the squares and the axis."""
        picture, factor = self.picture, self.factor
        frame, sizes = _frame(picture)
        self.ax.set_yticks(frame["yticklabel"])
        draw_forest(
            self.ax,
            dataframe=frame,
            estimate="estimate",
            ll="lower",
            hl="upper",
            varlabel="yticklabel",
            # Its own preparation of the texts would capitalise, reorder and write "nan".
            preprocess=False,
            annote=["yticklabel"],
            annoteheaders=[""],
            xticks=list(picture.ticks.major),
            xticklabels=picture.ticks.labels,
            xlim=picture.limits,
            xline=None,
            xlabel=left_to_right(picture.words.axis),
            xlabel_size=SMALL * factor,
            xlabel_fontweight="normal",
            xtick_size=SMALL * factor,
            fontfamily=list(MONO),
            fontsize=TEXT * factor,
            marker="s",
            markersize=sizes * factor**2,
            markercolor=ACCENT,
            markeralpha=1.0,
            linecolor=INK,
            lw=1.0 * factor,
        )
        # A whisker shorter than its square must still be seen.
        self.ax.containers[-1].lines[2][0].set_zorder(2.5)  # type: ignore[attr-defined]

    def _rows(self) -> None:
        """Write names, figures and the titles over them."""
        ax, table = self.ax, self.picture.table
        ax.set_ylim(-0.5, table.places[0] + 1.5)
        kinds = ["header", *(row.kind for row in table.rows)]
        self._names(kinds)
        lines = zip(table.places, kinds, [table.header, *table.lines], strict=True)
        header, *_ = [self._figures(line, place, bold=kind in BOLD) for place, kind, line in lines]
        for title, middle in table.titles:
            style = self.picture.fonts.style(title, mono=True, bold=True)
            # Letters stand on pixels: only the header itself knows where its columns are.
            over: Any = (header, ax.get_yaxis_transform())
            self._text(
                title, 0, -DROP * self.factor, xy=(middle / table.width, table.places[0] + 1), xycoords=over,
                ha="center", va="baseline", fontsize=TEXT * self.factor, **style,
            )  # fmt: skip

    def _names(self, kinds: list[str]) -> None:
        """Put the names in place (forestplot measures their room in pixels and applies it as points)."""
        from matplotlib.transforms import ScaledTranslation

        ax, table, fonts = self.ax, self.picture.table, self.picture.fonts
        ax.set_yticks(table.places[::-1], table.names[::-1])
        ax.tick_params(axis="y", length=0, pad=self._table_left)
        # Centred, a name with tall letters would stand lower than its figures.
        down = ScaledTranslation(0, -DROP * self.factor / 72, ax.figure.dpi_scale_trans)
        for name, kind, label in zip(table.names, kinds, reversed(ax.get_yticklabels()), strict=True):
            style = fonts.style(name, mono=True, bold=kind in BOLD)
            label.set(**style, va="baseline", color=MUTED if kind == "note" else INK, parse_math=False)
            label.set_transform(label.get_transform() + down)

    def _figures(self, text: str, place: float, *, bold: bool) -> Annotation:
        """Write the figures of a row."""
        x = self.picture.figures_left * self.factor - self._table_left
        font = self.picture.fonts.style(text, mono=True, bold=bold)
        return self._text(
            text, x, -DROP * self.factor, xy=(0, place), xycoords=self.ax.get_yaxis_transform(), va="baseline",
            fontsize=TEXT * self.factor, **font,
        )  # fmt: skip

    @property
    def _table_left(self) -> float:
        """Points from the table's left edge to the plot."""
        return (self.picture.left - MARGIN) * self.factor

    def _text(self, text: str, x: float, y: float, **style: Any) -> Annotation:
        """Write `text` at an offset in points from the lower left corner of the plot."""
        options: Any = self.picture.fonts.style(text) | {
            "xy": (0, 0), "xycoords": "axes fraction", "fontsize": SMALL * self.factor, "color": INK,
            "parse_math": False,
        } | style  # fmt: skip
        return self.ax.annotate(
            left_to_right(text), xytext=(x, y), textcoords="offset points", annotation_clip=False, **options
        )

    def _rule(self, y: float, colour: str) -> None:
        """Draw a line across table and plot at row `y`."""
        self.ax.plot(
            [-self._table_left / self.width, 1], [y, y], transform=self.ax.get_yaxis_transform(),
            color=colour, linewidth=0.7 * self.factor, clip_on=False, zorder=0.5, solid_capstyle="butt",
        )  # fmt: skip

    def _rules(self) -> None:
        """Rule off header, studies and pooled rows, and write the picture's title."""
        table = self.picture.table
        self._rule(table.places[0] - 0.5, INK)
        pooled = sum(row.kind not in STUDY_PART for row in table.rows)
        if pooled:
            self._rule(pooled - 0.5, PALE)
        title = self.picture.words.title
        if title:
            font = self.picture.fonts.style(title, bold=True)
            y = self.height + 7 * self.factor
            self._text(title, -self._table_left, y, va="bottom", fontsize=TITLE * self.factor, **font)

    def _axis(self) -> None:
        """Finish the axis: minor ticks, label, favours, and the line at the pooled effect."""
        ax, picture, factor = self.ax, self.picture, self.factor
        ax.set_xticks(picture.ticks.minor, minor=True)
        ax.tick_params(axis="x", length=3.5 * factor, width=0.8 * factor, color=INK, labelcolor=INK, pad=3 * factor)
        ax.tick_params(axis="x", which="minor", length=2 * factor, width=0.6 * factor, color=INK)
        ax.spines["bottom"].set(color=INK, linewidth=0.8 * factor)
        ax.xaxis.labelpad = 2 * factor
        ax.xaxis.label.set(**picture.fonts.style(picture.words.axis), color=INK, parse_math=False)
        self._favours()
        top = picture.table.places[0] - 0.5
        if not np.isnan(picture.null):
            ax.vlines(picture.null, -0.5, top, color=MUTED, linewidth=0.8 * factor)
        rows = zip(picture.table.places[1:], picture.table.rows, strict=True)
        pooled = next((placed for placed in rows if placed[1].kind in SUMMARIES), None)
        if pooled is not None:
            place, row = pooled
            at = float(picture.scale.at(row.estimate))
            ax.plot([at, at], [place, top], color=ACCENT, linewidth=0.8 * factor, linestyle=(0, (2, 2)), zorder=0.4)

    def _favours(self) -> None:
        """Say under the axis which side favours what."""
        picture, factor = self.picture, self.factor
        if picture.words.favours is None:
            return
        null = (picture.null - picture.limits[0]) / (picture.limits[1] - picture.limits[0]) * self.width
        y = -(TICK_ROOM + LABEL_ROOM) * factor
        for text, side, shift in zip(picture.words.favours, ("right", "left"), (-6, 6), strict=True):
            self._text(text, null + shift * factor, y, ha=side, va="top", color=MUTED)

    def _notes(self) -> None:
        """Write the notes under everything, from the table's left edge."""
        notes, factor = self.picture.words.notes, self.factor
        for i, note in enumerate(reversed(notes)):
            y = (MARGIN + i * NOTE_ROW - self.picture.below) * factor
            self._text(note, -self._table_left, y, va="bottom")

    def _diamond(self, row: Row, place: float) -> None:
        """Draw a pooled effect: filled for random effects, pale for a subgroup, outlined for a common effect."""
        from matplotlib.patches import Polygon

        estimate, lower, upper = _position(row, self.picture.scale)
        lower, upper = (estimate if np.isnan(end) else end for end in (lower, upper))
        corners = [(lower, place), (estimate, place + 0.32), (upper, place), (estimate, place - 0.32)]
        fill = {"random": ACCENT, "subtotal": PALE}.get(row.kind, "white")
        self.ax.add_patch(
            Polygon(corners, closed=True, facecolor=fill, edgecolor=INK, linewidth=0.8 * self.factor, zorder=3)
        )

    def _prediction(self, row: Row, place: float) -> None:
        """Draw the prediction interval as a bar."""
        from matplotlib.patches import Rectangle

        _, lower, upper = _position(row, self.picture.scale)
        corner = (lower, place - 0.13)
        style: Any = {"facecolor": PALE, "edgecolor": INK, "linewidth": 0.6 * self.factor, "zorder": 3}
        self.ax.add_patch(Rectangle(corner, upper - lower, 0.26, **style))

    def _arrows(self, row: Row, place: float) -> None:
        """Mark the ends of an interval that the axis cuts."""
        from matplotlib.markers import CARETLEFT, CARETRIGHT

        _, lower, upper = _position(row, self.picture.scale)
        low, high = self.picture.limits
        for cut, end, marker in ((lower < low, low, CARETLEFT), (upper > high, high, CARETRIGHT)):
            if cut:
                self.ax.plot(
                    [end], [place], marker=marker, markersize=6 * self.factor, color=INK,
                    markeredgewidth=0, clip_on=False, zorder=4, linestyle="none",
                )  # fmt: skip


def _frame(picture: Picture) -> tuple[pd.DataFrame, Floats]:
    """Return forestplot's table, bottom row first and the header last, and the area of each row's square."""
    low, high = picture.limits
    points, lower, upper = _positions(picture.table.rows, picture.scale)
    study = np.array([row.kind == "study" for row in picture.table.rows])
    drawn = study & np.isfinite(points)
    whisker = drawn & np.isfinite(lower) & np.isfinite(upper)
    # A point without interval gets a whisker of no length, a row without point one that is not drawn: forestplot
    # takes the ends of its axis from these columns and needs a number there.
    lower = np.where(whisker, np.maximum(lower, low), np.where(drawn, points, low))
    upper = np.where(whisker, np.minimum(upper, high), np.where(drawn, points, high))
    points = np.where(drawn, points, np.nan)
    columns = {"estimate": points, "lower": lower, "upper": upper}
    frame = pd.DataFrame({name: np.append(values[::-1], np.nan) for name, values in columns.items()})
    frame["yticklabel"] = picture.table.places[::-1]
    return frame, np.append(_areas(picture.table.rows)[::-1], 0.0)


def _areas(rows: list[Row]) -> Floats:
    """Return areas in square points, proportional to the weights; equal where there are none."""
    weights = np.array([row.weight if row.kind == "study" else np.nan for row in rows])
    largest = np.nanmax(weights, initial=0.0)
    if largest <= 0:
        return np.full(len(rows), (0.6 * LARGEST) ** 2)
    return np.asarray(np.maximum(LARGEST**2 * np.nan_to_num(weights / largest), SMALLEST**2))
