"""The forest plot: every study with its interval, and what they come to together."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from metail2.effects.displays import display_transform
from metail2.effects.measures import MEASURES
from metail2.errors import MetailError, MetailWarning
from metail2.plots.fonts import REPLACEMENT, Fonts, fonts_for
from metail2.plots.forest_axes import Canvas, Picture, Words, characters, compose
from metail2.plots.forest_scale import Scale
from metail2.plots.forest_table import LAYOUTS, Row, forest_rows, forest_table, name_lines, plain
from metail2.plots.forest_words import Facts, effect_name, held, notes
from metail2.plots.quiet import own_style
from metail2.results import Result
from metail2.wording import some

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LAYOUTS", "forest"]


def forest(
    result: Result,
    ax: Axes | None = None,
    layout: str = "classic",
    *,
    common: Result | None = None,
    favours: tuple[str, str] | None = None,
    title: str | None = None,
    arms: tuple[str, str] = ("Experimental", "Control"),
    transform: str | None = None,
    unit: str = "",
) -> Axes:
    """Draw a forest plot.

    Studies keep their order; one that has no estimate says "not estimable", and the notes under the plot say why.
    A long name goes on in further lines under its first, beside which its figures stand.
    Names in Chinese, Japanese, Korean or another script that Matplotlib's own fonts lack are drawn by a font of the
    machine, if one of `metail2.plots.fonts.FALLBACKS` is installed; else each such character is drawn as "�" and a
    `MetailWarning` names the studies.
    Squares have areas proportional to the weights. Intervals that the axis cuts end in an arrow.

    Parameters
    ----------
    result : Result
        What to draw; only its three tables are read. With an empty ``tidy()`` the studies are shown, not pooled.
    ax : Axes, optional
        Where to draw: table and plot are fitted into its place, scaled down if need be. Without it a figure of the
        right size is made, without pyplot (show it with ``.figure``, write it with `metail2.plots.saving.save`).
    layout : str
        A key of `LAYOUTS`; ``"classic"`` has study, arms, weight, effect and plot.
    common : Result, optional
        A common-effect result of the same measure, drawn as a second, outlined diamond.
    favours : tuple of str, optional
        What lower and what higher values mean, e.g. ``("Favours IL-2", "Favours control")`` or, for a change in one
        group, ``("Improvement", "Worsening")``.
    unit : str
        Of a difference or change, written behind the name of the axis.
    title : str, optional
        Over the table.
    arms : tuple of str
        Names of the two arms, over their columns.
    transform : str, optional
        A key of `TRANSFORMS` to show the effects in, instead of the measure's own.

    Returns
    -------
    Axes
        The Axes of the plot.

    Raises
    ------
    UnknownChoice
        For a layout, transform or measure that is not registered, or a transform of another scale than the measure's.
    MetailError
        If this is no result, if there are no studies, if `common` has another measure or number of studies, or if
        `favours` is given for a
        measure without null.
    """
    _ = LAYOUTS[layout]
    for given in (result, common if common is not None else result):
        if not isinstance(given, Result):
            raise MetailError(
                f"forest draws what pool() or a model's fit() returns, not {type(given).__name__}; fit a model first."
            )
    facts, other = Facts(result), Facts(common) if common is not None else None
    _check(facts, other, favours)
    picture = _compose(facts, other, layout, favours, title, arms, transform, unit)
    with own_style():
        canvas = Canvas(_own_axes(picture) if ax is None else ax, picture)
        canvas.draw()
    return canvas.ax


def _check(facts: Facts, other: Facts | None, favours: tuple[str, str] | None) -> None:
    code = str(facts.model["measure"])
    if facts.studies.empty:
        raise MetailError("There is no study to draw: the result's studies() is empty.")
    if other is not None and other.model["measure"] != code:
        raise MetailError(f"The common-effect result is of measure {other.model['measure']}, the other of {code}.")
    if other is not None and other.model["k"] != facts.model["k"]:
        raise MetailError(
            f"The common-effect result is of {other.model['k']} studies, the other of {facts.model['k']}."
        )
    if favours is not None and math.isnan(MEASURES[code].null):
        raise MetailError(f"Measure {code} has no value of no effect, so nothing is favoured: leave favours out.")


def _compose(
    facts: Facts,
    other: Facts | None,
    layout: str,
    favours: tuple[str, str] | None,
    title: str | None,
    arms: tuple[str, str],
    override: str | None,
    unit: str,
) -> Picture:
    measure = MEASURES[str(facts.model["measure"])]
    scale = Scale(display_transform(measure, override))
    name = effect_name(measure, scale.transform)
    axis = f"{name}, log scale" if scale.transform.log_axis else f"{name} ({plain(unit)})" if unit else name
    rows, below = forest_rows(facts, other), notes(facts, other)
    fonts = fonts_for([*(row.label for row in rows), *below, title or "", axis, *arms, *(favours or ())])
    if fonts.missing:
        _report(rows, [title or "", axis, *arms, *(favours or ())], fonts)
    draw = fonts.drawable
    experimental, control = (draw(plain(arm)) for arm in arms)
    rows = [line for row in rows for line in name_lines(replace(row, label=draw(row.label)), fonts)]
    table = forest_table(
        rows, facts, scale.transform, (experimental, control), layout, lambda text: characters(text, fonts)
    )
    words = Words(
        title=draw(title or ""),
        axis=draw(axis),
        favours=favours and (f"← {draw(favours[0])}", f"{draw(favours[1])} →"),
        notes=[draw(held(note)) for note in below],
        description=f"{title or 'Forest plot'}: {name}, {len(facts.studies)} studies",
    )
    return compose(table, scale, float(scale.at(measure.null)), words, fonts)


def _report(rows: list[Row], others: list[str], fonts: Fonts) -> None:
    """Warn of the characters that no font draws, naming the studies and texts they stand in."""
    from matplotlib import get_cachedir

    def lacks(text: str) -> bool:
        return not fonts.missing.isdisjoint(text)

    named = [f"{'study' if row.kind == 'study' else 'group'} {row.label.strip()!r}" for row in rows if lacks(row.label)]
    named += [repr(text) for text in others if lacks(text)]
    warnings.warn(
        f"No installed font has the characters {' '.join(map(_shown, sorted(fonts.missing)))} of {some(named)}: they "
        f"are drawn as {REPLACEMENT}; install a font that has them, such as Noto Sans CJK (if it is installed, delete "
        f"Matplotlib's list of fonts in {get_cachedir()}).",
        MetailWarning,
        stacklevel=4,
    )


def _shown(character: str) -> str:
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _own_axes(picture: Picture) -> Axes:
    """Make a figure of the picture's natural size, unknown to pyplot, with one Axes that fills it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = picture.size
    figure = Figure(figsize=(width / 72, height / 72), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    return figure.add_axes((0, 0, 1, 1))
