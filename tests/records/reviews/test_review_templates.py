import math
import shutil
import zipfile
from pathlib import Path

import pytest

from metail2.errors import MetailWarning
from metail2.records.reviews.reading import read_review

FOLDER = Path(__file__).parent / "data" / "study_data"


@pytest.fixture(scope="module")
def review():
    with pytest.warns(MetailWarning, match=r"Ash 2001: the arms 10 mg and 20 mg have the intervention 'Appleine'"):
        return read_review(FOLDER)


def test_one_analysis_an_outcome_and_pair_of_interventions(review):
    assert (review.format, review.title) == ("study data", "CD000003")
    assert [(a.number, a.name, a.comparison) for a in review.analyses] == [
        ("1.1", "Relapse", "Appleine v Placebo"),
        ("1.2", "Fatigue", "Appleine v Placebo"),
        ("1.3", "Survival", "Appleine v Pearol"),
    ]


def test_arms_of_one_intervention_are_combined(review):
    table = review.analysis("1.1").table.set_index("study")
    assert list(table.loc["Ash 2001", ["events1", "n1", "events2", "n2"]]) == [20, 120, 25, 82]
    assert list(table.loc["Beech 2003", ["events1", "n1", "events2", "n2"]]) == [30, 150, 28, 148]
    assert table.loc["Fig 2016", "state"] == "not_estimable"
    assert review.analysis("1.1").settings.measure == "RR"


def test_the_measure_of_the_rows_and_an_sd_from_a_standard_error(review):
    analysis = review.analysis("1.2")
    assert analysis.settings.measure == "SMD"
    assert analysis.table["sd1"].iloc[1] == pytest.approx(6, rel=1e-14)
    assert analysis.table["sd2"].iloc[1] == pytest.approx(5, rel=1e-14)


def test_contrasts(review):
    analysis = review.analysis("1.3")
    assert (analysis.kind, analysis.settings.log_scale, analysis.settings.arms) == (
        "generic", True, ("Appleine", "Pearol"),
    )  # fmt: skip
    assert list(analysis.table["yi"]) == pytest.approx([-0.25, math.log(1.2), -0.6], rel=1e-14)
    expected = [0.12, math.log(1.8 / 0.8) / (2 * 1.959963984540054), 0.8 / (2 * 1.6448536269514722)]
    assert list(analysis.table["sei"]) == pytest.approx(expected, rel=1e-12)
    assert len(review.effects("1.3")) == 3


def test_the_file_of_arms_is_found_beside(tmp_path):
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    with pytest.warns(MetailWarning, match="combined"):
        review = read_review(tmp_path / "CD000003-study-results.csv")
    assert review.analysis("1.1").settings.arms == ("Appleine", "Placebo")


def test_without_the_file_of_arms_each_arm_is_an_intervention(tmp_path):
    shutil.copy(FOLDER / "CD000003-study-results.csv", tmp_path / "study-results.csv")
    review = read_review(tmp_path / "study-results.csv")
    assert ("Relapse", "10 mg v 20 mg") in [(a.name, a.comparison) for a in review.analyses]
    control = next(a for a in review.analyses if (a.name, a.settings.arms) == ("Relapse", ("Control", "Active")))
    assert list(control.table["study"]) == ["Beech 2003", "Fig 2016"]
    assert list(control.table.iloc[0][["events1", "n1"]]) == [28, 148]


def test_a_zip_with_a_byte_order_mark(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for file in FOLDER.iterdir():
            archive.writestr(file.name, b"\xef\xbb\xbf" + file.read_bytes())
    with pytest.warns(MetailWarning, match="combined"):
        assert len(read_review(tmp_path / "export.zip").analyses) == 3
