import io
import json
import math
from contextlib import nullcontext

import openpyxl
import pandas as pd
import pytest

import metail2 as m2


@pytest.fixture(scope="module")
def effects():
    frame = m2.load_dataset("bcg")
    return m2.effect_sizes(frame, "RR", "author", events1="tpos", n1="tn", events2="cpos", n2="cn")


def blocks(text):
    return [pd.read_csv(io.StringIO(block)) for block in text.split("\n\n")]


def same_table(printed, frame):
    written = frame.replace("", math.nan)  # CSV does not tell an empty text from a missing value
    pd.testing.assert_frame_equal(printed, written, check_dtype=False, rtol=1e-14)


def test_the_summary_is_that_of_the_package(run, bcg, effects):
    assert run("pool", *bcg) == (0, m2.pool(effects).summary() + "\n", "")


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("--tau2 DL --test z", {"tau2": "DL", "test": "z"}),
        ("--level 0.9", {"level": 0.9}),
        ("--test knapp_hartung_adhoc --tau2 PM", {"tau2": "PM", "test": "knapp_hartung_adhoc"}),
        ("--moderators ablat+year", {"moderators": "ablat + year"}),
    ],
)
def test_options_reach_the_model(run, bcg, effects, options, settings):
    assert run("pool", *bcg, *options.split()).out == m2.pool(effects, **settings).summary() + "\n"


@pytest.mark.parametrize("options", ["--add 1 --to all", "--drop00", "--add 0.25", "--to if0all"])
def test_options_reach_the_zero_cells(run, options):
    words = options.split()
    settings = {"drop00": True} if words == ["--drop00"] else dict(zip(words[::2], words[1::2], strict=True))
    keywords = {name.strip("-"): float(value) if name == "--add" else value for name, value in settings.items()}
    ended = run("pool", "nielweise2007", "--measure", "OR", *words)
    with pytest.warns(m2.MetailWarning) if "drop00" in keywords else nullcontext():
        expected = m2.pool(m2.effect_sizes(m2.load_dataset("nielweise2007"), "OR", **keywords))
    assert ended.out == expected.summary() + "\n"
    assert ("warning: " in ended.err) == ("drop00" in keywords)


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_mantel_haenszel(run, measure):
    ended = run("pool", "nielweise2007", "--measure", measure, "--model", "mantel_haenszel", "--level", "0.9")
    model = m2.MantelHaenszel(measure, 0.9).fit(m2.load_dataset("nielweise2007"))
    assert ended == (0, model.summary() + "\n", "")


def test_peto(run):
    ended = run("pool", "yusuf1985", "--measure", "PETO", "--model", "peto")
    assert ended == (0, m2.Peto().fit(m2.load_dataset("yusuf1985")).summary() + "\n", "")


def test_csv_holds_the_four_tables(run, bcg, effects):
    ended = run("pool", *bcg, "--format", "csv")
    result = m2.pool(effects)
    tidy, glance, studies, companions = blocks(ended.out)
    assert ended.err == ""
    same_table(tidy, result.tidy())
    same_table(glance.drop(columns="status_reason"), result.glance().drop(columns="status_reason"))
    same_table(studies.drop(columns="group"), result.studies().drop(columns="group"))
    assert (len(companions), list(companions)) == (0, list(result.companions()))


def test_json_holds_the_four_tables_and_no_nan(run, bcg, effects):
    ended = run("pool", *bcg, "--format", "json")
    result = m2.pool(effects)
    printed = json.loads(ended.out, parse_constant=pytest.fail)
    assert list(printed) == ["tidy", "glance", "studies", "companions"]
    assert printed["tidy"][0]["estimate"] == result.estimate
    assert printed["glance"][0]["tau2"] == result.tau2
    assert printed["glance"][0]["qm"] is None
    assert [row["yi"] for row in printed["studies"]] == effects.yi.tolist()
    assert printed["studies"][0] | {"weight": 0} == result.studies().to_dict("records")[0] | {"weight": 0}


@pytest.mark.parametrize("format", ["csv", "json"])
def test_what_must_stand_beside_an_interval_is_written_too(run, table, format):
    """A program that reads the Hartung–Knapp interval of two studies must see the normal one and the reason."""
    file = table("A,0.1,0.04", "B,0.3,0.05", header="study,yi,vi")
    ended = run("pool", file, "--measure", "GEN", "--format", format)
    beside = m2.pool([0.1, 0.3], [0.04, 0.05]).companions().to_dict("records")
    assert [row["test"] for row in beside] == ["z", "knapp_hartung_adhoc"]
    found = json.loads(ended.out)["companions"] if format == "json" else blocks(ended.out)[3].to_dict("records")
    assert [(row["test"], row["ci_lower"], row["reason"]) for row in found] == [
        (row["test"], pytest.approx(row["ci_lower"], rel=1e-12), row["reason"]) for row in beside
    ]


def test_a_scale_of_its_own(run):
    ended = run("pool", "hackshaw1998", "--measure", "GEN", "--transform", "exp", "--tau2", "DL", "--test", "z")
    frame = m2.load_dataset("hackshaw1998")
    result = m2.pool(m2.effect_sizes(frame, "GEN"), tau2="DL", test="z")
    e, lower, upper = (math.exp(value) for value in (result.estimate, result.ci_lower, result.ci_upper))
    low, high = (math.exp(value) for value in result.prediction_interval())
    assert ended.out == (
        f"{result.summary()}\n\n  As ratio:\n  estimate {e:.3f}, 95 % interval {lower:.3f} to {upper:.3f}\n"
        f"  95 % prediction interval {low:.3f} to {high:.3f}\n"
    )


def test_companions_are_shown_on_the_scale_too(run, table):
    ended = run("pool", table("A,0.1,0.04", "B,0.3,0.05", header="study,yi,vi"), "--measure", "GEN",
                "--transform", "percent_change")  # fmt: skip
    shown = ended.out.split("As percentage change:")[1].strip().split("\n")
    assert len(shown) == 1 + ended.out.count("[")
    assert all(" % to " in line for line in shown)


def test_without_a_transform_the_pooled_scale_can_be_asked_for(run, table):
    ended = run("pool", table(), "--measure", "RR", "--transform", "identity")
    assert "  As pooled, not transformed:\n  estimate −0.134, " in ended.out


@pytest.mark.parametrize(
    ("header", "row"),
    [("study,yi,vi", "{},{},0.04"), ("study,yi,sei", "{},{},0.2"), ("study,yi,ci_lower,ci_upper", "{},{},-2,2")],
)
def test_generic_effects_in_three_ways(run, table, header, row):
    name = table(*(row.format(study, yi) for study, yi in (("A", 0.1), ("B", 0.3), ("C", -0.2))), header=header)
    ended = run("pool", name, "--measure", "GEN")
    assert ended.status == 0
    assert "effect 0.067, 95 % interval" in ended.out


def test_a_workbook_is_read_as_the_same_table_in_csv(run, table, folder):
    table()
    book = openpyxl.Workbook()
    for line in (folder / "trials.csv").read_text().splitlines():
        book.active.append([int(cell) if cell.isdigit() else cell for cell in line.split(",")])
    book.save("trials.xlsx")
    options = ("--measure", "OR", "--format", "csv")
    assert run("pool", "trials.xlsx", *options) == run("pool", "trials.csv", *options)


def test_labels_stay_as_they_are_written(run, table):
    ended = run("pool", table("01,0.1,0.04", "1,0.3,0.05", "NA,0.2,0.05", header="study,yi,vi"),
                "--measure", "GEN", "--format", "json")  # fmt: skip
    assert [row["study"] for row in json.loads(ended.out)["studies"]] == ["01", "1", "NA"]


@pytest.mark.parametrize("cell", ["", "NA", "N/A", "NaN", "nan"])
def test_a_missing_figure_is_a_warning_that_names_the_study(run, table, cell):
    ended = run("pool", table("A,1,10,2,10", f"B,{cell},12,2,11", "C,4,20,5,20"), "--measure", "RR")
    assert ended.status == 0
    assert "Risk ratio, 2 studies" in ended.out
    assert ended.err == (
        "warning: The risk ratio of B cannot be computed with its variance from the figures given "
        "(events1 is missing and cannot be had from what is printed); it stays in the table as NaN.\n"
        "warning: B: left out of the fit, because the effect or its variance is missing.\n"
    )


def test_one_study_is_shown_and_not_pooled(run, table):
    ended = run("pool", table("A,1,10,2,10"), "--measure", "RR")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Risk ratio, 1 study: not pooled\n\n  risk ratio 0.500, 95 % interval 0.054 to 4.672")


def test_without_a_study_column_rows_are_numbered(run, table):
    name = table("1,10,2,10", "3,12,2,11", header="events1,n1,events2,n2")
    printed = json.loads(run("pool", name, "--measure", "RR", "--format", "json").out)
    assert [row["study"] for row in printed["studies"]] == ["study 1", "study 2"]


def test_blank_rows_and_spaces_do_not_matter(run, table):
    plain = run("pool", table(), "--measure", "RR")
    spaced = run("pool", table(" A 2001 ,1,10,2,10", "", " B 2002,3, 12,2,11", ",,,,", "C 2003,4,20,5,20 "),
                 "--measure", "RR")  # fmt: skip
    assert spaced == plain


def test_a_hundred_thousand_rows(run, table):
    name = table(*(f"s{i},{i % 19 + 1},50,{i % 17 + 1},50" for i in range(100_000)))
    ended = run("pool", name, "--measure", "RR")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Risk ratio, 100000 studies")


def test_a_cell_cannot_command_the_terminal(run, table):
    ended = run(
        "pool", table("A\x1b]0;x\x07,0.1,0.04", "B,,0.05", "B2,0.3,0.05", header="study,yi,vi"), "--measure", "GEN"
    )
    assert "\x1b" not in ended.err
    bad = run("pool", table("A\x1b]0;x\x07,z,0.04", header="study,yi,vi"), "--measure", "GEN")
    assert bad.status == 1
    assert "A\ufffd]0;x\ufffd: column 'yi' holds 'z'" in bad.err
    assert "\x1b" not in run("validate", "trials.csv").out
