"""RevMan's algorithms (Deeks & Higgins 2010) once more, one study after the other in 40-digit arithmetic.

The stored figures of the fixtures in tests/records/reviews/data were written down from what this file prints; the tests
check that they still agree. It shares no code with metail2.
"""

from mpmath import erfinv, gammainc, log, mp, mpf, sqrt

mp.dps = 40


def quantile(level):
    return sqrt(2) * erfinv(mpf(level))


def normal_tail(z):
    return mp.erfc(abs(z) / sqrt(2))


def chi2_tail(q, df):
    return gammainc(mpf(df) / 2, q / 2, regularized=True)


def t_quantile(level, df):
    """By bisection of the t distribution's tail, an incomplete beta function."""

    def inside(t):
        return 1 - mp.betainc(mpf(df) / 2, mpf(1) / 2, 0, df / (df + t * t), regularized=True)

    low, high = mpf(0), mpf(1000)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < level else (low, middle)
    return (low + high) / 2


def corrected(table):
    """0.5 in every cell of a table with an empty one."""
    cells = [mpf(cell) for cell in table]
    return [cell + mpf("0.5") for cell in cells] if min(cells) == 0 else cells


def cells(events1, n1, events2, n2):
    return [events1, n1 - events1, events2, n2 - events2]


def of_table(measure, events1, n1, events2, n2):
    """Effect and variance; None for a table that says nothing about a ratio."""
    raw = cells(events1, n1, events2, n2)
    if measure != "RD" and (raw[0] + raw[2] == 0 or raw[1] + raw[3] == 0):
        return None
    if measure == "PETO":
        a, b, c, d = map(mpf, raw)
        n = a + b + c + d
        v = (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
        return (a - (a + b) * (a + c) / n) / v, 1 / v
    a, b, c, d = corrected(raw)
    if measure == "OR":
        return log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
    if measure == "RR":
        return log((a / (a + b)) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    difference = mpf(raw[0]) / n1 - mpf(raw[2]) / n2
    return difference, a * b / (a + b) ** 3 + c * d / (c + d) ** 3


def of_means(measure, m1, s1, n1, m2, s2, n2):
    m1, s1, m2, s2 = (mpf(str(x)) for x in (m1, s1, m2, s2))
    if measure == "MD":
        return m1 - m2, s1**2 / n1 + s2**2 / n2
    n = mpf(n1 + n2)
    pooled = sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (n - 2))
    g = (m1 - m2) / pooled * (1 - 3 / (4 * n - 9))
    return g, n / (mpf(n1) * n2) + g**2 / (2 * (n - mpf("3.94")))


def mantel_haenszel(measure, tables):
    """Estimate, variance and weights."""
    rows = [corrected(cells(*table)) for table in tables]
    if measure == "OR":
        r = [a * d / (a + b + c + d) for a, b, c, d in rows]
        s = [b * c / (a + b + c + d) for a, b, c, d in rows]
        p = [(a + d) / (a + b + c + d) for a, b, c, d in rows]
        sum_r, sum_s = sum(r), sum(s)
        e = sum(x * y for x, y in zip(p, r, strict=True))
        f = sum(x * t + (1 - x) * y for x, y, t in zip(p, r, s, strict=True))
        g = sum((1 - x) * t for x, t in zip(p, s, strict=True))
        return log(sum_r / sum_s), (e / sum_r**2 + f / (sum_r * sum_s) + g / sum_s**2) / 2, s
    if measure == "RR":
        r = sum(a * (c + d) / (a + b + c + d) for a, b, c, d in rows)
        w = [c * (a + b) / (a + b + c + d) for a, b, c, d in rows]
        p = sum(((a + b) * (c + d) * (a + c) - a * c * (a + b + c + d)) / (a + b + c + d) ** 2 for a, b, c, d in rows)
        return log(r / sum(w)), p / (r * sum(w)), w
    raw = [[mpf(cell) for cell in cells(*table)] for table in tables]
    w = [(a + b) * (c + d) / (a + b + c + d) for a, b, c, d in raw]
    mean = sum(x * (a / (a + b) - c / (c + d)) for x, (a, b, c, d) in zip(w, raw, strict=True)) / sum(w)
    j = sum(
        (a * b * (c + d) ** 3 + c * d * (a + b) ** 3) / ((a + b) * (c + d) * (a + b + c + d) ** 2) for a, b, c, d in raw
    )
    return mean, j / sum(w) ** 2, w


def reml(effects):
    """τ² at which the restricted score is 0, or 0."""

    def score(tau2):
        w = [1 / (v + tau2) for _, v in effects]
        mean = sum(x * y for x, (y, _) in zip(w, effects, strict=True)) / sum(w)
        fit = sum(x**2 * (y - mean) ** 2 for x, (y, _) in zip(w, effects, strict=True))
        return fit - sum(w) + sum(x**2 for x in w) / sum(w)

    if score(mpf(0)) <= 0:
        return mpf(0)
    low, high = mpf(0), mpf(1)
    while score(high) > 0:
        high *= 2
    for _ in range(150):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    return (low + high) / 2


def pool(effects, method="IV", tau2="", test="z", level="0.95", measure=None, tables=None):
    """Everything that a file stores of a pooled result, on the analysed scale; effects are pairs (y, v)."""
    k = len(effects)
    fixed = [1 / v for _, v in effects]
    centre = sum(w * y for w, (y, _) in zip(fixed, effects, strict=True)) / sum(fixed)
    mean, variance, weights = centre, 1 / sum(fixed), fixed
    if method == "MH":
        mean, variance, weights = mantel_haenszel(measure, tables)
        centre = mean
    q = sum(w * (y - centre) ** 2 for w, (y, _) in zip(fixed, effects, strict=True))
    c = sum(fixed) - sum(w**2 for w in fixed) / sum(fixed)
    between = {"": lambda: mpf(0), "DL": lambda: max(mpf(0), (q - (k - 1)) / c), "REML": lambda: reml(effects)}[tau2]()
    if tau2:
        weights = [1 / (v + between) for _, v in effects]
        mean = sum(w * y for w, (y, _) in zip(weights, effects, strict=True)) / sum(weights)
        variance = 1 / sum(weights)
    z = abs(mean) / sqrt(variance)
    half = quantile(level) * sqrt(variance)
    if test == "knapp_hartung":
        s2 = sum(w * (y - mean) ** 2 for w, (y, _) in zip(weights, effects, strict=True)) / (k - 1)
        half = t_quantile(mpf(level), k - 1) * sqrt(s2 * variance)
    typical = (k - 1) / c if k > 1 else mpf(1)
    i2 = (
        100 * between / (between + typical) if tau2 == "REML" else 100 * max(mpf(0), (q - (k - 1)) / q) if q else mpf(0)
    )
    return {
        "effect": mean, "ci_lower": mean - half, "ci_upper": mean + half, "variance": variance,
        "z": z, "p_value": normal_tail(z), "q": q, "q_df": k - 1, "q_p": chi2_tail(q, k - 1) if k > 1 else mpf(0),
        "i2": i2, "tau2": between, "weights": [100 * w / sum(weights) for w in weights],
    }  # fmt: skip


def subgroup_test(groups):
    w = [1 / group["variance"] for group in groups]
    mean = sum(x * group["effect"] for x, group in zip(w, groups, strict=True)) / sum(w)
    q = sum(x * (group["effect"] - mean) ** 2 for x, group in zip(w, groups, strict=True))
    return q, chi2_tail(q, len(groups) - 1)
