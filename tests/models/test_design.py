"""Formulas: columns, numbers, operators and a few functions; the encoding travels with the fit."""

import re

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix

import metail2 as m2
from metail2.errors import MetailWarning, ModelError
from metail2.models.design import FUNCTIONS, check_rank, formula_design, intercept_design

K = 12


@pytest.fixture
def frame():
    rng = np.random.default_rng(9)
    return pd.DataFrame({
        "dose": rng.uniform(1, 9, K), "year": rng.integers(1990, 2020, K).astype(float),
        "design": ["open", "blind", "cross"] * 4, "my dose": rng.uniform(size=K),
    })  # fmt: skip


@pytest.fixture
def effects(frame):
    rng = np.random.default_rng(3)
    return m2.EffectSizes.from_arrays(rng.normal(0, 0.6, K), rng.uniform(0.05, 0.2, K), moderators=frame)


def design(formula, frame):
    k = len(frame)
    return formula_design(formula, m2.EffectSizes.from_arrays(np.zeros(k), np.ones(k), moderators=frame), np.arange(k))


@pytest.mark.parametrize(
    ("formula", "terms", "columns"),
    [
        ("dose", ["intercept", "dose"], lambda f: [f["dose"]]),
        ("dose + year", ["intercept", "dose", "year"], lambda f: [f["dose"], f["year"]]),
        ("log(dose)", ["intercept", "log(dose)"], lambda f: [np.log(f["dose"])]),
        ("sqrt(dose)", ["intercept", "sqrt(dose)"], lambda f: [np.sqrt(f["dose"])]),
        ("center(year)", ["intercept", "center(year)"], lambda f: [f["year"] - f["year"].mean()]),
        ("dose:year", ["intercept", "dose:year"], lambda f: [f["dose"] * f["year"]]),
        ("dose * year", ["intercept", "dose", "year", "dose:year"],
         lambda f: [f["dose"], f["year"], f["dose"] * f["year"]]),
        ("{dose / 2}", ["intercept", "dose / 2"], lambda f: [f["dose"] / 2]),
        ("`my dose`", ["intercept", "my dose"], lambda f: [f["my dose"]]),
        ("1 + dose", ["intercept", "dose"], lambda f: [f["dose"]]),
    ],
)  # fmt: skip
def test_numeric_formulas(formula, terms, columns, frame):
    found = design(formula, frame)
    assert list(found.terms) == terms
    np.testing.assert_allclose(found.x, np.column_stack([np.ones(K), *columns(frame)]), rtol=1e-12, atol=1e-9)
    assert found.has_intercept


def test_categories(frame):
    found = design("C(design)", frame)
    assert list(found.terms) == ["intercept", "C(design)[T.cross]", "C(design)[T.open]"]
    np.testing.assert_array_equal(found.x[:, 1], frame["design"] == "cross")
    np.testing.assert_array_equal(found.x[:, 2], frame["design"] == "open")
    assert design("design", frame).x.tolist() == found.x.tolist()


def test_interaction_of_category_and_number(frame):
    found = design("C(design) * dose", frame)
    assert found.x.shape == (K, 6)
    np.testing.assert_allclose(found.x[:, -1], (frame["design"] == "open") * frame["dose"])


def test_without_intercept(frame):
    found = design("0 + dose", frame)
    assert list(found.terms) == ["dose"]
    assert not found.has_intercept


def test_polynomials_span_the_powers(effects, frame):
    poly = m2.pool(effects, moderators="poly(dose, 2)").predict(frame)
    powers = m2.pool(effects.assign(square=frame["dose"] ** 2), moderators="dose + square").predict(
        frame.assign(square=frame["dose"] ** 2)
    )
    np.testing.assert_allclose(poly["estimate"], powers["estimate"], rtol=1e-7)


@pytest.mark.parametrize(("formula", "columns"), [("bs(dose, df=4)", 5), ("cr(dose, df=4)", 5)])
def test_splines(formula, columns, effects, frame):
    found = design(formula, frame)
    assert found.x.shape[0] == K
    assert np.isfinite(found.x).all()
    assert found.x.shape[1] in (columns, columns - 1)


def test_every_listed_function_works(frame):
    formulas = {
        "log": "log(dose)", "sqrt": "sqrt(dose)", "center": "center(dose)", "poly": "poly(dose, 2)",
        "bs": "bs(dose, df=4)", "cr": "cr(dose, df=4)", "C": "C(design)",
    }  # fmt: skip
    assert set(formulas) == set(FUNCTIONS)
    for formula in formulas.values():
        assert len(design(formula, frame).terms) > 1


# ------------------------------------------------------------------------------------- formulas are data
@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os')",
        "__import__('os').system('true')",
        "dose.mean()",
        "dose.__class__",
        "(lambda: 1)()",
        "{lambda d: d}",
        "exec('1')",
        "open('x')",
        "dose[0]",
        "{[d for d in dose]}",
        "np.log(dose)",
        "{dose if dose else year}",
        "{dose := 3}",
        "f(dose)",
        "I(dose ** 2)",
        "log(__builtins__)",
        "{'a' 'b'.join(dose)}",
    ],
)
def test_code_is_refused(formula, effects):
    with pytest.raises(ModelError) as caught:
        m2.pool(effects, moderators=formula)
    assert str(caught.value).startswith(f"The formula {formula!r} ")


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("dos", "The formula 'dos' names 'dos', which is no column; the columns are: dose, year, design, my dose."),
        ("yi ~ dose", "The formula 'yi ~ dose' has a left side; give the moderators only, e.g. 'ablat + year'."),
        ("~ dose", "The formula '~ dose' has a left side; give the moderators only, e.g. 'ablat + year'."),
        ("exp(dose)", "The formula 'exp(dose)' calls 'exp'; it may call log, sqrt, center, poly, bs, cr and C only."),
        ("dose.mean()", "The formula 'dose.mean()' holds 'dose.mean()'; a formula may hold columns, numbers, operators "
         "and log, sqrt, center, poly, bs, cr and C only."),
    ],
)  # fmt: skip
def test_messages_about_formulas(formula, message, effects):
    with pytest.raises(ModelError) as caught:
        m2.pool(effects, moderators=formula)
    assert str(caught.value) == message


@pytest.mark.parametrize("formula", ["dose +* year", "dose + (year", "dose $ year"])
def test_what_cannot_be_read_is_refused(formula, effects):
    with pytest.raises(ModelError, match=r"^The formula .* cannot be (read|applied)"):
        m2.pool(effects, moderators=formula)


def test_a_formula_of_the_intercept_alone_is_a_mean(effects):
    for formula in ("1", ""):
        result = m2.pool(effects, moderators=formula)
        assert result.terms == ("intercept",)
        assert result.estimate == m2.pool(effects).estimate


def test_a_formula_without_columns_to_name():
    with pytest.raises(ModelError, match="which is no column; the columns are: none"):
        m2.pool(m2.EffectSizes.from_arrays([0.1, 0.2, 0.3], [0.1, 0.1, 0.1]), moderators="dose")


# ------------------------------------------------------------------------------------- missing moderators
def test_studies_without_a_moderator_are_left_out_by_name(effects, frame):
    frame.loc[[2, 5], "dose"] = np.nan
    effects = effects.assign(dose=frame["dose"])
    with pytest.warns(MetailWarning) as caught:
        result = m2.pool(effects, moderators="dose")
    assert [str(w.message) for w in caught] == ["study 3 and study 6 lack a moderator and are left out of the fit."]
    assert result.k == 10
    assert result.studies()["state"].value_counts().to_dict() == {"used": 10, "missing_moderator": 2}
    keep = np.array(frame["dose"].notna())
    alone = m2.pool(effects.subset(keep), moderators="dose")
    np.testing.assert_allclose(result.tidy()["estimate"], alone.tidy()["estimate"], rtol=1e-12)


def test_a_moderator_that_is_not_named_may_be_missing(effects, frame):
    frame.loc[0, "year"] = np.nan
    assert m2.pool(effects.assign(year=frame["year"]), moderators="dose").k == K


def test_missing_effect_and_missing_moderator_together(effects, frame):
    yi = effects.yi.copy()
    yi[0] = np.nan
    frame.loc[1, "dose"] = np.nan
    both = m2.EffectSizes.from_arrays(yi, effects.vi, moderators=frame)
    with pytest.warns(MetailWarning) as caught:
        result = m2.pool(both, moderators="dose")
    assert [str(w.message).split(":")[0].split(" lack")[0] for w in caught] == ["study 1", "study 2"]
    assert result.studies()["state"].tolist()[:3] == ["missing", "missing_moderator", "used"]


# ------------------------------------------------------------------------------------- new data
@pytest.mark.parametrize(
    "formula",
    ["dose", "C(design)", "center(dose)", "poly(dose, 2)", "bs(dose, df=4)", "log(dose) * C(design)", "0 + C(design)"],
)
def test_new_data_are_encoded_as_in_the_fit(formula, effects, frame):
    result = m2.pool(effects, moderators=formula)
    fitted = result.predict()
    for rows in ([0], [4, 1], list(range(K))[::-1]):  # one row alone knows no mean, no knots and one category
        new = result.predict(frame.iloc[rows])
        np.testing.assert_allclose(new["estimate"], fitted["estimate"].iloc[rows], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(new["se"], fitted["se"].iloc[rows], rtol=1e-10)


def test_a_new_category_is_an_error(effects, frame):
    result = m2.pool(effects, moderators="C(design)")
    with pytest.raises(ModelError) as caught:
        result.predict(frame.iloc[:2].assign(design=["open", "double"]))
    assert str(caught.value) == (
        "The new data cannot be encoded as the fit was: 'design' is 'double' in row 2, and the fit has only the levels "
        "'blind', 'cross' and 'open'."
    )


def test_new_data_without_a_column(effects, frame):
    with pytest.raises(ModelError) as caught:
        m2.pool(effects, moderators="dose + C(design)").predict(frame[["year"]])
    assert str(caught.value) == "The new data lack the columns design and dose; the formula needs them."
    with pytest.raises(ModelError) as caught:
        m2.pool(effects, moderators="dose + C(design)").predict(frame[["dose"]])
    assert str(caught.value) == "The new data lack the column design; the formula needs it."


def test_missing_values_in_new_data_are_an_error(effects, frame):
    result = m2.pool(effects, moderators="dose")
    with pytest.raises(ModelError) as caught:
        result.predict(frame.iloc[:3].assign(dose=[1, np.nan, 2]))
    assert str(caught.value) == "The new data lack 'dose' in row 2; fill it in or leave the row out."
    assert len(result.predict(frame.iloc[:3].assign(year=np.nan))) == 3  # a column that is not named may be empty


def test_intercept_design():
    found = intercept_design(3)
    assert found.terms == ("intercept",)
    assert found.encode(pd.DataFrame(index=range(2))).tolist() == [[1], [1]]


# ------------------------------------------------------------------------------------- sums of columns
@pytest.fixture
def mixed(frame):
    whole = np.arange(K)
    more = {
        "whole": whole, "small": whole.astype("u1"), "single": np.sqrt(whole).astype("f4"), "log": np.cos(whole),
        "C": np.sin(whole), "_z": whole / 7, "yes": whole % 3 == 0,
        "nullable": pd.array(whole, dtype="Int64"), "sort": pd.Categorical(["b", "a"] * 6), "lambda": np.sqrt(whole),
        "intercept": whole / 3,
    }  # fmt: skip
    return frame.assign(**more)


@pytest.mark.parametrize(
    "formula",
    [
        "dose", "dose + year", "year+dose", "  whole + small  ", "single", "dose + dose + year", "log", "log + C",
        "0 + dose + year", "1 + dose", "_z + 1", "dose - 1", "yes", "dose + yes", "nullable + dose",
        "sort + dose", "design", "dose + design", "lambda", "`my dose` + dose",
        "dose + center(year)",
    ],
)  # fmt: skip
def test_every_sum_is_encoded_as_formulaic_does_it(formula, mixed):
    found, expected = design(formula, mixed), model_matrix(formula, mixed)
    assert list(found.terms) == ["intercept" if name == "Intercept" else name for name in expected.columns]
    np.testing.assert_array_equal(found.x, np.asarray(expected, dtype=float))
    spec, encoding = expected.model_spec, found.encoding
    assert encoding.column_names == spec.column_names
    assert encoding.term_indices == spec.term_indices
    assert encoding.required_variables == spec.required_variables
    assert encoding.encoder_state == spec.encoder_state
    np.testing.assert_array_equal(found.encode(mixed.iloc[[3, 1]]), found.x[[3, 1]])


@pytest.mark.parametrize("formula", ["dose + whole", "dose + sqrt(year)"])  # with and without formulaic
def test_a_row_is_left_out_or_refused_by_its_label(formula, mixed):
    mixed.loc[[0, 4], "dose"] = np.nan
    with pytest.warns(MetailWarning, match="^study 1 and study 5 lack a moderator and are left out of the fit"):
        found = design(formula, mixed)
    assert np.flatnonzero(~found.complete).tolist() == [0, 4]
    np.testing.assert_array_equal(found.x[:, 1], mixed["dose"].dropna())
    mixed.loc[7, "dose"] = np.inf
    with (
        pytest.warns(MetailWarning),
        pytest.raises(ModelError, match=r"^study 8: the formula '.*' has no finite value there; correct the moderat"),
    ):
        design(formula, mixed)


def test_columns_of_one_name_are_refused(mixed):
    twice = pd.concat([mixed[["dose", "year"]], mixed[["dose"]]], axis=1)
    with pytest.raises(ModelError) as caught:
        design("dose", twice)
    assert str(caught.value) == "The moderators have several columns called dose; leave one of each."
    assert design("year", twice).terms == ("intercept", "year")
    with pytest.raises(ModelError, match="The new data have several columns called dose"):
        design("log(dose)", mixed).encode(twice)


def test_columns_without_values(mixed):
    with pytest.warns(MetailWarning):
        assert design("dose + year", mixed.assign(dose=np.nan)).x.shape == (0, 3)


def test_the_design_is_its_own_copy(mixed):
    found = design("dose + year", mixed)
    before = found.x.copy()
    mixed["dose"] *= 2
    np.testing.assert_array_equal(found.x, before)
    assert found.encoding.column_names == ("Intercept", "dose", "year")


@pytest.mark.parametrize("formula", ["year**2", "dose + year ^ 2", "log(dose) + year ** 3"])
def test_a_power_that_would_be_the_column_alone_is_refused(formula, mixed):
    with pytest.raises(ModelError, match=r"would be 'year' alone; write poly\(year, (\d)\), or \{year\*\*\1\}"):
        design(formula, mixed)


@pytest.mark.parametrize(
    ("formula", "written"), [("dose*dose", "{dose*dose}"), ("year:year", "{year*year}"), ("1/dose", "{1/dose}"),
                         ("dose + year:2", "{year*2}"), ("log(dose) * log( dose )", "{log(dose) * log(dose)}"),
                         ("dose*year*dose", "{dose*year*dose}")],
)  # fmt: skip
def test_products_of_a_column_with_itself_or_a_number_are_refused(formula, written, frame):
    """formulaic reads dose*dose as dose, and 1/dose as dose."""
    with pytest.raises(ModelError, match=re.escape(written)):
        design(formula, frame)


@pytest.mark.parametrize(
    "formula", ["dose*year", "{dose*year} + dose", "(dose + year)**2", "log(dose)/year", "{1/dose}"]
)
def test_products_of_different_columns_are_fitted(formula, frame):
    assert design(formula, frame).x.shape[1] >= 2


@pytest.mark.parametrize(("formula", "message"), [
    ("`my dose`**2", r"'`my dose`\*\*2' would be '`my dose`' alone; write poly\(`my dose`, 2\), or {`my dose`\*\*2} "),
    ("`my dose`*`my dose`", "'`my dose`\\*`my dose`' is no arithmetic"),
])  # fmt: skip
def test_powers_and_products_of_a_quoted_name_are_refused_too(formula, message, frame):
    with pytest.raises(ModelError, match=message):
        design(formula, frame)


@pytest.mark.parametrize("formula", ["one", "C(one)", "dose + C(one)", "poly(dose, 0)"])
def test_a_term_without_a_column_is_refused(formula, frame):
    """A factor of one level would vanish into the intercept."""
    with pytest.raises(ModelError, match="is the same in all studies that can be fitted"):
        design(formula, frame.assign(one="q"))


def test_a_spline_that_needs_centring_says_how(frame):
    made = design("cr(dose, df=3)", frame)
    with pytest.raises(ModelError, match=r"write cr\(dose, df=3, constraints='center'\)"):
        check_rank(made.x, made.terms)
    centred = design("cr(dose, df=3, constraints='center')", frame)
    check_rank(centred.x, centred.terms)
    assert len(centred.terms) == 4


@pytest.mark.parametrize("formula", ["{year**2}", "(dose + year)**2"])
def test_powers_that_mean_something_are_kept(formula, mixed):
    np.testing.assert_allclose(design(formula, mixed).x, np.asarray(model_matrix(formula, mixed), dtype=float))
    np.testing.assert_allclose(design("sqrt((year)**2)", mixed).x[:, 1], np.abs(mixed["year"]))


def test_text_of_any_dtype_is_a_factor_and_names_may_have_dots(mixed):
    text = pd.array(list("abc") * (len(mixed) // 3) + ["a"] * (len(mixed) % 3), dtype="string")
    mixed = mixed.assign(g=text, h=text.astype(object), **{"mean.age": mixed["dose"]})
    found = design("g", mixed)
    np.testing.assert_array_equal(found.x, design("h", mixed).x)
    np.testing.assert_array_equal(found.encode(mixed.iloc[[2, 0]]), found.x[[2, 0]])
    dotted = design("`mean.age`", mixed)
    np.testing.assert_array_equal(dotted.encode(mixed.iloc[[4]]), dotted.x[[4]])


@pytest.mark.parametrize("name", ["Intercept", "intercept"])
def test_a_column_called_as_the_constant_is_refused(name, mixed):
    with pytest.raises(ModelError, match=f"names a column {name!r}, as the constant is called; rename it"):
        design(f"dose + {name}", mixed.assign(**{name: mixed["dose"]}))
