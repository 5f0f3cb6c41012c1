"""Which known columns of a plain table are read: a name such as ``n``, ``level`` or ``d`` may mean something else.

A quantity is read where the table also has what it is used with. Else a column of levels of evidence, of follow-up in
months or of domains of bias, which happens to have a name that metail2 knows, would be accused of being impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from metail2.checks.view import Cells
from metail2.effects.measures import MEASURES, Measure
from metail2.records.mixed_lacks import may_be_had

CELLS = ("a", "b", "c", "d")
COUNTS = ("events1", "n1", "events2", "n2")
TWO_ARMS = frozenset({"events1", "events2", "mean1", "mean2", "median1", "median2", "percent1", "percent2"})
ONE_GROUP = frozenset({"mean", "median", "events", "percent", "mean_change", "mean_pre", "mean_post", "median_pre",
                       "median_post"})  # fmt: skip
EFFECTS = frozenset({"estimate", "hr", "log_hr", "yi"})
SIZES = frozenset({"n", "n1", "n2"})
PRIVATE = ("auc", "alpha", "items", "r2", "predictors", "aa", "ab", "bb")
"""Quantities of one kind of data, which are no further figures beside those of two arms."""


@dataclass(frozen=True, slots=True)
class Table:
    """What decides whether a column is read.

    Attributes
    ----------
    names : collection of str
        metail2's names of the columns of the table.
    measure : Measure or None
        The measure, if one was asked for.
    designed : bool
        Whether a column says of which design each study is, so that a correlation belongs to it.
    """

    names: Collection[str]
    measure: Measure | None
    designed: bool

    def any(self, *names: str) -> bool:
        """Whether one of some columns is there."""
        return any(name in self.names for name in names)

    def all(self, *names: str) -> bool:
        """Whether all of some columns are there."""
        return all(name in self.names for name in names)

    def whole_set(self, name: str) -> bool:
        """Whether some measure can be computed from a set of columns that is all there and holds `name`."""
        if self.measure is not None:
            return False
        ways = {way for entry in MEASURES.values() for way in entry.family.columns if name in way}
        return any(self.all(*way) for way in ways)

    @property
    def two_arms(self) -> bool:
        """Whether there are raw figures of two arms."""
        return self.any(*TWO_ARMS)

    @property
    def effect(self) -> bool:
        """Whether the effect itself is printed, or is a difference of printed means."""
        return self.measure is not None and may_be_had(self.measure, "yi", self.names)

    @property
    def figures(self) -> bool:
        """Whether there is an effect, or raw figures of one could be had from."""
        return self.any(*EFFECTS, *TWO_ARMS, *ONE_GROUP, *SIZES, *CELLS)


Rule = Callable[[Table], bool]


def _private(name: str) -> Rule:
    return lambda table: table.whole_set(name) and not table.two_arms


def _with(*names: str) -> Rule:
    return lambda table: table.any(*names)


RULES: Mapping[str, Rule] = {
    **{name: _private(name) for name in PRIVATE},
    **{name: lambda table: table.all(*CELLS) and not table.two_arms and table.measure is None for name in "abc"},
    "d": lambda table: (table.all(*CELLS) and not table.two_arms) or (table.any(*SIZES) and not table.any(*"abc")),
    "n": lambda table: table.any(*ONE_GROUP) or (
        not table.two_arms and (table.any(*EFFECTS) or any(table.whole_set(name) for name in ("r", "t", "p", *PRIVATE)))
    ),
    "r": lambda table: table.designed or table.any("mean_pre", "mean_post") or (
        table.whole_set("r") and not table.two_arms
    ),
    "level": lambda table: any(name.endswith(("_lower", "_upper")) for name in table.names),
    "direction": lambda table: table.any("f", "p") and table.any(*SIZES) and not table.any("events1", "events", *CELLS),
    "f": _with("direction"),
    "vi": lambda table: table.any("mean", "mean_change", *EFFECTS) or table.effect,
    "sei": lambda table: table.any(*EFFECTS) or table.effect,
    "v": _with("o_minus_e"),
    "o_minus_e": _with("v"),
    "hr": lambda table: table.measure is None and table.any("ci_lower", "ci_upper", "p", "se"),
    "log_hr": lambda table: table.measure is None and table.any("se", "ci_lower", "p"),
    "se": lambda table: table.any("mean", "median", "d", "g", *EFFECTS) or table.effect,
    "p": lambda table: table.figures,
    "t": lambda table: table.figures,
    "g": _with(*SIZES),
    "percent": _with("n"),
    "time": lambda table: table.any("events") and not table.any("n") and table.measure is None,
    **{f"time{arm}": lambda table: table.measure is None and table.all("events1", "time1", "events2", "time2")
       for arm in "12"},
    **{name: lambda table: table.any("mean_change") or table.all("mean_post", "mean_pre")
       for name in ("sd_change", "se_change")},
}  # fmt: skip
"""Quantity → what must be there for it to be read; all others always are, and so are those of the measure."""


def relevant(
    cells: Mapping[str, Cells], given: Collection[str], measure: Measure | None, designed: bool
) -> dict[str, Cells]:
    """Choose the columns that are read.

    Parameters
    ----------
    cells : mapping of str to Cells
        Every column that has a known name.
    given : collection of str
        Names that the caller has given to columns; these always count.
    measure : Measure or None
        The measure, if one was asked for; the columns that it is computed from count.
    designed : bool
        Whether a column says of which design each study is.

    Returns
    -------
    dict of str to Cells
        The cells a to d are empty in rows where counts of events and patients stand, which come before them.
    """
    own = {name for way in measure.family.columns for name in way} if measure else set()
    used = {name for name in cells if name in own | set(given) or name not in RULES}
    while True:  # what is used with a column that is not read is not read either
        table = Table([name for name in cells if name in used or name in RULES], measure, designed)
        left = {name for name in table.names if name in used or RULES[name](table)}
        if left == set(cells):
            break
        cells = {name: cell for name, cell in cells.items() if name in left}
    cells = {name: cell for name, cell in cells.items() if name in given or not _is_code(name, cell, cells)}
    return _cells_where_needed(cells, given)


def _is_code(name: str, column: Cells, others: Collection[str]) -> bool:
    """Whether a column holds codes: an indicator (0 or 1), a grade (1 to 5), a level of evidence (2b)."""
    known = column.value[~np.isnan(column.value)]
    if name == "level":
        return not bool((((known > 0) & (known < 1)) | ((known >= 50) & (known < 100))).any())
    if name == "p" or (name == "estimate" and not {"se", "ci_lower", "ci_upper"} & set(others)):
        printed = set(column.printed.tolist()) - {""}
        return len(printed) > 1 and all(len(text) == 1 and text.isdigit() for text in printed)
    return False


def _cells_where_needed(cells: dict[str, Cells], given: Collection[str]) -> dict[str, Cells]:
    if not all(name in cells for name in (*COUNTS, *CELLS)) or set(given) & set(CELLS):
        return cells
    taken = ~np.any([np.isnan(cells[name].value) for name in COUNTS], axis=0)
    if taken.all():
        return {name: cell for name, cell in cells.items() if name not in CELLS}
    return cells | {name: _emptied(cells[name], taken) for name in CELLS}


def _emptied(column: Cells, rows: np.ndarray) -> Cells:
    return replace(column, value=np.where(rows, np.nan, column.value), printed=np.where(rows, "", column.printed))
