"""From one row an arm to one row a study: the statistics of both arms side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from metail2.errors import RecordError
from metail2.records.arm_columns import STATISTICS, arm_column
from metail2.wording import listed, some

Labels: TypeAlias = str | Sequence[str]

ALIASES = {"min": "minimum", "max": "maximum", "mean_lower": "ci_lower", "mean_upper": "ci_upper"}
"""Other names of statistics."""
EXPERIMENTAL, CONTROL = "experimental", "control"
_COMBINE = "combine them into one first (conversions.combine_means, or combine_events for counts) or keep one"


class _Arms(NamedTuple):
    """A long table made ready: one row an arm, in the order of the file.

    Attributes
    ----------
    table : DataFrame
        As given; the index is the row in the file.
    study, arm : Series of str
        Label of each row's study, and of its arm.
    control : Series of bool
        Whether the row is the control arm.
    """

    table: pd.DataFrame
    study: pd.Series
    arm: pd.Series
    control: pd.Series


def wide_from_long(
    table: pd.DataFrame,
    *,
    study: str = "study",
    arm: str = "arm",
    experimental: Labels | None = None,
    control: Labels | None = None,
    role: str | None = None,
) -> pd.DataFrame:
    """Turn a table of one row an arm into one of one row a study.

    Which arm is the control is never guessed: a column of roles says so, or the labels of the control arms (all others
    are then experimental), of the experimental arms, or of both.

    Parameters
    ----------
    table : DataFrame
        One row an arm. Statistics: ``n mean sd se ci_lower ci_upper`` (interval of the mean) ``median q1 q3 minimum
        maximum events percent time``; also called ``min max mean_lower mean_upper``. All other columns must not vary
        within a study.
    study, arm : str
        Columns with the labels of studies and arms.
    experimental, control : str or sequence of str, optional
        Labels of the experimental, or the control, arms, as the column `arm` has them.
    role : str, optional
        Column that says "experimental" or "control"; without labels a column called ``role`` is taken.

    Returns
    -------
    DataFrame
        One row a study in the order of first appearance, its index that of the experimental arm. A statistic has the
        suffix 1 (experimental) or 2 (control), as `harmonise` and `effect_sizes` know them: ``n1 mean1 mean1_lower
        median1 q1_1 q3_1 min1 max1 …``; so have the labels of the arms (``arm1 arm2``). Columns that are constant
        within a study are kept once, first.

    Raises
    ------
    RecordError
        If a column, label or role is missing or unknown, a study has not exactly one experimental and one control arm,
        an arm comes twice, or another column differs between the arms of a study.

    Examples
    --------
    >>> rows = [("A", "drug", 20, 3.1), ("A", "placebo", 21, 2.6)]
    >>> table = wide_from_long(pd.DataFrame(rows, columns=["study", "arm", "n", "mean"]), control="placebo")
    >>> print(table.to_csv(index=False).strip())
    study,arm1,arm2,n1,n2,mean1,mean2
    A,drug,placebo,20,21,3.1,2.6
    """
    _check_table(table, study, arm)
    statistics = _statistics(table, {study, arm})
    labels = _text(table, study), _text(table, arm)
    roles = "role" if role is None and experimental is None and control is None and "role" in table.columns else role
    arms = _Arms(
        table.assign(**{study: labels[0], arm: labels[1]}),
        *labels,
        _is_control(table, *labels, _labels(experimental), _labels(control), roles),
    )
    _check_pairs(arms)
    shared = [name for name in table.columns if name not in (arm, roles) and name not in statistics]
    _check_constant(arms, [name for name in shared if name != study])
    return _side_by_side(arms, shared, {arm: arm} | statistics)


def _check_table(table: pd.DataFrame, study: str, arm: str) -> None:
    if not table.columns.is_unique:
        name = table.columns[table.columns.duplicated()][0]
        raise RecordError(f"The table has two columns {name!r}; rename or remove one.")
    for name, what in ((study, "study"), (arm, "arm")):
        _check_column(table, name, what)
    if table.empty:
        raise RecordError("The table has no rows; add one for each arm of each study.")


def _check_column(table: pd.DataFrame, name: str, what: str) -> None:
    if name not in table.columns:
        found = ", ".join(map(str, table.columns))
        raise RecordError(f'There is no column {name!r}; the table has {found}; name it with {what}="its name".')


def _statistics(table: pd.DataFrame, taken: set[str]) -> dict[str, str]:
    """Find the columns that belong to an arm, as {column: statistic}."""
    names = [name for name in table.columns if name not in taken and (name in STATISTICS or name in ALIASES)]
    found = {name: ALIASES.get(name, name) for name in names}
    if not found:
        raise RecordError(
            f"The table has no statistic of an arm ({', '.join(STATISTICS)}) among its columns "
            f"{', '.join(map(str, table.columns))}; name them so."
        )
    for name, statistic in found.items():
        if name != statistic and statistic in found:
            raise RecordError(f"Columns {name!r} and {statistic!r} are the same statistic; keep one.")
    return found


def _text(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of labels as stripped text; an empty one is refused."""
    labels = table[name].astype(object)
    empty = labels.isna() | (labels.astype(str).str.strip() == "")
    if empty.any():
        raise RecordError(
            f"Row {table.index[empty][0]}: column {name!r} is empty; every row names its study and its arm."
        )
    return labels.astype(str).str.strip()


def _labels(given: Labels | None) -> list[str] | None:
    """Return the labels given as a list."""
    if given is None:
        return None
    return [given] if isinstance(given, str) else [str(label) for label in given]


def _is_control(
    table: pd.DataFrame,
    study: pd.Series,
    arm: pd.Series,
    experimental: list[str] | None,
    control: list[str] | None,
    role: str | None,
) -> pd.Series:
    """Mark the rows of control arms, by role or by label."""
    if role is not None:
        if experimental is not None or control is not None:
            raise RecordError("Roles come from a column or from labels; give role, or control and experimental.")
        return _by_role(table, study, role)
    for labels, name in ((experimental, EXPERIMENTAL), (control, CONTROL)):
        _check_labels(labels, name, arm)
    if control is None:
        if experimental is None:
            raise RecordError(
                'Which arms are controls is not said: give their labels, such as control="placebo", or a column '
                f"with role; the arms are {some(list(dict.fromkeys(arm)), 8)}."
            )
        return ~arm.isin(experimental)
    if experimental is not None:
        _check_all_known(study, arm, experimental, control)
    return arm.isin(control)


def _by_role(table: pd.DataFrame, study: pd.Series, role: str) -> pd.Series:
    _check_column(table, role, "role")
    roles = table[role].astype(object).where(table[role].notna(), "").astype(str).str.strip().str.lower()
    wrong = ~roles.isin((EXPERIMENTAL, CONTROL))
    if wrong.any():
        row = table.index[wrong][0]
        raise RecordError(
            f"{study[wrong].iloc[0]}, row {row}: column {role!r} is {roles[wrong].iloc[0]!r}; write "
            f"{EXPERIMENTAL} or {CONTROL}."
        )
    return roles == CONTROL


def _check_labels(labels: list[str] | None, name: str, arm: pd.Series) -> None:
    known = set(arm)
    for label in labels or ():
        if label not in known:
            raise RecordError(
                f"No arm is called {label!r}, which {name} names; the arms are {some(list(dict.fromkeys(arm)), 8)}."
            )


def _check_all_known(study: pd.Series, arm: pd.Series, experimental: list[str], control: list[str]) -> None:
    both = [label for label in experimental if label in control]
    if both:
        raise RecordError(f"Arm {both[0]!r} is named as experimental and as control; name it once.")
    unknown = ~arm.isin([*experimental, *control])
    if unknown.any():
        raise RecordError(
            f"{study[unknown].iloc[0]}, row {arm.index[unknown][0]}: arm {arm[unknown].iloc[0]!r} is named neither as "
            "experimental nor as control; name it, or leave the row out."
        )


def _check_pairs(arms: _Arms) -> None:
    """Raise for the first study that has not exactly one experimental and one control arm."""
    keys = pd.DataFrame({"study": arms.study, "arm": arms.arm})
    repeated = keys.duplicated(keep=False).groupby(arms.study, sort=False).any()
    rows = arms.study.groupby(arms.study, sort=False).size()
    controls = arms.control.groupby(arms.study, sort=False).sum()
    wrong = repeated | (rows != 2) | (controls != 1)
    if wrong.any():
        raise RecordError(_wrong_pair(arms, wrong.index[wrong][0]))


def _wrong_pair(arms: _Arms, label: str) -> str:
    """Say what is wrong with the arms of one study."""
    rows = arms.study == label
    names, control = arms.arm[rows], arms.control[rows]
    told = listed([f"{name!r} (row {row})" for row, name in names.items()])
    if names.duplicated().any():
        name = names[names.duplicated()].iloc[0]
        places = listed([str(row) for row in names.index[names == name]])
        return f"{label} has arm {name!r} in rows {places}; an arm has one row, so keep one or name them apart."
    if len(names) == 1:
        return f"{label} has one arm only, {told}; a comparison needs two, so add the other or leave the study out."
    for several, word in ((~control, EXPERIMENTAL), (control, CONTROL)):
        if not several.any():
            return f"{label} has no {word} arm: its arms are {told}; say which it is, or leave the study out."
    word = CONTROL if control.sum() > 1 else EXPERIMENTAL
    those = names[control] if word == CONTROL else names[~control]
    told = listed([f"{name!r} (row {row})" for row, name in those.items()])
    return f"{label} has {len(those)} {word} arms, {told}; {_COMBINE}."


def _check_constant(arms: _Arms, names: Sequence[str]) -> None:
    """Raise for the first other column that differs between the arms of a study; two empty cells are alike."""
    for name in names:
        codes = pd.Series(pd.factorize(arms.table[name])[0], index=arms.table.index)
        groups = codes.groupby(arms.study, sort=False)
        varies = groups.transform("min") != groups.transform("max")
        if varies.any():
            label = arms.study[varies].iloc[0]
            values = [str(value) if pd.notna(value) else "" for value in arms.table[name][arms.study == label]]
            raise RecordError(
                f"{label}: column {name!r} differs between the arms ({values[0]!r} and {values[1]!r}) and is no "
                f"statistic of an arm ({', '.join(STATISTICS)}); rename it, make both cells alike, or remove the "
                "column."
            )


def _side_by_side(arms: _Arms, shared: Sequence[str], statistics: dict[str, str]) -> pd.DataFrame:
    """Put both arms of each study into one row."""
    order = {label: place for place, label in enumerate(dict.fromkeys(arms.study))}
    place = arms.study.map(order).to_numpy()
    first, second = (
        np.flatnonzero(rows)[np.argsort(place[rows])] for rows in (~arms.control.to_numpy(), arms.control.to_numpy())
    )
    columns = {name: arms.table[name].to_numpy()[first] for name in shared}
    for name, statistic in statistics.items():
        for suffix, rows in (("1", first), ("2", second)):
            wide = arm_column(statistic, suffix)
            if wide in columns:
                raise RecordError(f"Column {wide!r} would be there twice, also from {name!r}; rename one of them.")
            columns[wide] = arms.table[name].to_numpy()[rows]
    return pd.DataFrame(columns, index=arms.table.index[first])
