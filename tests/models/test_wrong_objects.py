"""What is no effect, no weight, no result is refused in one sentence, not by a traceback from within."""

import datetime

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import EffectSizeError, MetailError, ModelError

DAYS = pd.to_datetime(["2001-01-01", "2002-03-01", "2003-01-01"])


@pytest.mark.parametrize(
    "model",
    [m2.RandomEffects(), m2.LocationScale(scale="x"), m2.Subgroups("x")],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("given", [None, pd.DataFrame({"yi": [1.0]}), [0.1, 0.2]], ids=["None", "table", "list"])
def test_a_model_is_fitted_to_effects(model, given):
    with pytest.raises(ModelError, match=f"EffectSizes, not to {type(given).__name__}; make them with effect_sizes"):
        model.fit(given)


@pytest.mark.parametrize("given", [None, pd.DataFrame({"a": [1]}), m2.EffectSizes.from_arrays([1, 2], [1, 1])])
def test_a_forest_plot_shows_results(given):
    with pytest.raises(MetailError, match=f"not {type(given).__name__}; fit a model first"):
        m2.forest(given)


@pytest.mark.parametrize("given", [pd.DataFrame({"a": [1]}), m2.EffectSizes.from_arrays([1, 2], [1, 1])])
def test_its_second_diamond_is_a_result_too(given):
    with pytest.raises(MetailError, match=f"not {type(given).__name__}; fit a model first"):
        m2.forest(m2.pool([0.1, 0.2, 0.4], [0.1, 0.2, 0.1]), common=given)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (DAYS, "dates"), (DAYS.to_series(), "dates"), (DAYS - DAYS[0], "lengths of time"),
        (np.array([True, False, True]), "truth values"), (np.array([1 + 1j, 2, 3]), "complex numbers"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["yi", "vi", "weights"])
def test_dates_and_their_like_are_no_numbers(values, kind, place):
    given = {"yi": [0.1, 0.2, 0.4], "vi": [0.1, 0.2, 0.1], "weights": None} | {place: values}
    with pytest.raises(MetailError, match=rf"{place}.* {kind}"):
        m2.pool(given["yi"], given["vi"], weights=given["weights"])


def test_a_list_of_dates_is_named():
    with pytest.raises(EffectSizeError, match=r"yi must hold numbers, but datetime"):
        m2.pool([datetime.datetime(2001, 1, 1)] * 3, [0.1, 0.2, 0.1])
