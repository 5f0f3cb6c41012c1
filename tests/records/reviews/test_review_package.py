import zipfile
from pathlib import Path

import numpy as np
import pytest

from metail2.errors import MetailWarning
from metail2.records.reviews.precision import Precision
from metail2.records.reviews.reading import read_review

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def first():
    return read_review(DATA / "package_v1")


@pytest.fixture(scope="module")
def second():
    return read_review(DATA / "package_v2")


def test_versions_are_told_apart(first, second):
    assert (first.format, first.title, first.version) == ("Cochrane data package", "CD000001", "1")
    assert (second.title, second.version) == ("CD000002", "2")


def test_a_folder_and_a_zip_say_the_same(first, zipped):
    packed = read_review(zipped("package_v1"))
    assert packed.file == "package_v1.zip"
    for one, other in zip(first.analyses, packed.analyses, strict=True):
        assert one.settings == other.settings
        assert one.table.equals(other.table)
        assert one.totals.equals(other.totals)


def test_the_byte_order_mark_is_no_part_of_the_first_column(first):
    files = sorted((DATA / "package_v1").rglob("*.csv"))
    assert all(file.read_bytes().startswith(b"\xef\xbb\xbfAnalysis group") for file in files)
    assert len(first.analyses) == 5


def test_settings(first, second):
    settings = first.analysis("1.1").settings
    assert (settings.label, settings.measure, settings.method, settings.model) == ("Risk Ratio", "RR", "MH", "random")
    assert (settings.tau2, settings.test, settings.level_total, settings.totals) == ("DL", "z", 0.95, "all")
    settings = second.analysis("1.1").settings
    assert (settings.tau2, settings.test, settings.scale) == ("REML", "knapp_hartung", 10.0)
    assert settings.favours == ("Favours appleine", "Favours placebo")
    assert first.analysis("2.2").settings.method == "PETO"


def test_columns_of_other_kinds_are_not_read(first):
    """They hold 0.0, which is no figure."""
    assert list(first.analysis("1.3").table.columns[3:9]) == ["mean1", "sd1", "n1", "mean2", "sd2", "n2"]
    generic = first.analysis("2.1")
    assert (generic.kind, generic.settings.measure, generic.settings.log_scale) == ("generic", "HR", True)
    assert list(generic.table["yi"]) == [-0.25, 0.1, -0.6]
    assert generic.table["effect"].iloc[0] == pytest.approx(np.exp(-0.25), abs=5e-7)


def test_a_study_without_patients_and_one_without_events(first):
    table = first.analysis("1.1").table.set_index("study")
    assert table.loc["Elm 2012", "state"] == table.loc["Cedar 2007", "state"] == "not_estimable"
    with pytest.warns(MetailWarning, match="Cedar 2007 and Elm 2012"):
        effects = first.effects("1.1")
    assert list(np.isnan(effects.yi)) == [False, False, True, False, True]


def test_rows_of_subgroups_and_of_the_total(first):
    totals = first.analysis("1.3").totals
    assert list(totals["subgroup"]) == ["Mild", "Severe", ""]
    assert list(totals["file"]) == ["CD000001-subgroup-estimates.csv"] * 2 + [
        "CD000001-overall-estimates-and-settings.csv"
    ]
    assert list(totals.index) == [2, 3, 4]
    assert list(first.analysis("1.3").table.index) == [10, 11, 12]


def test_a_study_left_out(second):
    assert second.analysis("1.1").table["state"].iloc[4] == "excluded"
    with pytest.warns(MetailWarning, match="Gorse 2018: left out"):
        assert len(second.effects("1.1")) == 4


def test_a_study_in_two_subgroups_has_two_effects(second):
    effects = second.effects("1.2")
    assert effects.repeated == ["Ash 2001"]
    assert second.effects("1.2", subgroup="High dose").study == ("Ash 2001", "Damson 2010")


def test_a_package_within_a_download(zipped, tmp_path):
    inner = zipped("package_v1")
    outer = tmp_path / "download.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "CD000001-files/CD000001-data.zip")
        archive.writestr("CD000001-files/CD000001.pdf", b"%PDF")
    assert len(read_review(outer).analyses) == 5


def test_what_a_mac_adds_is_left_alone(zipped):
    name = "__MACOSX/CD000001-analysis-data/._CD000001-data-rows.csv"
    assert len(read_review(zipped("package_v1", extra={name: b"\x00\x05\x16\x07"})).analyses) == 5


def test_subgroup_estimates_may_be_missing(zipped):
    review = read_review(zipped("package_v1", {"subgroup-estimates.csv": None}))
    assert list(review.analysis("1.3").totals["subgroup"]) == [""]


def test_no_total_and_unknown_words(zipped):
    def change(text):
        head, *rows = text.split("\r\n")
        rows[0] = rows[0].replace(",FALSE,TRUE,", ",FALSE,FALSE,").replace("Random effect", "Bayesian")
        rows[1] = rows[1].replace("Dichotomous", "Arm level")
        rows[2] = rows[2].replace("Continuous", "Ordinal").replace("Std. Mean Difference", "Proportional odds")
        return "\r\n".join([head, *rows])

    review = read_review(zipped("package_v1", {"settings.csv": change}))
    assert review.analysis("1.1").settings.totals == "none"
    assert review.analysis("1.1").settings.model == ""
    assert review.analysis("1.2").kind == "dichotomous"
    assert review.analysis("1.3").kind == "other"


@pytest.mark.parametrize(
    ("cells", "value", "tolerance"),
    [
        (["1.2", "3.123456"], 1.2, 0.5e-6),  # zeros cut off
        (["12.34", "0.50"], 0.5, 0.005),  # two decimals
        (["0.000123456", "123.456"], 123.456, 0.5e-3),  # six significant digits
        (["0.000123456", "123.456"], 0.000123456, 0.5e-9),
        (["1.5E-4", "x", ""], 0.00015, 0.5e-5),
        (["0.0"], 0.0, 0.05),
        (["100"], 100.0, 0.5),
    ],
)
def test_precision(cells, value, tolerance):
    assert Precision.of(cells).tolerance(value) == pytest.approx(tolerance, rel=1e-12)
