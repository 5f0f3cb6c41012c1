"""Adaptive Gauss–Hermite quadrature beside closed forms and the trapezoidal rule."""

import numpy as np
import pytest
from scipy.special import expit

from metail2.kernels.quadrature import hermite_rule, log_integral, place


def moments(rule, power):
    return float((np.exp(rule.log_weights - (rule.nodes**2).sum(1) / 2) * (rule.nodes**power).prod(1)).sum())


@pytest.mark.parametrize("points", [1, 2, 5, 30, 200])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_polynomials_of_degree_up_to_2n_minus_1_are_exact(points, dimensions):
    if points**dimensions > 1000:
        return
    rule, mass = hermite_rule(points, dimensions), (2 * np.pi) ** (dimensions / 2)
    for power, moment in zip(range(0, 2 * points, 2), (1, 1, 3, 15, 105, 945), strict=False):
        assert moments(rule, power) == pytest.approx(mass * moment**dimensions, rel=1e-12)


def test_no_dimension_is_one_point_of_weight_1():
    rule = hermite_rule(7, 0)
    assert rule.nodes.shape == (1, 0)
    assert rule.log_weights.tolist() == [0]


def test_points_whose_weight_underflows_are_left_out():
    rule = hermite_rule(1000, 1)
    assert np.isfinite(rule.log_weights).all()
    assert moments(rule, 0) == pytest.approx(np.sqrt(2 * np.pi), rel=1e-11)


def test_a_normal_density_needs_one_point():
    """exp{−½(b − m)′P(b − m)} has the integral 2π/√|P| (in two dimensions)."""
    mode, precision = np.array([[0.3, -2.0]]), np.array([[[4.0, 1.0], [1.0, 9.0]]])
    placed = place(hermite_rule(1, 2), mode, precision)
    total, share = log_integral(placed, np.zeros((1, 1)))
    assert total[0] == pytest.approx(np.log(2 * np.pi / np.sqrt(35)), rel=1e-14)
    assert share.tolist() == [[1]]
    away = place(hermite_rule(9, 2), mode, precision)
    apart = away.points - mode[..., None]
    heights = -0.5 * np.einsum("kdq,kde,keq->kq", apart, precision, apart)
    total, share = log_integral(away, heights)
    assert total[0] == pytest.approx(np.log(2 * np.pi / np.sqrt(35)), rel=1e-13)
    covariance = np.einsum("q,dq,eq->de", share[0], apart[0], apart[0])
    np.testing.assert_allclose(covariance, np.linalg.inv(precision[0]), rtol=1e-12)


@pytest.mark.parametrize(("tau", "points", "error"), [(0.5, 20, 1e-12), (2.0, 40, 1e-6), (2.0, 160, 1e-11)])
def test_a_logistic_normal_integral(tau, points, error):
    """P(no event in 50) with log-odds N(−2, τ²): skew, so that the rule must have points enough."""

    def height(u):
        return 50 * np.log1p(-expit(-2 + tau * u)) - u * u / 2

    grid = np.linspace(-12, 12, 24001)
    exact = np.exp(height(grid)).sum() * 0.001  # the trapezoidal rule is exact for so smooth a function
    mode = grid[np.argmax(height(grid))]
    curvature = -(height(mode + 1e-4) - 2 * height(mode) + height(mode - 1e-4)) / 1e-8
    placed = place(hermite_rule(points, 1), np.array([[mode]]), np.array([[[curvature]]]))
    total, _ = log_integral(placed, height(placed.points[:, 0]))
    assert total[0] == pytest.approx(np.log(exact), rel=error)
