"""Fitted methods of mean_sd: brute force, exact quantiles, special cases, invariances, and reasons for no answer."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

from metail2.conversions import FORMULAS, SUMMARY_METHODS, mean_sd
from metail2.conversions.box_cox import moments, transform
from metail2.conversions.fits import Unfit
from metail2.conversions.formulas import Figures
from metail2.conversions.likelihood_fit import log_likelihood

NAMES = {
    "range": ("minimum", "median", "maximum"),
    "quartiles": ("q1", "median", "q3"),
    "five": ("minimum", "q1", "median", "q3", "maximum"),
}
FAMILIES = {
    "lognormal": (lambda p: stats.lognorm(np.exp(p[1]), scale=np.exp(p[0])), (0.3, -0.5)),
    "gamma": (lambda p: stats.gamma(np.exp(p[1]), scale=np.exp(p[0])), (0.1, 0.7)),
    "weibull": (lambda p: stats.weibull_min(np.exp(p[1]), scale=np.exp(p[0])), (0.4, 0.4)),
    "normal": (lambda p: stats.norm(p[0], np.exp(p[1])), (5.0, 0.3)),
    "beta": (lambda p: stats.beta(np.exp(p[0]), np.exp(p[1])), (0.8, 1.4)),
}


def positions(scenario, n):
    return {
        "range": [1 / n, 0.5, 1 - 1 / n],
        "quartiles": [0.25, 0.5, 0.75],
        "five": [1 / n, 0.25, 0.5, 0.75, 1 - 1 / n],
    }[scenario]


def estimate(scenario, values, n, method):
    return mean_sd(**dict(zip(NAMES[scenario], values, strict=True)), n=n, method=method)


@pytest.mark.parametrize("scenario", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_exact_quantiles_give_back_their_distribution(family, scenario):
    make, parameters = FAMILIES[family]
    truth = make(parameters)
    found = estimate(scenario, truth.ppf(positions(scenario, 60)), 60, "mcgrath2020_qe")
    assert found.mean_method == f"mcgrath2020_qe_{family}"
    np.testing.assert_allclose([found.mean, found.sd], [truth.mean(), truth.std()], rtol=1e-6)


def test_no_family_comes_nearer_by_brute_force():
    random = np.random.default_rng(20200901)
    for draw, scenario in enumerate(NAMES):
        size = len(NAMES[scenario])
        values = np.sort(random.lognormal(1, 0.7, size)) if draw % 2 else np.sort(random.uniform(0.1, 0.9, size))
        n = int(random.integers(8, 200))
        where = np.array(positions(scenario, n))

        def distance(parameters, make, values=values, where=where):
            with np.errstate(all="ignore"):
                away = ((make(parameters).ppf(where) - values) ** 2).sum()
            return away if np.isfinite(away) else 1e9

        best = {}
        for family, (make, start) in FAMILIES.items():
            if family == "beta" and values[-1] >= 1:
                continue
            starts = [start, (np.log(values.mean()), 0.0)]
            options = {"xatol": 1e-8, "fatol": 1e-14, "maxiter": 400}
            runs = [optimize.minimize(distance, s, args=(make,), method="Nelder-Mead", options=options) for s in starts]
            best[family] = (min(run.fun for run in runs), make(min(runs, key=lambda run: run.fun).x))
        found = estimate(scenario, values, n, "mcgrath2020_qe")
        chosen = str(found.mean_method).removeprefix("mcgrath2020_qe_")
        least, truth = best[min(best, key=lambda family: best[family][0])]
        assert best[chosen][0] <= least * (1 + 1e-6) + 1e-12
        np.testing.assert_allclose([found.mean, found.sd], [truth.mean(), truth.std()], rtol=2e-4)


def test_a_figure_below_zero_leaves_only_the_normal_family():
    found = mean_sd(q1=-0.5, median=1, q3=6, n=40, method="mcgrath2020_qe")
    scores = stats.norm.ppf([0.25, 0.5, 0.75])
    slope, intercept = np.polyfit(scores, [-0.5, 1, 6], 1)
    assert found.mean_method == "mcgrath2020_qe_normal"
    np.testing.assert_allclose([found.mean, found.sd], [intercept, slope], rtol=1e-12)
    assert (
        mean_sd(minimum=0, median=2, maximum=16, n=29, method="mcgrath2020_qe").mean_method != "mcgrath2020_qe_normal"
    )


# --- Box–Cox -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [-0.4, 0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("scenario", NAMES)
def test_figures_that_a_power_makes_symmetric_give_its_moments(power, scenario):
    mean, sd, n = 1.1, 0.15, 41
    scores = {"range": [-2.2, 0, 2.2], "quartiles": [-0.65, 0, 0.65], "five": [-2.2, -0.65, 0, 0.65, 2.2]}[scenario]
    y = mean + sd * np.array(scores)
    values = np.exp(y) if power == 0 else (1 + power * y) ** (1 / power)
    found = estimate(scenario, values, n, "mcgrath2020_bc")
    around = mean_sd(**dict(zip(NAMES[scenario], y, strict=True)), n=n, method="luo2018")
    expected = integrated(float(around.mean), float(around.sd), power)
    np.testing.assert_allclose([found.mean, found.sd], expected, rtol=1e-6)


REACH = stats.norm.isf(0.5e-4)


def integrated(mean, sd, power):
    """Moments of the back-transformed normal by the trapezoidal rule on a fine grid."""
    reach = REACH if power == 0 else min(REACH, (1 + power * mean) / abs(power * sd))
    z = np.linspace(-reach, reach, 400_001)
    y = mean + sd * z
    x = np.exp(y) if power == 0 else np.maximum(1 + power * y, 0.0) ** (1 / power)
    density = stats.norm.pdf(z)
    centre = np.trapezoid(x * density, z) / np.trapezoid(density, z)
    return centre, np.sqrt(np.trapezoid((x - centre) ** 2 * density, z) / np.trapezoid(density, z))


def test_log_normal_moments_have_their_truncated_closed_form():
    sd, reach = 0.8, -mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf("0.5e-4") - 1)
    share = mpmath.ncdf(reach) - mpmath.ncdf(-reach)

    def moment(order):
        shifted = [side * reach - order * sd for side in (1, -1)]
        return mpmath.exp(order**2 * sd**2 / 2) * (mpmath.ncdf(shifted[0]) - mpmath.ncdf(shifted[1])) / share

    expected = moment(1), mpmath.sqrt(moment(2) - moment(1) ** 2)
    np.testing.assert_allclose(moments(0.0, sd, 0.0), [float(value) for value in expected], rtol=1e-12)
    # what the tails beyond 10,000 draws hold
    whole = stats.lognorm(sd)
    np.testing.assert_allclose(moments(0.0, sd, 0.0), [whole.mean(), whole.std()], rtol=0.011)


def test_quadrature_is_what_10_000_draws_would_give_on_average():
    random = np.random.default_rng(20200902)
    for power, mean, sd in ((0.3, 2.0, 0.6), (-0.15, 1.0, 0.5), (1.5, 1.0, 0.4)):
        y = random.normal(mean, sd, (200, 10_000))
        x = np.maximum(1 + power * y, 0) ** (1 / power)
        draws = np.array([x.mean(axis=1), x.std(axis=1)])
        se = draws.std(axis=1) / np.sqrt(200)
        assert (np.abs(draws.mean(axis=1) - moments(mean, sd, power)) < 4 * se + 0.003 * draws.mean(axis=1)).all()


def test_power_does_not_depend_on_the_unit():
    values = np.array([0.4, 1.1, 1.9, 3.8, 12.0])
    for method in ("mcgrath2020_qe", "mcgrath2020_bc", "cai2021", "lognormal"):
        one, thousand = (estimate("five", values * unit, 61, method) for unit in (1, 1000))
        np.testing.assert_allclose(thousand.mean, 1000 * one.mean, rtol=1e-7)
        np.testing.assert_allclose(thousand.sd, 1000 * one.sd, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((1.0, 0.5, -0.4), "with the Box–Cox power -0.4 the fitted distribution has no finite mean and SD"),
        ((0.0, 2.0, 0.0), "more than half of the fitted variance comes from its outermost thousandth"),
        ((-3.0, 0.5, 0.5), "the fitted normal distribution lies where the Box–Cox transformation cannot be undone"),
    ],
)
def test_moments_that_do_not_exist_are_refused(arguments, reason):
    with pytest.raises(Unfit) as error:
        moments(*arguments)
    assert str(error.value) == reason


# --- maximum likelihood ------------------------------------------------------------------------------------------


def by_multinomial(figures, between, mean, sd):
    """Log density of order statistics by scipy.stats, in logarithms of probabilities."""
    normal = stats.norm(mean, sd)
    edges = np.concatenate([[-np.inf], figures, [np.inf]])
    gaps = [np.log(normal.cdf(b) - normal.cdf(a)) for a, b in pairwise(edges)]
    return np.dot(between, gaps) + normal.logpdf(figures).sum()


@pytest.mark.parametrize(
    ("figures", "between"),
    [
        ([-1.9, 0.1, 2.4], [0, 11, 11, 0]),
        ([-0.6, 0.1, 0.7], [6, 5, 5, 6]),
        ([-1.9, -0.6, 0.1, 0.7, 2.4], [0, 5, 5, 5, 5, 0]),
    ],
)
def test_the_likelihood_is_that_of_order_statistics(figures, between):
    figures, between = np.array(figures), np.array(between, dtype=float)
    constant = len(figures) * np.log(2 * np.pi) / 2
    for mean, sd in ((0.0, 1.0), (0.3, 1.4), (-1.0, 0.7)):
        ours = log_likelihood(((figures - mean) / sd)[None, :], np.array([sd]), between)[0]
        assert ours - constant == pytest.approx(by_multinomial(figures, between, mean, sd), rel=1e-12)


@pytest.mark.parametrize("scenario", NAMES)
def test_two_rounds_of_likelihood_by_brute_force(scenario):
    n = 49
    sample = np.sort(np.random.default_rng(20211201).gamma(3, 2, n))
    places = {"range": [0, 24, 48], "quartiles": [12, 24, 36], "five": [0, 12, 24, 36, 48]}[scenario]
    between = np.diff([-1, *places, n]) - 1
    values = sample[places]

    def negative(power):
        y = transform(values, np.array([power]))[0]
        around = mean_sd(**dict(zip(NAMES[scenario], y, strict=True)), n=n, method="luo2018")
        return -by_multinomial(y, between, float(around.mean), float(around.sd)) - (power - 1) * np.log(values).sum()

    power = optimize.minimize_scalar(negative, bounds=(-3, 4), method="bounded", options={"xatol": 1e-10}).x
    y = transform(values, np.array([power]))[0]
    fit = optimize.minimize(
        lambda p: -by_multinomial(y, between, p[0], np.exp(p[1])),
        [y.mean(), np.log(y.std())],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000},
    )
    found = estimate(scenario, values, n, "cai2021")
    np.testing.assert_allclose([found.mean, found.sd], integrated(fit.x[0], np.exp(fit.x[1]), power), rtol=1e-5)


# --- no answer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mcgrath2020_bc", "cai2021", "lognormal"])
def test_methods_for_positive_values_say_why_they_do_not_answer(method):
    found = mean_sd(minimum=[0, 1], median=[6, 6], maximum=[16, 16], n=29, method=method)
    assert np.isnan(found.mean).tolist() == np.isnan(found.sd).tolist() == [True, False]
    assert found.mean_method[0] == found.sd_method[0] == "none"
    assert found.reason.tolist() == ["the method needs figures above zero, and 0 is printed", ""]


@pytest.mark.parametrize(
    ("method", "printed", "reason"),
    [
        ("mcgrath2020_bc", {"q1": 2, "median": 2, "q3": 5, "n": 30}, "two of the figures are 2, so no transformation"),
        ("cai2021", {"q1": 2, "median": 5, "q3": 5, "n": 30}, "two of the figures are 5, so no transformation makes"),
        ("cai2021", {"q1": 2, "median": 3, "q3": 5, "n": 4}, "median and quartiles of fewer than 5 people cannot be"),
        ("mcgrath2020_qe", {"minimum": 1, "median": 2, "maximum": 3, "n": 2}, "median, minimum and maximum of fewer"),
        ("mcgrath2020_qe", {"q1": 0, "median": 0, "q3": 4, "n": 40}, "the gamma distribution comes nearest to the fig"),
        ("mcgrath2020_qe", {"q1": 1, "q3": 4, "n": 40}, "the median is missing"),
        ("mcgrath2020_bc", {"q1": 1, "median": 2, "q3": 4, "n": None}, "the number of people is missing"),
        ("mcgrath2020_bc", {"median": 2, "n": 20}, "neither minimum and maximum nor both quartiles are printed"),
        ("mcgrath2020_bc", {"q1": 4.0, "median": 4.1, "q3": 9, "n": 30}, "with the Box–Cox power -"),
        ("hozo2005", {"q1": 1, "median": 2, "q3": 4, "n": 20}, "Hozo 2005 has no formula for median and quartiles"),
        ("recommended", {"minimum": 1, "median": 2, "maximum": 4, "n": 1}, "one person has no SD"),
        ("recommended", {"minimum": 1, "maximum": 4, "n": 20}, "the median is missing"),
        ("lognormal", {"q1": 1, "median": 60, "q3": 1e90, "n": 5}, "the formula has no finite value for these figures"),
    ],
)
def test_every_missing_value_has_a_reason(method, printed, reason):
    found = mean_sd(**printed, method=method)
    assert np.isnan(found.sd) or np.isnan(found.mean)
    assert str(found.reason).startswith(reason)


def test_a_printed_mean_needs_no_reason():
    found = mean_sd(mean=4.8, minimum=0, maximum=11, n=16)
    assert found.reason == ""
    kept = mean_sd(mean=3.0, q1=1, median=2, q3=4, n=40, method="mcgrath2020_qe")
    assert (float(kept.mean), str(kept.mean_method)) == (3.0, "printed")
    assert str(kept.sd_method).startswith("mcgrath2020_qe_")


@pytest.mark.parametrize("method", SUMMARY_METHODS)
def test_the_rules_of_a_method_give_what_mean_sd_gives(method):
    entry = SUMMARY_METHODS[method]
    row = Figures(*(np.array([value]) for value in (1.2, 2.2, 3.1, 4.4, 9.7, 120.0)))
    found = mean_sd(minimum=1.2, q1=2.2, median=3.1, q3=4.4, maximum=9.7, n=120, method=method)
    if "five" in entry.mean:
        assert entry.mean["five"].compute(row) == found.mean
        assert entry.sd["five"].compute(row) == found.sd
        assert str(found.mean_method).startswith(entry.mean["five"].name)
        assert FORMULAS[str(found.sd_method)].citation == entry.sd["five"].citation
