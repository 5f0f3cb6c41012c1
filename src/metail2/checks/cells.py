"""Reading of a plain table: cells that are no figures, columns that are not understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
import pandas as pd

from metail2.checks.definition import Finding, Hit, describe, finding, found, of_comparisons
from metail2.checks.impossible import BOUND_OF_P
from metail2.checks.view import View
from metail2.checks.wide_views import known_columns
from metail2.effects.definition import Measure
from metail2.effects.measures import MEASURES
from metail2.records.mixed_lacks import instead_of
from metail2.wording import some

TEXT = describe(
    "M001", "error", "text where a number belongs",
    help="""A cell of a column of figures holds text: a decimal comma, two figures in one cell, a bound such as "<5", a
    typographic minus, a unit, a remark. The message says what it looks like. Nothing is converted on a guess, so the
    cell counts as no number until it is corrected. Write one figure a cell with a decimal point, and leave a cell empty
    where there is none.""",
)  # fmt: skip
INFINITE = describe(
    "M002", "error", "an infinite figure",
    help="""A cell holds inf or a number beyond what a computer can hold, as a division by zero in a spreadsheet or a
    slip in the exponent leaves behind. No effect can be computed from it. Give the printed figure, or leave the cell
    empty.""",
)  # fmt: skip
NO_LIMIT = describe(
    "M029", "note", "an interval without an end",
    help="""An estimate or a limit of its interval is printed as infinite, as programs do for exact intervals of a ratio
    whose table has an empty cell. It is true as it is printed, but it tells no standard error, so the row has no effect
    unless its counts are given. Nothing is to be corrected.""",
)  # fmt: skip
NO_LABEL = describe(
    "M003", "error", "a row without a study",
    help="""The column of study labels is empty in a row that holds figures. A result that cannot be named cannot be
    traced to its source, and pooling refuses it. Name the study; remove the row if it is a sum or a remark.""",
)  # fmt: skip
SAME_COLUMN = describe(
    "M005", "error", "two columns with one name",
    help="""The table has two columns of one name, so that it is not known which of them holds the figures; neither is
    read. Rename or remove one.""",
)  # fmt: skip
NOTHING = describe(
    "M006", "error", "a table without anything to check",
    help="""The table has no rows, or none of its columns has a name that metail2 knows, so that nothing could be
    checked. Name the columns as in the table of measures (``metail2 measures``), or say where they are:
    events1="tpos".""",
)  # fmt: skip
LOOKALIKE = describe(
    "M008", "note", "a column that may be meant",
    help="""A column was not read although its name resembles one that metail2 knows (Events1, sd_1, "mean 1", metafor's
    m1i), or its name is known but it holds nothing but words. Rename it if it is meant, or say where the figures are:
    mean1="m1i". Harmless if the column is something else.""",
)  # fmt: skip

NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
SPREADSHEET = r"#(?:DIV/0!|REF!|VALUE!|NAME\?|NUM!|N/A|NULL!)"
DATE = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}.*|[0-9]{{1,2}}[-./ ]{MONTH}(?:[-./ ][0-9]{{2,4}})?|{MONTH}[-./ ][0-9]{{1,4}}"
ABSENT = r"(?i)-+|–|—|\.+|\?+|n\.?[ar]\.?|n/r|none|null|missing|unknown|unclear|not \w+(?: \w+)?|<na>|no data"
BOUND = r"[<>≤≥]=? *\S+|(?i:n\.?s\.?)"
WORDED = r"[^0-9]*?(?P<first>[+-]?[0-9]+(?:\.[0-9]+)?)[^0-9¼½¾⅓⅔]*"
ANYTHING = r"(?s).*"
FORMS: tuple[tuple[str, str], ...] = (
    (r"\s*", "a blank; leave the cell empty"),
    (SPREADSHEET, "an error that a spreadsheet formula left; mend the formula"),
    (ABSENT, "which says that there is no figure; leave the cell empty"),
    (BOUND, "a bound and not a figure; find the figure, or leave the cell empty"),
    (DATE, "a date that a spreadsheet may have made of figures; write the figures"),
    (
        r"[+-]?[0-9]{1,3},[0-9]{3}",
        "whose comma may stand for thousands or for the decimal point; write it without a comma",
    ),
    (r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", "with commas for thousands; write {plain}"),
    (r"[+-]?[0-9]*,[0-9]+", "with a decimal comma; write {point}"),
    (r"[+-]?[0-9]*[·٫][0-9]+", "with a decimal point that is no full stop; write {point}"),
    (rf"[−–—] *{NUMBER}", "with a typographic minus; write {minus}"),
    (r"[+-]?[0-9]{1,3}(?:[ \u00a0\u2009\u202f'’][0-9]{3})+(?:\.[0-9]+)?", "with thousands set apart; write {plain}"),
    (rf"\s*(?P<first>{NUMBER})\s*", "with a blank that is no space; write {first}"),
    (rf"(?P<first>{NUMBER}) *%", "with a percent sign; write {first} in a column of percentages"),
    (rf"(?P<first>{NUMBER})[*†‡§¶]+|(?P<_first>{NUMBER})[a-d]", "with a mark of a footnote; write {first}"),
    (
        r"(?s)[^0-9]*[0-9]+(?:\.[0-9]+)?(?![0-9.])[^0-9]+[0-9].*",
        "several figures in one cell; give each a cell of its own",
    ),
    (WORDED, "a figure with words; write {first} if that is the figure"),
    (ANYTHING, "which is not a number; correct it or leave the cell empty"),
)
"""What whole cells look like that are no numbers, and what to do; the first that fits is told."""
WORDS_ONLY = {ABSENT, WORDED, ANYTHING}
"""What the cells of a column look like that holds something else than the figures that its name promises."""

OTHER_NAMES: Mapping[str, str] = {
    "m1i": "mean1", "sd1i": "sd1", "n1i": "n1", "m2i": "mean2", "sd2i": "sd2", "n2i": "n2",
    "ai": "events1", "ci": "events2", "x1i": "events1", "x2i": "events2", "t1i": "time1", "t2i": "time2",
    "mi": "mean", "sdi": "sd", "ni": "n", "xi": "events", "ti": "time", "ri": "r",
    "cilower": "ci_lower", "ciupper": "ci_upper", "cilow": "ci_lower", "cihigh": "ci_upper", "lci": "ci_lower",
    "uci": "ci_upper", "lcl": "ci_lower", "ucl": "ci_upper", "pvalue": "p", "pval": "p",
}  # fmt: skip
"""Names in other programs' words, small letters without signs → metail2's."""

INTERVAL = ("estimate", "ci_lower", "ci_upper", "hr")
"""What is printed as infinite where the interval has no end."""
ESTIMATES = ("estimate", "yi", "mean_change", "hr", "log_hr")
PRECISIONS = ("vi", "sei", "se", "p", "t", "ci_upper")


def reading_findings(table: pd.DataFrame, view: View, study: str | None) -> Iterator[Finding]:
    """Find what keeps a plain table from being read.

    Parameters
    ----------
    table : DataFrame, k rows
        As it was given.
    view : View
        Its comparisons.
    study : str or None
        Column of study labels; None for ``study``.

    Yields
    ------
    Finding
        M001 to M003, M005, M006 and M008.
    """
    with np.errstate(all="ignore"):
        for hit in (*_text(view), *_infinite(view)):
            yield finding(view, hit)
    yield from _unnamed(table, view, study)
    yield from _same_columns(table, view)
    if len(view) == 0 or not view.cells:
        why = "has no rows" if len(view) == 0 else f"has no column that metail2 knows, but {_columns(table)}"
        yield found(NOTHING, f"the table {why}, so nothing was checked; name the columns as metail2 does",
                    file=view.file)  # fmt: skip
    yield from _lookalikes(table, view, study)


def _columns(table: pd.DataFrame) -> str:
    return some([str(name) for name in table.columns]) or "no columns at all"


# ---------------------------------------------------------------- cells


def _text(view: View) -> Iterator[Hit]:
    """Cells that are no numbers; a column of words that the measure does not need is told once."""
    needed = {name for names in view.measure.family.columns for name in names} if view.measure else set()
    for quantity, cells in view.cells.items():
        wrong = np.flatnonzero(np.isnan(cells.value) & (cells.printed != ""))
        forms = [_form(view.text(at, quantity)) for at in wrong.tolist()]
        if len(wrong) and quantity not in needed and np.isnan(cells.value).all() and set(forms) <= WORDS_ONLY:
            yield Hit(LOOKALIKE, int(wrong[0]), quantity, (
                f"holds words only ({view.text(int(wrong[0]), quantity)!r} here), so it was not read as metail2's "
                f"{quantity!r}; rename it, or write figures"
            ))  # fmt: skip
            continue
        for at, form in zip(wrong.tolist(), forms, strict=True):
            text = view.text(at, quantity)
            if quantity != "p" or form != BOUND:  # which `_bounds_of_p` judges
                yield Hit(TEXT, at, quantity, f"holds {_short(text)!r}, {_told(text, form)}")


def _form(text: str) -> str:
    return next(form for form, _ in FORMS if re.fullmatch(form, text))


def _told(text: str, form: str) -> str:
    """Say what a cell looks like that is no number, and what to do."""
    match = re.fullmatch(form, text)
    groups = match.groupdict() if match else {}
    point = re.sub(r"[,·٫]", ".", text)
    return dict(FORMS)[form].format(
        plain=re.sub(r"[, \u00a0\u2009\u202f'’]", "", text),
        point=re.sub(r"^([+-]?)\.", r"\g<1>0.", point),
        minus="-" + text[1:].strip(),
        first=groups.get("first") or groups.get("_first"),
    )


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _infinite(view: View) -> Iterator[Hit]:
    for quantity, cells in view.cells.items():
        for at in np.flatnonzero(np.isinf(cells.value)).tolist():
            if quantity in INTERVAL and re.fullmatch(r"[+-]?(?i:inf|infinity)", view.text(at, quantity)):
                yield Hit(NO_LIMIT, at, quantity, f"is {view.text(at, quantity)}, so that no standard error can be had "
                          "from this interval; use the counts, if they are printed")  # fmt: skip
                continue
            yield Hit(INFINITE, at, quantity, f"is {_short(view.text(at, quantity))}, which is not finite; give the "
                      "printed figure, or leave the cell empty")  # fmt: skip


@of_comparisons
def _bounds_of_p(view: View) -> Iterator[Hit]:
    """Bounds of P in rows whose effect could be had from nothing but P."""
    if "p" not in view:
        return
    cells = view.cells["p"]
    texts = pd.Series(cells.printed, dtype=object).astype(str)
    bounds = (cells.value == 0) | (np.isnan(cells.value) & texts.str.fullmatch(BOUND).to_numpy(dtype=bool))
    ways = _ways_without_p(view) if bounds.any() else []
    for at in np.flatnonzero(bounds).tolist():
        if not _needs_p(view, ways, at):
            continue
        verb = "is" if cells.value[at] == 0 else "holds"
        yield Hit(BOUND_OF_P, at, "p", (
            f"{verb} {_short(view.text(at, 'p'))!r}, a bound, but this row's effect or its standard error could be had "
            "from nothing but P; look for the exact P, the test statistic or the interval"
        ))  # fmt: skip


def _ways_without_p(view: View) -> list[tuple[Measure, tuple[str, ...]]]:
    """Sets of columns that an effect can be computed from and that the table has, or has others for instead."""
    measures = MEASURES.values() if view.measure is None else (view.measure,)
    ways = {way: measure for measure in measures for way in measure.family.columns if "p" not in way}
    return [(measure, way) for way, measure in ways.items() if all(_had(view, measure, name) for name in way)]


def _had(view: View, measure: Measure, name: str, at: int | None = None) -> bool:
    """Whether a figure of a row (or a column of it), or others that it may be had from, are given without P."""
    options = ((name,), *instead_of(measure, name))
    return any(all(_given(view, other, at) for other in names) for names in options if "p" not in names)


def _given(view: View, name: str, at: int | None) -> bool:
    """Whether there is a figure in a row, or a column of it."""
    return name in view and (at is None or not np.isnan(view[name][at]))


def _needs_p(view: View, ways: list[tuple[Measure, tuple[str, ...]]], at: int) -> bool:
    """Whether a row has half an effect: an estimate without its precision, means without SDs, a direction."""
    if any(all(_had(view, measure, name, at) for name in way) for measure, way in ways):
        return False
    if all(_given(view, name, at) for name in ("mean_post", "sd_post", "mean_pre", "sd_pre")):
        return False  # a correlation can be assumed
    estimate = any(_given(view, name, at) for name in ESTIMATES)
    if estimate and any(_given(view, name, at) for name in PRECISIONS if name != "p"):
        return False
    halves = (("mean1", "mean2"), ("mean_post", "mean_pre"), ("direction",))
    return estimate or any(all(_given(view, name, at) for name in half) for half in halves)


# ---------------------------------------------------------------- rows and columns


def _unnamed(table: pd.DataFrame, view: View, study: str | None) -> Iterator[Finding]:
    column = study or "study"
    if column not in table.columns:
        return
    for at, label in enumerate(view.labels["study"]):
        row, _ = view.place(at, "") if not str(label).strip() else (None, "")
        if row is not None:
            yield found(NO_LABEL, "is empty; name the study", file=view.file, row=row, column=column)


def _same_columns(table: pd.DataFrame, view: View) -> Iterator[Finding]:
    for name in [] if table.columns.is_unique else table.columns[table.columns.duplicated()].unique():
        yield found(SAME_COLUMN, "stands twice in the table, so it was not read; rename or remove one",
                    file=view.file, column=str(name))  # fmt: skip


def _lookalikes(table: pd.DataFrame, view: View, study: str | None) -> Iterator[Finding]:
    read = {str(column) for cells in view.cells.values() for column in cells.column[:1]} | set(view.labels.columns)
    columns = list(dict.fromkeys(map(str, table.columns)))
    names = {**OTHER_NAMES, **_plain_names(known_columns(view.measure))}
    if study is None and "study" not in columns:
        names["study"] = "study"
    if "ai" not in map(_plain, columns):
        del names["ci"]  # an interval then, and no count
    for column in columns:
        meant = names.get(_plain(column))
        if meant not in (None, column) and meant not in view and column not in read:
            says = f"was not read, but may be metail2's {meant!r}; rename it, or give {meant}={column!r}"
            yield found(LOOKALIKE, says, file=view.file, column=column)


@cache
def _plain_names(known: tuple[str, ...]) -> Mapping[str, str]:
    """Plain spelling → metail2's name; of names of one letter only n and p."""
    return {_plain(name): name for name in known if len(name) > 1 or name in "np"}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()
