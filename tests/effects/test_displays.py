"""Which scales a measure may be shown on."""

import numpy as np
import pytest

import metail2 as m2
from metail2.effects.displays import FRACTIONS, OF_THE_DATA, display_transform, displays
from metail2.effects.transforms import TRANSFORMS
from metail2.errors import UnknownChoice

LOG_RATIO = ("identity", "exp", "percent_change", "percent_reduction")


@pytest.mark.parametrize(
    ("measure", "known"),
    [
        ("OR", LOG_RATIO), ("ROMC", LOG_RATIO), ("HR", LOG_RATIO), ("RD", ("identity", "percent")),
        ("PR", ("identity", "percent")), ("PLO", ("identity", "logistic")), ("PLN", ("identity", "antilog")),
        ("IRLN", ("identity", "antilog")), ("ZCOR", ("identity", "tanh")), ("SMD", ("identity",)),
        ("IRD", ("identity",)), ("COR", ("identity",)), ("GEN", tuple(TRANSFORMS)), ("MD", tuple(TRANSFORMS)),
    ],
)  # fmt: skip
def test_the_transforms_of_a_measure(measure, known):
    assert displays(m2.MEASURES[measure]) == known


@pytest.mark.parametrize("code", m2.MEASURES)
def test_every_measure_is_shown_by_its_own_and_as_pooled(code):
    measure = m2.MEASURES[code]
    assert {"identity", measure.transform.code} <= set(displays(measure))
    assert display_transform(measure, None) is measure.transform
    assert display_transform(measure, "identity") is TRANSFORMS["identity"]


def test_fractions_are_between_minus_1_and_1():
    for code in FRACTIONS:
        assert np.abs(m2.MEASURES[code].bounds).max() == 1
    assert set(OF_THE_DATA) <= set(m2.MEASURES)


def test_another_scale_is_refused():
    with pytest.raises(UnknownChoice) as caught:
        display_transform(m2.MEASURES["OR"], "percent")
    assert str(caught.value) == (
        "Unknown display transform of OR (pooled as log odds ratio) 'percent'. Did you mean 'percent_change'? Choose "
        "from: identity, exp, percent_change, percent_reduction."
    )
    with pytest.raises(UnknownChoice, match=r"^Unknown display transform 'exq'\. Did you mean 'exp'\?"):
        display_transform(m2.MEASURES["OR"], "exq")


def test_a_picture_refuses_it_too():
    result = m2.pool(m2.EffectSizes.from_arrays([0.1, 0.3], [0.04, 0.05], measure="OR"))
    with pytest.raises(UnknownChoice, match="Unknown display transform of OR"):
        m2.forest(result, transform="percent")
