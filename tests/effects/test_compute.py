"""effect_sizes(): what it says of columns that harmonise() would take in the place of missing ones."""

import pandas as pd
import pytest

import metail2 as m2
from metail2.errors import EffectSizeError

TIMES = {"mean_post": [7.0, 8.0], "mean_pre": 5.0, "n": 12}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"se_change": 0.4}, "mean_change and sd_change are missing, but harmonise() takes mean_post, mean_pre and "
         "se_change in place of mean_change and sd_change."),
        ({"sd_post": 2.0, "sd_pre": 1.5, "se_change": 0.4}, "mean_change and sd_change are missing, but harmonise() "
         "takes mean_post, mean_pre and se_change in place of mean_change and sd_change."),
        ({"sd_change": 1.4}, "mean_change is missing, but harmonise() takes mean_post and mean_pre in place of "
         "mean_change."),
        ({"sd_post": 2.0, "se_pre": 0.4, "r": 0.5}, "sd_pre is missing, but harmonise() takes se_pre in place of "
         "sd_pre."),
        ({"sd_post": 2.0, "sd_pre": 1.5}, "r is missing."),
        ({"mean_change": 2.0, "se_change": 0.4}, "sd_change is missing, but harmonise() takes se_change in place of "
         "sd_change."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("measure", ["MC", "SMCC"])
def test_a_refusal_names_what_harmonise_takes_and_it_does(measure, more, says):
    table = pd.DataFrame(TIMES | more)
    with pytest.raises(EffectSizeError) as caught:
        m2.effect_sizes(table, measure)
    assert f"; {says} The table has " in str(caught.value)
    if "harmonise" in says:
        assert m2.harmonise(table, measure=measure).complete.all()
