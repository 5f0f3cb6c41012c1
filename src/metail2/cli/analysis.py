"""What ``pool`` and ``forest`` share: from the options as typed to effects and a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metail2.cli.guard import WrongUse
from metail2.cli.source import Source
from metail2.errors import UnknownChoice

if TYPE_CHECKING:
    from metail2.effects.effect_sizes import EffectSizes
    from metail2.models.beta_binomial import BetaBinomial
    from metail2.models.mantel_haenszel import MantelHaenszel
    from metail2.models.mixed_counts import MixedCounts
    from metail2.models.peto import Peto
    from metail2.models.random_effects import RandomEffects
    from metail2.models.subgroups import Subgroups

    Specification = RandomEffects | Subgroups | MantelHaenszel | Peto | MixedCounts | BetaBinomial

SHARED = ("tau2", "moderators")
"""Options of `RandomEffects` that `MixedCounts` has, too."""
MODELS = ("random_effects", "mantel_haenszel", "peto", "mixed_counts", "beta_binomial")


@dataclass(frozen=True, slots=True)
class Analysis:
    """Options as typed; None where an option was not given.

    Attributes
    ----------
    source : Source
        Where the effects come from.
    computing : dict
        ``add``, ``to``, ``drop00``, ``vtype``, ``r`` and ``method`` of `harmonise`.
    model : str
        One of `MODELS`.
    random_effects : dict
        ``tau2``, ``test``, ``moderators`` and ``weights`` of `RandomEffects`.
    groups : dict
        ``subgroup`` and ``common-tau2`` of `Subgroups`.
    counts : dict
        ``likelihood`` and ``coding`` of `MixedCounts`.
    level : float
        Confidence level.
    """

    source: Source
    computing: dict[str, Any]
    model: str
    random_effects: dict[str, Any]
    groups: dict[str, Any]
    counts: dict[str, Any]
    level: float

    def prepared(self) -> tuple[Specification, EffectSizes]:
        """Build the model's specification and compute the effects; a wrong option is refused before anything is read.

        Of a review file, which names its measure itself, counts are pooled by that measure.
        """
        specification = self._specification(self.source.measure or "OR")
        effects = self.source.effects(_given(self.computing))
        return specification if self.source.measure else self._specification(effects.measure), effects

    def _specification(self, measure: str) -> Specification:
        if self.model not in MODELS:
            raise UnknownChoice("model", self.model, MODELS)
        if self.model == "random_effects":
            for name in _given(self.counts):
                raise WrongUse(f"--{name} has a meaning only with --model mixed_counts; leave it out.")
            return self._random_effects()
        self._refuse_other_options()
        return self._of_counts(measure)

    def _of_counts(self, measure: str) -> Specification:
        from metail2 import BetaBinomial, MantelHaenszel, MixedCounts, Peto

        if self.model == "mantel_haenszel":
            return MantelHaenszel(measure, self.level)
        if self.model == "beta_binomial":
            return BetaBinomial(measure, self.level)
        if self.model == "mixed_counts":
            shared = {name: self.random_effects[name] for name in SHARED}
            own = {"model": self.counts["likelihood"], "coding": self.counts["coding"]}
            return MixedCounts(measure, **_given(own | shared), level=self.level)
        return Peto(self.level, measure)

    def _random_effects(self) -> RandomEffects | Subgroups:
        from metail2 import RandomEffects, Subgroups

        model, groups = RandomEffects(**_given(self.random_effects), level=self.level), _given(self.groups)
        if "subgroup" in groups:
            return Subgroups(groups["subgroup"], model, groups.get("common-tau2", False))
        if groups:
            raise WrongUse("--common-tau2 says how subgroups share τ²: give --subgroup too, or leave it out.")
        return model

    def _refuse_other_options(self) -> None:
        refused = self.random_effects | self.groups | self.computing | self.counts
        own = (*self.counts, *SHARED) if self.model == "mixed_counts" else ()
        for name in _given({name: value for name, value in refused.items() if name not in own}):
            raise WrongUse(f"--{name} has no meaning with --model {self.model}; leave it out.")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
