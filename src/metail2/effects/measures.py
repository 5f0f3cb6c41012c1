"""The filled registry of measures: importing a family's module registers its measures, in the order written here."""

from __future__ import annotations

from importlib import import_module

from metail2.effects.definition import MEASURES, Family, Measure

_FAMILIES = (
    "two_by_two", "association", "matched_pairs", "person_time", "two_means", "change",
    "variability", "superiority", "correlation", "point_biserial", "partial_correlation", "explained_variance",
    "one_mean",
    "proportions", "across_families", "rates", "genotype", "reliability", "hazard", "generic",
)  # fmt: skip
for _family in _FAMILIES:
    import_module(f"metail2.effects.{_family}")

__all__ = ["MEASURES", "Family", "Measure"]
