"""The filled registry of measures: importing a family's module registers its measures, in the order written here."""

from __future__ import annotations

from importlib import import_module

from metail2.effects.definition import MEASURES, Family, Measure

for _family in ("two_by_two", "person_time", "two_means", "change", "proportions", "generic"):
    import_module(f"metail2.effects.{_family}")

__all__ = ["MEASURES", "Family", "Measure"]
