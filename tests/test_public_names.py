"""The names that users type; a change of one needs a line in the CHANGELOG."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import metail2 as m2
from metail2.effects.moments import CORRECTIONS
from metail2.kernels.coefficient_tests import TESTS
from metail2.kernels.prediction import PREDICTION
from metail2.kernels.tables import MANTEL_HAENSZEL
from metail2.kernels.tau2 import TAU2
from metail2.kernels.tau2_intervals import TAU2_INTERVALS
from metail2.models.mixed_counts import LIKELIHOODS
from metail2.results import GLANCE_COLUMNS, STATUS, STUDY_COLUMNS, STUDY_STATES, TIDY_COLUMNS
from metail2.wording import PREDICTION_NAMES, TAU2_NAMES, TEST_NAMES

MEASURES = """
RR OR RD PETO AS PHI ZPHI YUQ YUY RTET ZTET PBIT OR2D OR2DN OR2DL MPRR MPRD MPOR MPORC MPPETO MPORM IRR IRD IRSD
MD SMD SMDH SMD1 SMD1H ROM D2OR D2ORN D2ORL CVR VR RPB ZPB RBIS ZBIS CLES AUC CLESN AUCN COR UCOR ZCOR
PCOR ZPCOR SPCOR ZSPCOR R2 ZR2 R2F ZR2F MN SMN MNLN CVLN SDLN MC SMCC SMCR SMCRH SMCRP SMCRPH ROMC CVRC VRC
CLESCN AUCCN PR PLN PLO PRZ PAS PFT IR IRLN IRS IRFT ARAW AHW ABT REH HR GEN
"""
# numerics and effects; names of records, plots and reports are tested with them
FIXED = {
    "EffectSizes", "MEASURES", "MantelHaenszel", "MetailError", "MetailWarning", "Peto", "RandomEffects",
    "conversions", "effect_sizes", "list_datasets", "load_dataset", "pool", "__version__",
}  # fmt: skip


def test_the_fixed_names_are_there():
    assert set(m2.__all__) >= FIXED
    assert set(dir(m2)) >= FIXED
    for name in FIXED:
        assert getattr(m2, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=re.escape("module 'metail2' has no attribute 'pol'")):
        m2.pol  # noqa: B018


def test_the_index_and_the_type_hints_name_the_same():
    """What a type checker sees under TYPE_CHECKING is what is imported on first use."""
    source = inspect.getsource(m2)
    hinted = set(re.findall(r"import (\w+) as \1", source))
    assert hinted | {"__version__"} == set(m2.__all__)


def test_the_version_is_that_of_the_distribution():
    assert m2.__version__ == importlib.metadata.version("metail2")


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (
            m2.pool,
            "(effects, vi=None, *, tau2='REML', test='knapp_hartung', moderators=None, level=0.95, weights=None, "
            "subgroup=None, common_tau2=False)",
        ),
        (m2.EffectSizes.from_arrays, "(yi, vi=None, study=None, moderators=None, *, V=None, measure='GEN')"),
        (
            m2.effect_sizes,
            "(frame, measure, study=None, *, add=None, to='only0', drop00=False, vtype=None, correction='exact', "
            "**columns)",
        ),
        (m2.EffectSizes.subset, "(self, mask)"),
        (m2.EffectSizes.drop, "(self, i)"),
        (m2.EffectSizes.concat, "(parts)"),
        (m2.RandomEffects, "(tau2='REML', test='knapp_hartung', moderators=None, level=0.95, weights=None)"),
        (m2.MantelHaenszel, "(measure='OR', level=0.95, add=None, to='only0')"),
        (m2.Peto, "(level=0.95, measure=None)"),
    ],
)
def test_signatures(function, signature):
    found = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    assert str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty)) == signature


def test_codes_of_the_choices():
    assert set(TAU2) == {"CE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM", "GENQ", "GENQM"}
    assert list(TESTS) == ["z", "t", "knapp_hartung", "knapp_hartung_adhoc", "iqwig", "kenward_roger"]
    assert list(PREDICTION) == ["normal", "t_k1", "hts", "hk", "hk_pr", "kr", "kr_pr", "nagashima"]
    assert list(TAU2_INTERVALS) == [
        "q_profile", "generalised_q", "biggerstaff_jackson", "jackson", "biggerstaff_tweedie", "profile_likelihood",
        "wald", "wald_log", "sidik_jonkman",
    ]  # fmt: skip
    assert set(MANTEL_HAENSZEL) == {"OR", "RR", "RD", "IRR", "IRD"}
    assert set(m2.MEASURES) == set(MEASURES.split())
    assert list(CORRECTIONS) == ["exact", "approximate", "none"]


def test_every_code_has_its_words():
    assert set(TAU2_NAMES) == {*TAU2, "MH", "PETO", *LIKELIHOODS["OR"], "BB"}
    assert set(TEST_NAMES) == set(TESTS)
    assert set(PREDICTION_NAMES) == set(PREDICTION)


def test_columns_of_the_three_tables():
    assert " ".join(TIDY_COLUMNS) == "term estimate se statistic df p_value ci_lower ci_upper"
    assert " ".join(GLANCE_COLUMNS) == (
        "k p measure method test tau2 tau2_se i2 i2_q h2 q q_df q_p qm qm_df qm_p r2 log_likelihood deviance aic bic "
        "aicc pi_lower pi_upper pi_method status status_reason"
    )
    assert " ".join(STUDY_COLUMNS) == "study yi vi ci_lower ci_upper weight fitted residual group state"


def test_closed_lists():
    assert set(STATUS) == {"ok", "one_study", "not_pooled", "undefined", "zero_se"}
    assert set(STUDY_STATES) == {
        "used", "shown", "variance_undefined", "missing", "missing_moderator", "missing_group", "no_events",
    }  # fmt: skip


@pytest.mark.parametrize("code", list(m2.MEASURES))
def test_a_measure_says_everything_about_itself(code):
    entry = m2.MEASURES[code]
    assert entry.code == code
    assert entry.name
    assert entry.scale
    assert entry.citation
    assert entry.family.columns
    assert entry.vtypes
    assert entry.compute.__doc__


@pytest.mark.parametrize("code", [*TAU2, *TESTS, *PREDICTION, *TAU2_INTERVALS, *LIKELIHOODS["OR"]])
def test_the_page_of_models_names_every_code(code):
    assert f"`{code}`" in (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
