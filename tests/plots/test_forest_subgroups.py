"""Forest plots of subgroup analyses."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Polygon

import metail2 as m2
from metail2.plots.forest_axes import ACCENT, PALE, _areas
from metail2.plots.forest_table import forest_rows
from metail2.plots.forest_words import Facts, notes


@pytest.fixture
def bcg_effects():
    names = {"events1": "tpos", "n1": "tn", "events2": "cpos", "n2": "cn", "study": "author"}
    return m2.effect_sizes(m2.load_dataset("bcg"), "RR", **names)


def test_groups_stand_together_each_with_its_diamond_and_its_heterogeneity(bcg_effects):
    result = m2.pool(bcg_effects, subgroup="alloc")
    facts = Facts(result)
    rows = forest_rows(facts, None)
    kinds = [row.kind for row in rows]
    assert kinds == [
        "heading", *["study"] * 7, "subtotal", "note", "heading", *["study"] * 2, "subtotal", "note", "heading",
        *["study"] * 4, "subtotal", "note", "total", "random", "prediction",
    ]  # fmt: skip
    subtotals = [row for row in rows if row.kind == "subtotal"]
    np.testing.assert_allclose([row.estimate for row in subtotals], result.groups()["estimate"])
    assert [row.inputs["events1"] for row in subtotals] == [617, 213, 235]
    assert "τ² = 0.393; Q = 110.21, df = 6" in next(row.label for row in rows if row.kind == "note")
    assert any("Difference between groups: χ² = 1.86 on 2 df, P = 0.39 (" in line for line in notes(facts, None))


def test_a_subgroup_plot_has_a_pale_diamond_for_each_group(bcg_effects):
    axes = m2.forest(m2.pool(bcg_effects, subgroup="alloc"))
    fills = [to_hex(patch.get_facecolor()) for patch in axes.patches if isinstance(patch, Polygon)]
    assert fills.count(PALE) == 3
    assert fills.count(ACCENT) == 1


def test_squares_of_a_subgroup_plot_are_scaled_by_the_studies(bcg_effects):
    grouped, plain = (m2.pool(bcg_effects, subgroup="alloc"), m2.pool(bcg_effects))
    assert max(_areas(forest_rows(Facts(grouped), None))) == max(_areas(forest_rows(Facts(plain), None)))


def test_studies_of_a_group_without_effects_stand_under_its_name(bcg_effects):
    effects = m2.EffectSizes.from_arrays(
        [0.1, 0.2, 0.4, 0.3, np.nan], [0.1] * 5, moderators={"g": ["a", "a", "b", "b", "D"]}
    )
    with pytest.warns(m2.MetailWarning, match="left out of the fit"):
        rows = forest_rows(Facts(m2.pool(effects, subgroup="g")), None)
    assert [row.label for row in rows if row.kind == "heading"] == ["a", "b", "D"]


def test_a_study_without_group_stands_last(bcg_effects):
    with pytest.warns(m2.MetailWarning, match="'g' is missing"):
        result = m2.pool(bcg_effects.assign(g=[None, *["a"] * 6, *["b"] * 6]), subgroup="g")
    labels = [row.label for row in forest_rows(Facts(result), None) if row.kind in ("heading", "study")]
    assert labels[-2:] == ["Group missing", "  Aronson 1948"]
