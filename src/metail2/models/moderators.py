"""What a moderator holds: numbers, truth values or the levels of a factor; new data must hold the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.errors import ModelError
from metail2.wording import listed, some

NUMBERS, TRUTH, TEXT = "numbers", "True or False", "text"
DATES, DURATIONS, COMPLEX = "dates", "durations", "complex numbers"
KINDS = (
    (str, TEXT), (bool | np.bool_, TRUTH), (date | np.datetime64, DATES), (timedelta | np.timedelta64, DURATIONS),
    (Real | Decimal, NUMBERS), (complex | np.complexfloating, COMPLEX),
)  # fmt: skip
"""Kinds of values by their types; the first that fits (a bool is a number to Python, a duration to NumPy)."""
MOST_LEVELS = 10
"""So many levels are listed in a message, and the others counted."""


@dataclass(frozen=True)
class Moderator:
    """What a fit remembers of a column that its formula names.

    Attributes
    ----------
    kind : str
        What its values are: `NUMBERS`, `TRUTH`, `TEXT`, or another kind if the column is categorical.
    is_factor : bool
        Whether the column itself is a factor: text, or a categorical.
    levels : tuple
        Values in the fit, in the order of the levels, if the column is a factor or stands in a ``C()``; else empty.
    """

    kind: str = NUMBERS
    is_factor: bool = False
    levels: tuple[Any, ...] = ()

    def values(self, name: str, column: pd.Series) -> pd.Series:
        """New values (none missing) as the encoding of the fit reads them, or raise naming the first wrong row."""
        plain = _plain(column)
        for row, kind in enumerate(_kinds(plain), 1):
            if kind != self.kind:
                raise ModelError(
                    f"{name!r} {self._holds} in the fit, but the new data hold {kind} ({_shown(plain.iloc[row - 1])} "
                    f"in row {row}); give {self.kind}."
                )
        plain = _converted(plain, self.kind)
        if self.levels:
            self._refuse_unseen(name, plain)
        return pd.Series(pd.Categorical(plain, categories=list(self.levels))) if self.is_factor else plain

    @property
    def _holds(self) -> str:
        return f"is a factor ({self._known})" if self.levels else f"holds {self.kind}"

    @property
    def _known(self) -> str:
        noun = "level" if len(self.levels) == 1 else "levels"
        return f"{noun} {some([_shown(level) for level in self.levels], MOST_LEVELS)}"

    def _refuse_unseen(self, name: str, plain: pd.Series) -> None:
        known = set(self.levels)
        for row, value in enumerate(plain.tolist(), 1):
            if value not in known:
                raise ModelError(
                    f"The new data cannot be encoded as the fit was: {name!r} is {_shown(value)} in row {row}, and "
                    f"the fit has only the {self._known}."
                )


def remembered(
    name: str, column: pd.Series, study: Sequence[str], has_levels: bool = False
) -> tuple[Moderator, pd.Series]:
    """What a fit remembers of a column, and its values as formulaic is to read them.

    Text and categoricals are factors, whose levels are those that occur; all else must be numbers, or True and False,
    of whatever dtype.

    Parameters
    ----------
    name : str
        Of the column.
    column : Series
        Values in the fit, none missing.
    study : sequence of str
        Labels of the rows.
    has_levels : bool
        Whether the formula makes levels of the values, even if they are numbers.

    Raises
    ------
    ModelError
        If the column holds values of several kinds, or dates and the like without being categorical.
    """
    plain = _plain(column)
    kind = _one_kind(name, plain, study)
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    if not is_categorical and kind not in (NUMBERS, TRUTH, TEXT):
        raise ModelError(
            f"The moderator {name!r} holds {kind} ({study[0]}: {_shown(plain.iloc[0])}); give numbers (of a date the "
            "year, for instance), text, or a categorical."
        )
    values = column.cat.remove_unused_categories() if is_categorical else _converted(plain, kind)
    is_factor = is_categorical or kind == TEXT
    if is_factor:
        values = pd.Series(pd.Categorical(values), index=column.index)
    levels = pd.Categorical(values).categories.tolist() if is_factor or has_levels else []
    return Moderator(kind, is_factor, tuple(levels)), values


def new_table(new: object) -> pd.DataFrame:
    """New data as a table: a DataFrame, or a mapping of columns; values that are single make one row."""
    if isinstance(new, pd.DataFrame):
        return new.reset_index(drop=True)
    if not isinstance(new, Mapping):
        raise ModelError(
            f"The new data are of type {type(new).__name__}; give a DataFrame, or columns by name, e.g. "
            "{'year': [1990, 2000]}."
        )
    single = len(new) > 0 and all(map(pd.api.types.is_scalar, new.values()))
    try:
        return pd.DataFrame(dict(new), index=[0] if single else None).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise ModelError(f"The new data must be columns of one length: {error}.") from None


def refuse_twins(columns: pd.Index, used: Sequence[str], whose: str) -> None:
    """Refuse names that stand for several columns."""
    if twins := [name for name in used if (columns == name).sum() > 1]:
        raise ModelError(f"{whose} have several columns called {listed(twins)}; leave one of each.")


def _plain(column: pd.Series) -> pd.Series:
    """Values of a categorical, none missing, as a plain column."""
    return column.astype(column.cat.categories.dtype) if isinstance(column.dtype, pd.CategoricalDtype) else column


def _kinds(plain: pd.Series) -> list[str]:
    """The kind of every value."""
    whole = TRUTH if plain.dtype.kind == "b" else NUMBERS if plain.dtype.kind in "iuf" else None
    if whole is not None:
        return [whole] * len(plain)
    types = [type(value) for value in plain]
    kinds = {one: _kind(one) for one in set(types)}
    return [kinds[one] for one in types]


def _kind(of: type) -> str:
    return next((kind for types, kind in KINDS if issubclass(of, types)), f"values of type {of.__name__}")


def _one_kind(name: str, plain: pd.Series, study: Sequence[str]) -> str:
    kinds = _kinds(plain)
    found = list(dict.fromkeys(kinds)) or [NUMBERS]
    if len(found) > 1:
        first = [kinds.index(kind) for kind in found]
        examples = "; ".join(f"{study[i]}: {_shown(plain.iloc[i])}" for i in first)
        raise ModelError(f"The moderator {name!r} holds {listed(found)} ({examples}); make its values of one kind.")
    return found[0]


def _converted(plain: pd.Series, kind: str) -> pd.Series:
    """Values of one kind as NumPy's own dtype for it; whole numbers stay whole, since levels are named by them."""
    if kind == NUMBERS and not _is_numpy_number(plain.dtype):
        return pd.Series(_numbers(plain), index=plain.index)
    return plain.astype(bool) if kind == TRUTH else plain.astype(object) if kind == TEXT else plain


def _is_numpy_number(dtype: object) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _numbers(plain: pd.Series) -> NDArray[Any]:
    found = np.array([int(value) if isinstance(value, Integral) else float(value) for value in plain])
    return found.astype(float) if found.dtype == object else found


def _shown(value: object) -> str:
    """A value as a message shows it: NumPy's numbers as Python's, and all but numbers in quotation marks."""
    plain = value.item() if isinstance(value, np.generic) else value
    return str(plain) if isinstance(plain, Number | Decimal) else repr(str(plain))
