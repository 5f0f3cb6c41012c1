"""Which fonts draw the texts of a picture, how wide they are, and which characters no font has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

MONO, SANS = ("DejaVu Sans Mono", "DejaVu Sans"), ("DejaVu Sans", "DejaVu Sans Mono")
"""Families that come with Matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew, but no Chinese, Japanese or Korean."""
ADVANCE = 1233 / 2048
"""Width of every character of DejaVu Sans Mono, in ems."""

FALLBACKS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans SC",
    "Noto Sans TC", "Noto Sans KR", "Source Han Sans", "Source Han Sans SC", "Hiragino Sans", "Hiragino Sans GB",
    "PingFang SC", "Heiti TC", "Apple SD Gothic Neo", "AppleGothic", "Microsoft YaHei", "Microsoft JhengHei",
    "Yu Gothic", "Meiryo", "MS Gothic", "Malgun Gothic", "SimHei", "SimSun", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "IPAexGothic", "NanumGothic", "Nirmala UI", "Noto Sans Devanagari",
    "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Leelawadee UI", "Tahoma", "Arial Unicode MS",
    "Unifont",
)  # fmt: skip
"""Families of other scripts, in the order in which they are asked for a character that the own ones lack."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
NBSP = "\u00a0"
MARK = "\N{LEFT-TO-RIGHT MARK}"
_LETTERS = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
RIGHT_TO_LEFT = re.compile(rf"[{_LETTERS}](?:[{_LETTERS}\s,;/&.'’-]*[{_LETTERS}])?")
"""Names in Hebrew, Arabic or a script like these, without the figures behind them."""
BLANKS = re.compile(r"[ \t\n\r]+")
"""Where a line may be broken; a blank that is to hold its words together is none."""
HYPHENS = "-‐–—/"
"""Where a word that is wider than a line is best broken."""
SPARE = 0.97
"""Of a line's room, what is filled: on a screen, letters stand on pixels and take a little more."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """The fonts of one picture.

    Attributes
    ----------
    fallbacks : tuple of str
        Installed families of `FALLBACKS` that its texts need.
    borrowed : frozenset of str
        Characters that these draw.
    composed : frozenset of str
        Letters with accents that DejaVu Sans Mono lacks: it would draw letter and accent side by side.
    missing : frozenset of str
        Characters that no font draws.
    """

    fallbacks: tuple[str, ...]
    borrowed: frozenset[str]
    composed: frozenset[str]
    missing: frozenset[str]

    def drawable(self, text: str) -> str:
        """Put "�" for every character that no font draws."""
        return "".join(REPLACEMENT if character in self.missing else character for character in text)

    def style(self, text: str, mono: bool = False, bold: bool = False) -> dict[str, Any]:
        """Return the family and the weight that draw `text`.

        A fallback need not have a bold face, and Matplotlib would log that it has none: its texts are never bold.
        """
        borrows = not self.borrowed.isdisjoint(text)
        own = MONO if mono and self.composed.isdisjoint(text) else SANS
        families = [*own, *(self.fallbacks if borrows else ())]
        return {"fontfamily": families, "fontweight": "bold" if bold and not borrows else "normal"}

    def width(self, text: str, size: float, mono: bool = False, bold: bool = False) -> float:
        """Measure a line of text, in points."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path

        style = self.style(text, mono, bold)
        font = FontProperties(family=style["fontfamily"], weight=style["fontweight"], size=size)
        return float(text_to_path.get_text_width_height_descent(text, font, False)[0])


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Find the fonts that `texts` need.

    Parameters
    ----------
    texts : iterable of str
        Everything that is written on the picture.

    Returns
    -------
    Fonts
        With the fewest fallbacks, in their order.
    """
    written = frozenset(character for character in "".join(texts) if not character.isspace())
    # NUL and its like may be in a font, but no picture as XML may hold them.
    invisible = frozenset(character for character in written if unicodedata.category(character) in ("Cc", "Cs"))
    composed = frozenset(letter for letter in written - _characters(MONO[0]) if _has_accent(letter))
    lacking = missing = written.difference(*map(_characters, MONO)) | invisible
    fallbacks = []
    for family in FALLBACKS if lacking else ():
        found = (missing - invisible) & _characters(family)
        if found:
            fallbacks.append(family)
            missing -= found
    return Fonts(tuple(fallbacks), lacking - missing, composed, missing)


def _has_accent(letter: str) -> bool:
    parts = unicodedata.decomposition(letter)
    return bool(parts) and not parts.startswith("<")


@cache
def _characters(family: str) -> frozenset[str]:
    """List the characters of a family; none if it is not installed."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    if family not in fontManager.get_font_names():
        return frozenset()
    path = findfont(FontProperties(family=[family]), fallback_to_default=False)
    return frozenset(map(chr, get_font(path).get_charmap()))


def left_to_right(text: str) -> str:
    """Keep every line in the order of the page: names in Arabic or Hebrew turn round, not what stands beside them."""
    return "\n".join(map(_line_from_left, text.split("\n")))


def _line_from_left(line: str) -> str:
    turned = RIGHT_TO_LEFT.sub(lambda name: name.group() + MARK, line)
    return line if turned == line else MARK + turned


def broken(text: str, room: float, fonts: Fonts, size: float, *, mono: bool = False, bold: bool = False) -> list[str]:
    """Break `text` into lines of at most `room` points, between words, and within a word that is wider than a line.

    Parameters
    ----------
    text : str
        One paragraph.
    room : float
        Width of a line in points.
    fonts : Fonts
        What it is drawn with.
    size : float
        Size in points.
    mono, bold : bool
        Whether it is monospace, and bold.

    Returns
    -------
    list of str
        The lines; none of an empty text.
    """

    def width(part: str) -> float:
        return fonts.width(part, size, mono, bold)

    words = [word for word in BLANKS.split(text) if word]
    whole = " ".join(words)
    if width(whole) <= SPARE * room:
        return [whole] if words else []
    blank = width(" ")
    # The line that is being filled is measured by its words, each once.
    lines: list[str] = []
    filled = SPARE * room
    for word in words:
        own = width(word)
        filled += blank + own
        if filled <= SPARE * room:
            lines[-1] += f" {word}"
        elif own <= SPARE * room:
            lines.append(word)
            filled = own
        else:
            lines[-1:] = _cut(" ".join([*lines[-1:], word]), lambda line: width(line) <= SPARE * room)
            filled = width(lines[-1])
    return lines


def _cut(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break `text` between any two letters, behind a hyphen if there is one in the second half of the line."""
    lines = [""]
    for character in text:
        # An accent or vowel sign stays with its letter.
        if lines[-1] and unicodedata.category(character)[0] != "M" and not fits(lines[-1] + character):
            full = lines[-1]
            hyphen = 1 + max(full.rfind(mark) for mark in HYPHENS)
            at = hyphen if 2 * hyphen > len(full) else len(full)
            lines[-1:] = [full[:at], full[at:]]
        lines[-1] += character
    return lines
