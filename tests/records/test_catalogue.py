import hashlib
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metail2.errors import RecordError, UnknownChoice
from metail2.records import catalogue
from metail2.records.catalogue import list_datasets, load_dataset, records_folder, report_folder

DATASETS = Path(__file__).parents[2] / "datasets"
TABLES = sorted(file.stem for file in DATASETS.glob("*.csv"))


def test_every_file_is_listed():
    listed = list_datasets()
    assert list(listed.columns) == ["name", "kind", "title", "rows", "measure", "source"]
    assert sorted(listed["name"]) == sorted([*TABLES, "il2"])
    assert dict(zip(listed["name"], listed["kind"], strict=True)) == {
        **dict.fromkeys(TABLES, "table"),
        "il2": "records",
    }
    assert (listed["rows"] > 0).all()
    assert (listed["title"] != "").all()
    assert (listed["source"] != "").all()


@pytest.mark.parametrize("name", TABLES)
def test_checksum_and_column_meanings(name):
    about = tomllib.loads((DATASETS / f"{name}.toml").read_text(encoding="utf-8"))
    data = (DATASETS / f"{name}.csv").read_bytes().replace(b"\r\n", b"\n")
    assert hashlib.sha256(data).hexdigest() == about["sha256"]
    assert list(load_dataset(name).columns) == list(about["columns"])
    assert re.fullmatch(r"10\.\d{4,}/\S+", about["doi"])


@pytest.mark.parametrize("name", TABLES)
def test_study_labels_are_unique(name):
    label = "author" if name == "bcg" else "study"
    assert load_dataset(name)[label].is_unique


def test_bcg_holds_totals():
    bcg = load_dataset("bcg")
    assert bcg.loc[0, ["tpos", "tn", "cpos", "cn"]].tolist() == [4, 123, 11, 139]
    # the common-effect log risk ratio that is published for these 13 trials
    effect = np.log(bcg["tpos"] / bcg["tn"]) - np.log(bcg["cpos"] / bcg["cn"])
    weight = 1 / (1 / bcg["tpos"] - 1 / bcg["tn"] + 1 / bcg["cpos"] - 1 / bcg["cn"])
    assert np.average(effect, weights=weight) == pytest.approx(-0.4303, abs=5e-5)


def test_published_totals_and_shapes():
    assert load_dataset("normand1999").shape == (9, 7)
    teachers = load_dataset("raudenbush1985")
    assert np.average(teachers["yi"], weights=1 / teachers["vi"]) == pytest.approx(0.0604, abs=5e-5)
    assert load_dataset("hackshaw1998")["design"].value_counts().to_dict() == {"case-control": 33, "cohort": 4}
    assert load_dataset("bangertdrowns2004")["length"].isna().sum() == 2


def test_effects_follow_from_the_printed_odds_ratios():
    smoke = load_dataset("hackshaw1998")
    width = np.log(smoke["ci_upper"]) - np.log(smoke["ci_lower"])
    np.testing.assert_allclose(smoke["yi"], np.log(smoke["odds_ratio"]), rtol=1e-13)
    np.testing.assert_allclose(smoke["vi"], (width / 2 / 1.959963984540054) ** 2, rtol=1e-13)


def test_peto_odds_ratio_of_yusuf_1985_page_107():
    table = load_dataset("yusuf1985")
    total = table["n1"] + table["n2"]
    dead = table["events1"] + table["events2"]
    observed_less_expected = table["events1"] - dead * table["n1"] / total
    variance = table["n1"] * table["n2"] * dead * (total - dead) / (total**2 * (total - 1))
    log_ratio = observed_less_expected.sum() / variance.sum()
    assert np.exp(log_ratio) == pytest.approx(0.9332, abs=5e-5)


def test_folders():
    assert records_folder("il2") == DATASETS / "il2"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An installation of its own: metail2/datasets and metail2/reports inside the package."""
    package = tmp_path / "metail2"
    (package / "records").mkdir(parents=True)
    monkeypatch.setattr(catalogue, "__file__", str(package / "records" / "catalogue.py"))
    return package


def test_the_folders_inside_an_installed_package_are_found(elsewhere):
    (elsewhere / "reports" / "asthma").mkdir(parents=True)
    (elsewhere / "reports" / "asthma" / "report.toml").touch()
    assert report_folder("asthma") == elsewhere / "reports" / "asthma"
    with pytest.raises(
        UnknownChoice, match=r"^Unknown report 'astma'\. Did you mean 'asthma'\? Choose from: asthma\.$"
    ):
        report_folder("astma")


def test_an_incomplete_installation(elsewhere):
    message = "The folder 'datasets' that is shipped with metail2 was not found; reinstall metail2."
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        list_datasets()


def test_a_changed_file_is_refused_and_windows_line_ends_are_not_a_change(elsewhere):
    (elsewhere / "datasets").mkdir()
    original = (DATASETS / "bcg.csv").read_bytes()
    (elsewhere / "datasets" / "bcg.toml").write_bytes((DATASETS / "bcg.toml").read_bytes())
    (elsewhere / "datasets" / "bcg.csv").write_bytes(original.replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(load_dataset("bcg"), pd.read_csv(DATASETS / "bcg.csv"))
    (elsewhere / "datasets" / "bcg.csv").write_bytes(original.replace(b"4,123", b"5,123"))
    message = (
        "datasets/bcg.csv is not the file that was published (its sha256 is not the one in bcg.toml); "
        "reinstall metail2 or restore the file."
    )
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        load_dataset("bcg")


@pytest.mark.parametrize(
    ("call", "name", "kind", "message"),
    [
        (load_dataset, "bgc", UnknownChoice, r"^Unknown data set 'bgc'\. Did you mean 'bcg'\? Choose from: bangert.*$"),
        (load_dataset, None, UnknownChoice, r"^Unknown data set None\. Choose from: bangert.*$"),
        (
            load_dataset,
            "il2",
            RecordError,
            r"^'il2' holds trial records, not one table of studies; read it with load_records\('il2'\)\.$",
        ),
        (
            records_folder,
            "bcg",
            RecordError,
            r"^'bcg' is one table of studies, not trial records; read it with load_dataset\('bcg'\)\.$",
        ),
        (records_folder, "il-2", UnknownChoice, r"^Unknown data set 'il-2'\. Did you mean 'il2'\? Choose from: .*$"),
    ],
)
def test_wrong_names(call, name, kind, message):
    with pytest.raises(kind, match=message):
        call(name)
