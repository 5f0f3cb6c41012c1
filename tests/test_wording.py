"""Words that several parts of the package share."""

import numpy as np
import pandas as pd
import pytest

import metail2 as m2
from metail2.wording import hundredths, listed, some


@pytest.mark.parametrize(
    ("level", "shown"),
    [(0.95, "95"), (0.9, "90"), (0.58, "58"), (0.999, "99.9"), (0.999999999, "99.9999999"), (np.float64(0.5), "50"),
     (1e-7, "0.00001"), (1 - 2**-53, "99.99999999999999")],
)  # fmt: skip
def test_levels_have_all_their_digits(level, shown):
    assert hundredths(level) == shown


def test_a_level_near_1_is_not_shown_as_100_percent():
    result = m2.pool([0.1, 0.3, -0.2], [0.04, 0.05, 0.03], level=0.999999999)
    assert "99.9999999 % interval" in result.summary()
    assert "100 %" not in result.summary()
    texts = [text.get_text() for text in m2.forest(result).figure.findobj(match=lambda part: hasattr(part, "get_text"))]
    assert any("99.9999999% CI" in text for text in texts)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["李", "O'Neil, J", "D"], '李, "O\'Neil, J" and D'),
        (["O'Neil, J"], '"O\'Neil, J"'),
        (["Smith and Jones", "Andrews"], '"Smith and Jones" and Andrews'),
        (["Roe (RA, 2 mg)", "Poe [a, b]"], "Roe (RA, 2 mg) and Poe [a, b]"),
        (["'a, b' (row 3)", '"c, d"', ""], "'a, b' (row 3), \"c, d\" and "),
        (list("abcdef"), "a, b, c, d, e and f"),
        ([*"abcd", "e, f", *"ghi"], 'a, b, c, d, "e, f" and 3 more'),
    ],
)
def test_a_name_that_reads_as_two_is_quoted(names, text):
    assert some(names) == text


def test_clauses_are_not_quoted():
    assert listed(["the first, of two", "the second"]) == "the first, of two and the second"


def test_quoted_names_in_a_note():
    frame = pd.DataFrame(
        [(0, 50, 5, 50), (0, 40, 6, 42), (3, 40, 6, 42)], columns=["events1", "n1", "events2", "n2"]
    ).assign(study=["李", "O'Neil, J", "D"])
    assert 'shown for 李 and "O\'Neil, J", and Q, use' in m2.MantelHaenszel("OR").fit(frame).summary()
