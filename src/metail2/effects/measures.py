"""The filled registry of measures: importing a family's module registers its measures."""

from __future__ import annotations

from metail2.effects import change, generic, person_time, proportions, two_by_two, two_means
from metail2.effects.definition import MEASURES, Family, Measure

FAMILIES = (two_by_two, person_time, two_means, change, proportions, generic)

__all__ = ["FAMILIES", "MEASURES", "Family", "Measure"]
