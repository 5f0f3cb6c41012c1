"""What a row of a mixed sheet lacks."""

import pytest

from metail2.effects.measures import MEASURES
from metail2.records.mixed_columns import known_columns
from metail2.records.mixed_lacks import instead_of, lacking, may_be_had, ways, whole

MD = "mean1 sd1 n1 mean2 sd2 n2"


@pytest.mark.parametrize(
    ("measure", "known", "there", "lacks"),
    [
        ("MD", "mean1 n1 mean2 sd2 n2 yi", MD, "sd1"),
        ("MD", "n1 n2 yi", MD, "se"),
        ("MD", "n1 n2", f"{MD} estimate ci_lower ci_upper", "yi se"),
        ("MD", "n1 n2 ci_lower ci_upper", f"{MD} estimate ci_lower ci_upper", "yi"),
        ("MD", "n1", "n1", "mean1 sd1 mean2 sd2 n2"),
        ("SMD", "t n1", "t n1 n2", "n2"),
        ("SMD", "n1 n2", "g n1 n2", "d"),
        ("ZBIS", "n1 n2 mean1", "p n1 n2 mean1 mean2", "direction p"),
        ("OR", "n1 events1 n2", "events1 n1 percent2 n2", "events2"),
        ("MC", "n mean_change yi se_change", "n mean_change sd_change se_change", "sd_change"),
        ("MC", "mean_change yi se_change", "n mean_change se_change", "sd_change n"),
        ("SMCC", "mean_post mean_pre n mean_change", "mean_post mean_pre n se_change", "sd_change"),
        ("PFT", "n", "events n estimate se", "events"),
    ],
)  # fmt: skip
def test_the_nearest_way_that_the_table_has_columns_for(measure, known, there, lacks):
    assert set(lacking(MEASURES[measure], known.split(), there.split())) == set(lacks.split())


def test_what_stands_for_a_figure():
    assert instead_of(MEASURES["MD"], "sd1") == (
        ("se1",), ("mean1_lower", "mean1_upper"), ("q1_1", "q3_1"), ("min1", "max1")
    )  # fmt: skip
    assert instead_of(MEASURES["MD"], "yi") == (("estimate",), ("mean1", "mean2"))
    assert instead_of(MEASURES["PR"], "se") == (("sei",), ("vi",), ("ci_lower", "ci_upper"))
    assert instead_of(MEASURES["PFT"], "yi") == ()
    assert whole(MEASURES["MD"], ["mean1", "mean2", "p"]) == [("yi", "se")]
    assert not may_be_had(MEASURES["MD"], "se", ["ci_lower"])


@pytest.mark.parametrize("code", MEASURES)
def test_what_stands_for_a_figure_is_a_column_that_is_read(code):
    measure = MEASURES[code]
    names = {name for names in ways(measure) for name in names}
    assert {other for name in names for others in instead_of(measure, name) for other in others} <= {
        *known_columns(measure)
    }
