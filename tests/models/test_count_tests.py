"""tests(): which tests a result of count tables has, what its notes say, and where they appear."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.kernels.table_tests import TABLE_TESTS

LABELS = ["Ann", "Ben", "Cal", "Döring 2001"]
TABLES = pd.DataFrame(
    [(2, 50, 5, 50), (0, 40, 0, 42), (9, 9, 8, 8), (1, 30, 4, 31)], columns=["events1", "n1", "events2", "n2"]
).assign(study=LABELS)
RATES = pd.DataFrame({
    "study": LABELS, "events1": [2, 0, 9, 1], "time1": [5.0, 4, 3, 6], "events2": [5, 0, 8, 4], "time2": [5.0, 4, 4, 6],
})  # fmt: skip
SCORES = pd.DataFrame({"study": LABELS, "o_minus_e": [-1.5, 0, 2, -3], "v": [4.0, 0, 5, 6]})
OUTSIDE = (
    "Ben does not enter, because no event occurred in either arm; Cal does not enter, because every patient had the "
    "event"
)


def rows(result):
    return result.tests().set_index("test")


def test_columns_and_rows():
    table = m2.MantelHaenszel("OR").fit(TABLES).tests()
    assert table.columns.tolist() == ["test", "statistic", "df", "p_value", "note"]
    assert table["test"].tolist() == list(TABLE_TESTS)
    assert table["df"].tolist() == [1] * 6
    assert np.isfinite(table[["statistic", "p_value"]].to_numpy()).all()


@pytest.mark.parametrize("name", list(TABLE_TESTS))
def test_notes_name_the_studies_that_do_not_enter(name):
    note = rows(m2.MantelHaenszel("OR").fit(TABLES)).loc[name, "note"]
    assert note.endswith(f"; {OUTSIDE}")
    assert note.startswith("equal odds ratios" if name in ("breslow_day", "tarone") else "no association")


def test_a_study_left_out_for_a_missing_count_is_named_too():
    frame = TABLES.astype({"events1": float})
    frame.loc[3, "events1"] = np.nan
    with pytest.warns(m2.MetailWarning):
        result = m2.MantelHaenszel("RD").fit(frame)
    assert rows(result).loc["cmh", "note"].endswith("; Döring 2001 does not enter, because a figure is missing")


def test_many_studies_are_counted():
    frame = pd.concat([TABLES, *[TABLES.iloc[[1]]] * 8], ignore_index=True).drop(columns="study")
    assert (
        "study 2, study 5, study 6, study 7, study 8 and 4 more do not enter"
        in (rows(m2.Peto().fit(frame)).loc["cmh", "note"])
    )


@pytest.mark.parametrize("model", [m2.MantelHaenszel("RR"), m2.MantelHaenszel("RD"), m2.Peto()], ids=repr)
def test_association_is_the_same_whatever_is_pooled(model):
    found, odds = rows(model.fit(TABLES)), rows(m2.MantelHaenszel("OR").fit(TABLES))
    association = ["cmh", "cmh_corrected", "cochran", "cochran_corrected"]
    assert found.loc[association].equals(odds.loc[association])
    for name in ("breslow_day", "tarone"):
        assert found.loc[name, ["statistic", "df", "p_value"]].isna().all()
        measure = model.fit(TABLES).effects.measure
        assert found.loc[name, "note"].endswith(
            f"not computed, because odds ratios are compared and this result pools {measure}"
        )


@pytest.mark.parametrize("measure", ["IRR", "IRD"])
def test_person_time(measure):
    found = rows(m2.MantelHaenszel(measure).fit(RATES))
    note = "equal rates, variance given the events of both arms, not corrected for continuity; Ben does not enter"
    assert found.loc["cmh", "note"].startswith(note)
    assert "Cal" not in found.loc["cmh", "note"]  # events in person-time have no upper bound
    assert found.loc["cmh", "statistic"] > found.loc["cmh_corrected", "statistic"]
    assert found.loc[["cochran", "breslow_day", "tarone"], "statistic"].isna().all()
    assert found.loc["tarone", "note"].endswith("because numbers of patients are needed, not their time")


def test_scores():
    found = rows(m2.Peto().fit(SCORES))
    assert found.loc["cmh", "statistic"] == pytest.approx(2.5**2 / 15, rel=1e-13)
    assert found.loc["cmh", "note"] == (
        "no association, (Σ(O − E))²/ΣV, the square of z; Ben does not enter, because V is 0"
    )
    assert found.drop(index="cmh")["statistic"].isna().all()
    assert found.loc["tarone", "note"].endswith("because the tables are needed and only O − E and V are given")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (TABLES.iloc[:1], "undefined, because fewer than 2 studies enter"),
        (TABLES.assign(events1=0), "undefined, because the Mantel–Haenszel odds ratio is"),
        (TABLES.iloc[1:3], "undefined, because fewer than 2 studies enter"),
    ],
)
def test_undefined_homogeneity_says_why(frame, reason):
    found = rows(m2.MantelHaenszel("OR").fit(frame))
    for name in ("breslow_day", "tarone"):
        assert found.loc[name, ["statistic", "df", "p_value"]].isna().all()
        assert reason in found.loc[name, "note"]


def test_undefined_association_says_why():
    found = rows(m2.MantelHaenszel("OR").fit(TABLES.iloc[1:3])).loc["cmh"]
    assert np.isnan(found["statistic"])
    assert found["note"].endswith(f"; undefined, because no study enters; {OUTSIDE}")


def test_glance_holds_the_figures_of_tests():
    result = m2.MantelHaenszel("OR").fit(TABLES)
    glance, found = result.glance().iloc[0], rows(result)
    for name in ("cmh", "breslow_day", "tarone"):
        assert glance[[name, f"{name}_p"]].tolist() == found.loc[name, ["statistic", "p_value"]].tolist()
    assert glance["tests_reason"] == ""


@pytest.mark.parametrize(
    ("model", "frame", "reason"),
    [
        (m2.MantelHaenszel("RR"), TABLES,
         "breslow_day and tarone: not computed, because odds ratios are compared and this result pools RR"),
        (m2.MantelHaenszel("OR"), TABLES.iloc[:1],
         "breslow_day and tarone: undefined, because fewer than 2 studies enter"),
        (m2.MantelHaenszel("OR"), TABLES.iloc[1:2],
         "cmh: undefined, because no study enters; breslow_day and tarone: undefined, because fewer than 2 studies en"),
    ],
)  # fmt: skip
def test_glance_says_why_a_test_is_not_there(model, frame, reason):
    assert model.fit(frame).glance()["tests_reason"].iloc[0].startswith(reason)


def test_summary_shows_the_tests(bcg_frame):
    text = m2.MantelHaenszel("OR").fit(bcg_frame).summary()
    assert text.endswith(
        "\n  Test of no association (Cochran–Mantel–Haenszel): χ² = 136.16 on 1 df, P = 1.8e−31; corrected for "
        "continuity χ² = 135.69 on 1 df, P = 2.3e−31"
        "\n  Test of equal odds ratios (Breslow–Day): χ² = 171.77 on 12 df, P = 2.1e−30; with Tarone's correction χ² = "
        "171.76 on 12 df, P = 2.1e−30"
    )
    assert "equal odds ratios" not in m2.MantelHaenszel("RR").fit(bcg_frame).summary()
    assert "Test of no association (stratified log-rank): χ² = 0.42 on 1 df" in m2.Peto().fit(SCORES).summary()
    assert "Test of no association (Mantel–Haenszel, person-time): χ²" in m2.MantelHaenszel("IRD").fit(RATES).summary()
    assert "Test of" not in m2.MantelHaenszel("OR").fit(TABLES.iloc[1:3]).summary()
