"""What is said of effects that rest on corrected counts."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import ModelError
from metail2.models.corrections import correction_notes

TABLE = pd.DataFrame({
    "events1": [3, 0, 0, 5, 10], "n1": [50, 40, 30, 5, 20],
    "events2": [6, 2, 0, 5, 12], "n2": [50, 40, 30, 5, 20], "study": list("ABCDE"),
})  # fmt: skip
ALL = np.arange(5)


def notes(measure, frame=TABLE, **options):
    effects = m2.effect_sizes(frame, measure, **options)
    return correction_notes(effects, np.flatnonzero(effects.complete))


def test_corrected_studies_and_those_that_say_nothing_are_named():
    corrected, empty = notes("OR")
    assert corrected == "0.5 was added to the counts of B, C and D, and is part of what is pooled"
    assert empty.startswith("C and D: nobody or everybody had the event, so their effects are made by what was added")
    corrected, empty = notes("RR")
    assert empty.startswith("C: no event occurred in either arm, so its effect is made by")
    assert notes("RD") == [corrected]
    assert notes("OR", add=0.25, to="all")[0].startswith("0.25 was added to the counts of every study, and is")


def test_nothing_is_said_where_nothing_was_added():
    assert notes("OR", TABLE.iloc[[0, 4]]) == []
    assert notes("AS") == []
    with pytest.warns(m2.MetailWarning, match="cannot be computed"):
        assert notes("OR", drop00=True) == ["0.5 was added to the counts of B, and is part of what is pooled"]
    assert correction_notes(m2.EffectSizes.from_arrays([0.1, 0.2], [1, 1]), np.arange(2)) == []


def test_rates_and_single_proportions():
    rates = TABLE.rename(columns={"n1": "time1", "n2": "time2"})
    assert [note.split(":")[0] for note in notes("IRR", rates)[1:]] == ["C"]
    single = TABLE.rename(columns={"events1": "events", "n1": "n"})
    assert notes("PLO", single) == ["0.5 was added to the counts of B, C and D, and is part of what is pooled"]


@pytest.mark.parametrize(
    ("measure", "rows", "why"),
    [("RR", [2], "C: no event occurred"), ("OR", [2, 3], "C and D: nobody or everybody had the event")],
)
def test_a_ratio_without_any_information_is_refused(measure, rows, why):
    effects = m2.effect_sizes(TABLE.iloc[rows], measure)
    with pytest.raises(ModelError, match=f"{why}.*made by what was added to the cells alone; leave such studies out"):
        m2.pool(effects)
    assert np.isfinite(m2.pool(m2.effect_sizes(TABLE.iloc[rows], "RD")).estimate)


def test_every_model_of_effects_says_so_and_rows_keep_their_additions():
    effects = m2.effect_sizes(TABLE, "OR")
    assert effects.added.tolist() == [0, 0.5, 0.5, 0.5, 0]
    assert effects.drop(0).added.tolist() == [0.5, 0.5, 0.5, 0]
    joined = m2.EffectSizes.concat([effects.drop(4), m2.EffectSizes.from_arrays([0.1], [0.1], ["F"], measure="OR")])
    assert joined.added.tolist() == [0, 0.5, 0.5, 0.5, 0]
    assert "0.5 was added to the counts of B, C and D" in m2.pool(effects).summary()
    assert "0.5 was added to the counts of B, C and D" in m2.LocationScale("n1", link="identity").fit(effects).summary()
    harmonised = m2.harmonise(TABLE, measure="OR")
    assert correction_notes(harmonised, ALL) == correction_notes(effects, ALL)
