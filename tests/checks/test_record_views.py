"""Trial records as views: every figure keeps its row, arms find their partners, P values find their comparison."""

import numpy as np
import pytest

from metail2.checks.record_views import record_arms, record_comparisons, record_findings
from metail2.records.reading import load_records, read_records

STUDIES = "study_id,label,cohort,design,allocation\n"
FIGURES = (
    "record_id,study_id,outcome,arm,role,timepoint,population,statistic,value,qualifier,unit,unit_kind,source,quote\n"
)
KINDS = {"n": "patients", "events": "patients", "percent": "percent", "p_value": "probability"}


@pytest.fixture
def records(tmp_path):
    """Read records from lines "study outcome arm role time statistic printed", with name=value for other columns."""

    def read(*lines, studies=("A,Trial A,A,RCT,1:1",)):
        rows = []
        for number, line in enumerate(lines, start=1):
            study, outcome, arm, role, when, statistic, printed, *more = line.split()
            given = dict(pair.split("=") for pair in more)
            sign = printed[: len(printed) - len(printed.lstrip("<>="))]
            kind = given.get("kind", KINDS.get(statistic, "score"))
            rows.append([
                f"R{number}", study, outcome, arm, role, when.replace("week", "week "), given.get("population", ""),
                statistic, printed.lstrip("<>="), sign, kind, kind, "made", "words",
            ])  # fmt: skip
        (tmp_path / "studies.csv").write_text(STUDIES + "\n".join(studies) + "\n")
        (tmp_path / "outcomes.csv").write_text(FIGURES + "\n".join(map(",".join, rows)) + "\n")
        return read_records(tmp_path)

    return read


def entry(view, **labels):
    """The only entry with these labels."""
    chosen = np.all([view.labels[name] == value for name, value in labels.items()], axis=0)
    (at,) = np.flatnonzero(chosen)
    return int(at)


def figures(view, at):
    """Everything printed in one entry: quantity → (text, row)."""
    return {name: (view.text(at, name), view.place(at, name)[0]) for name in view.cells if view.text(at, name)}


# ---------------------------------------------------------------- arms


def test_an_arm_keeps_the_digits_and_the_row_of_every_figure(records):
    view = record_arms(records(
        "A pain drug experimental week12 mean 30.00", "A pain drug experimental week12 sd 5.10",
        "A pain drug experimental week12 n 20", "A pain placebo control week12 mean 41",
    ))  # fmt: skip
    assert len(view) == 2
    assert figures(view, 0) == {"mean": ("30.00", 2), "sd": ("5.10", 3), "n": ("20", 4)}
    assert view.place(1, "mean") == (5, "value")
    assert view["mean"].tolist() == [30, 41]
    assert view.cells["mean"].decimals.tolist() == [2, 0]
    assert np.isnan(view["sd"][1])
    assert view.labels.loc[0, ["study", "role", "unit_kind", "cohort", "design"]].tolist() == [
        "A", "experimental", "score", "A", "RCT"
    ]  # fmt: skip


def test_the_unit_is_that_of_the_most_telling_figure(records):
    view = record_arms(records(
        "A pain drug experimental week12 n 20", "A pain drug experimental week12 fold 2 kind=fold",
        "A pain drug experimental week12 mean 3 kind=count",
    ))  # fmt: skip
    assert view.labels["unit_kind"].tolist() == ["count"]


def test_limits_are_those_of_a_mean_only_beside_a_mean(records):
    view = record_arms(records(
        "A pain drug experimental week12 mean 3", "A pain drug experimental week12 ci_low 2",
        "A dose drug experimental week12 estimate 3", "A dose drug experimental week12 ci_low 1",
    ))  # fmt: skip
    assert figures(view, 0) == {"mean": ("3", 2), "mean_lower": ("2", 3)}
    assert figures(view, 1) == {"estimate": ("3", 4), "ci_low": ("1", 5)}


def test_happenings_are_not_patients_with_an_event(records):
    view = record_arms(records("A ae drug experimental study events 464 kind=events"))
    assert "events" not in view
    assert view["happenings"].tolist() == [464]


def test_a_bound_is_text_without_a_value(records):
    view = record_arms(records("A resp drug experimental week12 percent >90"))
    assert np.isnan(view["percent"][0])
    assert view.text(0, "percent") == ">90"


def test_a_figure_of_no_stated_population_belongs_to_each_that_is_named(records):
    view = record_arms(records(
        "A resp drug experimental week12 n 20", "A resp drug experimental week12 events 5 population=per_protocol",
        "A resp drug experimental week12 events 7 population=all_randomised",
    ))  # fmt: skip
    assert dict(zip(view.labels["population"], view["n"], strict=True)) == {"per_protocol": 20, "all_randomised": 20}


def test_contrasts_and_p_values_are_no_arms(records):
    view = record_arms(records(
        "A pain between contrast week12 p_value 0.03", "A pain drug experimental change p_value 0.01",
        "A pain both both week12 n 40",
    ))  # fmt: skip
    assert view.labels["arm"].tolist() == ["both"]


# ---------------------------------------------------------------- comparisons

TWO_ARMS = (
    "A pain drug experimental week12 mean 3", "A pain drug experimental week12 n 20",
    "A pain placebo control week12 mean 4", "A pain placebo control week12 n 21",
)  # fmt: skip


def test_an_experimental_arm_stands_against_the_control_with_what_is_printed_between_them(records):
    view = record_comparisons(records(
        *TWO_ARMS, "A pain between contrast week12 estimate -1.0", "A pain between contrast week12 ci_low -2.1",
        "A pain between contrast week12 ci_high 0.1", "A pain between contrast week12 p_value <0.05",
    ))  # fmt: skip
    assert len(view) == 1
    assert figures(view, 0) == {
        "mean1": ("3", 2), "n1": ("20", 3), "mean2": ("4", 4), "n2": ("21", 5), "estimate": ("-1.0", 6),
        "ci_lower": ("-2.1", 7), "ci_upper": ("0.1", 8), "p": ("<0.05", 9),
    }  # fmt: skip
    assert view.labels.loc[0, ["arm", "control", "timepoint"]].tolist() == ["drug", "placebo", "week 12"]


def test_a_p_value_of_one_of_several_arms_goes_to_that_arm(records):
    view = record_comparisons(records(
        *TWO_ARMS, "A pain high experimental week12 mean 2", "A pain high contrast week12 p_value 0.01",
    ))  # fmt: skip
    assert view.text(entry(view, arm="high"), "p") == "0.01"
    assert view.text(entry(view, arm="drug"), "p") == ""


def test_a_p_value_between_several_arms_stands_alone(records):
    view = record_comparisons(records(
        *TWO_ARMS, "A pain high experimental week12 mean 2", "A pain between contrast week12 p_value 0.01",
    ))  # fmt: skip
    assert len(view) == 3
    assert figures(view, entry(view, arm="between")) == {"p": ("0.01", 7)}


def test_a_p_value_of_another_population_or_time_stands_alone(records):
    view = record_comparisons(records(
        *(f"{line} population=analysed" for line in TWO_ARMS),
        "A pain between contrast week12 p_value 0.01 population=per_protocol",
        "A pain between contrast after p_value 0.02 population=analysed",
    ))  # fmt: skip
    assert sorted(view.cells["p"].printed) == ["", "0.01", "0.02"]
    assert view.text(entry(view, control="placebo"), "p") == ""


def test_a_time_stands_beside_its_baseline_with_the_printed_change(records):
    view = record_comparisons(records(
        "A pain drug experimental baseline mean 8", "A pain drug experimental baseline n 20",
        "A pain drug experimental week12 mean 5", "A pain drug experimental week12 n 19",
        "A pain drug experimental change mean -3.1", "A pain drug experimental change p_value 0.004",
    ))  # fmt: skip
    assert len(view) == 1
    assert figures(view, 0) == {
        "mean_pre": ("8", 2), "n_pre": ("20", 3), "mean_post": ("5", 4), "n_post": ("19", 5), "n": ("19", 5),
        "mean_change": ("-3.1", 6), "p": ("0.004", 7),
    }  # fmt: skip


def test_a_p_value_of_a_change_is_no_ones_where_there_are_two_later_times(records):
    view = record_comparisons(records(
        "A pain drug experimental baseline mean 8", "A pain drug experimental week12 mean 5",
        "A pain drug experimental week24 mean 4", "A pain drug experimental change p_value 0.004",
    ))  # fmt: skip
    assert len(view) == 3
    assert figures(view, entry(view, timepoint="change")) == {"p": ("0.004", 5)}


def test_a_change_without_its_times_is_an_entry(records):
    view = record_comparisons(records(
        "A pain drug experimental change mean 3.1", "A pain drug experimental change sd 1.2",
        "A pain drug experimental change n 12", "A pain drug experimental change p_value 0.004",
    ))  # fmt: skip
    assert [view.text(0, name) for name in ("mean_change", "sd_change", "n", "p")] == ["3.1", "1.2", "12", "0.004"]


def test_records_without_any_comparison_give_an_empty_view(records):
    view = record_comparisons(records("A pain drug experimental week12 mean 3"))
    assert len(view) == 0
    assert list(record_findings(records("A pain drug experimental week12 mean 3"))) == []


# ---------------------------------------------------------------- counts that are worked out

PERCENTS = (
    "A resp drug experimental week12 percent 68", "A resp placebo control week12 percent 58",
    "A resp between contrast week12 p_value 0.30",
)  # fmt: skip


def counts(view, at=0):
    return [view[name][at] for name in ("events1", "n1", "events2", "n2")]


def test_counts_of_printed_sizes_come_from_the_percentages(records):
    view = record_comparisons(records(
        *PERCENTS, "A resp drug experimental week12 n 25", "A resp placebo control week12 n 26",
    ))  # fmt: skip
    assert counts(view) == [17, 25, 15, 26]
    assert [view.text(0, name) for name in ("events1", "n1")] == ["", "25"]
    assert view.place(0, "events1") == (2, "value")
    assert view.labels["counts"].tolist() == ["derived from 68 and 58 %"]


def test_sizes_are_assumed_by_allocation_and_the_other_splits_are_kept(records):
    view = record_comparisons(records(*PERCENTS, "A resp both both week12 n 100"))
    assert counts(view) == [34, 50, 29, 50]
    assert view.labels["counts"].tolist() == [
        "derived from 68 and 58 % of 100, assuming that 1:1 allocation gave arms of equal size"
    ]
    splits = view.labels["splits"].iloc[0]
    assert (34, 50, 29, 50) in splits
    assert len(splits) == 30


def test_counts_stay_unknown_where_the_percentages_do_not_tell_them(records):
    view = record_comparisons(
        records(*PERCENTS, "A resp both both week12 n 100", studies=("A,Trial A,A,RCT,",))
    )  # fmt: skip
    assert np.isnan(view["n1"]).all()


def test_nothing_is_worked_out_where_no_p_value_is_printed(records):
    view = record_comparisons(records(
        *PERCENTS[:2], "A resp drug experimental week12 n 25", "A resp placebo control week12 n 26",
    ))  # fmt: skip
    assert "events1" not in view


# ---------------------------------------------------------------- the records as a whole


def test_a_figure_entered_twice_is_found(records):
    found = list(record_findings(records(*TWO_ARMS, "A pain drug experimental week12 mean 3.1")))
    assert [(one.code, one.row) for one in found] == [("M067", 6)]
    assert "which row 2 gives as 3" in found[0].message


@pytest.fixture(scope="module")
def il2():
    return load_records("il2")


def test_every_figure_of_il2_stands_in_one_view_at_its_row(il2):
    arms, comparisons = record_arms(il2), record_comparisons(il2)
    seen = {}
    for view in (arms, comparisons):
        for cells in view.cells.values():
            printed = cells.printed != ""
            seen |= dict(zip(cells.row[printed], cells.printed[printed], strict=True))
    expected = dict(enumerate(il2.figures["qualifier"] + il2.figures["printed"], start=2))
    assert seen == expected


def test_every_value_of_il2_is_that_of_its_row(il2):
    for view in (record_arms(il2), record_comparisons(il2)):
        for cells in view.cells.values():
            known = ~np.isnan(cells.value) & (cells.printed != "")
            np.testing.assert_array_equal(cells.value[known], il2.figures["value"].to_numpy()[cells.row[known] - 2])


def test_counts_of_il2_are_those_of_its_derived_table(il2):
    derived = il2.tables["derived_counts"]
    view = record_comparisons(il2)
    found = {}
    for at in range(len(view)):
        for suffix, arm in (("1", "arm"), ("2", "control")):
            label = view.labels.loc[at, ["study", "outcome", "timepoint", "population", arm]]
            found[tuple(label)] = (view[f"events{suffix}"][at], view[f"n{suffix}"][at])
    key = ["study_id", "outcome", "timepoint", "population", "arm"]
    two_armed = derived[derived["study_id"] != "allegretti2023"]
    assert len(two_armed) == 14
    for row in two_armed.to_dict("records"):
        assert found[tuple(row[name] for name in key)] == (row["events"], row["n"])
