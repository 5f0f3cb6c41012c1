"""The unit guard: percentage points, percentage change, folds, counts and fractions are never mixed."""

import itertools
import re

import pytest

import metail2 as m2
from metail2.errors import RecordError
from metail2.records.units import WORDS, Unit, guard

NEVER_MIXED = ("score", "count", "cell_fraction", "percentage_points", "percent_change", "fold", "ratio")


def exactly(message):
    return f"^{re.escape(message)}$"


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(NEVER_MIXED, 2)))
def test_two_kinds_are_never_mixed_in_any_measure(one, other):
    units = [Unit("Alpha", one, "u"), Unit("Beta", other, "u")]
    message = f"Alpha prints {WORDS[one]} but Beta prints {WORDS[other]}; these never mix, so harmonise them apart."
    alone = [measure for measure in ("MD", "SMD", "ROM", "MC", "SMCR", "ROMC") if _alone(units[0], measure)]
    for measure in alone:
        with pytest.raises(RecordError, match=exactly(message)):
            guard(units, measure)
    assert alone


def _alone(unit, measure):
    try:
        guard([unit], measure)
    except RecordError:
        return False
    return True


@pytest.mark.parametrize("measure", ["MD", "MC"])
def test_differences_need_one_unit(measure):
    units = [Unit("Alpha", "count", "cells/µL"), Unit("Beta", "count", "10^9/L")]
    message = (
        f"Alpha is in 'cells/µL' but Beta in '10^9/L'; {measure} needs one unit, so use a standardised measure or a "
        "ratio, or harmonise them apart."
    )
    with pytest.raises(RecordError, match=exactly(message)):
        guard(units, measure)


@pytest.mark.parametrize("measure", ["SMD", "ROM", "SMCR", "SMCC", "ROMC"])
def test_standardised_measures_and_ratios_join_units_of_one_kind(measure):
    guard([Unit("Alpha", "count", "cells/µL"), Unit("Beta", "count", "10^9/L")], measure)


@pytest.mark.parametrize("measure", ["ROM", "ROMC"])
@pytest.mark.parametrize("kind", ["percentage_points", "percent_change"])
def test_a_ratio_of_changes_has_no_meaning(measure, kind):
    message = f"Alpha prints {WORDS[kind]}; a ratio of changes has no meaning, so {measure} is refused."
    with pytest.raises(RecordError, match=exactly(message)):
        guard([Unit("Alpha", kind, "u")], measure)


@pytest.mark.parametrize("measure", ["MD", "SMD", "MC", "ROMC", "GEN"])
def test_a_fold_is_a_ratio_already(measure):
    message = "Alpha prints a fold change, which is a ratio already; harmonise it with ROM."
    with pytest.raises(RecordError, match=exactly(message)):
        guard([Unit("Alpha", "fold", "fold")], measure)
    guard([Unit("Alpha", "fold", "fold")], "ROM")


@pytest.mark.parametrize("measure", ["RR", "OR", "RD", "PR"])
def test_happenings_are_not_patients(measure):
    message = "Alpha counts events, not patients, so no proportion of patients can be had; leave it out."
    with pytest.raises(RecordError, match=exactly(message)):
        guard([Unit("Alpha", "events", "events")], measure)
    with pytest.raises(RecordError, match=r"^Alpha prints patients but Beta prints events, not patients; these never"):
        guard([Unit("Alpha", "patients", ""), Unit("Beta", "events", "")], measure)


def test_patients_and_percentages_of_patients_are_one_thing():
    guard([Unit("Alpha", "patients", ""), Unit("Beta", "percent", "%")], "RR")


# ---------------------------------------------------------------- through harmonise


def arms(study, kind, control=None):
    lines = []
    for name, role, k in (("x", "experimental", kind), ("p", "control", control or kind)):
        lines += [f"{study} o {name} {role} week12 {s} 2 unit_kind={k}" for s in ("mean", "sd")]
        lines.append(f"{study} o {name} {role} week12 n 9")
    return lines


@pytest.mark.parametrize(
    ("one", "other"), list(itertools.permutations(["count", "cell_fraction", "percentage_points"], 2))
)
def test_studies_in_different_kinds_of_unit(made, one, other):
    message = (
        f"Trial A prints {WORDS[one]} but Trial B prints {WORDS[other]}; these never mix, so harmonise them apart."
    )
    with pytest.raises(RecordError, match=exactly(message)):
        m2.harmonise(made(arms("A", one) + arms("B", other)), "o", "SMD")


def test_arms_of_one_study_in_different_kinds_of_unit(made):
    message = (
        "Trial A, arm x, week 12 prints percentage points but Trial A, arm p, week 12 prints a percentage change; "
        "these never mix, so harmonise them apart."
    )
    with pytest.raises(RecordError, match=exactly(message)):
        m2.harmonise(made(arms("A", "percentage_points", "percent_change")), "o", "MD")


def test_before_and_after_in_different_kinds_of_unit(made):
    lines = [f"A o x experimental baseline {s} 2 unit_kind=count" for s in ("mean", "sd")]
    lines += [f"A o x experimental week12 {s} 2 unit_kind=cell_fraction" for s in ("mean", "sd")]
    lines += ["A o x experimental week12 n 9"]
    message = (
        "Trial A, arm x, baseline prints a count of cells but Trial A, arm x, week 12 prints a fraction of cells; "
        "these never mix, so harmonise them apart."
    )
    with pytest.raises(RecordError, match=exactly(message)):
        m2.harmonise(made(lines), "o", "ROMC", r=0.5)


def test_a_mean_tells_the_unit_where_a_fold_stands_beside_it(made):
    lines = arms("A", "count")
    lines.insert(0, "A o x experimental week12 fold 2.5 unit_kind=fold")
    effects = m2.harmonise(made(lines), "o", "ROM")
    assert effects.moderators["unit_kind"].tolist() == ["count"]
