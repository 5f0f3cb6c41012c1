"""The shipped evidence: complete, traceable to its quotes, and in agreement with itself."""

import csv
import io
import re
from pathlib import Path

import pytest

from metail2.records.reading import load_records

HOME = Path(__file__).parents[2] / "datasets" / "il2"
RECORDS = load_records("il2")
FIGURES, STUDIES = RECORDS.figures, RECORDS.studies

ONE_PATIENT_IN_WORDS = {"R0083", "R0085", "R0179"}
"""Figures whose quote prints no number: it describes one patient."""

WORDS = dict(
    zip(
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "sixteen", "seventeen"],
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "16", "17"],
        strict=True,
    )
) | {"twenty": "20", "thirty": "30", "thirty-eight": "38", "forty-four": "44", "sixty": "60"}

COHORTS = {
    "shanxi_as": {"qin_as", "an2019", "jin_spa"},
    "shanxi_ra": {"zhang2016ra", "zhang2021ra"},
    "shanxi_dm": {"feng2019", "zhang2019dmpm"},
    "peking_myositis": {"miao2021", "yunzhi2022"},
    "charite_sle": {"humrich2014case", "vonspee2016"},
}
ONE_ARM = ["study_id", "outcome", "arm", "timepoint", "population"]


def printed_numbers(quote):
    plain = quote.replace("·", ".").replace("−", "-")
    numbers = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?", plain)
    return {*numbers, *(WORDS[word] for word in re.findall(r"[a-z]+(?:-[a-z]+)?", plain.lower()) if word in WORDS)}


def test_all_records_and_studies_are_there():
    assert FIGURES["record_id"].tolist() == [f"R{k:04d}" for k in range(1, 394)]
    assert STUDIES["study_id"].is_unique
    assert STUDIES["label"].is_unique
    assert len(STUDIES) == 44


def test_every_value_is_printed_in_its_quote_digit_for_digit():
    astray = {
        figure["record_id"]
        for _, figure in FIGURES.iterrows()
        if figure["printed"] not in printed_numbers(figure["quote"])
    }
    assert astray == ONE_PATIENT_IN_WORDS
    assert set(FIGURES.loc[FIGURES["record_id"].isin(ONE_PATIENT_IN_WORDS), "printed"]) == {"1"}


@pytest.mark.parametrize(
    ("record", "printed"),
    [
        ("R0091", "30.00"),
        ("R0186", "12.80"),
        ("R0200", "0.70"),
        ("R0261", "19.00"),
        ("R0279", "1.40"),
        ("R0276", "1.00"),
        ("R0286", "3.60"),
        ("R0269", "0.20"),
        ("R0360", "1.70"),
        ("R0306", "11.0"),
        ("R0022", "0.4"),
        ("R0004", "5"),
    ],
)
def test_printed_digits(record, printed):
    assert FIGURES.set_index("record_id").loc[record, "printed"] == printed


def test_signs_of_inequality_are_kept():
    less = FIGURES[FIGURES["qualifier"] == "<"]
    assert less["printed"].tolist() == ["0.001", "0.001"]
    assert less["quote"].str.contains("<0.001").all()


def test_times_agree_with_their_timepoints():
    numbered = FIGURES[FIGURES["timepoint"].str.contains(r"\d")]
    written = numbered["time_unit"] + " " + numbered["time"].astype(int).astype(str)
    assert written.tolist() == numbered["timepoint"].tolist()
    others = FIGURES.drop(numbered.index)
    assert set(others.loc[others["time"].notna(), "timepoint"]) == {"study"}


@pytest.mark.parametrize(
    ("study", "outcome", "time", "unit"),
    [
        ("hartemann2013", "injection_site_reaction", 6, "day"),
        ("hartemann2013", "serious_adverse_event", 60, "day"),
        ("he2020", "serious_adverse_event", 24, "week"),
        ("allegretti2023", "serious_adverse_event", 8, "week"),
    ],
)
def test_observation_windows(study, outcome, time, unit):
    rows = FIGURES[(FIGURES["study_id"] == study) & (FIGURES["outcome"] == outcome)]
    assert set(zip(rows["timepoint"], rows["time"], rows["time_unit"], strict=True)) == {("study", time, unit)}


def test_units_follow_the_statistic():
    assert set(FIGURES.loc[FIGURES["statistic"] == "n", "unit"]) == {"patients"}
    chance = FIGURES[FIGURES["statistic"] == "p_value"]
    assert set(chance["unit"]) == {""}
    assert set(chance["unit_kind"]) == {"probability"}
    assert set(FIGURES.loc[FIGURES["unit_kind"] == "probability", "statistic"]) == {"p_value"}


@pytest.mark.parametrize(
    ("study", "outcome", "kind"),
    [
        ("hartemann2013", "treg_pct_cd4", "percentage_points"),
        ("kennedynasser2014", "treg_pct_cd4", "cell_fraction"),
        ("zhang2016ra", "treg_count", "count"),
        ("qin_as", "treg_count", "count"),
        ("louapre2023", "treg_fold", "fold"),
        ("zhang2018a", "platelets", "count"),
        ("castela2014", "salt", "score"),
    ],
)
def test_kinds_of_unit_are_not_mixed(study, outcome, kind):
    rows = FIGURES[(FIGURES["study_id"] == study) & (FIGURES["outcome"] == outcome)]
    assert set(rows["unit_kind"]) - {"patients", "probability"} == {kind}


def test_doses_are_in_million_units():
    for frame in (FIGURES, STUDIES):
        assert set(frame.loc[frame["dose_low"].notna(), "dose_unit"]) == {"MIU", "MIU/m2"}
        assert set(frame.loc[frame["dose_low"].isna(), "dose_unit"]) == {""}
        assert frame["dose_low"].isna().equals(frame["dose_high"].isna())


def test_a_figure_is_recorded_once():
    assert not FIGURES.duplicated([*ONE_ARM, "role", "statistic"]).any()


def test_events_do_not_exceed_patients():
    counts = FIGURES[FIGURES["statistic"].isin(["events", "n"]) & (FIGURES["unit_kind"] == "patients")]
    wide = counts.pivot(index=ONE_ARM, columns="statistic", values="value").dropna()
    assert len(wide) > 40
    assert (wide["events"] <= wide["n"]).all()


def test_quartiles_and_ranges_are_in_order():
    wide = FIGURES.pivot_table(index=[*ONE_ARM, "role"], columns="statistic", values="value", sort=False)
    for low, middle, high in (
        ("q1", "median", "q3"),
        ("min", "median", "max"),
        ("range_low", "estimate", "range_high"),
    ):
        rows = wide[[low, middle, high]].dropna()
        assert len(rows) > 5
        assert ((rows[low] <= rows[middle]) & (rows[middle] <= rows[high])).all()


def test_shared_cohorts():
    shared = STUDIES[STUDIES["cohort"] != STUDIES["study_id"]]
    assert {cohort: set(rows["study_id"]) for cohort, rows in shared.groupby("cohort")} == COHORTS
    assert set(shared["centre"]) == {"Shanxi", "Peking", "Charité"}
    assert set(STUDIES.loc[STUDIES["centre"] != "", "study_id"]) == set().union(*COHORTS.values())


def test_allocation_and_autoimmunity():
    assert set(STUDIES.loc[STUDIES["allocation"] == "1:1", "study_id"]) == {"humrich2022", "louapre2023", "zhao2016"}
    not_autoimmune = set(STUDIES.loc[~STUDIES["autoimmune"].astype(bool), "study_id"])
    assert not_autoimmune == {"camu2020", "mirocals2025", "zhao2022lilacs", "ivory2025"}


def test_secondary_sources_are_marked():
    words = "journalistic|third-party|secondary|medwireNews|forum|news copy"
    assert FIGURES["secondary"].equals(FIGURES["source"].str.contains(words))
    assert FIGURES["secondary"].sum() == 32


def derived_counts():
    rows = RECORDS.tables["derived_counts"].to_dict("records")
    return [pytest.param(row, id="-".join(str(row[key]) for key in ONE_ARM)) for row in rows]


@pytest.mark.parametrize("row", derived_counts())
def test_derived_counts_reproduce_the_printed_percentage(row):
    same = (FIGURES[[*ONE_ARM, "role"]] == [row[key] for key in [*ONE_ARM, "role"]]).all(axis=1)
    percent = FIGURES[same & (FIGURES["statistic"] == "percent")]
    assert len(percent) == 1
    printed, decimals = percent.iloc[0][["printed", "decimals"]]
    calculated = 100 * row["events"] / row["n"]
    if (row["study_id"], row["outcome"]) == ("allegretti2023", "clinical_response"):
        # 38.46 was cut to 38.4 in the source, not rounded
        assert (printed, calculated) == ("38.4", pytest.approx(38.4615, abs=1e-4))
    else:
        assert f"{calculated:.{decimals}f}" == printed


def test_the_reviews_tables():
    first, second = RECORDS.tables["review_table1"], RECORDS.tables["review_table2"]
    assert first["row"].tolist() == list(range(1, 11))
    assert second["row"].tolist() == list(range(1, 8))
    assert second["n"].tolist() == [47, 60, 30, 2, 10, 100, 36]
    named = {study for cell in [*first["study_id"], *second["study_id"]] for study in cell.split(";") if study}
    assert named <= set(STUDIES["study_id"])


def test_published_meta_analyses_are_printed_in_their_quotes():
    text = (HOME / "published_meta_analyses.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["row"] for row in table] == [str(k) for k in range(1, 15)]
    for row in table:
        numbers = printed_numbers(row["quote"].replace("− ", "-"))
        for column in ("estimate", "ci_low", "ci_high"):
            assert row[column] in {*numbers, ""}, row["id"]


@pytest.mark.parametrize("file", sorted(HOME.iterdir()), ids=lambda file: file.name)
def test_files_are_plain_utf8(file):
    data = file.read_bytes()
    assert not data.startswith(b"\xef\xbb\xbf")
    assert data.decode("utf-8").endswith("\n")
