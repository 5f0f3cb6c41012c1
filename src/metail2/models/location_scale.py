"""Location–scale models: the between-study variance depends on moderators, as the effects may."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metail2.effects.effect_sizes import EffectSizes
from metail2.errors import ModelError, UnknownChoice
from metail2.kernels.heterogeneity import heterogeneity
from metail2.kernels.inference import FACTORS, Wald, wald
from metail2.kernels.location_scale import LINKS, LocationScaleFit, location_scale
from metail2.models.base import refuse_dependence, warn_left_out, warn_repeated
from metail2.models.checks import check_effects, check_level
from metail2.models.design import Design, check_rank, formula_design, intercept_design
from metail2.models.location_scale_result import LocationScaleResult
from metail2.wording import some

Floats = NDArray[np.float64]
METHODS = ("REML", "ML")


@dataclass(frozen=True, slots=True)
class LocationScale:
    """Specification of a location–scale model.

    Attributes
    ----------
    scale : str
        Right-hand side of a formula for the between-study variance, over the columns of `EffectSizes.moderators`;
        ``"1"`` is a random-effects model.
    link : str
        ``"log"``: log τ² is linear in the scale coefficients; ``"identity"``: τ² itself is, and at least 0 in every
        study.
    moderators : str, optional
        Right-hand side of a formula for the effects; by default they share one mean.
    method : str
        ``"REML"`` or ``"ML"``.
    test : str
        ``"z"``, ``"t"``, ``"knapp_hartung"`` or ``"knapp_hartung_adhoc"``. Scale coefficients are tested by z, or with
        the other three by t with k − q degrees of freedom.
    level : float
        Confidence level of all intervals.

    Notes
    -----
    Viechtbauer W, López-López JA (2022). Research Synthesis Methods 13:697–715.
    """

    scale: str
    link: str = "log"
    moderators: str | None = None
    method: str = "REML"
    test: str = "z"
    level: float = 0.95

    def __post_init__(self) -> None:
        LINKS[self.link], FACTORS[self.test]
        if self.method not in METHODS:
            raise UnknownChoice("method of a location–scale model", self.method, METHODS)
        check_level(self.level)

    def fit(self, effects: EffectSizes) -> LocationScaleResult:
        """Fit the model.

        Parameters
        ----------
        effects : EffectSizes
            Effects without a value, a variance or a moderator are left out, with a warning that names them.

        Raises
        ------
        ModelError
            If effects share patients (`effects.V`), there are fewer studies than coefficients of both parts, columns
            are collinear, or the likelihood has no maximum at finite scale coefficients.
        """
        check_effects(effects)
        refuse_dependence(effects)
        warn_repeated(effects)
        warn_left_out(effects, np.flatnonzero(effects.complete))
        location, scale, used = self._designs(effects)
        _check_size(location, scale)
        yi, vi = effects.yi[used], effects.vi[used]
        restricted = self.method == "REML"
        fitted = location_scale(yi, vi, location.x, scale.x, self.link, restricted)
        _check_end(fitted, scale, [effects.study[i] for i in used])
        df = len(used) - len(location.terms)
        factor, test_df = FACTORS[self.test](fitted.fit.q() / df, df)
        coefficients = wald(fitted.beta, factor * np.diagonal(fitted.covariance), test_df, self.level)
        same = location_scale(yi, vi, location.x, np.ones((len(used), 1)), self.link, restricted)
        return LocationScaleResult(
            self, effects, location.terms, coefficients, location, scale, used, fitted, float(factor),
            self._scale_wald(fitted, scale), heterogeneity(yi, vi, location.x), same,
        )  # fmt: skip

    def _designs(self, effects: EffectSizes) -> tuple[Design, Design, NDArray[np.int64]]:
        """Encode both parts on the studies that have the moderators of both."""
        complete = np.flatnonzero(effects.complete)
        location = _encoded(self.moderators, effects, complete)
        with_location = complete[location.complete]
        scale = _encoded(self.scale, effects, with_location)
        used = with_location[scale.complete]
        if len(used) < len(with_location):
            location = _encoded(self.moderators, effects, used)
        return location, scale, used

    def _scale_wald(self, fitted: LocationScaleFit, scale: Design) -> Wald:
        k, q = scale.x.shape
        alpha = fitted.alpha
        if fitted.status == "endless":  # one coefficient, and τ² = 0 in every study
            alpha = -np.inf * np.sign(scale.x[0])
        df = np.inf if self.test == "z" else float(k - q)
        return wald(alpha, np.diagonal(fitted.alpha_covariance), df, self.level)


def _encoded(formula: str | None, effects: EffectSizes, rows: NDArray[np.int64]) -> Design:
    if not len(rows):
        raise ModelError("No effect has a value, a variance and its moderators, so there is nothing to pool.")
    if formula is None:
        return intercept_design(len(rows))
    return formula_design(formula, effects, rows)


def _check_size(location: Design, scale: Design) -> None:
    """Raise unless the studies can tell the coefficients of both parts apart."""
    check_rank(location.x, location.terms)
    check_rank(scale.x, scale.terms)
    k, p, q = len(location.x), len(location.terms), len(scale.terms)
    if k < p + q:
        raise ModelError(
            f"{k} {'study' if k == 1 else 'studies'} cannot support {p} location and {q} scale coefficients; at least "
            f"{p + q} are needed, so use fewer moderators."
        )


def _check_end(fitted: LocationScaleFit, scale: Design, study: list[str]) -> None:
    """Raise where the scale coefficients have no finite maximum; one coefficient at τ² = 0 can be told as it is."""
    zero = [label for label, gone in zip(study, fitted.vanished, strict=True) if gone]
    if fitted.status == "undetermined":
        raise ModelError(
            f"The likelihood does not determine the scale coefficients ({', '.join(scale.terms)}): it is flat; use "
            "fewer scale moderators."
        )
    if fitted.status == "endless" and (len(scale.terms) > 1 or not fitted.vanished.all()):
        whose = "every study" if len(zero) == len(study) else some(zero)
        raise ModelError(
            f"The likelihood keeps rising as τ² of {whose} goes to 0, so with the log link the scale coefficients have "
            "no finite estimates; use link='identity', which allows τ² = 0, or fewer scale moderators."
        )
