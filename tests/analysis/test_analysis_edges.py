"""Every function of a result on the inputs that break such functions: a table, its gaps explained, or one sentence."""

import warnings

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import MetailError, MetailWarning

NAN = float("nan")


def effects(yi, vi, **moderators):
    return m2.EffectSizes.from_arrays(yi, vi, moderators=moderators)


ONE = effects([0.3], [0.1], x=[1.0])
TWO = effects([0.3, 0.8], [0.1, 0.2], x=[1.0, 2.0])
THREE = effects([0.3, 0.8, -0.1], [0.1, 0.2, 0.3], x=[1.0, 2.0, 5.0])
EQUAL = effects([0.4] * 5, [0.1, 0.2, 0.1, 0.3, 0.2], x=[1.0, 2.0, 3.0, 4.0, 6.0])
GAPS = effects([0.3, NAN, 0.8, 0.1, 0.9, 0.2], [0.1, 0.2, 0.2, NAN, 0.3, 0.1], x=[1.0, 2.0, 3.0, 4.0, NAN, 7.0])
CONSTANT = effects([0.3, 0.8, -0.1, 0.5], [0.1, 0.2, 0.3, 0.1], x=[2.0] * 4)
HUGE = effects([3e7, 8e7, -1e7, 4e7], [1e15, 2e15, 3e15, 1e14], x=[1.0, 2.0, 5.0, 4.0])
TINY = effects([3e-9, 8e-9, -1e-9, 4e-9], [1e-17, 2e-17, 3e-17, 1e-18], x=[1.0, 2.0, 5.0, 4.0])
UNEQUAL = effects([0.3, 0.8, -0.1, 0.5], [1e-9, 0.2, 1e4, 0.1], x=[1.0, 2.0, 5.0, 4.0])
SETS = {
    "k=1": ONE, "k=2": TWO, "k=3": THREE, "equal": EQUAL, "missing": GAPS, "constant moderator": CONSTANT,
    "huge": HUGE, "tiny": TINY, "unequal": UNEQUAL,
}  # fmt: skip

FUNCTIONS = {
    "influence": m2.influence,
    "leave_one_out": m2.leave_one_out,
    "cumulative": m2.cumulative,
    "residuals": m2.residuals,
    "qq_envelope": lambda result: m2.qq_envelope(result, replicates=50, seed=1),
    "blup": m2.blup,
    "baujat": m2.baujat,
    "gosh": lambda result: m2.gosh(result).table(),
    "permutation_test": lambda result: m2.permutation_test(result, seed=1),
    "bootstrap": lambda result: m2.bootstrap(result, replicates=50, seed=1).interval(),
    "case bootstrap": lambda result: m2.bootstrap(result, "case", replicates=50, seed=1).interval(),
    "contrasts": lambda result: m2.contrasts(result, {"last": [*[0] * (len(result.terms) - 1), 1]}),
    "vif": m2.vif,
    "profile_tau2": lambda result: m2.profile_tau2(result).fits,
    "henmi_copas": lambda result: pd.DataFrame([vars_of(m2.henmi_copas(result))]),
    "tau2_interval": lambda result: pd.DataFrame([vars_of(result.tau2_interval())]),
    "predict": lambda result: result.predict(),
    "tidy": lambda result: result.tidy().assign(note=result.status),  # why a P value is missing stands in glance()
    "studies": lambda result: result.studies(),
    "glance": lambda result: result.glance(),
    "likelihood_ratio": lambda result: pd.DataFrame([vars_of(likelihood_ratio(result))]),
}
EXPLAINING = ("note", "status_reason", "state", "reason")
LEGITIMATE = {"df", "qm", "qm_df", "qm_p", "r2"}
"""Columns whose gap has one meaning everywhere: the normal has no degrees of freedom, a mean no moderators."""


def vars_of(found):
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def likelihood_ratio(result):
    reduced = m2.pool(result.effects, tau2="CE" if result.spec.moderators is None else "ML", test="z")
    return m2.likelihood_ratio(result, reduced)


def unexplained(table):
    """Rows with a number missing and no words beside it."""
    numbers = table.select_dtypes("number").drop(columns=[c for c in LEGITIMATE if c in table])
    gaps = numbers.isna().any(axis=1)
    words = [name for name in EXPLAINING if name in table]
    said = table[words].apply(lambda row: any(str(text) not in ("", "used", "nan") for text in row), axis=1)
    return table[gaps & ~said] if words else table[gaps]


def answer(function, fit):
    """The table, or the sentence of the error that took its place."""
    try:
        return FUNCTIONS[function](fit()), ""
    except MetailError as error:
        return None, str(error)


@pytest.mark.parametrize("moderators", [None, "x"])
@pytest.mark.parametrize("test", ["knapp_hartung", "z"])
@pytest.mark.parametrize("tau2", ["REML", "CE"])
@pytest.mark.parametrize("data", list(SETS))
@pytest.mark.parametrize("function", list(FUNCTIONS))
def test_a_right_table_or_one_sentence(function, data, tau2, test, moderators):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)
        table, said = answer(function, lambda: m2.pool(SETS[data], tau2=tau2, test=test, moderators=moderators))
    if table is None:
        assert said.endswith((".", "'"))
        assert len(said) < 400
        return
    assert len(table)
    assert unexplained(table).empty
    numbers = table.select_dtypes("number")
    assert not np.isinf(numbers.drop(columns=[c for c in ("statistic", "rstudent", "maxima") if c in numbers])).any(
        axis=None
    )
