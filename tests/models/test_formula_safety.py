"""Formulas are data: nothing in them is run, nothing hangs, and nothing that cannot be encoded passes."""

import warnings

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import EffectSizeError, ModelError


def effects(**columns):
    k = len(next(iter(columns.values())))
    return m2.EffectSizes.from_arrays([0.1 * i for i in range(k)], [0.1] * k, moderators=pd.DataFrame(columns))


def test_a_column_named_like_code_is_not_run(tmp_path):
    target = tmp_path / "made"
    name = f"__import__('pathlib').Path({str(target)!r}).touch()"
    with pytest.raises(ModelError):
        m2.pool(effects(**{name: [1, 2, 3, 4]}), moderators="{" + name + "}")
    assert not target.exists()


@pytest.mark.parametrize("formula", ["{9**9**9} + x", "(x + y)**50", "x + {10**10**8}", "(x+y)^99"])
def test_huge_powers_are_refused(formula):
    with pytest.raises(ModelError, match="power above 9"):
        m2.pool(effects(x=[1, 2, 3, 4], y=[1, 3, 2, 5]), moderators=formula)


@pytest.mark.parametrize("formula", ["log(x)", "sqrt(x)", "{1/x}"])
def test_a_value_that_is_not_finite_names_the_study(formula):
    x = [-1.0, 2, 3, 4] if "1/x" not in formula else [0.0, 2, 3, 4]
    with pytest.raises(ModelError, match=r"study 1: the formula .* has no finite value there"):
        m2.pool(effects(x=x), moderators=formula)


def test_a_formula_of_several_parts():
    with pytest.raises(ModelError, match="cannot be read"):
        m2.pool(effects(x=[1, 2, 3, 4], y=[1, 3, 2, 5]), moderators="x|y")


@pytest.mark.parametrize("formula", [".", "x + .", ". - x", "x:."])
def test_all_columns_at_once_are_refused(formula):
    with pytest.raises(ModelError, match="name the moderators one by one"):
        m2.pool(effects(x=[1, 2, 3, 4]), moderators=formula)


@pytest.mark.parametrize("formula", ["C(class)", "C(`class`)", "1 + log(`class`)"])
def test_a_word_of_python_stands_alone_only(formula):
    """A drug's class, say: formulaic reads it by itself, but not in a function."""
    known = effects(**{"class": [1, 2, 1, 3]})
    assert m2.pool(known, moderators="class").terms == ("intercept", "class")
    with pytest.raises(ModelError, match=r"'class' is a word of the Python language.*; rename the column"):
        m2.pool(known, moderators=formula)


def test_predict_refuses_what_the_fit_has_not_seen_also_without_warnings_as_errors():
    result = m2.pool(effects(g=["a", "b", "a", "b"]), moderators="g")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ModelError, match="cannot be encoded as the fit was"):
            result.predict(pd.DataFrame({"g": ["c"]}))


def test_predict_gives_one_row_a_row_or_refuses():
    result = m2.pool(effects(x=[1, 2, 3, 4]), moderators="log(x)")
    assert len(result.predict(pd.DataFrame({"x": [1.0, 2, 3]}))) == 3
    with pytest.raises(ModelError, match="no finite value in row 1 of the new data"):
        result.predict(pd.DataFrame({"x": [-1.0, 2, 3]}))


@pytest.mark.parametrize("method", ["prediction_interval", "tau2_interval"])
def test_a_level_is_between_0_and_1(method):
    result = m2.pool([0.1, 0.4, 0.3], [0.1, 0.2, 0.1])
    with pytest.raises(ModelError, match="confidence level is 95"):
        getattr(result, method)(level=95)


def test_covariances_are_whole_and_alone():
    nan = float("nan")
    with pytest.raises(EffectSizeError, match="missing or infinite"):
        m2.EffectSizes.from_arrays([1, 2], V=[[1, nan], [nan, 1]])
    with pytest.raises(EffectSizeError, match="not both"):
        m2.EffectSizes.from_arrays([1, 2], [1, 1], V=[[1, 0], [0, 1]])


def test_a_result_does_not_change_with_the_callers_array():
    yi, vi = np.array([0.1, 0.4, 0.3]), np.array([0.1, 0.2, 0.1])
    result = m2.pool(yi, vi)
    yi[0] = 9
    assert result.studies()["yi"].tolist() == [0.1, 0.4, 0.3]
