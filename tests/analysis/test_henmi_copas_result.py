"""henmi_copas(result): the article's figures, what it says, and what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.analysis.henmi_copas import henmi_copas
from metail2.errors import ModelError

DATA = Path(__file__).parents[1] / "published" / "data"


@pytest.fixture
def acupuncture():
    """Log odds ratios of Lee & Done 2004, the example of Henmi & Copas 2010."""
    return m2.effect_sizes(pd.read_csv(DATA / "lee2004.csv"), "OR", study="study")


def test_henmi_and_copas_2010(acupuncture):
    found = henmi_copas(m2.pool(acupuncture))
    assert round(found.tau2, 4) == 0.3325
    assert [round(x, 4) for x in (found.estimate, found.ci_lower, found.ci_upper)] == [-0.5145, -0.9994, -0.0295]
    assert found.ci_upper - found.estimate == pytest.approx(found.quantile * found.se, rel=1e-12)


def test_neither_estimator_nor_test_of_the_result_matters(acupuncture):
    found = henmi_copas(m2.pool(acupuncture))
    other = henmi_copas(m2.pool(acupuncture, tau2="DL", test="z", level=0.9), level=0.95)
    assert (other.estimate, other.ci_lower, other.ci_upper) == (found.estimate, found.ci_lower, found.ci_upper)
    assert henmi_copas(m2.pool(acupuncture, level=0.9)).level == 0.9


def test_summary(acupuncture):
    assert henmi_copas(m2.pool(acupuncture)).summary() == (
        "Henmi–Copas: odds ratio 0.598, 95 % interval 0.368 to 0.971  [τ² = 0.3325, DerSimonian–Laird; "
        "2.227 standard errors]\n"
        "  Note: the estimate is the common-effect mean, in which small studies weigh less than in a random-effects "
        "mean"
    )


def test_notes():
    equal = henmi_copas(m2.pool([0.2, 0.2, 0.2], [0.1, 0.2, 0.3]))
    assert equal.tau2 == 0
    assert "τ² is estimated as 0" in equal.note
    assert "τ² = 0, DerSimonian–Laird" in equal.summary()
    assert "with 2 studies" in henmi_copas(m2.pool([0.2, 0.9], [0.1, 0.2])).note


def test_effects_left_out_of_the_fit_are_left_out():
    with pytest.warns(m2.MetailWarning):
        result = m2.pool([0.2, np.nan, 0.9, 0.4], [0.1, 0.1, 0.2, 0.3])
    assert henmi_copas(result).estimate == henmi_copas(m2.pool([0.2, 0.9, 0.4], [0.1, 0.2, 0.3])).estimate


def test_refusals(acupuncture):
    with pytest.raises(ModelError, match="at least 2 studies, and there is 1"):
        henmi_copas(m2.pool([0.2], [0.1]))
    moderated = m2.EffectSizes.from_arrays([0.2, 0.9, 0.4], [0.1, 0.2, 0.3], moderators={"dose": [1, 2, 4]})
    with pytest.raises(ModelError, match="without moderators"):
        henmi_copas(m2.pool(moderated, moderators="dose"))
    with pytest.raises(ModelError, match="one pooled mean"):
        henmi_copas(m2.MantelHaenszel().fit(acupuncture))
    with pytest.raises(ModelError, match="between 0 and 1"):
        henmi_copas(m2.pool(acupuncture), level=95)
