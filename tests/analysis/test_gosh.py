"""Pooled means of all subsets and of samples, beside results of the subsets."""

import itertools

import numpy as np
import pytest

import metail2 as m2
from metail2.analysis.gosh import gosh
from metail2.errors import MetailWarning, ModelError, UnknownChoice

RNG = np.random.default_rng(31)
K = 6
YI, VI, W = RNG.normal(size=K), RNG.uniform(0.01, 0.3, K), RNG.uniform(1, 3, K)
COLUMNS = ["estimate", "tau2", "i2", "q", "i2_q"]


@pytest.mark.parametrize(
    "options",
    [{"tau2": "CE"}, {"tau2": "DL"}, {"tau2": "REML"}, {"tau2": "PM"}, {"weights": W}, {"tau2": "DL", "weights": W}],
    ids=["CE", "DL", "REML", "PM", "weighted REML", "weighted DL"],
)
def test_every_subset_is_the_result_of_its_studies(options):
    found = gosh(m2.pool(YI, VI, **options))
    table = found.table()
    assert list(table) == ["k", *COLUMNS, "note"]
    assert (len(found), found.exhaustive) == (2**K - 1, True)
    seen = set()
    for row in range(len(found)):
        names = found.members(row)
        kept = [int(name.removeprefix("study ")) - 1 for name in names]
        seen.add(tuple(kept))
        own = {name: values[kept] if name == "weights" else values for name, values in options.items()}
        glance = m2.pool(YI[kept], VI[kept], **own)
        expected = [glance.estimate, *glance.glance()[COLUMNS[1:]].iloc[0]]
        np.testing.assert_allclose(table.loc[row, COLUMNS].astype(float), expected, rtol=1e-9, atol=1e-12)
        assert table["k"][row] == len(kept)
    assert seen == {c for n in range(1, K + 1) for c in itertools.combinations(range(K), n)}


def test_gaps_are_explained():
    random, common = gosh(m2.pool(YI, VI)).table(), gosh(m2.pool(YI, VI, tau2="CE")).table()
    assert (random["note"] == "").sum() == 2**K - 1 - K
    assert random.loc[random["k"] == 1, "note"].str.startswith("one study").all()
    assert random.loc[random["k"] > 1, COLUMNS].notna().all(axis=None)
    assert common.loc[common["k"] > 1, "note"].str.contains("no I² from τ²").all()


def test_subsets_with_a_study():
    found = gosh(m2.pool(YI, VI, tau2="DL"))
    inside = found.includes("study 3")
    assert inside.sum() == 2 ** (K - 1)
    assert [("study 3" in found.members(row)) for row in range(len(found))] == inside.tolist()
    with pytest.raises(UnknownChoice, match="Unknown study 'study 9'"):
        found.includes("study 9")


@pytest.mark.parametrize("k", [12, 30])
def test_a_seeded_sample(k):
    rng = np.random.default_rng(k)
    result = m2.pool(rng.normal(size=k), rng.uniform(0.1, 0.2, k))
    found = gosh(result, subsets=500, seed=3)
    assert (len(found), found.exhaustive) == (500, False)
    assert found.table().equals(gosh(result, subsets=500, seed=3).table())
    assert not found.table().equals(gosh(result, subsets=500, seed=4).table())
    for row in (0, 250):
        kept = [int(name.removeprefix("study ")) - 1 for name in found.members(row)]
        own = result.fitted
        refit = m2.pool(own.yi[kept], own.vi[kept])
        assert found.table()["estimate"][row] == pytest.approx(refit.estimate, rel=1e-10)
        assert found.table()["tau2"][row] == pytest.approx(refit.tau2, rel=1e-9)
    share = np.mean([found.includes(label).mean() for label in found.study])
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(500 * k))
    if k == 12:
        assert len({bytes(row) for row in found.packed}) == 500  # up to 20 studies none is drawn twice


def test_a_sample_of_all_or_more_is_all():
    result = m2.pool(YI, VI, tau2="DL")
    assert gosh(result, subsets=2**K - 1).table().equals(gosh(result).table())
    assert gosh(result, subsets=10**6).exhaustive
    assert len(gosh(result, subsets=2**K - 2, seed=1)) == 2**K - 2


def test_a_sample_may_not_be_empty_for_many_studies():
    found = gosh(m2.pool(np.tile(YI, 4)[:21], np.tile(VI, 4)[:21], tau2="DL"), subsets=2000, seed=1)
    assert found.table()["k"].between(1, 21).all()
    assert found.packed.shape == (2000, 3)


def test_few_studies_and_effects_that_agree():
    two = gosh(m2.pool(YI[:2], VI[:2])).table()
    assert two["k"].tolist() == [1, 1, 2]
    same = gosh(m2.pool([0.3] * 4, [0.1, 0.2, 0.3, 0.4], tau2="DL")).table()
    assert (same["estimate"] == 0.3).all()
    assert (same.loc[same["k"] > 1, ["tau2", "q", "i2", "i2_q"]] == 0).all(axis=None)


def test_studies_that_are_not_in_the_fit_are_in_no_subset():
    with pytest.warns(MetailWarning, match="study 2: left out"):
        result = m2.pool([0.3, np.nan, 0.1, 0.9], [0.1, 0.2, 0.3, 0.4])
    assert gosh(result).study == ("study 1", "study 3", "study 4")


def test_a_progress_bar_on_request(capsys):
    result = m2.pool(YI, VI)
    gosh(result)
    assert capsys.readouterr().err == ""
    gosh(result, progress=True)
    assert "63/63" in capsys.readouterr().err


def test_what_cannot_be_shown_is_refused():
    effects = m2.EffectSizes.from_arrays(YI, VI, moderators={"x": W})
    with pytest.raises(ModelError, match="pool without moderators"):
        gosh(m2.pool(effects, moderators="x"))
    with pytest.raises(ModelError, match="gosh compares studies"):
        gosh(m2.pool([0.3], [0.1]))
    with pytest.raises(ModelError, match="0 subsets were asked for"):
        gosh(m2.pool(YI, VI), subsets=0)


def test_includes_refuses_a_label_that_stands_twice():
    twice = m2.EffectSizes.from_arrays(YI, VI, study=["A", "A", "B", "C", "D", "E"])
    with pytest.warns(MetailWarning, match="More than one effect is labelled A"):
        found = gosh(m2.pool(twice))
    assert found.includes("B").sum() == 2 ** (K - 1)
    with pytest.raises(ModelError, match="2 studies are labelled 'A'"):
        found.includes("A")


def test_a_subgroup_analysis_is_told_what_to_take():
    effects = m2.EffectSizes.from_arrays(YI, VI, moderators={"g": list("aabbab")})
    with pytest.raises(ModelError, match=r"this is a SubgroupResult; take result\.overall, or one group"):
        gosh(m2.pool(effects, subgroup="g"))
