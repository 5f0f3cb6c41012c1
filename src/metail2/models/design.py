"""Design matrices from formulas: data, never code."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import MetailWarning, ModelError
from metail2.kernels.wls import reciprocal_condition
from metail2.models.moderators import Moderator, new_table, refuse_twins, remembered
from metail2.wording import listed, some

Floats = NDArray[np.float64]
NewData = pd.DataFrame | Mapping[str, Any]
"""Rows to predict: a table, or columns by name."""

FUNCTIONS = ("log", "sqrt", "center", "poly", "bs", "cr", "C")
"""What a formula may call; bs and cr are B-splines and natural cubic splines."""

COLLINEAR = 1e-10
"""Ratio of the singular values of a design with columns of length 1 below which they cannot be told apart."""
LEAST_CONDITION = 1e-6
"""Reciprocal condition below which the singular values are looked at; the two differ by no more than the factor p."""
MOST_POWER = 9
"""Powers above this are refused: they serve no meta-regression, and huge ones never end."""

_HARMLESS = (
    ast.Expression, ast.Name, ast.Load, ast.Call, ast.keyword, ast.Constant, ast.BinOp, ast.UnaryOp, ast.USub,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.List, ast.Tuple,
)  # fmt: skip


_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SUM = re.compile(rf" *(?:([01]) *\+ *)?({_NAME}(?: *\+ *{_NAME})*) *")
"""A sum of names, the commonest formula; 0 or 1 may stand first."""


_QUOTED = re.compile(r"""('[^']*'|"[^"]*")|`([^`]*)`""")
"""A text, or the name of a column in backticks."""
_PLAIN = Moderator()


@dataclass(frozen=True)
class _Names:
    """Names in a formula: columns, those that stand in a C(), those that are computed with, and functions."""

    used: list[str] = field(default_factory=list)
    levels: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Design:
    """A design matrix and how it was encoded.

    Attributes
    ----------
    x : ndarray, shape (k, p)
        Rows that have all moderators.
    terms : tuple of str
        Names of the columns.
    complete : ndarray of bool
        Which of the rows given have all moderators.
    spec : formulaic ModelSpec, or None
        None for the intercept alone, and for a sum of plain columns.
    columns : str, or None
        The formula, where it is a sum of plain columns: their encoding remembers nothing of the data.
    moderators : mapping of str to Moderator
        What the columns that the formula names hold in the fit.
    """

    x: Floats
    terms: tuple[str, ...]
    complete: NDArray[np.bool_]
    spec: Any = None
    columns: str | None = None
    moderators: Mapping[str, Moderator] = field(default_factory=dict)

    @cached_property
    def encoding(self) -> Any:
        """A formulaic ModelSpec, which encodes new data identically; None for the intercept alone."""
        if self.columns is None:
            return self.spec
        from formulaic import model_matrix

        data = pd.DataFrame(self.x[:1], columns=list(self.terms))
        return model_matrix(self.columns, data, context=_context(), na_action="ignore").model_spec

    @property
    def has_intercept(self) -> bool:
        """Whether one column is the intercept."""
        return "intercept" in self.terms

    def encode(self, new: NewData) -> Floats:
        """Design rows for `new`, encoded as the fit was; shape (rows, p).

        Parameters
        ----------
        new : DataFrame or mapping
            Every column that the formula names, holding the kind of values that it holds in the fit: for a factor its
            levels. Columns by name will do, and single values make one row.

        Raises
        ------
        ModelError
            If a column or a value is missing, a value is of another kind or a level that the fit has not, or the
            formula has no finite value in a row.
        """
        table = new_table(new)
        if self.encoding is None:
            return np.ones((len(table), 1))
        data = self._new_values(table)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # formulaic only warns of a category that the fit has not seen
                warnings.simplefilter("ignore", RuntimeWarning)  # a value that is not finite is refused below
                x = self.encoding.get_model_matrix(data, context=_context(), na_action="ignore")
        except Exception as error:  # whatever formulaic and the functions of the formula raise
            raise ModelError(f"The new data cannot be encoded as the fit was: {_first_line(error)}") from error
        rows = np.asarray(x, dtype=float)
        wrong = ~np.isfinite(rows).all(axis=1)
        if wrong.any():
            raise ModelError(f"The formula has no finite value in row {int(np.argmax(wrong)) + 1} of the new data.")
        return rows

    def _new_values(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns that the formula names, or raise unless they hold what they hold in the fit."""
        used = sorted(self.moderators)
        refuse_twins(table.columns, used, "The new data")
        if missing := [name for name in used if name not in table.columns]:
            columns, need = ("column", "it") if len(missing) == 1 else ("columns", "them")
            raise ModelError(f"The new data lack the {columns} {listed(missing)}; the formula needs {need}.")
        if (empty := table[used].isna().to_numpy()).any():
            row, column = np.argwhere(empty)[0]
            raise ModelError(f"The new data lack {used[column]!r} in row {row + 1}; fill it in or leave the row out.")
        values = {name: self.moderators[name].values(name, table[name]) for name in used}
        return pd.DataFrame(values, index=table.index)


@lru_cache(maxsize=64)
def intercept_design(k: int) -> Design:
    """Design of a pooled mean of k effects; read-only, and of no size in memory."""
    return Design(np.broadcast_to(1.0, (k, 1)), ("intercept",), np.broadcast_to(True, k))


def formula_design(formula: str, effects: EffectSizes, rows: NDArray[np.int64]) -> Design:
    """Encode the right-hand side of a formula.

    Parameters
    ----------
    formula : str
        E.g. ``"ablat + year"`` or ``"C(alloc) * center(year)"``; the intercept is implied, ``0 +`` leaves it out.
    effects : EffectSizes
        Its moderators are the columns that the formula may name.
    rows : ndarray of int
        Positions of the effects to encode, ascending; those that lack a moderator are left out with a warning.

    Raises
    ------
    ModelError
        If the formula names an unknown column or function, or holds anything but columns, numbers, operators and
        the functions in `FUNCTIONS`.
    """
    if (design := _sum_of_columns(formula, effects, rows)) is not None:
        _warn_incomplete(design.complete, effects, rows)
    else:
        data = effects.moderators.iloc[rows]
        parsed, names = _parsed(formula, data)
        refuse_twins(data.columns, names.used, "The moderators")
        complete = np.asarray(data[names.used].notna().all(axis=1), dtype=bool)
        _warn_incomplete(complete, effects, rows)
        study = [effects.study[i] for i in rows[complete]]
        design = _encoded(formula, parsed, data.loc[complete, names.used], study, names, complete)
    _refuse_not_finite(formula, design, effects, rows)
    return design


def _sum_of_columns(formula: str, effects: EffectSizes, rows: NDArray[np.int64]) -> Design | None:
    """Design of a sum of columns of plain numbers, else None.

    What formulaic makes of such a formula, in fifty times the time, are the columns as they are, each once.
    """
    found = _plain_sum(formula)
    if found is None:
        return None
    names, has_intercept = found
    columns = [effects.numbers(name) for name in names]
    x = np.ones((len(names) + has_intercept, len(rows)))
    for row, column in zip(x[int(has_intercept) :], columns, strict=True):
        if column is None:
            return None
        row[:] = column if len(rows) == len(column) else column[rows]
    terms = ("intercept", *names) if has_intercept else names
    complete = ~np.logical_or.reduce(np.isnan(x), 0)
    if not np.logical_and.reduce(complete):
        x = x[:, complete]
    return Design(x.T, terms, complete, columns=formula, moderators=dict.fromkeys(names, _PLAIN)) if x.size else None


@lru_cache
def _plain_sum(formula: str) -> tuple[tuple[str, ...], bool] | None:
    """Names of a sum of names, each once, and whether it has an intercept; None for any other formula."""
    found = _SUM.fullmatch(formula)
    if found is None:
        return None
    names = tuple(dict.fromkeys(re.findall(_NAME, found[2])))
    if any(keyword.iskeyword(name) or name.lower() == "intercept" for name in names):
        return None
    return names, found[1] != "0"


def _parsed(formula: str, data: pd.DataFrame) -> tuple[Any, _Names]:
    """Read a formula and return it with the names in it, or refuse it."""
    from formulaic import Formula

    if "~" in formula:
        raise ModelError(f"The formula {formula!r} has a left side; give the moderators only, e.g. 'ablat + year'.")
    if re.search(r"(?:^|[\s+*:/(-])\.(?:$|[\s+*:/)-])", formula):
        raise ModelError(f"The formula {formula!r} has a '.' for all columns; name the moderators one by one.")
    if any(int(power) > MOST_POWER for power in re.findall(r"(?:\*\*|\^)\s*\(?\s*(\d+)", formula)):
        raise ModelError(f"The formula {formula!r} has a power above {MOST_POWER}; use a smaller one.")
    try:
        parsed = Formula(formula)
        factors = [factor for term in parsed for factor in term.factors]
    except Exception as error:  # formulaic's parser, and formulas of several parts, raise many kinds
        reserved = [word for word in re.findall(_NAME, formula) if keyword.iskeyword(word) and word in data.columns]
        if reserved:
            raise ModelError(
                f"The formula {formula!r} cannot be read: {reserved[0]!r} is a word of the Python language, which may "
                "stand alone but not in a function; rename the column."
            ) from None
        raise ModelError(f"The formula {formula!r} cannot be read: {_first_line(error)}") from error
    names = _check_factors(formula, factors, data)
    _refuse_no_products(formula)
    if taken := [name for name in names.used if name.lower() == "intercept"]:
        raise ModelError(f"The formula {formula!r} names a column {taken[0]!r}, as the constant is called; rename it.")
    if both := [name for name in names.used if name in names.called]:
        raise ModelError(f"In the formula {formula!r}, {both[0]!r} is a column and a function; rename the column.")
    return parsed, names


def _refuse_no_products(formula: str) -> None:
    """Refuse ``x**2``, ``x*x``, ``1/x`` and ``x:2``: in a formula these signs join terms, and x alone would be left."""
    calls = re.compile(r"`[^`]*`|\{[^}]*\}|\w+\((?:[^()]|\([^()]*\))*\)")
    seen: dict[str, str] = {}
    outside = calls.sub(lambda call: seen.setdefault(_tight(call[0]), f"call_{len(seen)}"), formula)
    if found := re.search(rf"(?<![\w.])({_NAME})\s*(?:\*\*|\^)\s*(\d+)", outside):
        name = _original(found[1], seen)
        raise ModelError(
            f"In the formula {formula!r}, '{name}{found[0][len(found[1]) :]}' would be {name!r} alone; write "
            f"poly({name}, {found[2]}), or {{{name}**{found[2]}}} for the power."
        )
    for chain in re.findall(r"[\w.]+(?:\s*[*:/]\s*[\w.]+)+", outside):
        parts = re.split(r"\s*[*:/]\s*", chain)
        if len(set(parts)) < len(parts) or any(part[0].isdigit() for part in parts):
            written = re.sub(r"call_\d+", lambda call: _original(call[0], seen), chain)
            arithmetic = written.replace(":", "*")
            raise ModelError(
                f"In the formula {formula!r}, {written!r} is no arithmetic: *, : and / join columns to interactions. "
                f"Name every column once, or write {{{arithmetic}}} for the product or quotient of numbers."
            )


def _tight(call: str) -> str:
    return call if "`" in call else call.replace(" ", "")


def _original(token: str, seen: dict[str, str]) -> str:
    return next((text for text, stands_for in seen.items() if stands_for == token), token)


def _encoded(
    formula: str, parsed: Any, data: pd.DataFrame, study: list[str], names: _Names, complete: NDArray[np.bool_]
) -> Design:
    """Let formulaic encode the complete rows; it sees only the columns named, as others could hide its functions."""
    from formulaic import model_matrix
    from formulaic.errors import DataMismatchWarning

    found = {name: remembered(name, data[name], study, name in names.levels) for name in names.used}
    moderators = {name: moderator for name, (moderator, _) in found.items()}
    _refuse_factors_computed_with(formula, moderators, names.computed)
    values = pd.DataFrame({name: column for name, (_, column) in found.items()}, index=data.index)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a value that is not finite is refused by study
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = model_matrix(parsed, values, context=_context(), na_action="ignore")
    except DataMismatchWarning:
        raise ModelError(f"In the formula {formula!r}, 'levels=' lacks a level that studies have; list all.") from None
    except Exception as error:  # whatever formulaic and the functions of the formula raise
        raise ModelError(f"The formula {formula!r} cannot be applied: {_first_line(error)}") from error
    _refuse_constant_terms(formula, matrix.model_spec)
    terms = tuple("intercept" if name == "Intercept" else str(name) for name in matrix.columns)
    return Design(np.asarray(matrix, dtype=float), terms, complete, matrix.model_spec, moderators=moderators)


def _refuse_factors_computed_with(formula: str, moderators: Mapping[str, Moderator], computed: set[str]) -> None:
    for name, moderator in moderators.items():
        if moderator.is_factor and name in computed:
            raise ModelError(
                f"The formula {formula!r} computes with {name!r}, but that is a factor ({moderator.kind}); give "
                "numbers, or let it stand alone or in C()."
            )


def _refuse_constant_terms(formula: str, spec: Any) -> None:
    """Refuse a term without a column, such as a factor that has one level in the studies."""
    for term, places in spec.term_indices.items():
        if not places:
            raise ModelError(
                f"In the formula {formula!r}, {str(term)!r} is the same in all studies that can be fitted, so it has "
                "no coefficient; leave it out."
            )


def _refuse_not_finite(formula: str, design: Design, effects: EffectSizes, rows: NDArray[np.int64]) -> None:
    if not np.isfinite(design.x).all():
        wrong = ~np.isfinite(design.x).all(axis=1)
        label = effects.study[rows[design.complete][wrong][0]]
        raise ModelError(
            f"{label}: the formula {formula!r} has no finite value there; correct the moderators or leave the "
            "study out."
        )


def _context() -> dict[str, Any]:
    return {"sqrt": np.sqrt}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_factors(formula: str, factors: list[Any], data: pd.DataFrame) -> _Names:
    """Refuse whatever is not a column, a number, an operator or a listed function; return the names."""
    found = _Names()
    for factor in factors:
        looked_up = factor.eval_method.name == "LOOKUP"  # a column by its name, which is never run as code
        if factor.expr == "1":
            continue
        if looked_up and factor.expr in data.columns:
            found.used.append(factor.expr)
        else:
            _add_names(found, formula, factor.expr, data)
    found.used[:] = dict.fromkeys(found.used)
    return found


def _add_names(found: _Names, formula: str, factor: str, data: pd.DataFrame) -> None:
    code, quoted = _without_quotes(factor)
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError:
        raise ModelError(f"The formula {formula!r} cannot be read at {factor!r}.") from None
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    bare, in_c = _arguments_of_c(tree)
    for node in ast.walk(tree):
        _refuse_code(formula, factor, node)
        if not isinstance(node, ast.Name):
            continue
        name = quoted.get(node.id, node.id)
        _refuse_unknown(formula, name, id(node) in functions, data)
        if id(node) in functions:
            found.called.add(name)
            continue
        found.used.append(name)
        if id(node) in in_c:
            found.levels.add(name)
        if id(node) not in bare:
            found.computed.add(name)


def _without_quotes(factor: str) -> tuple[str, dict[str, str]]:
    """A factor with a plain word for every name in backticks, and the names by these words."""
    word, quoted = "quoted", dict[str, str]()
    while word in factor:
        word += "_"

    def replace(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        quoted[f"{word}{len(quoted)}"] = match[2]
        return f" {word}{len(quoted) - 1} "

    return _QUOTED.sub(replace, factor).strip(), quoted


def _arguments_of_c(tree: ast.Expression) -> tuple[set[int], set[int]]:
    """Ids of the nodes that are the first argument of a C(), and of all nodes in one."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    first = [node.args[0] for node in calls if isinstance(node.func, ast.Name) and node.func.id == "C" and node.args]
    return set(map(id, first)), {id(node) for argument in first for node in ast.walk(argument)}


def _refuse_code(formula: str, factor: str, node: ast.AST) -> None:
    if not isinstance(node, _HARMLESS):
        raise ModelError(
            f"The formula {formula!r} holds {factor!r}; a formula may hold columns, numbers, operators and "
            f"{listed(list(FUNCTIONS))} only."
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _is_small(node.right):
        raise ModelError(f"The formula {formula!r} has a power above {MOST_POWER}; use a smaller one.")


def _is_small(power: ast.expr) -> bool:
    return isinstance(power, ast.Constant) and isinstance(power.value, int | float) and 0 <= power.value <= MOST_POWER


def _refuse_unknown(formula: str, name: str, is_call: bool, data: pd.DataFrame) -> None:
    if is_call and name not in FUNCTIONS:
        raise ModelError(f"The formula {formula!r} calls {name!r}; it may call {listed(list(FUNCTIONS))} only.")
    if not is_call and name not in data.columns:
        found = ", ".join(map(str, data.columns)) or "none"
        raise ModelError(f"The formula {formula!r} names {name!r}, which is no column; the columns are: {found}.")


def _warn_incomplete(complete: NDArray[np.bool_], effects: EffectSizes, rows: NDArray[np.int64]) -> None:
    if not complete.all():
        lost = [effects.study[i] for i in rows[~complete]]
        lack, are = ("lacks", "is") if len(lost) == 1 else ("lack", "are")
        warnings.warn(f"{some(lost)} {lack} a moderator and {are} left out of the fit.", MetailWarning, stacklevel=5)


def check_rank(x: Floats, terms: tuple[str, ...]) -> None:
    """Raise if there are not more studies than coefficients, or the columns are collinear, naming them."""
    k, p = x.shape
    if p == 0:
        raise ModelError("The formula leaves no coefficient; give at least one moderator, or keep the intercept.")
    if k <= p:
        raise ModelError(
            f"{k} {'study' if k == 1 else 'studies'} cannot support {p} coefficient{'s' * (p > 1)} "
            f"({', '.join(terms)}); at least {p + 1} are needed{', so use fewer moderators' * (p > 1)}."
        )
    if p == 1 and terms == ("intercept",):
        return
    if reciprocal_condition(x) < LEAST_CONDITION:
        _refuse_collinear(x, terms)


def _refuse_collinear(x: Floats, terms: tuple[str, ...]) -> None:
    """Raise if a column is 0 or columns are collinear, naming them."""
    size = np.linalg.norm(x, axis=0)
    if not size.all():
        raise ModelError(
            f"The moderator {terms[int(np.argmin(size))]!r} is 0 in every study, so it has no coefficient."
        )
    singular, loading = np.linalg.svd(np.linalg.qr(x / size, mode="r"))[1:]
    if singular[-1] < COLLINEAR * singular[0]:
        tied = [terms[j] for j in np.flatnonzero(np.abs(loading[-1]) > 1e-6)]
        raise ModelError(
            f"The columns {listed(tied)} are collinear (or constant over the studies), so their coefficients cannot be "
            f"told apart; {_advice(tied)}."
        )


def _advice(tied: list[str]) -> str:
    if spline := next((name for name in tied if name.startswith("cr(") and "constraints" not in name), None):
        call = spline[: spline.rindex(")")]
        return f"the columns of cr add up to 1, so write {call}, constraints='center')"
    return "leave one out"
