"""Ten thousand ugly tables: findings, effects and pools, or one clear MetailError; no NaN without a reason."""

import random
import warnings

import pandas as pd
import pytest

import metail2 as m2
from metail2.checks.catalogue import TABLE_FINDERS
from metail2.checks.findings import Findings
from metail2.checks.validate import validate
from metail2.checks.wide_views import known_columns
from metail2.errors import MetailError, MetailWarning
from metail2.records.study_table import MISSING

TABLES = 10_000
BATCHES = 20
POOLED_EVERY = 3
ALL_FINDERS_EVERY = 4

UGLY = (
    "", None, float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 1e-320, 1e16, -1, 0, 0.5, 1, -0.0, 2.5, True,
    "abc", "1,5", "1,234", "<0.001", "ns", "−3", "3 (4)", "5 ± 2", "1e400", "٣", "5\u00a0", "\u00a0", "nan", "NA",
    "0.000", "100%", " 7 ", "\n", "7\n8", "-", "#REF!", "2020-01-02", "12-Jan", "0x10", "1_000", "12 weeks", "½", "🙂",
)  # fmt: skip
LABELS = {
    "outcome": ("pain", "death", "", None), "unit": ("mg", "%", "percentage points", ""),
    "timepoint": ("change", "week 4"), "cohort": ("A", "A", "", "B"), "design": ("cluster", "parallel", None),
    "score": ("final", "change", "odd"), "scale_direction": ("lower", "higher", "up", None),
    "unit_kind": ("count", "fold", ""), "population": ("itt", ""),
}  # fmt: skip
KNOWN = known_columns(None)
CODES = tuple(m2.MEASURES)


def plausible(name, dice):
    """A figure that a column of this name may hold."""
    if name == "direction":
        return dice.choice((1, -1))
    if name in ("r", "p", "r2", "auc", "alpha", "icc", "level"):
        return round(dice.random(), 2)
    if name[0] == "n" or name in ("predictors", "items", "scale_items"):
        return dice.randint(1, 60)
    if name.startswith("events") or len(name) == 1 or name in ("aa", "ab", "bb"):
        return dice.randint(0, 12)
    return round(dice.uniform(-1, 9) if name.startswith(("mean", "yi", "log", "o_")) else dice.uniform(0.1, 9), 2)


def table(dice):
    """A random measure with a random table, of which any part may be wrong: as text stands, and as it is read."""
    measure = m2.MEASURES[dice.choice(CODES)]
    names = list(dice.choice(measure.family.columns))
    if dice.random() < 0.1:
        names.remove(dice.choice(names))
    names += dice.sample(KNOWN, dice.choice((0, 0, 1, 3)))
    k, share = dice.randint(0, 6), dice.choice((0, 0, 0.03, 0.3))
    columns = {name: [plausible(name, dice) for _ in range(k)] for name in names}
    columns |= {
        name: dice.choices(LABELS[name], k=k) for name in dice.sample(sorted(LABELS), dice.choice((0, 0, 1, 2)))
    }
    if dice.random() < 0.8:
        columns["study"] = [f"S{dice.randint(1, 9) if dice.random() < 0.1 else i}" for i in range(k)]
    for cells in columns.values():
        if dice.random() < 0.2:
            cells[:] = [cell if cell is None else str(cell) for cell in cells]
        cells[:] = [dice.choice(UGLY) if dice.random() < share else cell for cell in cells]
    index, twice = dice.choice((None, pd.RangeIndex(2, k + 2, name="row"), list("abcdef")[:k])), dice.random() < 0.02
    read = {name: cells if name == "study" else list(map(value, cells)) for name, cells in columns.items()}
    return measure.code, *(frame_of(cells, index, twice) for cells in (columns, read))


def value(cell):
    """A cell as a file is read."""
    return None if isinstance(cell, str) and cell in MISSING else cell


def frame_of(columns, index, twice):
    frame = pd.DataFrame(columns, index=index)
    return pd.concat([frame, frame.iloc[:, [0]]], axis=1) if twice and len(frame.columns) else frame


def attempt(call):
    """Result, or None where it is refused, and what was warned of; nothing else may happen."""
    refused = "."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except MetailError as error:
            result, refused = None, str(error)
    assert refused.endswith(".")
    assert all(issubclass(one.category, MetailWarning) for one in caught), [str(one.message) for one in caught]
    return result, " ".join(str(one.message) for one in caught)


def check_effects(findings, frame, code):
    """Effects, or None; a table that is refused, and a row without an effect, are found and warned of."""
    effects, warned = attempt(lambda: m2.effect_sizes(frame, code))
    told = {finding.row for finding in findings if finding.severity != "note"}
    if effects is None:
        # where other figures stand for them, harmonise can do without the columns that effect_sizes asks for
        assert told or attempt(lambda: m2.harmonise(frame, measure=code))[0] is not None
    else:
        lost = {row for row, complete in enumerate(effects.complete, start=2) if not complete}
        assert all(has_effect(frame.iloc[[row - 2]], code) for row in lost - told)
        assert warned or not lost
    return effects


def has_effect(frame, code):
    """Whether harmonise has the effect of a row from other figures."""
    effects, _ = attempt(lambda: m2.harmonise(frame, measure=code))
    return effects is not None and effects.complete.all()


@pytest.fixture
def quick_finders(monkeypatch):
    """All finders but those of units and of the unit of analysis, which take most of the time."""
    slow = ("metail2.checks.units", "metail2.checks.unit_of_analysis")
    return lambda quick: monkeypatch.setattr(
        "metail2.checks.validate.TABLE_FINDERS",
        [finder for finder in TABLE_FINDERS if not quick or finder.__module__ not in slow],
    )


@pytest.mark.parametrize("batch", range(BATCHES))
def test_ten_thousand_tables(batch, quick_finders):
    for seed in range(batch * TABLES // BATCHES, (batch + 1) * TABLES // BATCHES):
        dice = random.Random(seed)
        code, frame, read = table(dice)
        quick_finders(seed % ALL_FINDERS_EVERY != 0)
        findings = validate(frame, code, scale_items=dice.choice((None, None, 1, 3)))
        assert isinstance(findings, Findings)
        assert all(finding.message.endswith(".") and "nan" not in finding.message.split() for finding in findings)
        effects = check_effects(findings, read, code)
        if effects is not None and seed % POOLED_EVERY == 0:
            result, _ = attempt(lambda effects=effects: m2.pool(effects))
            assert result is None or result.glance()["status_reason"][0] or result.estimate == result.estimate
