"""Printed statistics to moments and counts.

Pure functions on arrays (and, for counts, on exact numbers): what an article prints goes in, what an effect measure
needs comes out. Impossible figures are refused with an EffectSizeError that names them; what a method cannot say is
NaN.

==================  ====================================================================================
`summaries`         means and SDs from medians, quartiles and ranges; `methods` names the ways, `formulas` and
                    `lognormal` hold the closed ones (text and citation of each), `quantile_fit`, `box_cox` and
                    `likelihood_fit` those that fit a distribution
`skewness`          whether quartiles or ranges betray skewed values
`folds`             the same as `summaries` for fold changes, on the log scale
`spread`            SDs and standard errors from intervals, P values, t and F statistics; SD of a change
`correlation`       the correlation of before and after, from SDs or a paired test
`counts`            events and arm sizes from printed percentages, exactly
`tables`            two-by-two tables from an odds ratio, risk ratio, risk difference, φ or χ² and the margins
`arms`              combined and split arms
`shared_control`    the covariance of effects that share a control
`covariance`        the covariance of outcomes and times of one study, from an assumed correlation
==================  ====================================================================================
"""

from metail2.conversions.arms import (
    CombinedEvents,
    CombinedMeans,
    combine_events,
    combine_means,
    split_events,
    split_means,
)
from metail2.conversions.correlation import (
    correlation_from_change_p,
    correlation_from_change_t,
    correlation_from_sds,
)
from metail2.conversions.counts import Candidate, Candidates, Split, events_from_percent, splits_from_percents, unique
from metail2.conversions.covariance import Block, covariance_blocks, sampling_covariance
from metail2.conversions.folds import log_fold
from metail2.conversions.formulas import FORMULAS, Formula, Rule, expected_range
from metail2.conversions.methods import SUMMARY_METHODS, SummaryMethod
from metail2.conversions.shared_control import (
    SHARED_CONTROL,
    ControlShare,
    shared_control_covariance,
    shared_control_matrix,
    shared_control_smd_covariance,
)
from metail2.conversions.skewness import SkewnessTest, skewness_test
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
from metail2.conversions.tables import (
    Table,
    table_from_chi2,
    table_from_or,
    table_from_phi,
    table_from_rd,
    table_from_rr,
)

__all__ = [
    "FORMULAS",
    "SHARED_CONTROL",
    "SUMMARY_METHODS",
    "Block",
    "Candidate",
    "Candidates",
    "CombinedEvents",
    "CombinedMeans",
    "ControlShare",
    "Formula",
    "LogRatio",
    "MeanSD",
    "Rule",
    "SkewnessTest",
    "Split",
    "SummaryMethod",
    "Table",
    "change_sd",
    "combine_events",
    "combine_means",
    "correlation_from_change_p",
    "correlation_from_change_t",
    "correlation_from_sds",
    "covariance_blocks",
    "events_from_percent",
    "expected_range",
    "log_fold",
    "mean_sd",
    "ratio_from_interval",
    "sampling_covariance",
    "sd_from_interval",
    "sd_from_se",
    "se_from_f",
    "se_from_interval",
    "se_from_p",
    "se_from_t",
    "shared_control_covariance",
    "shared_control_matrix",
    "shared_control_smd_covariance",
    "skewness_test",
    "split_events",
    "split_means",
    "splits_from_percents",
    "table_from_chi2",
    "table_from_or",
    "table_from_phi",
    "table_from_rd",
    "table_from_rr",
    "unique",
]
