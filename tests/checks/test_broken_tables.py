"""Broken tables, each with the findings that it must give, word for word."""

import inspect

import pandas as pd
import pytest

from metail2.checks import cells, impossible, integer_scales, slips, suspect
from metail2.checks.definition import CHECKS, Check
from metail2.checks.validate import validate

MEANS = {
    "study": ["Ames 2001", "Bo 2002", "Cy 2003", "Di 2004"],
    "mean1": ["5.1", "4.8", "5.6", "5.0"],
    "sd1": ["2.1", "1.9", "2.3", "2.0"],
    "n1": ["30", "41", "28", "35"],
    "mean2": ["6.0", "5.2", "6.1", "5.9"],
    "sd2": ["2.0", "2.2", "2.1", "1.8"],
    "n2": ["31", "40", "27", "36"],
}
COUNTS = {
    "study": ["Ames 2001", "Bo 2002", "Cy 2003", "Di 2004"],
    "events1": ["4", "7", "12", "9"],
    "n1": ["30", "41", "60", "52"],
    "events2": ["9", "11", "20", "14"],
    "n2": ["31", "40", "61", "50"],
}
CELLS = {"study": ["Ames 2001", "Bo 2002"], "a": ["4", "7"], "b": ["26", "34"], "c": ["9", "11"], "d": ["22", "29"]}
RATES = {
    "study": ["Ames 2001", "Bo 2002"],
    "events1": ["4", "7"],
    "time1": ["301.5", "412"],
    "events2": ["9", "11"],
    "time2": ["298", "405.5"],
}
ESTIMATES = {
    "study": ["Ames 2001", "Bo 2002", "Cy 2003"],
    "estimate": ["0.80", "1.10", "0.92"],
    "ci_lower": ["0.60", "0.85", "0.70"],
    "ci_upper": ["1.07", "1.42", "1.21"],
}
CHANGE = {
    "study": ["Ames 2001"],
    "mean_post": ["5.1"],
    "sd_post": ["2.1"],
    "mean_pre": ["6.0"],
    "sd_pre": ["2.0"],
    "n": ["30"],
    "r": ["0.6"],
}
SUMMARY = {
    "study": ["Ames 2001"],
    "n1": ["20"],
    "min1": ["2.0"],
    "q1_1": ["3.5"],
    "median1": ["5.0"],
    "q3_1": ["6.5"],
    "max1": ["9.0"],
    "mean1": ["5.1"],
    "sd1": ["2.1"],
}
GENERIC = {"study": ["Ames 2001", "Bo 2002"], "yi": ["0.12", "-0.30"], "vi": ["0.04", "0.05"]}


CASES = [
    ("decimal comma", MEANS, {"mean1": {1: "4,8"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '4,8', with a decimal comma; write 4.8.",
    ]),
    ("thousands or decimal comma", COUNTS, {"n1": {1: "1,041"}}, "RR", {}, [
        "M001 row 3, Bo 2002: column 'n1' holds '1,041', whose comma may stand for thousands or for the decimal "
        "point; write it without a comma.",
    ]),
    ("thousands commas", COUNTS, {"n1": {1: "1,041,000"}}, "RR", {}, [
        "M001 row 3, Bo 2002: column 'n1' holds '1,041,000', with commas for thousands; write 1041000.",
    ]),
    ("thousands with a narrow blank", COUNTS, {"n1": {1: "1\u202f041"}}, "RR", {}, [
        "M001 row 3, Bo 2002: column 'n1' holds '1\\u202f041', with thousands set apart; write 1041.",
    ]),
    ("two figures in one cell", MEANS, {"mean1": {1: "4.8 (1.9)"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '4.8 (1.9)', several figures in one cell; give each a cell of its "
        "own.",
    ]),
    ("bound of a size", MEANS, {"sd1": {1: "<2"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds '<2', a bound and not a figure; find the figure, or leave the cell "
        "empty.",
    ]),
    ("bound of P", ESTIMATES, {"ci_lower": None, "ci_upper": None, "p": ["0.13", "<0.001", "ns"]}, None, {}, [
        "M021 row 3, Bo 2002: column 'p' holds '<0.001', a bound, but this row's effect or its standard error could be "
        "had from nothing but P; look for the exact P, the test statistic or the interval.",
        "M021 row 4, Cy 2003: column 'p' holds 'ns', a bound, but this row's effect or its standard error could be had "
        "from nothing but P; look for the exact P, the test statistic or the interval.",
    ]),
    ("bound of P beside an interval", ESTIMATES, {"p": ["0.13", "<0.001", "0.000"]}, None, {}, []),
    ("bound of P beside counts", COUNTS, {"p": ["0.13", "<0.001", "ns", "0.000"]}, "RR", {}, []),
    ("bound of P beside means without SDs", MEANS, {"sd1": {1: ""}, "p": {1: "<0.001"}}, "MD", {}, [
        "M007 row 3, Bo 2002: has no figure in column 'sd1', so its mean difference cannot be computed; look it up.",
        "M021 row 3, Bo 2002: column 'p' holds '<0.001', a bound, but this row's effect or its standard error could be "
        "had from nothing but P; look for the exact P, the test statistic or the interval.",
    ]),
    ("percent sign", MEANS, {"mean1": {1: "5%"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '5%', with a percent sign; write 5 in a column of percentages.",
    ]),
    ("typographic minus", MEANS, {"mean1": {1: "−4.8"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '−4.8', with a typographic minus; write -4.8.",
    ]),
    ("raised point", MEANS, {"mean1": {1: "4·8"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '4·8', with a decimal point that is no full stop; write 4.8.",
    ]),
    ("footnote mark", MEANS, {"mean1": {1: "4.8*"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '4.8*', with a mark of a footnote; write 4.8.",
    ]),
    ("figure with a unit", MEANS, {"mean1": {1: "4.8 mg"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'mean1' holds '4.8 mg', a figure with words; write 4.8 if that is the figure.",
    ]),
    ("not reported", MEANS, {"sd1": {1: "not reported"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds 'not reported', which says that there is no figure; leave the cell "
        "empty.",
    ]),
    ("formula error", MEANS, {"sd1": {1: "#DIV/0!"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds '#DIV/0!', an error that a spreadsheet formula left; mend the "
        "formula.",
    ]),
    ("date made by a spreadsheet", COUNTS, {"events1": {1: "07-Nov"}}, "RR", {}, [
        "M001 row 3, Bo 2002: column 'events1' holds '07-Nov', a date that a spreadsheet may have made of figures; "
        "write the figures.",
    ]),
    ("words", MEANS, {"sd1": {1: "see text"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds 'see text', which is not a number; correct it or leave the cell "
        "empty.",
    ]),
    ("a long remark", MEANS, {"sd1": {1: "the authors were asked twice and did not answer"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds 'the authors were asked twice and did no…', which is not a number; "
        "correct it or leave the cell empty.",
    ]),
    ("a blank", MEANS, {"sd1": {1: "\u00a0"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds '\\xa0', a blank; leave the cell empty.",
    ]),
    ("a blank that is no space", MEANS, {"sd1": {1: "1.9\u00a0"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds '1.9\\xa0', with a blank that is no space; write 1.9.",
    ]),
    ("half a number", MEANS, {"sd1": {1: "1½"}}, "MD", {}, [
        "M001 row 3, Bo 2002: column 'sd1' holds '1½', which is not a number; correct it or leave the cell empty.",
    ]),
    ("infinite", MEANS, {"sd1": {1: "inf"}}, "MD", {}, [
        "M002 row 3, Bo 2002: column 'sd1' is inf, which is not finite; give the printed figure, or leave the cell "
        "empty.",
    ]),
    ("beyond a computer's numbers", COUNTS, {"n1": {1: "4e999"}}, "RR", {}, [
        "M002 row 3, Bo 2002: column 'n1' is 4e999, which is not finite; give the printed figure, or leave the cell "
        "empty.",
    ]),
    ("an interval without an end", ESTIMATES, {"ci_upper": {1: "inf"}}, "OR", {}, [
        "M029 row 3, Bo 2002: column 'ci_upper' is inf, so that no standard error can be had from this interval; use "
        "the counts, if they are printed.",
    ]),
    ("no label", MEANS, {"study": {1: ""}}, "MD", {}, [
        "M003 row 3: column 'study' is empty; name the study.",
    ]),
    ("no columns for the measure", MEANS, {}, "RR", {}, [
        "M004 RR needs the columns events1 n1 events2 n2, but events1 and events2 are missing; name a column so, or "
        "give events1=\"its name\".",
    ]),
    ("one column missing", MEANS, {"sd2": None}, "MD", {}, [
        "M004 MD needs the columns mean1 sd1 n1 mean2 sd2 n2, but sd2 is missing; name a column so, or give sd2=\"its "
        "name\".",
    ]),
    ("nothing known", {"author": ["Ames"], "weeks": ["3"]}, {}, None, {}, [
        "M006 the table has no column that metail2 knows, but author and weeks, so nothing was checked; name the "
        "columns as metail2 does.",
    ]),
    ("no rows", {"study": [], "yi": [], "vi": []}, {}, "GEN", {}, [
        "M006 the table has no rows, so nothing was checked; name the columns as metail2 does.",
    ]),
    ("a figure missing", MEANS, {"sd1": {1: ""}}, "MD", {}, [
        "M007 row 3, Bo 2002: has no figure in column 'sd1', so its mean difference cannot be computed; look it up.",
    ]),
    ("two figures missing", COUNTS, {"events1": {1: "NA"}, "n2": {1: ""}}, "RR", {}, [
        "M007 row 3, Bo 2002: has no figures in columns 'events1' and 'n2', so its risk ratio cannot be computed; "
        "look them up.",
    ]),
    ("no logarithm", MEANS, {"mean1": {1: "-4.8"}}, "ROM", {}, [
        "M007 row 3, Bo 2002: has figures (mean1 -4.8, sd1 1.9, n1 41, mean2 5.2, sd2 2.2, n2 40) from which no ratio "
        "of means can be computed: the means are not both above 0 or both below it; check them, or "
        "choose another measure.",
    ]),
    ("capital letters", MEANS, {"sd1": None, "SD_1": ["2.1", "1.9", "2.3", "2.0"]}, None, {}, [
        "M008 column 'SD_1' was not read, but may be metail2's 'sd1'; rename it, or give sd1='SD_1'.",
    ]),
    ("metafor's names", {"study": ["Ames"], "ai": ["4"], "ci": ["5"], "n1i": ["30"], "n2i": ["31"]}, {}, None, {}, [
        "M006 the table has no column that metail2 knows, but study, ai, ci, n1i and n2i, so nothing was checked; "
        "name the columns as metail2 does.",
        "M008 column 'ai' was not read, but may be metail2's 'events1'; rename it, or give events1='ai'.",
        "M008 column 'ci' was not read, but may be metail2's 'events2'; rename it, or give events2='ci'.",
        "M008 column 'n1i' was not read, but may be metail2's 'n1'; rename it, or give n1='n1i'.",
        "M008 column 'n2i' was not read, but may be metail2's 'n2'; rename it, or give n2='n2i'.",
    ]),
    ("only the variance is missing", {"study": ["Ames", "Bo"], "r": ["1", "0.3"], "n": ["40", "51"]}, {}, "COR", {}, [
        "M007 row 2, Ames: has figures (r 1, n 40) from which the correlation can be computed, but not its variance: "
        "the correlation is 1 or −1, or there are too few patients; check them, or choose another measure.",
    ]),
    ("a known name of something else", MEANS, {"percent1": ["most", "some", "few", "some"]}, "MD", {}, [
        "M008 row 2, Ames 2001: column 'percent1' holds words only ('most' here), so it was not read as metail2's "
        "'percent1'; rename it, or write figures.",
    ]),
    ("negative SD", MEANS, {"sd1": {1: "-1.9"}}, "MD", {}, [
        "M010 row 3, Bo 2002: column 'sd1' is -1.9, but an SD is never below 0; correct the entry.",
    ]),
    ("negative standard error", GENERIC, {"se": ["0.2", "-0.22"]}, None, {}, [
        "M010 row 3, Bo 2002: column 'se' is -0.22, but a standard error is never below 0; correct the entry.",
    ]),
    ("SD of 0", MEANS, {"sd1": {1: "0"}}, "MD", {}, [
        "M011 row 3, Bo 2002: column 'sd1' is 0, but an SD of 0 leaves no variation at all; look it up, or leave the "
        "cell empty.",
    ]),
    ("no patients", MEANS, {"n1": {1: "0"}}, "MD", {}, [
        "M012 row 3, Bo 2002: column 'n1' is 0, but a number of patients is at least 1; correct the entry.",
    ]),
    ("fewer than no patients", COUNTS, {"n1": {1: "-41"}}, "RR", {}, [
        "M012 row 3, Bo 2002: column 'n1' is -41, but a number of patients is at least 1; correct the entry.",
    ]),
    ("empty arm of cells", CELLS, {"a": {1: "0"}, "b": {1: "0"}}, "OR", {}, [
        "M012 row 3, Bo 2002: column 'a' is 0 and so is its neighbour (column 'b'), but an arm has at least one "
        "patient; correct the entries.",
    ]),
    ("more than mankind", COUNTS, {"n1": {1: "4e12"}}, "RR", {}, [
        "M012 row 3, Bo 2002: column 'n1' is 4e12, but a number of patients is not above that of all people; correct "
        "the entry.",
        "M040 row 3, Bo 2002: column 'n1' is 4e12, but the other arm (column 'n2') has 40 patients; look both up.",
    ]),
    ("no predictor", {"study": ["Ames"], "r": ["0.3"], "n": ["50"], "predictors": ["0"]}, {}, "PCOR", {}, [
        "M012 row 2, Ames: column 'predictors' is 0, but a number of predictors is at least 1; correct the entry.",
    ]),
    ("half a patient", MEANS, {"n1": {1: "40.5"}}, "MD", {}, [
        "M013 row 3, Bo 2002: column 'n1' is 40.5, but a number of patients is whole; correct the entry, unless "
        "it was adjusted on purpose.",
    ]),
    ("half an event", COUNTS, {"events1": {1: "7.5"}}, "RR", {}, [
        "M013 row 3, Bo 2002: column 'events1' is 7.5, but a number of events is whole; correct the entry, "
        "unless it was adjusted on purpose.",
    ]),
    ("half a cell", CELLS, {"b": {1: "34.5"}}, "OR", {}, [
        "M013 row 3, Bo 2002: column 'b' is 34.5, but a count is whole; correct the entry, unless it was "
        "adjusted on purpose.",
    ]),
    ("fewer than no events", COUNTS, {"events1": {1: "-7"}}, "RR", {}, [
        "M014 row 3, Bo 2002: column 'events1' is -7, but a number of events is 0 or more; correct the entry.",
    ]),
    ("cell below 0", CELLS, {"b": {1: "-3"}}, "OR", {}, [
        "M014 row 3, Bo 2002: column 'b' is -3, but a count is 0 or more; correct the entry.",
    ]),
    ("genotypes below 0", {"study": ["Ames"], "aa": ["10"], "ab": ["-4"], "bb": ["6"]}, {}, "REH", {}, [
        "M014 row 2, Ames: column 'ab' is -4, but a count is 0 or more; correct the entry.",
    ]),
    ("more events than patients", COUNTS, {"events1": {1: "47"}}, "RR", {}, [
        "M015 row 3, Bo 2002: column 'events1' is 47, more than the 41 patients (column 'n1'); correct one of the "
        "two.",
    ]),
    ("percentage above 100", {"study": ["Ames"], "percent1": ["130"], "n1": ["10"]}, {}, None, {}, [
        "M016 row 2, Ames: column 'percent1' is 130, but a percentage of patients lies between 0 and 100; correct the "
        "entry.",
    ]),
    ("interval reversed", ESTIMATES, {"ci_lower": {1: "1.42"}, "ci_upper": {1: "0.85"}}, None, {}, [
        "M017 row 3, Bo 2002: column 'ci_lower' is 1.42, above the upper limit 0.85 (column 'ci_upper'); exchange or "
        "correct them.",
    ]),
    ("interval of a mean reversed", MEANS,
     {"mean1_lower": ["4.5", "5.5", "4.7", "4.3"], "mean1_upper": ["5.7", "4.1", "6.5", "5.7"]},
     None, {}, [
        "M017 row 3, Bo 2002: column 'mean1_lower' is 5.5, above the upper limit 4.1 (column 'mean1_upper'); exchange "
        "or correct them.",
    ]),
    ("estimate outside", ESTIMATES, {"estimate": {1: "1.50"}}, None, {}, [
        "M018 row 3, Bo 2002: column 'estimate' is 1.50, outside its own interval 0.85 to 1.42; correct the figure "
        "that is wrong.",
    ]),
    ("log of a ratio", ESTIMATES,
     {"estimate": {0: "-0.22"}, "ci_lower": {0: "-0.51"}, "ci_upper": {0: "0.07"}},
     "RR", {}, [
        "M019 row 2, Ames 2001: column 'estimate' is -0.22, but the risk ratio is never below 0; correct the entry, "
        "or its scale.",
        "M019 row 2, Ames 2001: column 'ci_lower' is -0.51, but the risk ratio is never below 0; correct the entry, "
        "or its scale.",
    ]),
    ("percentage points of a risk difference", ESTIMATES,
     {"estimate": {0: "-17"}, "ci_lower": {0: "-30"}, "ci_upper": {0: "-4"}},
     "RD", {}, [
        "M019 row 2, Ames 2001: column 'estimate' is -17, but the risk difference lies between −1 and 1; correct the "
        "entry, or its scale.",
        "M019 row 3, Bo 2002: column 'estimate' is 1.10, but the risk difference lies between −1 and 1; correct the "
        "entry, or its scale.",
    ]),
    ("limit printed as 0", ESTIMATES, {"estimate": {0: "0.10"}, "ci_lower": {0: "0.00"}}, "RR", {}, [
        "M028 row 2, Ames 2001: column 'ci_lower' is 0.00, but a ratio is above 0, so it was rounded; look for more "
        "decimals.",
    ]),
    ("correlation above 1", CHANGE, {"r": {0: "6"}}, "MC", {}, [
        "M019 row 2, Ames 2001: column 'r' is 6, but a correlation lies between −1 and 1; correct the entry.",
    ]),
    ("area under the curve in percent", {"study": ["Ames"], "auc": ["71"], "n1": ["30"], "n2": ["31"]}, {}, "AUC", {}, [
        "M019 row 2, Ames: column 'auc' is 71, but an area under the curve lies between 0 and 1; correct the entry.",
    ]),
    ("alpha in percent", {"study": ["Ames"], "alpha": ["82"], "items": ["10"], "n": ["100"]}, {}, "ARAW", {}, [
        "M019 row 2, Ames: column 'alpha' is 82, but coefficient alpha is never above 1; correct the entry.",
    ]),
    ("negative F", {"study": ["Ames"], "f": ["-3.1"], "direction": ["1"], "n1": ["30"], "n2": ["31"]}, {}, "SMD", {}, [
        "M019 row 2, Ames: column 'f' is -3.1, but an F statistic is never below 0; correct the entry.",
    ]),
    ("direction 0", {"study": ["Ames"], "p": ["0.04"], "direction": ["0"], "n1": ["30"], "n2": ["31"]}, {}, "SMD", {}, [
        "M019 row 2, Ames: column 'direction' is 0, but a direction is 1 or −1, the sign of the effect; correct the "
        "entry.",
    ]),
    ("level in percent", ESTIMATES, {"level": ["95"] * 3}, None, {}, [
        "M019 row 2, Ames 2001: column 'level' is 95, but a confidence level is a fraction between 0 and 1; write "
        "0.95 for 95 %.",
        "M019 row 3, Bo 2002: column 'level' is 95, but a confidence level is a fraction between 0 and 1; write 0.95 "
        "for 95 %.",
        "M019 row 4, Cy 2003: column 'level' is 95, but a confidence level is a fraction between 0 and 1; write 0.95 "
        "for 95 %.",
    ]),
    ("P above 1", ESTIMATES, {"p": {0: "13", 1: "0.47", 2: "0.55"}}, None, {}, [
        "M020 row 2, Ames 2001: column 'p' is 13, but a P value lies between 0 and 1; correct the entry.",
    ]),
    ("P of 0", ESTIMATES, {"ci_lower": None, "ci_upper": None, "p": {0: "0.13", 1: "0.000", 2: "0.55"}}, None, {}, [
        "M021 row 3, Bo 2002: column 'p' is '0.000', a bound, but this row's effect or its standard error could be had "
        "from nothing but P; look for the exact P, the test statistic or the interval.",
    ]),
    ("quartiles exchanged", SUMMARY, {"q1_1": {0: "6.5"}, "q3_1": {0: "3.5"}}, None, {}, [
        "M022 row 2, Ames 2001: column 'q1_1' is 6.5, but the lower quartile is not above the median, which is 5.0 "
        "(column 'median1'); correct the figure that is wrong.",
        "M022 row 2, Ames 2001: column 'median1' is 5.0, but the median is not above the upper quartile, which is 3.5 "
        "(column 'q3_1'); correct the figure that is wrong.",
    ]),
    ("mean below the minimum", SUMMARY, {"mean1": {0: "1.1"}, "median1": {0: "2.5"}, "q1_1": {0: ""}}, None, {}, [
        "M022 row 2, Ames 2001: column 'min1' is 2.0, but the minimum is not above the mean, which is 1.1 (column "
        "'mean1'); correct the figure that is wrong.",
        "M039 row 2, Ames 2001: column 'sd1' is 2.1, more than the mean 1.1 of a quantity that is never below 0, so "
        "its values are skewed; prefer a median or a log scale.",
    ]),
    ("minimum above the maximum", SUMMARY,
     {"min1": {0: "9.5"}, "q1_1": {0: ""}, "median1": {0: ""}, "q3_1": {0: ""}, "mean1": {0: ""}, "sd1": {0: ""}},
     None, {}, [
        "M022 row 2, Ames 2001: column 'min1' is 9.5, but the minimum is not above the maximum, which is 9.0 (column "
        "'max1'); correct the figure that is wrong.",
    ]),
    ("SD too small for the range", SUMMARY, {"sd1": {0: "0.5"}}, None, {}, [
        "M023 row 2, Ames 2001: column 'sd1' is 0.5, but 20 values from 2.0 to 9.0 have an SD of 1.11 to 3.67; "
        "correct the figure that is wrong.",
    ]),
    ("SD too large for the range", SUMMARY, {"sd1": {0: "3.9"}}, None, {}, [
        "M023 row 2, Ames 2001: column 'sd1' is 3.9, but 20 values from 2.0 to 9.0 have an SD of 1.11 to 3.67; "
        "correct the figure that is wrong.",
    ]),
    ("SD too large for the mean", SUMMARY,
     {"mean1": {0: "2.5"}, "median1": {0: "2.4"}, "q1_1": {0: ""}, "q3_1": {0: ""}, "sd1": {0: "2.6"}},
     None, {}, [
        "M023 row 2, Ames 2001: column 'sd1' is 2.6, but 20 values from 2.0 to 9.0 with the mean 2.5 have an SD of at "
        "most 2.13; correct the figure that is wrong.",
        "M039 row 2, Ames 2001: column 'sd1' is 2.6, more than the mean 2.5 of a quantity that is never below 0, so "
        "its values are skewed; prefer a median or a log scale.",
    ]),
    ("SD of one patient", MEANS, {"n1": {1: "1"}}, "MD", {}, [
        "M024 row 3, Bo 2002: column 'sd1' is 1.9, but one patient (column 'n1') has no SD; correct n or the SD.",
        "M040 row 3, Bo 2002: column 'n1' is 1, but the other arm (column 'n2') has 40 patients; look both up.",
    ]),
    ("mean far from the median", {"study": ["Ames"], "mean1": ["8.1"], "median1": ["5.0"], "sd1": ["0.5"]},
     {},
     None, {}, [
        "M025 row 2, Ames: column 'sd1' is 0.5, but the mean 8.1 and the median 5.0 lie further apart than one SD, "
        "which no data can have; correct the figure that is wrong.",
    ]),
    ("variance of 0", GENERIC, {"vi": {1: "0"}}, "GEN", {}, [
        "M026 row 3, Bo 2002: column 'vi' is 0, but a sampling variance is above 0; correct the entry.",
    ]),
    ("negative standard error of the effect", {"study": ["Ames"], "yi": ["0.2"], "sei": ["-0.1"]}, {}, "GEN", {}, [
        "M026 row 2, Ames: column 'sei' is -0.1, but a standard error is above 0; correct the entry.",
    ]),
    ("no person-time", RATES, {"time1": {1: "0"}}, "IRR", {}, [
        "M027 row 3, Bo 2002: column 'time1' is 0, but events take a person-time above 0; correct the entry.",
    ]),
    ("an exponent", GENERIC, {"yi": {1: "3e99"}}, "GEN", {}, [
        "M007 row 3, Bo 2002: has figures (yi 3e99, vi 0.05) from which no effect can be computed: "
        "they are too large or too small, as after a slip in an exponent; check them, or choose another measure.",
    ]),
    ("no SD at all", MEANS, {"sd1": {1: "0"}, "sd2": {1: "0"}}, "SMD", {}, [
        "M007 row 3, Bo 2002: has figures (mean1 4.8, sd1 0, n1 41, mean2 5.2, sd2 0, n2 40) from which no "
        "standardised mean difference (Hedges' g) can be computed: the SD that it is divided by is "
        "0, or there are too few patients; check them, or choose another measure.",
        "M011 row 3, Bo 2002: column 'sd1' is 0, but an SD of 0 leaves no variation at all; look it up, or leave the "
        "cell empty.",
        "M011 row 3, Bo 2002: column 'sd2' is 0, but an SD of 0 leaves no variation at all; look it up, or leave the "
        "cell empty.",
    ]),
    ("standard error as SD", MEANS, {"sd1": {1: "0.30"}}, "MD", {}, [
        "M030 row 3, Bo 2002: column 'sd1' is 0.30, but the SDs of the other studies have the median 2.05; as a "
        "standard error it would be an SD of 1.92, which fits (n = 41); look it up.",
        "M032 row 3, Bo 2002: column 'sd1' is 0.30, but the other SD (column 'sd2') is 2.2, 7 times as large; look "
        "both up.",
    ]),
    ("SD as standard error", MEANS, {"sd1": {1: ""}, "se1": {1: "1.9"}}, "MD", {}, [
        "M031 row 3, Bo 2002: column 'se1' is 1.9, but the SDs of the other studies have the median 2.05; it would be "
        "an SD of 12.17, while the figure itself fits as an SD (n = 41); look it up.",
    ]),
    ("SDs ten times apart", MEANS, {"sd1": {1: "19"}, "sd2": {1: "1.8"}}, "MD", {}, [
        "M032 row 3, Bo 2002: column 'sd2' is 1.8, but the other SD (column 'sd1') is 19, 11 times as large; look "
        "both up.",
    ]),
    ("a lost point of an SD", MEANS, {"sd1": {1: "19"}}, "MD", {}, [
        "M032 row 3, Bo 2002: column 'sd2' is 2.2, but the other SD (column 'sd1') is 19, 9 times as large; look both "
        "up.",
    ]),
    ("width as SD", MEANS,
     {"sd1": {1: "2.15"}, "q1_1": {1: "3.70"}, "median1": {1: "4.9"}, "q3_1": {1: "5.85"}}, "MD", {}, [
        "M043 row 3, Bo 2002: column 'sd1' is 2.15, just the distance from 3.70 to 5.85 (column 'q1_1' to column "
        "'q3_1'); look whether it is the SD.",
    ]),
    ("widths as both SDs", MEANS,
     {"sd1": {1: "2"}, "q1_1": {1: "4"}, "q3_1": {1: "6"}, "sd2": {1: "3"}, "q1_2": {1: "4"}, "q3_2": {1: "7"}},
     "MD", {}, [
        "M043 row 3, Bo 2002: column 'sd1' is 2, just the distance from 4 to 6 (column 'q1_1' to column 'q3_1'); look "
        "whether it is the SD.",
        "M043 row 3, Bo 2002: column 'sd2' is 3, just the distance from 4 to 7 (column 'q1_2' to column 'q3_2'); look "
        "whether it is the SD.",
    ]),
    ("a row of sums", COUNTS, {"study": ["Ames", "Bo", "Cy", "Total (95% CI)"], "events1": {3: "23"}, "n1": {3: "131"},
     "events2": {3: "40"}, "n2": {3: "132"}}, "RR", {}, [
        "M044 row 5, Total (95% CI): holds the sums of the 3 other rows (n1 131, n2 132, events1 23, events2 40), so "
        "that every patient would count twice; remove the row if it is a total.",
    ]),
    ("too precise", {"study": ["Ames"], "n1": ["30"], "n2": ["30"], "estimate": ["0.50"], "ci_lower": ["0.45"],
     "ci_upper": ["0.55"]}, {}, "SMD", {}, [
        "M045 row 2, Ames: column 'ci_lower' is 0.45 and begins an interval with a standard error of at most 0.029, "
        "but that of a standardised difference of 30 v 30 patients is about 0.258 or more; check both.",
    ]),
    ("pounds", {"study": list("abcdef"), "mean1": ["78", "80", "77", "176", "79", "81"],
     "sd1": ["11", "12", "10", "25", "11", "12"], "n1": ["50"] * 6, "mean2": ["80", "82", "78", "180", "81", "83"],
     "sd2": ["11", "12", "11", "26", "10", "12"], "n2": ["50"] * 6}, {}, "MD", {}, [
        "M046 row 5, d: column 'mean1' is 176; means and SDs of this study are about 2.2 and 2.3 times those of the 5 "
        "others; look whether its unit is another one.",
    ]),
    ("huge standardised difference", MEANS, {"mean1": {1: "48"}}, "SMD", {}, [
        "M033 row 3, Bo 2002: its standardised mean difference (Hedges' g) is 20.64, which is seldom true; look all "
        "its figures up.",
        "M034 row 3, Bo 2002: its standardised mean difference (Hedges' g) is 20.64 (17.43 to 23.85), while all 3 "
        "others lie on the other side of no effect; look whether its arms are exchanged or its scale runs the other "
        "way.",
    ]),
    ("huge odds ratio", COUNTS, {"events1": {1: "41"}, "events2": {1: "0"}}, "OR", {}, [
        "M033 row 3, Bo 2002: its odds ratio is 6723.00, which is seldom true; look all its figures up.",
        "M034 row 3, Bo 2002: its odds ratio is 6723.00 (130.26 to 3.47e+05), while all 3 others lie on the other "
        "side of no effect; look whether its arms are exchanged or its scale runs the other way.",
    ]),
    ("one against all", MEANS, {"mean1": {1: "6.8"}}, "MD", {}, [
        "M034 row 3, Bo 2002: its mean difference is 1.60 (0.70 to 2.50), while all 3 others lie on the other side of "
        "no effect; look whether its arms are exchanged or its scale runs the other way.",
    ]),
    ("scales of opposite direction", MEANS, {"scale_direction": ["lower", "higher", "lower", "lower"]}, "SMD", {}, [
        "M035 row 3, Bo 2002: has scale_direction 'higher', but row 2 (Ames 2001) 'lower', so their differences have "
        "opposite meanings; change the signs of one kind.",
    ]),
    ("final and change", MEANS, {"score": ["final", "final", "change", "final"]}, "SMD", {}, [
        "M036 row 4, Cy 2003: has score 'change', but row 2 (Ames 2001) 'final', whose SDs are in different units; "
        "pool them apart, or use the mean difference.",
    ]),
    ("a direction unheard of", MEANS, {"scale_direction": ["lower", "up", "lower", ""]}, "SMD", {}, [
        "M037 row 3, Bo 2002: has scale_direction 'up', but metail2 knows higher and lower; correct it.",
    ]),
    ("baseline", MEANS,
     {"baseline_mean1": {1: "9.1"}, "baseline_sd1": {1: "2"}, "baseline_mean2": {1: "7.2"}, "baseline_sd2": {1: "2"}},
     "MD", {}, [
        "M038 row 3, Bo 2002: column 'baseline_mean1' is 9.1, but 7.2 in the other arm, 0.95 SDs apart before "
        "treatment (P = 5.3e−05); look the figures up.",
    ]),
    ("skewed", MEANS, {"mean1": {1: "1.4"}, "unit": ["days"] * 4}, None, {}, [
        "M039 row 3, Bo 2002: column 'sd1' is 1.9, more than the mean 1.4 of a quantity that is never below 0, so its "
        "values are skewed; prefer a median or a log scale.",
    ]),
    ("an arm with a digit too many", MEANS, {"n1": {1: "410"}, "n2": {1: "40"}}, "MD", {}, [
        "M040 row 3, Bo 2002: column 'n1' is 410, but the other arm (column 'n2') has 40 patients; look both up.",
    ]),
    ("copied arm", MEANS,
     {"mean1": {1: "5.217"}, "mean2": {1: "5.217"}, "sd1": {1: "2.20"}, "sd2": {1: "2.20"}},
     "MD", {}, [
        "M042 row 3, Bo 2002: column 'mean1' is 5.217 and the SD is 2.20 in both arms; look whether one arm was "
        "copied from the other.",
    ]),
    ("GRIM", {"study": ["Ames"], "mean1": ["3.48"], "sd1": ["1.07"], "n1": ["17"]}, {}, None, {"scale_items": 1}, [
        "M050 row 2, Ames: column 'mean1' is 3.48, but no 17 whole numbers have this mean (59 gives 3.471 and 60 "
        "gives 3.529); look how many patients are behind it.",
    ]),
    ("GRIMMER", {"study": ["Ames"], "mean1": ["2.50"], "sd1": ["0.54"], "n1": ["8"]}, {}, None, {"scale_items": 1}, [
        "M051 row 2, Ames: column 'sd1' is 0.54, but no 8 whole numbers with the mean 2.50 have this SD; look whether "
        "n is the number of patients behind it.",
    ]),
    ("items", {"study": ["Ames"], "mean1": ["3.48"], "n1": ["17"], "scale_items": ["2.5"]}, {}, None, {}, [
        "M013 row 2, Ames: column 'scale_items' is 2.5, but a number of items is whole; correct the entry.",
    ]),
    ("percentage of no number", {"study": ["Ames"], "percent1": ["34.5%"], "n1": ["17"]}, {}, None, {}, [
        "M052 row 2, Ames: column 'percent1' is 34.5, but no number of 17 patients is this percentage (5 gives 29.41 "
        "and 6 gives 35.29); look which patients it is of.",
    ]),
    ("column of another name", {"Study": ["Ames"], "mean1": ["3.4"], "dev": ["-1"]}, {}, None, {"sd1": "dev"}, [
        "M010 row 2: column 'dev' is -1, but an SD is never below 0; correct the entry.",
        "M008 column 'Study' was not read, but may be metail2's 'study'; rename it, or give study='Study'.",
    ]),
]  # fmt: skip
"""What is broken, a table, its changed columns {column: {row: text}} or whole, a measure, options, the findings."""


def table(base, changes):
    """A table of text whose rows count as in a spreadsheet; a column changed to None is taken away."""
    columns = {name: list(column) for name, column in base.items()}
    k = len(next(iter(columns.values())))
    for name, change in changes.items():
        if isinstance(change, dict):
            columns.setdefault(name, [""] * k)
            for row, text in change.items():
                columns[name][row] = text
        else:
            columns[name] = change
    left = {name: column for name, column in columns.items() if column is not None}
    return pd.DataFrame(left, index=pd.RangeIndex(2, k + 2, name="row"), dtype=str)


@pytest.mark.parametrize(
    ("base", "changes", "measure", "options", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_broken_table_gives_these_findings_and_no_others(base, changes, measure, options, expected):
    found = [one for one in validate(table(base, changes), measure, **options) if one.code < "M060"]
    place = "table: " if found and found[0].row is None else "table, "
    assert [f"{one.code} {one.message.removeprefix(place).removeprefix('table: ')}" for one in found] == expected


@pytest.mark.parametrize("base", [MEANS, COUNTS, CELLS, RATES, ESTIMATES, CHANGE, SUMMARY, GENERIC])
def test_the_tables_before_they_were_broken_give_none(base):
    assert not len(validate(table(base, {})))


def test_there_is_a_broken_table_for_every_check():
    modules = (cells, impossible, suspect, slips, integer_scales)
    own = {check.code for module in modules for check in vars(module).values() if isinstance(check, Check)}
    shown = {message[:4] for case in CASES for message in case[-1]}
    assert own - shown == {"M005", "M041"}  # below, and in test_suspect.py


@pytest.mark.parametrize("code", [code for code in CHECKS if code < "M060" and code != "M009"])
def test_help_says_what_to_do(code):
    check = CHECKS[code]
    assert len(check.help) > 100
    assert "  " not in check.help
    assert inspect.cleandoc(check.help).endswith(".")
