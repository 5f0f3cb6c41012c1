"""Meta-analysis from printed figures to a report that can be defended; each public name is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metail2 import conversions as conversions
    from metail2.analysis.baujat import baujat as baujat
    from metail2.analysis.blup import blup as blup
    from metail2.analysis.bootstrap import bootstrap as bootstrap
    from metail2.analysis.collinearity import vif as vif
    from metail2.analysis.contrasts import contrasts as contrasts
    from metail2.analysis.contrasts import joint_contrast_test as joint_contrast_test
    from metail2.analysis.contrasts import pairwise as pairwise
    from metail2.analysis.cumulative import cumulative as cumulative
    from metail2.analysis.gosh import gosh as gosh
    from metail2.analysis.henmi_copas import henmi_copas as henmi_copas
    from metail2.analysis.influence import influence as influence
    from metail2.analysis.leave_one_out import leave_one_out as leave_one_out
    from metail2.analysis.likelihood_ratio import likelihood_ratio as likelihood_ratio
    from metail2.analysis.permutation import permutation_interval as permutation_interval
    from metail2.analysis.permutation import permutation_test as permutation_test
    from metail2.analysis.profile import profile_tau2 as profile_tau2
    from metail2.analysis.qq import qq_envelope as qq_envelope
    from metail2.analysis.residuals import residuals as residuals
    from metail2.checks.validate import validate as validate
    from metail2.conversions.covariance import sampling_covariance as sampling_covariance
    from metail2.effects.compute import effect_sizes as effect_sizes
    from metail2.effects.effect_sizes import EffectSizes as EffectSizes
    from metail2.effects.measures import MEASURES as MEASURES
    from metail2.errors import MetailError as MetailError
    from metail2.errors import MetailWarning as MetailWarning
    from metail2.models.beta_binomial import BetaBinomial as BetaBinomial
    from metail2.models.location_scale import LocationScale as LocationScale
    from metail2.models.mantel_haenszel import MantelHaenszel as MantelHaenszel
    from metail2.models.mixed_counts import MixedCounts as MixedCounts
    from metail2.models.peto import Peto as Peto
    from metail2.models.pool import pool as pool
    from metail2.models.random_effects import RandomEffects as RandomEffects
    from metail2.models.subgroups import Subgroups as Subgroups
    from metail2.plots.forest import forest as forest
    from metail2.records.catalogue import list_datasets as list_datasets
    from metail2.records.catalogue import load_dataset as load_dataset
    from metail2.records.harmonise import harmonise as harmonise
    from metail2.records.reading import load_records as load_records
    from metail2.records.reading import read_records as read_records
    from metail2.records.reviews.reading import read_review as read_review
    from metail2.records.study_table import read_table as read_table

__version__ = "0.1.0"

_HOME = {
    "BetaBinomial": "models.beta_binomial",
    "EffectSizes": "effects.effect_sizes",
    "LocationScale": "models.location_scale",
    "MEASURES": "effects.compute",
    "MantelHaenszel": "models.mantel_haenszel",
    "MetailError": "errors",
    "MetailWarning": "errors",
    "MixedCounts": "models.mixed_counts",
    "Peto": "models.peto",
    "RandomEffects": "models.random_effects",
    "Subgroups": "models.subgroups",
    "baujat": "analysis.baujat",
    "blup": "analysis.blup",
    "bootstrap": "analysis.bootstrap",
    "contrasts": "analysis.contrasts",
    "conversions": "",
    "cumulative": "analysis.cumulative",
    "effect_sizes": "effects.compute",
    "forest": "plots.forest",
    "gosh": "analysis.gosh",
    "harmonise": "records.harmonise",
    "henmi_copas": "analysis.henmi_copas",
    "influence": "analysis.influence",
    "joint_contrast_test": "analysis.contrasts",
    "leave_one_out": "analysis.leave_one_out",
    "likelihood_ratio": "analysis.likelihood_ratio",
    "list_datasets": "records.catalogue",
    "load_dataset": "records.catalogue",
    "load_records": "records.reading",
    "pairwise": "analysis.contrasts",
    "permutation_interval": "analysis.permutation",
    "permutation_test": "analysis.permutation",
    "pool": "models.pool",
    "profile_tau2": "analysis.profile",
    "qq_envelope": "analysis.qq",
    "read_records": "records.reading",
    "read_review": "records.reviews.reading",
    "read_table": "records.study_table",
    "residuals": "analysis.residuals",
    "sampling_covariance": "conversions.covariance",
    "validate": "checks.validate",
    "vif": "analysis.collinearity",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'metail2' has no attribute {name!r}")
    home = _HOME[name]
    value = getattr(import_module(f"metail2.{home}"), name) if home else import_module(f"metail2.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
