"""Printed statistics to moments and counts.

Pure functions on arrays (and, for counts, on exact numbers): what an article prints goes in, what an effect measure
needs comes out. Impossible figures are refused with an EffectSizeError that names them; what a method cannot say is
NaN.

==================  ====================================================================================
`summaries`         means and SDs from medians, quartiles and ranges (`formulas`: text and citation of each)
`folds`             the same for fold changes, on the log scale
`spread`            SDs and standard errors from intervals, P values, t and F statistics; SD of a change
`counts`            events and arm sizes from printed percentages, exactly
`arms`              combined arms, and the covariance of effects that share a control
==================  ====================================================================================
"""

from metail2.conversions.arms import (
    SHARED_CONTROL,
    CombinedEvents,
    CombinedMeans,
    ControlShare,
    combine_events,
    combine_means,
    shared_control_covariance,
    shared_control_matrix,
)
from metail2.conversions.counts import Candidate, Candidates, Split, events_from_percent, splits_from_percents, unique
from metail2.conversions.folds import log_fold
from metail2.conversions.formulas import FORMULAS, SUMMARY_METHODS, Formula, SummaryMethod, expected_range
from metail2.conversions.spread import (
    LogRatio,
    change_sd,
    ratio_from_interval,
    sd_from_interval,
    sd_from_se,
    se_from_f,
    se_from_interval,
    se_from_p,
    se_from_t,
)
from metail2.conversions.summaries import MeanSD, mean_sd

__all__ = [
    "FORMULAS",
    "SHARED_CONTROL",
    "SUMMARY_METHODS",
    "Candidate",
    "Candidates",
    "CombinedEvents",
    "CombinedMeans",
    "ControlShare",
    "Formula",
    "LogRatio",
    "MeanSD",
    "Split",
    "SummaryMethod",
    "change_sd",
    "combine_events",
    "combine_means",
    "events_from_percent",
    "expected_range",
    "log_fold",
    "mean_sd",
    "ratio_from_interval",
    "sd_from_interval",
    "sd_from_se",
    "se_from_f",
    "se_from_interval",
    "se_from_p",
    "se_from_t",
    "shared_control_covariance",
    "shared_control_matrix",
    "splits_from_percents",
    "unique",
]
