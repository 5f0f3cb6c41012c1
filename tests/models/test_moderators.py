"""What a moderator holds: the same in the fit and in new data, and no column in place of a function."""

import datetime
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.analysis.contrasts import pairwise
from metail2.errors import ModelError
from metail2.models.location_scale import LocationScale
from metail2.models.mixed_counts import MixedCounts

YI = [0.1, 0.4, 0.2, 0.8, 0.3, 0.6, 0.5, 0.15]
G = list("abcabcab")
MEANS = {"a": 1.4 / 3, "b": 0.85 / 3, "c": 0.4}  # of YI: with variances that are equal, the estimates
N = [1, 2, 3, 1, 2, 3, 1, 2]
X = [1.0, 2, 3, 4, 7, 6, 5, 9]


def effects(**columns):
    return m2.EffectSizes.from_arrays(YI, [0.1] * 8, moderators=pd.DataFrame(columns))


def fitted(formula, **columns):
    return m2.pool(effects(**columns), moderators=formula)


def predicted(result, **columns):
    return result.predict(columns)["estimate"].tolist()


def refusal(result, **columns):
    with pytest.raises(ModelError) as caught:
        result.predict(pd.DataFrame(columns))
    return str(caught.value)


def fit_refusal(formula, **columns):
    with pytest.raises(ModelError) as caught:
        fitted(formula, **columns)
    return str(caught.value)


def objects(*values):
    return pd.Series(values, dtype=object)


# ------------------------------------------------------------------------------------- new data of another kind
@pytest.mark.parametrize("formula", ["g", "0 + g", "C(g)", "x * g", "0 + C(g):x"])
@pytest.mark.parametrize(
    ("wrong", "held"), [([7], "numbers (7"), ([7.5], "numbers (7.5"), ([True], "True or False (True"),
                        (pd.array([7], dtype="Int64"), "numbers (7"), (objects(7), "numbers (7"),
                        (pd.Categorical([7]), "numbers (7"),
                        ([datetime.date(2020, 1, 2)], "dates ('2020-01-02'")],
)  # fmt: skip
def test_other_values_for_a_factor_are_refused(formula, wrong, held):
    message = refusal(fitted(formula, g=G, x=X), g=wrong, x=[1.0])
    assert message == (
        f"'g' is a factor (levels 'a', 'b' and 'c') in the fit, but the new data hold {held} in row 1); give text."
    )


def test_the_row_of_a_mixture_is_named():
    assert "numbers (7 in row 2); give text" in refusal(fitted("g", g=G), g=objects("a", 7, True))


def test_a_factor_of_two_levels_and_digits_as_levels():
    assert refusal(fitted("g", g=["a", "b"] * 4), g=[7]).startswith("'g' is a factor (levels 'a' and 'b') in the fit")
    digits = fitted("g", g=[str(n) for n in N])
    assert refusal(digits, g=[1, 2, 3]) == (
        "'g' is a factor (levels '1', '2' and '3') in the fit, but the new data hold numbers (1 in row 1); give text."
    )
    assert predicted(digits, g=["1", "3"]) == pytest.approx([MEANS["a"], MEANS["c"]], rel=1e-12)


@pytest.mark.parametrize("formula", ["x", "x + n", "log(x)", "poly(x, 2)"])  # with and without formulaic in the fit
def test_other_values_for_a_number_are_refused(formula):
    result = fitted(formula, x=X, n=N)
    assert refusal(result, x=["1", "2"], n=1) == (
        "'x' holds numbers in the fit, but the new data hold text ('1' in row 1); give numbers."
    )
    assert "True or False (True in row 1); give numbers" in refusal(result, x=[True], n=1)
    assert "complex numbers (1j in row 1); give numbers" in refusal(result, x=[1j], n=1)
    assert "durations ('1 days 00:00:00' in row 1); give numbers" in refusal(result, x=[pd.Timedelta(1, "D")], n=1)


@pytest.mark.parametrize("formula", ["b", "C(b)", "0 + b"])
def test_a_truth_value_is_no_number(formula):
    result = fitted(formula, b=[True, False] * 4)
    for wrong, held in (([5], "numbers (5"), ([1], "numbers (1"), (["True"], "text ('True'")):
        assert refusal(result, b=wrong).endswith(
            f"in the fit, but the new data hold {held} in row 1); give True or False."
        )
    for right in ([True], pd.array([True], dtype="boolean"), objects(True), objects(np.True_)):
        assert predicted(result, b=right) == result.predict()["estimate"][:1].tolist()


def test_no_fit_of_any_model_takes_numbers_for_a_factor(bcg_frame):
    spread = LocationScale("g", "identity", moderators="x").fit(effects(g=["a", "b"] * 4, x=X))
    assert refusal(spread, g=[7], x=[1]).startswith("'g' is a factor (levels 'a' and 'b') in the fit, but")
    counts = MixedCounts("OR", "UM.FS", moderators="alloc").fit(bcg_frame)
    assert refusal(counts, alloc=[7]).startswith("'alloc' is a factor (levels 'alternate', 'random' and 'systematic')")


@pytest.mark.parametrize(
    "new", [["b", "a"], pd.array(["b", "a"], dtype="string"), pd.Categorical(["b", "a"], categories=["z", "b", "a"]),
            np.array(["b", "a"]), objects("b", "a")],
)  # fmt: skip
@pytest.mark.parametrize("formula", ["g", "0 + g", "C(g)"])
@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_levels_are_met_by_value_whatever_holds_them(formula, dtype, new):
    result = fitted(formula, g=pd.Series(G).astype(dtype))
    assert predicted(result, g=new) == pytest.approx([MEANS["b"], MEANS["a"]], rel=1e-12)


# ------------------------------------------------------------------------------------- levels
def test_an_unseen_level_names_row_level_and_the_known_ones():
    for formula in ("g", "C(g)", "0 + g"):
        assert refusal(fitted(formula, g=G), g=["a", "d"]) == (
            "The new data cannot be encoded as the fit was: 'g' is 'd' in row 2, and the fit has only the levels 'a', "
            "'b' and 'c'."
        )
    numbered = fitted("C(n)", n=N)
    known = "and the fit has only the levels 1, 2 and 3."
    assert refusal(numbered, n=[3.0, 2.5]).endswith(f"'n' is 2.5 in row 2, {known}")
    assert refusal(fitted("C(log(n))", n=N), n=[7]).endswith(f"'n' is 7 in row 1, {known}")
    assert predicted(numbered, n=[3.0, 1]) == pytest.approx([MEANS["c"], MEANS["a"]], rel=1e-12)


def test_many_levels_are_counted():
    k = 24
    some = m2.EffectSizes.from_arrays(
        np.arange(k) / k, np.full(k, 0.1), moderators={"g": [f"{i:02}" for i in range(12)] * 2}
    )
    assert refusal(m2.pool(some, moderators="g"), g=["x"]).endswith("'07', '08', '09' and 2 more.")


@pytest.mark.parametrize("formula", ["g", "C(g)"])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_declared_level_that_no_study_has_is_dropped(formula, ordered):
    declared = pd.Categorical(G, categories=["z", "c", "b", "y", "a"], ordered=ordered)
    result = fitted(formula, g=declared)
    assert [term[-2] for term in result.terms[1:]] == ["b", "a"]  # in the order declared, after c
    assert predicted(result, g=["a", "b", "c"]) == pytest.approx(list(MEANS.values()), rel=1e-12)
    assert refusal(result, g=["z"]).endswith("'g' is 'z' in row 1, and the fit has only the levels 'c', 'b' and 'a'.")


def test_a_subset_loses_its_levels_as_text_does():
    keep = np.array(G) != "c"
    subset, text = effects(g=pd.Categorical(G)).subset(keep), effects(g=G).subset(keep)
    found, expected = (m2.pool(one, moderators="g") for one in (subset, text))
    pd.testing.assert_frame_equal(found.tidy(), expected.tidy())
    assert found.terms == ("intercept", "g[T.b]")
    assert refusal(found, g=["c"]).endswith("and the fit has only the levels 'a' and 'b'.")


def test_a_categorical_of_numbers_is_a_factor_met_by_numbers():
    result = fitted("n", n=pd.Categorical(N, categories=[3, 1, 2, 9]))
    assert result.terms == ("intercept", "n[T.1]", "n[T.2]")
    for new in ([1, 3], [1.0, 3.0], pd.Categorical([1, 3]), pd.array([1, 3], dtype="Int64"), objects(1, 3)):
        assert predicted(result, n=new) == pytest.approx([MEANS["a"], MEANS["c"]], rel=1e-12)
    assert refusal(result, n=[9]).endswith("'n' is 9 in row 1, and the fit has only the levels 3, 1 and 2.")
    assert refusal(result, n=["1"]).endswith("the new data hold text ('1' in row 1); give numbers.")
    assert pairwise(result, "n")["contrast"].tolist() == ["1 − 3", "2 − 3", "2 − 1"]


def test_a_categorical_of_intervals_or_dates_is_a_factor():
    bins = [0, 3, 6, 9]
    result = fitted("x", x=pd.cut(X, bins))
    assert predicted(result, x=pd.cut([1, 7], bins)) == pytest.approx([0.7 / 3, 0.45 / 2], rel=1e-12)
    assert refusal(result, x=pd.cut([1], [0, 8])).endswith(
        "'x' is '(0, 8]' in row 1, and the fit has only the levels '(0, 3]', '(3, 6]' and '(6, 9]'."
    )
    days = pd.to_datetime(["2020-01-01", "2021-01-01"] * 4)
    result = fitted("d", d=pd.Categorical(days))
    assert predicted(result, d=days[:1]) == pytest.approx([0.275], rel=1e-12)
    assert refusal(result, d=["2020-01-01"]).endswith("text ('2020-01-01' in row 1); give dates.")


def test_levels_given_in_the_formula_are_all_that_studies_have():
    assert predicted(fitted("C(g, levels=['c', 'b', 'a'])", g=G), g="b") == pytest.approx([MEANS["b"]], rel=1e-12)
    assert fit_refusal("C(g, levels=['a', 'b'])", g=G) == (
        "In the formula \"C(g, levels=['a', 'b'])\", 'levels=' lacks a level that studies have; list all."
    )


# ------------------------------------------------------------------------------------- what a fit takes
@pytest.mark.parametrize(
    "held", [objects(*N), objects(*map(float, N)), objects(*map(Decimal, N)), objects(*map(Fraction, N)),
             objects(*map(np.int8, N)), pd.array(N, dtype="Int64"), pd.array(N, dtype="Float32"),
             pd.array(N, dtype=pd.SparseDtype(float))],
)  # fmt: skip
def test_numbers_are_numbers_in_whatever_they_are_held(held):
    result, plain = fitted("n", n=held), fitted("n", n=N)
    assert result.terms == ("intercept", "n")
    pd.testing.assert_frame_equal(result.tidy(), plain.tidy(), rtol=1e-12)
    assert predicted(result, n=[7]) == pytest.approx(predicted(plain, n=[7]), rel=1e-12)


def test_whole_numbers_name_levels_without_a_decimal():
    for held in (objects(*N), pd.array(N, dtype="Int64"), N):
        assert fitted("C(n)", n=held).terms == ("intercept", "C(n)[T.2]", "C(n)[T.3]")
    huge = fitted("n", n=objects(2**70, *N[1:]))
    assert huge.terms == ("intercept", "n")


def test_truth_values_among_objects_are_one_column_of_0_and_1():
    flags = [True, False] * 4
    plain = fitted("b", b=flags)
    for held in (objects(*flags), pd.array(flags, dtype="boolean")):
        result = fitted("b", b=held)
        assert result.terms == ("intercept", "b")
        pd.testing.assert_frame_equal(result.tidy(), plain.tidy())


def test_a_missing_value_does_not_change_what_the_others_are():
    with pytest.warns(m2.MetailWarning, match="study 8 lacks a moderator"):
        assert fitted("b", b=objects(*[True, False] * 3, True, None)).terms == ("intercept", "b")
    with pytest.warns(m2.MetailWarning, match="study 8 lacks a moderator"):
        assert fitted("C(n)", n=objects(*N[:7], None)).terms == ("intercept", "C(n)[T.2]", "C(n)[T.3]")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", 3, "b", 4] * 2, "The moderator 'o' holds text and numbers (study 1: 'a'; study 2: 3); make its values "
         "of one kind."),
        ([1, 2, True, 4] * 2, "The moderator 'o' holds numbers and True or False (study 1: 1; study 3: True); make "
         "its values of one kind."),
        ([datetime.date(2020, 1, day) for day in range(1, 9)], "The moderator 'o' holds dates (study 1: '2020-01-01'); "
         "give numbers (of a date the year, for instance), text, or a categorical."),
        ([[1], [2]] * 4, "The moderator 'o' holds values of type list (study 1: '[1]'); give numbers (of a date the "
         "year, for instance), text, or a categorical."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("formula", ["o", "C(o)", "o + x"])
def test_what_is_no_moderator_is_refused_by_study(formula, values, message):
    assert fit_refusal(formula, o=objects(*values), x=X) == message


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.to_datetime(["2020-01-01", "2021-01-01"] * 4), "dates (study 1: '2020-01-01 00:00:00')"),
        (pd.to_timedelta(X, unit="D"), "durations (study 1: '1 days 00:00:00')"),
        (pd.period_range("2020", periods=8, freq="Y"), "values of type Period (study 1: '2020')"),
        (np.array(X) * 1j, "complex numbers (study 1: 1j)"),
        (objects(*[np.timedelta64(day, "D") for day in N]), "durations (study 1: '1 day, 0:00:00')"),
    ],
)
def test_dates_and_the_like_are_refused_of_any_dtype(values, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = fit_refusal("d", d=values)
    assert message.startswith(f"The moderator 'd' holds {kind}; give numbers")


@pytest.mark.parametrize("formula", ["log(g)", "{g + h}", "center(g)", "C(log(g))"])
def test_nothing_is_computed_with_a_factor(formula):
    assert fit_refusal(formula, g=G, h=G) == (
        f"The formula {formula!r} computes with 'g', but that is a factor (text); give numbers, or let it stand alone "
        "or in C()."
    )


# ------------------------------------------------------------------------------------- columns and functions
@pytest.mark.parametrize(
    "formula",
    [
        "C(n)",
        "log(n)",
        "sqrt(n)",
        "center(n)",
        "poly(n, 2)",
        "bs(x, df=3)",
        "cr(x, df=3, constraints='center')",
        "C(n) + log(x)",
    ],
)
def test_a_column_called_like_a_function_hides_none(formula):
    hiding = {name: X for name in ("C", "log", "sqrt", "center", "poly", "bs", "cr")}
    found, expected = fitted(formula, n=N, x=X, **hiding), fitted(formula, n=N, x=X)
    pd.testing.assert_frame_equal(found.tidy(), expected.tidy())
    new = pd.DataFrame({"n": [2], "x": [3.0]})
    hidden = new.assign(**dict.fromkeys(hiding, 1.0))
    pd.testing.assert_frame_equal(found.predict(hidden), expected.predict(new))


def test_groups_with_a_common_tau2_beside_a_column_called_c():
    one, other = (
        m2.pool(effects(**columns), subgroup="g", common_tau2=True).tidy()
        for columns in ({"g": G}, {"g": G, "C": X, "log": X})
    )
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("formula", "name"), [("C(C)", "C"), ("C(n) + C", "C"), ("log(n):log", "log"), ("sqrt(`sqrt`)", "sqrt")]
)
def test_a_name_is_not_a_column_and_a_function_at_once(formula, name):
    assert fit_refusal(formula, n=N, C=N, log=X, sqrt=X) == (
        f"In the formula {formula!r}, {name!r} is a column and a function; rename the column."
    )


def test_a_name_with_a_space_in_a_function():
    columns = {"a b": G, "a_b": X, "quoted0": N, "it's (mg)": X}
    result = fitted("C(`a b`) + log(a_b)", **columns)
    assert result.terms == ("intercept", "C(`a b`)[T.b]", "C(`a b`)[T.c]", "log(a_b)")
    plain = fitted("C(g) + log(x)", g=G, x=X)
    np.testing.assert_allclose(result.predict(columns)["estimate"], plain.predict()["estimate"], rtol=1e-12)
    assert refusal(result, **{"a b": ["q"], "a_b": [1.0]}).endswith("and the fit has only the levels 'a', 'b' and 'c'.")
    dose = fitted("log(`it's (mg)`) * quoted0", **columns)
    expected = fitted("log(x) * n", x=X, n=N)
    np.testing.assert_allclose(dose.tidy()["estimate"], expected.tidy()["estimate"], rtol=1e-12)
    assert fit_refusal("C(`a c`)", **{"a b": G}) == (
        "The formula 'C(`a c`)' names 'a c', which is no column; the columns are: a b."
    )


def test_a_quoted_name_is_no_code(tmp_path):
    name = f"__import__('pathlib').Path('{tmp_path / 'made'}').touch()"
    assert fitted(f"C(`{name}`)", **{name: G}).k == 8
    assert not (tmp_path / "made").exists()


# ------------------------------------------------------------------------------------- how new data are given
def test_columns_by_name_are_new_data_and_single_values_one_row():
    result = fitted("g + x", g=G, x=X)
    expected = result.predict(pd.DataFrame({"g": ["a", "b"], "x": [1.0, 1.0]}))
    for new in ({"g": ["a", "b"], "x": [1, 1]}, {"g": ["a", "b"], "x": 1}, {"g": pd.Series(["a", "b"]), "x": 1.0}):
        pd.testing.assert_frame_equal(result.predict(new), expected)
    pd.testing.assert_frame_equal(result.predict({"g": "b", "x": 1}), expected.iloc[[1]].reset_index(drop=True))
    assert len(result.predict({"g": [], "x": []})) == 0
    spread = LocationScale("x", "identity", moderators="g").fit(effects(g=G, x=X))
    pd.testing.assert_frame_equal(
        spread.predict({"g": "b", "x": 2}), spread.predict(pd.DataFrame({"g": ["b"], "x": [2]}))
    )


def test_rows_of_any_index_are_taken_in_their_order():
    result = fitted("g * x", g=G, x=X)
    new = pd.DataFrame({"g": ["c", "a"], "x": [2.0, 5.0]}, index=[7, 7])
    np.testing.assert_array_equal(result.predict(new)["estimate"], result.predict(new.reset_index())["estimate"])
    assert "'x' in row 2" in refusal(result, g=["a", "b"], x=[1.0, None])


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (["a"], "The new data are of type list; give a DataFrame, or columns by name, e.g. {'year': [1990, 2000]}."),
        (5, "The new data are of type int; give a DataFrame, or columns by name, e.g. {'year': [1990, 2000]}."),
        (pd.Series({"g": "a"}), "The new data are of type Series; give a DataFrame, or columns by name, e.g. {'year': "
         "[1990, 2000]}."),
        ({"g": ["a", "b"], "x": [1]}, "The new data must be columns of one length: All arrays must be of the same "
         "length."),
        ({"x": [1]}, "The new data lack the column g; the formula needs it."),
        ({}, "The new data lack the column g; the formula needs it."),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(new, message):
    with pytest.raises(ModelError) as caught:
        fitted("g", g=G).predict(new)
    assert str(caught.value) == message


def test_a_mean_needs_rows_only():
    result = m2.pool(effects(x=X))
    assert len(result.predict(pd.DataFrame(index=range(3)))) == 3
    assert len(result.predict({"x": [1, 2]})) == 2
    with pytest.raises(ModelError, match="The new data are of type int"):
        result.predict(3)
