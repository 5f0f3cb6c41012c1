"""The filled catalogue: importing a module of checks registers its codes and finders, in the order written here."""

from __future__ import annotations

from importlib import import_module

from metail2.checks.definition import ARM_FINDERS, CHECKS, COMPARISON_FINDERS, TABLE_FINDERS

for _module in ("findings", "cells", "impossible", "suspect", "slips", "integer_scales", "disagreement",
                "disagreement_effects", "disagreement_intervals", "disagreement_arms", "unit_of_analysis", "units",
                "uncomputed", "record_views", "schema_violations", "stored_results"):  # fmt: skip
    import_module(f"metail2.checks.{_module}")

__all__ = ["ARM_FINDERS", "CHECKS", "COMPARISON_FINDERS", "TABLE_FINDERS"]
