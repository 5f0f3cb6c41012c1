import itertools
import re
import subprocess
import sys
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from metail2.effects.transforms import TRANSFORMS
from metail2.errors import MetailError, UnknownChoice
from metail2.plots.forest import LAYOUTS, forest
from metail2.plots.forest_axes import LARGEST

# log RR and its variance for four of the BCG trials, and a fifth with an interval of 0.01 to 400
YI = [-0.89, -1.59, -0.22, 0.01, 0.69]
SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
VI = [0.33, 0.19, 0.05, 0.004, 7.3]
COUNTS = {
    "events1": [4, 6, 33, 505, 1],
    "n1": [123, 306, 5069, 88391, 20],
    "events2": [11, 29, 47, 499, 0],
    "n2": [139, 303, 5808, 88391, 21],
}


@pytest.fixture
def bcg(made):
    return made(YI, VI, "RR", inputs=COUNTS)


def texts(ax):
    """Every text of the picture, as read: non-breaking spaces are layout."""
    artists = [*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels(), ax.xaxis.label]
    return [text for text in artists if text.get_text().strip()]


def read(ax):
    return "\n".join(text.get_text().replace("\u00a0", " ") for text in texts(ax))


def lines(ax):
    """The table's rows from top to bottom: names side by side with figures."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    written = {text.xy[1]: text.get_text() for text in figures(ax)}
    width = max(map(len, names))
    rows = [f"{name:<{width}}   {written[place]}" for place, name in zip(ax.get_yticks(), names, strict=True)]
    return [row.replace("\u00a0", " ") for row in reversed(rows)]


def figures(ax):
    """The texts of the table's rows, without titles."""
    return [text for text in ax.texts if text.get_va() == "baseline" and text.get_ha() == "left"]


def scatter(ax):
    return next(c for c in ax.collections if type(c).__name__ == "PathCollection")


def whiskers(ax):
    segments = ax.containers[0].lines[2][0].get_segments()
    return [segment[:, 0] for segment in segments if segment.size and np.isfinite(segment).all()]


def diamonds(ax):
    found = [patch.get_xy() for patch in ax.patches if isinstance(patch, Polygon)]
    return sorted(found, key=lambda corners: -corners[0, 1])


def bars(ax):
    return [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_height() == 0.26]


def arrows(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_marker() in (4, 5, 6, 7, 8, 9, 10, 11)]


def boxes(ax):
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts(ax)]


def test_squares_stand_at_the_estimates_from_top_to_bottom(bcg):
    offsets = scatter(forest(bcg)).get_offsets()
    drawn = offsets[np.isfinite(offsets.filled(np.nan)).all(axis=1)]
    np.testing.assert_allclose(drawn[::-1, 0], YI)
    np.testing.assert_array_equal(drawn[::-1, 1], [7, 6, 5, 4, 3])


def test_square_areas_are_proportional_to_the_weights(made):
    result = made([0, 0, 0], [0.1, 0.2, 0.4], "MD", method="CE", test="z")
    sizes = scatter(forest(result)).get_sizes()
    assert sorted(sizes[sizes > 10] / LARGEST**2) == pytest.approx([0.25, 0.5, 1])


def test_whiskers_end_at_the_limits_or_at_the_end_of_the_axis_with_an_arrow(bcg):
    ax = forest(bcg)
    low, high = ax.get_xlim()
    studies = bcg.studies()
    expected = np.column_stack([np.maximum(studies.ci_lower, low), np.minimum(studies.ci_upper, high)])
    np.testing.assert_allclose(whiskers(ax)[::-1], expected)
    assert studies.ci_lower.min() < low
    assert studies.ci_upper.max() > high
    assert sorted(arrows(ax)) == [low, high]


def test_no_arrow_where_everything_fits(made):
    assert arrows(forest(made([0.1, 0.2, 0.4], [0.1, 0.1, 0.2], "MD"))) == []


def test_every_estimate_and_the_null_are_within_the_axis(bcg):
    low, high = forest(bcg).get_xlim()
    assert low < min(YI)
    assert high > max(YI)
    assert low < 0 < high


def test_diamond_spans_the_pooled_interval(bcg):
    (corners,) = diamonds(forest(bcg))
    row = bcg.tidy().iloc[0]
    np.testing.assert_allclose(corners[:4, 0], [row.ci_lower, row.estimate, row.ci_upper, row.estimate])
    np.testing.assert_allclose(corners[:4, 1], [1, 1.32, 1, 0.68])


def test_common_effect_is_a_second_diamond_below_the_first(bcg, made):
    common = made(YI, VI, "RR", method="MH", test="z")
    ax = forest(bcg, common=common)
    first, second = diamonds(ax)
    assert second[1, 0] == pytest.approx(common.tidy().estimate[0])
    assert second[0, 1] == first[0, 1] - 1
    assert "Common effect (MH)" in read(ax)
    assert "Test of the overall effect, common effect (Mantel–Haenszel): z = " in read(ax)


def test_prediction_interval_is_a_bar_below_the_diamond_and_says_its_method(bcg):
    ax = forest(bcg)
    (bar,) = bars(ax)
    model = bcg.glance().iloc[0]
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((model.pi_lower, model.pi_upper))
    assert "95% prediction interval" in read(ax)
    assert "Prediction interval: t, k − 1 df, Hartung–Knapp SE." in read(ax)


def test_without_prediction_interval_there_is_no_bar_row_or_note(made):
    ax = forest(made(YI, VI, "RR", pi=False))
    assert bars(ax) == []
    assert "rediction" not in read(ax)


def test_totals_are_summed_over_the_studies_in_the_totals(made):
    result = made([*YI, np.nan, np.nan], [*VI, np.nan, np.nan], "RR",
                  inputs={name: [*values, 0, 50] for name, values in COUNTS.items()})  # fmt: skip
    result.studies_.loc[5, "state"] = "no_events"
    total = next(line for line in lines(forest(result)) if line.startswith("Total"))
    assert total.split() == ["Total", "549", "93909", "586", "94662"]


def test_totals_of_large_trials_are_written_out(made):
    inputs = {"events1": [5, 6], "n1": [150000, 250000], "events2": [1, 2], "n2": [9, 9]}
    assert "400000" in read(forest(made([0, 1], [1, 1], "RR", inputs=inputs)))


def test_a_total_with_a_gap_is_left_empty(made):
    inputs = COUNTS | {"events1": [4, np.nan, 33, 505, 1]}
    total = next(line for line in lines(forest(made(YI, VI, "RR", inputs=inputs))) if line.startswith("Total"))
    assert total.split() == ["Total", "93909", "586", "94662"]


def test_heterogeneity_names_the_estimator_and_the_source_of_each_i2(bcg):
    model = bcg.glance().iloc[0]
    text = read(forest(bcg))
    assert f"τ² = {model.tau2:.3f} (DerSimonian–Laird)" in text
    assert f"Q = {model.q:.2f}, df = 4, P = " in text
    assert f"I² = 90.0 % (from τ²), {model.i2_q:.1f} % (from Q)." in text


def test_a_common_effect_has_no_tau2(made):
    text = read(forest(made(YI, VI, "RR", method="PETO", test="z")))
    assert "τ²" not in text
    assert "(from Q)" in text


def test_overall_test_is_t_with_df_or_z(made):
    assert "random effects: t = " in read(forest(made(YI, VI, "RR")))
    assert ", df = 4, P = " in read(forest(made(YI, VI, "RR")))
    assert "random effects: z = " in read(forest(made(YI, VI, "RR", test="z")))


def test_never_a_verdict(bcg):
    assert "significan" not in read(forest(bcg)).lower()


def test_favours_stand_left_and_right_of_the_null_under_the_axis(bcg):
    ax = forest(bcg, favours=("Favours vaccination", "Favours no vaccination"))
    ax.figure.canvas.draw()
    null = ax.transData.transform((0, 0))[0]
    found = dict(boxes(ax))
    left, right = found["← Favours vaccination"], found["Favours no vaccination →"]
    assert left.x1 < null < right.x0
    assert left.y1 < ax.bbox.y0


def test_a_measure_without_null_has_no_line_no_test_and_no_favours(made):
    result = made([0.2, 0.3, 0.25], [0.01, 0.01, 0.02], "PR", inputs={"events": [2, 3, 5], "n": [10, 10, 20]})
    ax = forest(result)
    assert "Test of the overall effect" not in read(ax)
    assert not any(type(c).__name__ == "LineCollection" and c not in ax.containers[0].lines[2] for c in ax.collections)
    with pytest.raises(MetailError, match="leave favours out"):
        forest(result, favours=("a", "b"))


def test_null_line_stands_at_the_null(bcg):
    ax = forest(bcg)
    line = next(
        c for c in ax.collections if type(c).__name__ == "LineCollection" and c not in ax.containers[0].lines[2]
    )
    assert {point[0] for point in line.get_segments()[0]} == {0.0}


@pytest.mark.parametrize(
    ("yi", "vi", "labels"),
    [
        ([-1.6, 0.3], [0.1, 0.6], ["0.1", "0.2", "0.5", "1", "2", "5"]),
        ([-0.01, 0.02], [1e-4, 2e-4], ["0.98", "1", "1.02", "1.04"]),
        ([-9.0, 9.0], [2, 2], ["0.0001", "0.01", "1", "100", "10000"]),
        ([-40.0, 90.0], [2, 2], ["10⁻²⁰", "10⁻¹⁰", "1", "10¹⁰", "10²⁰", "10³⁰", "10⁴⁰"]),
    ],
)
def test_log_ticks_are_labelled_with_displayed_values(made, yi, vi, labels):
    ax = forest(made(yi, vi, "RR", method="CE", test="z", pi=False))
    assert [label.get_text() for label in ax.get_xticklabels()] == labels
    plain = [re.sub(r"^10(\D+)$", r"1e\1", text).translate(SUPERSCRIPTS) for text in labels]
    np.testing.assert_allclose(np.exp(ax.get_xticks()), [float(text) for text in plain])


def test_percentage_change_is_drawn_on_the_log_scale_and_labelled_in_percent(made):
    ax = forest(made([0.8, 0.4, -0.2], [0.1, 0.1, 0.3], "ROMC"), transform="percent_change")
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["−50 %", "0 %", "100 %", "400 %"]
    np.testing.assert_allclose(ax.get_xticks(), np.log([0.5, 1, 2, 5]), atol=1e-12)
    assert "122.6 " in read(ax)
    assert "Percentage change, log scale" in read(ax)


def test_percentage_reduction_runs_the_other_way(made):
    ax = forest(made([0.8, 0.4, -0.2], [0.1, 0.1, 0.3], "ROMC"), transform="percent_reduction")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["−100 %", "0 %", "50 %", "80 %"]


def test_a_logit_proportion_is_drawn_as_displayed(made):
    yi = [-1.0, 0.5, 0.2]
    ax = forest(made(yi, [0.1, 0.2, 0.3], "PLO"))
    offsets = scatter(ax).get_offsets()
    drawn = offsets[np.isfinite(offsets.filled(np.nan)).all(axis=1)][::-1, 0]
    np.testing.assert_allclose(drawn, TRANSFORMS["logistic"](yi))
    assert "log scale" not in read(ax)


def test_a_proportion_has_no_ticks_outside_zero_to_one(made):
    ax = forest(made([-4.0, -5, 6], [2, 2, 2], "PLO"))
    assert all(0 <= tick <= 1 for tick in ax.get_xticks())


def test_true_minus_signs(made):
    text = read(forest(made([-4.5, -3.2, 0.4], [1, 2, 1], "MD")))
    assert "−4.50" in text
    assert "-4" not in text


def test_row_order_is_never_changed_and_group_headings_repeat(made):
    names = ["zeta", "Alpha", "mu", "beta"]
    ax = forest(made([3, 1, 2, 0], [1, 1, 1, 1], "MD", study=names, group=["SLE", "AA", "AA", "SLE"]))
    rows = [line.rstrip() for line in lines(ax)]
    assert [row.split("  ")[0] or row.split()[0] for row in rows[1:8]] == [
        "SLE",
        "zeta",
        "AA",
        "Alpha",
        "mu",
        "SLE",
        "beta",
    ]
    headings = [label for label in ax.get_yticklabels() if label.get_text().strip() in ("SLE", "AA")]
    assert {label.get_fontweight() for label in headings} == {"bold"}


def test_equal_rows_stay_apart(made):
    ax = forest(made([0.5, 0.5, 0.5], [1, 1, 1], "MD", study=["Same", "Same", "Same"]))
    assert sum(line.startswith("Same") for line in lines(ax)) == 3
    assert len(whiskers(ax)) == 3


def test_labels_with_dollars_are_no_formulas(made):
    ax = forest(
        made([0, 1], [1, 1], "MD", study=["$x_1$ trial", "\\frac $"]), title="At $5 or $6", favours=("$a$", "b")
    )
    ax.figure.canvas.draw()
    assert "At $5 or $6" in read(ax)


def test_missing_rows_say_so_and_nothing_reads_nan(made):
    yi, vi = np.array([-0.9, np.nan, 0.2, np.nan]), np.array([0.3, np.nan, 0.1, np.nan])
    inputs = {"events1": [4, np.nan, 3, 0], "n1": [10, 12, 20, 9], "events2": [5, 6, 7, 0], "n2": [10, 11, 22, 9]}
    result = made(yi, vi, "RR", inputs=inputs)
    result.studies_.loc[3, "state"] = "no_events"
    ax = forest(result)
    assert sum("not estimable" in line for line in lines(ax)) == 2
    assert "nan" not in read(ax).lower()
    assert "Not in the model: Study 2 (left out: effect or variance is missing)." in read(ax)
    assert "Not in the model: Study 4 (in the totals, without weight" in read(ax)


def test_a_single_patient_is_a_point_without_whisker(made):
    result = made([0.8, 0.4], [0.2, 0.1], "MD")
    result.studies_.loc[0, ["vi", "ci_lower", "ci_upper"]] = np.nan
    ax = forest(result)
    assert "0.80 (no interval)" in read(ax)
    assert np.ptp(whiskers(ax)[-1]) == 0


def unpooled(made, **values):
    result = made([0.8, 0.4], [0.2, 0.1], "MD", **values)
    result.tidy_ = result.tidy_.iloc[:0]
    return result


def test_not_pooled_says_why_and_draws_no_summary(made):
    ax = forest(unpooled(made, status_reason="doses differ tenfold"))
    assert diamonds(ax) == []
    assert "Not pooled: doses differ tenfold." in read(ax)
    assert "Heterogeneity" not in read(ax)


def test_nothing_but_single_patients(made):
    result = unpooled(made)
    result.studies_[["ci_lower", "ci_upper", "vi", "weight"]] = np.nan
    ax = forest(result)
    assert "Weight" not in read(ax)
    assert "Not pooled." in read(ax)


def test_nothing_estimable_at_all(made):
    result = unpooled(made)
    result.studies_[["yi", "ci_lower", "ci_upper", "vi", "weight"]] = np.nan
    assert sum("not estimable" in line for line in lines(forest(result))) == 2


def test_one_study_is_shown_and_not_pooled(made):
    ax = forest(made([0.3], [0.05], "OR", status="one_study"))
    assert diamonds(ax) == []
    assert "One study: its own normal (z) interval is shown and nothing is pooled." in read(ax)


def test_moderators_leave_no_single_effect_to_draw(made):
    result = made(YI, VI, "RR")
    result.tidy_ = pd.concat([result.tidy_, result.tidy_.assign(term="year")], ignore_index=True)
    ax = forest(result)
    assert diamonds(ax) == []
    assert "The model has moderators" in read(ax)


def test_a_pooled_effect_without_interval_is_still_marked(made):
    result = made([1, 1, 1], [1, 1, 1], "MD", status="zero_se", pi=False)
    result.tidy_[["ci_lower", "ci_upper", "se", "statistic", "p_value"]] = np.nan
    ax = forest(result)
    assert diamonds(ax)[0][:, 0].tolist() == [1] * 5
    assert "All effects agree exactly" in read(ax)


def test_no_studies_is_an_error(made):
    result = made([0.3], [0.05], "OR")
    result.studies_ = result.studies_.iloc[:0]
    with pytest.raises(MetailError, match="no study to draw"):
        forest(result)


def test_unknown_layout_lists_the_choices(bcg):
    with pytest.raises(UnknownChoice, match=r"Unknown forest plot layout 'clasic'. Did you mean 'classic'\?"):
        forest(bcg, layout="clasic")
    assert list(LAYOUTS) == ["classic"]


def test_common_effect_of_another_measure_is_an_error(bcg, made):
    with pytest.raises(MetailError, match="OR, the other of RR"):
        forest(bcg, common=made(YI, VI, "OR", method="CE"))


LONG = ("a very long name of a treatment arm", "another very long name of an arm")
MEANS = {"mean1": [-12.25, 3], "sd1": [4, 5.5], "n1": [10, 2000], "mean2": [1, 2], "sd2": [3, 4], "n2": [5, 6]}
NAMES = ["Behçet’s, Łódź 2021 – cohort ß", "Zoë", "e\u0301tude"]
LONG_NAMES = ["Jones and the Investigators of the Multicentre Randomised Trial of Interleukin-2 2019", "x" * 150, "b"]
CASES = {
    "names": (
        {
            "yi": [0.3, 0.5, 0.1],
            "vi": [0.2, 0.1, 0.1],
            "measure": "OR",
            "study": LONG_NAMES,
            "group": ["b " * 60, "b", ""],
        },
        {"title": "Names"},
    ),
    "bcg": (
        {"yi": YI, "vi": VI, "measure": "RR", "inputs": COUNTS},
        {"favours": ("vaccination", "no vaccination"), "title": "BCG"},
    ),
    "wide": (
        {"yi": [0.3, 0.25], "vi": [1.74, 0.05], "measure": "RR"},
        {"favours": ("low-dose interleukin-2 with steroids", "placebo")},
    ),
    "negative": ({"yi": [-45.2, -30.1, -38], "vi": [4, 9, 7], "measure": "MD"}, {"favours": LONG}),
    "unicode": (
        {"yi": [0.8, 0.4, 1.2], "vi": [0.2, 0.1, 0.5], "measure": "ROMC", "study": NAMES, "group": ["ß", "", "SLE"]},
        {"transform": "percent_change"},
    ),
    "sixty": ({"yi": np.linspace(-1, 2, 60), "vi": np.linspace(0.01, 1, 60), "measure": "SMD"}, {}),
    "one": (
        {"yi": [0.3], "vi": [0.05], "measure": "OR", "status": "one_study"},
        {"title": "A title that is longer than the table and even reaches over the plot to the very right of it"},
    ),
    "means": (
        {"yi": [-4.5, -3.2], "vi": [1, 2], "measure": "MD", "inputs": MEANS},
        {"arms": ("Low-dose interleukin-2", "Placebo")},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_clipped_and_no_texts_overlap(made, case):
    tables, options = CASES[case]
    ax = forest(made(**tables), **options)
    found = boxes(ax)
    page = ax.figure.bbox
    for text, box in found:
        assert box.x0 >= page.x0, text
        assert box.x1 <= page.x1, text
        assert box.y0 >= page.y0, text
        assert box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(found, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1), (one, other)


@pytest.mark.parametrize("case", CASES)
def test_table_ends_before_the_plot_and_its_columns_are_aligned(made, case):
    tables, options = CASES[case]
    ax = forest(made(**tables), **options)
    labels = ax.get_yticklabels()
    ax.figure.canvas.draw()
    extents = [label.get_window_extent() for label in labels]
    assert max(box.x1 for box in extents) < ax.bbox.x0
    assert np.ptp([box.x0 for box in extents]) < 2
    rows = [line for line in lines(ax)[1:] if " to " in line]
    assert len({line.index(" to ") for line in rows}) == 1
    assert len({len(line.rstrip()) for line in rows}) == 1


def test_axes_of_the_caller_are_filled_and_not_exceeded(bcg):
    figure = Figure(figsize=(9, 4), dpi=150)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.5, 0.1, 0.45, 0.8))
    room = ax.get_window_extent().frozen()
    assert forest(bcg, ax=ax, title="In the right half") is ax
    figure.canvas.draw()
    for text in texts(ax):
        box = text.get_window_extent()
        assert box.x0 >= room.x0 - 1, text.get_text()
        assert box.x1 <= room.x1 + 1, text.get_text()
        assert box.y0 >= room.y0 - 1, text.get_text()
        assert box.y1 <= room.y1 + 1, text.get_text()
    assert max(label.get_window_extent().x1 for label in ax.get_yticklabels()) < ax.bbox.x0


def test_the_look_does_not_depend_on_the_callers_style(bcg):
    plain = forest(bcg)
    with mpl.rc_context({"axes.grid": True, "font.size": 20, "lines.linewidth": 9, "axes.facecolor": "black"}):
        styled = forest(bcg)
    assert [text.get_fontsize() for text in texts(styled)] == [text.get_fontsize() for text in texts(plain)]
    assert styled.get_facecolor() == plain.get_facecolor()
    assert not any(line.get_visible() for line in styled.get_xgridlines())


def state():
    import matplotlib.pyplot as plt

    return np.geterr(), dict(mpl.rcParams), list(warnings.filters), plt.get_fignums()


def test_global_state_is_left_alone(bcg):
    before = state()
    forest(bcg)
    assert state() == before


def test_an_open_figure_of_the_caller_stays_current(bcg):
    import matplotlib.pyplot as plt

    mine = plt.figure()
    try:
        forest(bcg)
        assert plt.gcf() is mine
        assert mine.axes == []
    finally:
        plt.close(mine)


FIRST_IMPORT = """
import sys, warnings
import numpy as np
warnings.simplefilter("error")
np.seterr(over="raise")
import matplotlib as mpl
mpl.rcParams["font.size"] = 7
import metail2.plots.forest, metail2.plots.saving
assert not {"forestplot", "matplotlib.pyplot"} & set(sys.modules)
from metail2.plots.quiet import draw_forest
before = np.geterr(), mpl.rcParams.copy(), list(warnings.filters)
from matplotlib.figure import Figure
import pandas as pd
frame = pd.DataFrame({"e": [1.0, 2.0], "l": [0.0, 1.0], "h": [2.0, 3.0], "yticklabel": ["a", "b"]})
draw_forest(Figure().add_subplot(), dataframe=frame, estimate="e", ll="l", hl="h", varlabel="yticklabel",
            preprocess=False, xticks=[0, 1])
assert "forestplot" in sys.modules
assert (np.geterr(), mpl.rcParams.copy(), list(warnings.filters)) == before
import matplotlib.pyplot as plt
assert plt.get_fignums() == []
"""


def test_first_import_of_forestplot_leaves_global_state_alone():
    done = subprocess.run([sys.executable, "-c", FIRST_IMPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_axes_say_what_they_show(bcg):
    assert forest(bcg, title="BCG").get_label() == "BCG: Risk ratio, 5 studies"
