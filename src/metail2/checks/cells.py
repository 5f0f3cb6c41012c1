"""Reading of a plain table: cells that are no figures, columns that are not understood, effects that are missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.checks.definition import Finding, Hit, describe, finding, found, of_comparisons
from metail2.checks.impossible import BOUND_OF_P
from metail2.checks.view import Floats, View
from metail2.checks.wide_views import arm_column, known_columns
from metail2.effects.compute import computed
from metail2.effects.counts import ZeroCells
from metail2.effects.definition import Measure
from metail2.effects.effect_sizes import LARGEST
from metail2.effects.measures import MEASURES
from metail2.effects.reasons import undefined_reasons
from metail2.errors import EffectSizeError
from metail2.records.mixed_columns import ESTIMATE_IS, TESTS, has_estimates, has_null
from metail2.wording import listed, some

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
NO_COLUMNS = describe(
    "M004", "error", "columns missing for the measure",
    help="""The table does not have the columns that the measure is computed from; the message names the set of columns
    of which most are there, and what is missing from it. Name the columns so, or say where they are:
    events1="tpos".""",
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
NO_EFFECT = describe(
    "M007", "warning", "an effect that cannot be computed",
    help="""The effect of a row, or its variance, cannot be computed: a figure is missing and nothing printed beside it
    (a standard error, an interval, a median with its quartiles, a percentage, an estimate with its precision) can stand
    for it; or all are there but one of the two is not defined, as a ratio of means of opposite sign or the variance of
    a proportion of 0. What cannot be computed is NaN in the table, and the row is left out of a pool, with a warning.
    Look for the missing figure. Rows in which an error was found are not named again.""",
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

STANDS_FOR: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "sd": (("se",), ("mean_lower", "mean_upper"), ("q1", "q3"), ("min", "max")),
    "mean": (("median",), ("q1", "q3"), ("min", "max")),
    "events": (("percent",),),
}
"""A quantity of an arm → sets of others, each of which it can be had from."""
MEANS_OF_CHANGE = ("mean_post", "mean_pre")
"""What a mean change can be had from."""
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
        M001 to M006 and M008.
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
    elif view.measure is not None:
        yield from _missing_columns(view, view.measure)
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


def _ways_without_p(view: View) -> list[tuple[str, ...]]:
    """Sets of columns that an effect can be computed from and that the table has, or has substitutes for."""
    measures = MEASURES.values() if view.measure is None else (view.measure,)
    ways = dict.fromkeys(way for measure in measures for way in measure.family.columns if "p" not in way)
    return [way for way in ways if all(name in view or _stand_ins(view, name) for name in way)]


def _needs_p(view: View, ways: list[tuple[str, ...]], at: int) -> bool:
    """Whether a row has half an effect: an estimate without its precision, means without SDs, a direction."""
    if any(all(_given(view, name, at) or _stand_ins(view, name, at) for name in way) for way in ways):
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


def _missing_columns(view: View, measure: Measure) -> Iterator[Finding]:
    """Say which columns are missing from the set of the measure that is nearest to being there."""
    ways = measure.family.columns
    if any(all(name in view for name in names) for names in ways) or _has_estimates(view, measure):
        return
    takes_changes = any("mean_change" in names for names in ways)
    if takes_changes and "mean_change" in view and any(name in view for name in PRECISIONS):
        return  # each row tells what its spread comes from
    known = {name for names in ways for name in names if name in view or _stand_ins(view, name)}
    nearest = max(ways, key=lambda names: len(known.intersection(names)) / len(names))
    missing = [name for name in nearest if name not in known]
    if missing:
        yield found(NO_COLUMNS, (
            f"{measure.code} needs the columns {' '.join(nearest)}, but {listed(missing)} "
            f'{"is" if len(missing) == 1 else "are"} missing; name a column so, or give {missing[0]}="its name"'
        ), file=view.file)  # fmt: skip


def _has_estimates(view: View, measure: Measure, at: int | None = None) -> bool:
    """Whether an estimate of the measure's own is printed with its precision (in a row, or somewhere)."""
    own = [ESTIMATE_IS[measure.code]] if measure.code in ESTIMATE_IS else []
    names = ["yi", "estimate", *own] if has_estimates(measure) else ["yi"]
    tells = ("vi", "sei", "se", *(TESTS if has_null(measure) else ()))
    precise = any(_given(view, name, at) for name in tells)
    precise = precise or all(_given(view, name, at) for name in ("ci_lower", "ci_upper"))
    return precise and any(_given(view, name, at) for name in names)


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


# ---------------------------------------------------------------- effects


def uncomputed(view: View, faulty: Collection[int]) -> Iterator[Finding]:
    """Find rows of a plain table whose effect cannot be computed although no error was found in them.

    Parameters
    ----------
    view : View
        Comparisons, with what could be recomputed.
    faulty : collection of int
        Rows of the file in which errors were found.

    Yields
    ------
    Finding
        M007.
    """
    if view.measure is None or not len(view):
        return
    ways = [
        names for names in view.measure.family.columns if all(name in view or _stand_ins(view, name) for name in names)
    ]
    rows = next(iter(view.cells.values())).row if view.cells else np.empty(0)
    lost = np.isnan(view.computed["vi"]) | _too_far(view.computed["yi"], view.computed["vi"])
    for at in np.flatnonzero(lost & ~np.isin(rows, list(faulty))).tolist() if ways else ():
        says = _why(view, view.measure, ways, at)
        if says:
            yield finding(view, Hit(NO_EFFECT, at, "", says))


def _why(view: View, measure: Measure, ways: list[tuple[str, ...]], at: int) -> str:
    """Say why a row has no effect; empty if it has one, or can have one from other figures."""
    whole = [names for names in ways if all(_given(view, name, at) for name in names)]
    if whole:
        return _undefined(view, measure, whole[0], at)
    if _has_estimates(view, measure, at):
        return ""
    missing = [[n for n in names if not _given(view, n, at) and not _stand_ins(view, n, at)] for names in ways]
    fewest = min(missing, key=len)
    advice = "look it up" if len(fewest) == 1 else "look them up"
    return f"has {_nothing_in(view, fewest, at)}, so its {measure.name} cannot be computed; {advice}" if fewest else ""


def _nothing_in(view: View, names: list[str], at: int) -> str:
    """Name the columns that lack a figure, or, where there is no such column, those that would stand for it."""
    places = [place for name in names for place in ([name] if name in view else _stand_ins(view, name))]
    places = [place for place in places if not _given(view, place, at)]
    columns = [repr(str(view.cells[place].column[0])) for place in dict.fromkeys(places)]
    return f"no figure{'s'[: len(columns) > 1]} in column{'s'[: len(columns) > 1]} {listed(columns)}"


def _undefined(view: View, measure: Measure, names: tuple[str, ...], at: int) -> str:
    inputs: dict[str, Floats] = {name: view[name][at : at + 1] for name in names}
    try:
        with np.errstate(all="ignore"):
            yi, vi = computed(measure, inputs, ZeroCells(), None, ("",))
    except EffectSizeError as error:
        return f"has no {measure.name}: {str(error).removeprefix(': ').rstrip('.')}"
    figures = ", ".join(f"{name} {view.text(at, name)}" for name in names)
    if not (np.isnan(vi) | _too_far(yi, vi)).any():
        return ""
    too_far = "they are too large or too small, as after a slip in an exponent"
    reason = undefined_reasons(measure, inputs, ZeroCells(), yi, vi).get(0, too_far)
    lost = f"no {measure.name} can be computed"
    if np.isfinite(yi).all() and not _too_far(yi, np.ones(1)).any():
        lost = f"the {measure.name} can be computed, but not its variance"
    says = f"has figures ({figures}) from which {lost}: {reason}"
    return f"{says}; check them, or choose another measure"


def _too_far(yi: Floats, vi: Floats) -> NDArray[np.bool_]:
    """Effects that `EffectSizes` refuses, because a fit could not compute with them."""
    return np.asarray((np.abs(yi) > LARGEST) | (vi > LARGEST) | (vi < 1 / LARGEST))


def _given(view: View, name: str, at: int | None) -> bool:
    """Whether there is a figure in a row, or a column of it."""
    return name in view and (at is None or not np.isnan(view[name][at]))


def _stand_ins(view: View, name: str, at: int | None = None) -> list[str]:
    """Find other figures (of a row, or columns of the table) that harmonise puts in a quantity's place; else none."""
    match = re.fullmatch(r"(sd|mean|events)(1|2|_post|_pre|_change|)", name)
    if match is None:
        return []
    sets = [[arm_column(other, match[2]) for other in others] for others in STANDS_FOR[match[1]]]
    sets += [[*MEANS_OF_CHANGE]] if name == "mean_change" else []
    return next((names for names in sets if all(_given(view, n, at) for n in names)), [])
