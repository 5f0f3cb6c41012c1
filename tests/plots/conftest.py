"""Results as plots see them: three tables, made by hand, with no model behind them."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metail2.results import GLANCE_COLUMNS, STUDY_COLUMNS, TIDY_COLUMNS


@dataclass
class Fake:
    studies_: pd.DataFrame
    tidy_: pd.DataFrame
    glance_: pd.DataFrame = field(repr=False)

    def tidy(self, exponentiate=False):
        return self.tidy_.copy()

    def glance(self):
        return self.glance_.copy()

    def studies(self):
        return self.studies_.copy()


def _glance(**values):
    row = dict.fromkeys(GLANCE_COLUMNS, np.nan) | {"level": 0.95, "status": "ok", "status_reason": ""} | values
    return pd.DataFrame([row])


def _tidy(estimate, se, df):
    statistic = estimate / se if se else np.nan
    half = (stats.norm.isf(0.025) if np.isnan(df) else stats.t.isf(0.025, df)) * se
    p = 2 * (stats.norm.sf(abs(statistic)) if np.isnan(df) else stats.t.sf(abs(statistic), df))
    row = ("intercept", estimate, se, statistic, df, p, estimate - half, estimate + half)
    return pd.DataFrame([row], columns=list(TIDY_COLUMNS))


def make(
    yi, vi, measure="GEN", method="DL", test="knapp_hartung", study=None, group="", inputs=None, pi=True, **glance
):
    """Pool by DerSimonian–Laird (or with τ² = 0) and lay the numbers out as a result's tables."""
    yi, vi = np.asarray(yi, float), np.asarray(vi, float)
    ok = np.isfinite(yi) & np.isfinite(vi)
    y, v = yi[ok], vi[ok]
    k = int(ok.sum())
    w = 1 / v
    mean = np.sum(w * y) / np.sum(w)
    q = float(np.sum(w * (y - mean) ** 2))
    tau2 = max(0.0, (q - (k - 1)) / (w.sum() - (w**2).sum() / w.sum())) if k > 1 and method == "DL" else 0.0
    w = 1 / (v + tau2)
    mean = np.sum(w * y) / np.sum(w)
    se, df = 1 / np.sqrt(w.sum()), np.nan
    if test == "knapp_hartung" and k > 1:
        se, df = float(np.sqrt(np.sum(w * (y - mean) ** 2) / (k - 1) / w.sum())), float(k - 1)
    weight = np.full(len(yi), np.nan)
    weight[ok] = 100 * w / w.sum()
    half = stats.norm.isf(0.025) * np.sqrt(vi)
    studies = pd.DataFrame(
        {
            "study": study if study is not None else [f"Study {i + 1}" for i in range(len(yi))],
            "yi": yi, "vi": vi, "ci_lower": yi - half, "ci_upper": yi + half, "weight": weight,
            "fitted": np.nan, "residual": np.nan, "group": group, "state": np.where(ok, "used", "missing"),
        },
        columns=list(STUDY_COLUMNS),
    )  # fmt: skip
    for name, values in (inputs or {}).items():
        studies[name] = values
    reach = stats.t.isf(0.025, k - 1) * np.sqrt(tau2 + se**2) if pi and k > 2 else np.nan
    table = _glance(
        k=k, p=1, measure=measure, method=method, test=test, tau2=tau2, i2=0.0 if tau2 == 0 else 90.0,
        i2_q=max(0.0, 100 * (q - k + 1) / q) if q > 0 else 0.0,
        q=q, q_df=k - 1, q_p=stats.chi2.sf(q, k - 1) if k > 1 else np.nan,
        pi_lower=mean - reach, pi_upper=mean + reach, pi_method="hk" if pi and k > 2 else "",
    )  # fmt: skip
    for name, value in glance.items():
        table[name] = value
    return Fake(studies, _tidy(mean, se, df), table)


@pytest.fixture
def made():
    return make
