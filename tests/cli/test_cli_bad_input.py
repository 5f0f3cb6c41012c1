"""Bad input: one sentence that says what is wrong and where, status 1 or 2, and nothing written."""

import errno
import os
from pathlib import Path

import openpyxl
import pytest

import metail2 as m2

TABLES = "bangertdrowns2004, bcg, hackshaw1998, nielweise2007, nielweise2008, normand1999, raudenbush1985, yusuf1985"
RR = "study,events1,n1,events2,n2"
MD = "study,mean1,sd1,n1,mean2,sd2,n2"

CONTENTS = {
    "empty": ("", "RR", "x.csv is empty; its first row must name the columns."),
    "header only": (f"{RR}\n", "RR", "x.csv has no row below its header; add at least one."),
    "column missing": (
        "study,events1,n1,events2\nA,1,10,2\n",
        "RR",
        "x.csv: RR needs the columns events1 n1 events2 n2 or a b c d; n2 is missing. The table has study, events1, "
        'n1, events2; name a column as n2="its name".',
    ),
    "study twice": (
        f"{RR}\nA,1,10,2,10\nB,3,12,2,11\n\nA,4,20,5,20\n",
        "RR",
        "x.csv: study 'A' is in rows 2 and 5; one outcome has one row a study, so keep one of them, combine them, or "
        "name them apart in column 'study'.",
    ),
    "events above n": (
        f"{RR}\nA,1,10,2,10\nB,13,12,2,11\n",
        "RR",
        "x.csv: B: column 'events1' is 13, but it must be at most n1, which is 12; correct the entry.",
    ),
    "negative SD": (
        f"{MD}\nA,1,-2,10,2,3,10\n",
        "MD",
        "x.csv: A: column 'sd1' is -2, but it must be 0 or more; correct the entry.",
    ),
    "text for a number": (
        f"{RR}\nA,few,10,2,10\nB,3,12,2,11\n",
        "RR",
        "x.csv: A: column 'events1' holds 'few', which is not a number; correct it or leave it empty.",
    ),
    "no label": (f"{RR}\n,1,10,2,10\n", "RR", "x.csv, row 2: column 'study' is empty; name the study."),
    "short row": (
        f"{RR}\nA,1,10,2\n",
        "RR",
        "x.csv, row 2 does not have the 5 cells of the header; put quotation marks around a cell that holds a comma, "
        "and keep the commas of empty cells.",
    ),
    "column twice": ("study,yi,yi\nA,1,2\n", "GEN", "x.csv has two columns 'yi'; rename or remove one."),
    "semicolons": (
        "study;yi;vi\nA;1;2\n",
        "GEN",
        "x.csv separates its columns by semicolons or tabs; save it with commas between them.",
    ),
    "tabs": (
        "study\tyi\tvi\nA\t1\t2\n",
        "GEN",
        "x.csv separates its columns by semicolons or tabs; save it with commas between them.",
    ),
    "variance 0": (
        "study,yi,vi\nA,1,0\n",
        "GEN",
        "x.csv: A: column 'vi' is 0, but it must be above 0; correct the entry.",
    ),
}


@pytest.mark.parametrize("case", CONTENTS)
@pytest.mark.parametrize("command", [("pool",), ("forest", "--output", "x.svg")], ids=["pool", "forest"])
def test_what_a_file_holds(run, folder, untouched, case, command):
    text, measure, message = CONTENTS[case]
    (folder / "x.csv").write_text(text, encoding="utf-8")
    untouched()
    assert run(*command, "x.csv", "--measure", measure) == (1, "", f"error: {message}\n")


def test_not_utf8(run, folder):
    (folder / "x.csv").write_bytes("study,yi,vi\nMüller,1,1\n".encode("latin-1"))
    message = "error: x.csv is not UTF-8 text (byte 14); save it as CSV UTF-8 and read it again.\n"
    assert run("pool", "x.csv", "--measure", "GEN") == (1, "", message)


def test_a_broken_workbook(run, folder):
    (folder / "x.xlsx").write_bytes(b"PK no more")
    message = "error: x.xlsx cannot be read as an Excel workbook (BadZipFile); open it and save it as .xlsx.\n"
    assert run("pool", "x.xlsx", "--measure", "GEN") == (1, "", message)


def test_an_empty_workbook(run, folder):
    openpyxl.Workbook().save("x.xlsx")
    message = "error: x.xlsx, sheet Sheet is empty; its first row must name the columns.\n"
    assert run("pool", "x.xlsx", "--measure", "GEN") == (1, "", message)


def test_a_missing_file(run, folder):
    message = "error: no.csv does not exist; give a CSV or XLSX file, or the name of a shipped data set.\n"
    assert run("pool", "no.csv", "--measure", "RR") == (2, "", message)


@pytest.mark.parametrize("name", ["home", "home/", "home.csv"])
def test_a_folder_instead_of_a_file(run, folder, name):
    (folder / name).mkdir()
    message = f"error: {name.rstrip('/')} is a folder; give the CSV or XLSX file in it.\n"
    assert run("pool", name, "--measure", "RR") == (2, "", message)


def test_a_file_that_may_not_be_read(run, table, folder, monkeypatch):
    table()
    forbidden = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    # root may read every file, so the refusal is played
    monkeypatch.setattr(Path, "open", lambda self, *args, **kwargs: (_ for _ in ()).throw(forbidden))
    message = "error: trials.csv cannot be read (Permission denied); check that you may open it.\n"
    assert run("pool", "trials.csv", "--measure", "RR") == (2, "", message)


def test_an_unknown_data_set(run, folder):
    message = f"error: Unknown file or data set 'bgc'. Did you mean 'bcg'? Choose from: {TABLES}.\n"
    assert run("pool", "bgc", "--measure", "RR") == (2, "", message)


def test_records_are_no_table(run, folder):
    message = (
        "error: 'il2' holds trial records, not one table of studies; see `metail2 report il2`, or choose from: "
        f"{TABLES}.\n"
    )
    assert run("pool", "il2", "--measure", "RR") == (2, "", message)


def test_a_study_twice_in_a_data_set(run, folder):
    ended = run("pool", "bcg", "--measure", "RR", "--study", "alloc")
    assert ended.status == 1
    assert ended.err.startswith("error: bcg: study 'random' is in rows 2 and 3; one outcome has one row a study")


MEASURES = ", ".join(m2.MEASURES)
WRONG_USE = {
    "--measure RRR": f"Unknown measure 'RRR'. Did you mean 'RR'? Choose from: {MEASURES}.",
    "--measure RR --column events9=x": "Unknown column of RR 'events9'. Did you mean 'events2'? Choose from: events1, "
    "n1, events2, n2, a, b, c, d, percent1, percent2, estimate, se, ci_lower, ci_upper, level, t, p, yi, vi, sei.",
    "--measure RR --column frame=x": "Unknown column of RR 'frame'. Choose from: events1, n1, events2, n2, a, b, c, d, "
    "percent1, percent2, estimate, se, ci_lower, ci_upper, level, t, p, yi, vi, sei.",
    "--measure GEN --column yi": "--column is 'yi'; write NAME=COLUMN with a NAME of: yi, vi, sei, "
    "estimate, se, ci_lower, ci_upper, level, t, p.",
    "--measure RR --column n1=a --column n1=b": "--column n1 is given twice; give it once.",
    "--measure RR --tau2 REM": "Unknown τ² estimator 'REM'. Did you mean 'REML'? Choose from: CE, DL, HE, GENQ, "
    "GENQM, HS, HSk, SJ, ML, REML, EB, PM, PMM.",
    "--measure RR --test hk": "Unknown test 'hk'. Choose from: z, t, knapp_hartung, knapp_hartung_adhoc, iqwig, "
    "kenward_roger.",
    "--measure RR --to twice": "Unknown rule for zero cells 'twice'. Choose from: only0, all, if0all, none.",
    "--measure RR --transform expo": "Unknown display transform 'expo'. Did you mean 'exp'? Choose from: identity, "
    "exp, antilog, percent_change, percent_reduction, percent, logistic, normal_cdf, sine_squared, square, tanh, "
    "one_minus_cube, one_minus_exp.",
    "--measure RR --model mh": "Unknown model 'mh'. Choose from: random_effects, mantel_haenszel, peto, mixed_counts, "
    "beta_binomial.",
    "--measure OR --model peto": "Unknown measure of Peto 'OR'. Did you mean 'PETO'? Choose from: PETO, HR.",
    "--measure RR --transform percent": "Unknown display transform of RR (pooled as log risk ratio) 'percent'. Did you "
    "mean 'percent_change'? Choose from: identity, exp, percent_change, percent_reduction.",
    "--measure SMD --model mantel_haenszel": "Unknown Mantel–Haenszel measure 'SMD'. Choose from: OR, RR, RD, "
    "IRR, IRD.",
    "--measure RR --model mantel_haenszel --tau2 DL": "--tau2 has no meaning with --model mantel_haenszel; leave "
    "it out.",
    "--measure PETO --model peto --add 1": "--add has no meaning with --model peto; leave it out.",
    "--measure PETO --model peto --drop00": "--drop00 has no meaning with --model peto; leave it out.",
}
WRONG_POOL = {
    "--measure RR --format xml": "Unknown format 'xml'. Choose from: text, csv, json.",
    "--measure RR --format csv --transform exp": "--transform has no meaning with --format csv, which is on the pooled "
    "scale; leave it out.",
    "--measure RR --moderators n1 --transform exp": "--transform has no meaning with --moderators, which have several "
    "coefficients; leave it out.",
}


@pytest.mark.parametrize("options", WRONG_USE | WRONG_POOL)
def test_wrong_use_of_pool(run, table, untouched, options):
    table()
    untouched()
    message = (WRONG_USE | WRONG_POOL)[options]
    assert run("pool", "trials.csv", *options.split()) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize("options", WRONG_USE)
def test_wrong_use_of_forest(run, table, untouched, options):
    table()
    untouched()
    ended = run("forest", "trials.csv", "--output", "x.svg", *options.split())
    assert ended == (2, "", f"error: {WRONG_USE[options]}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--level 1.5", "Invalid value for '--level': 1.5 is not between 0 and 1; give e.g. 0.95."),
        ("--level 95", "Invalid value for '--level': 95 is not between 0 and 1; give e.g. 0.95."),
        ("--level nan", "Invalid value for '--level': nan is not between 0 and 1; give e.g. 0.95."),
        ("--level high", "Invalid value for '--level': 'high' is not a number."),
        ("--add -1", "Invalid value for '--add': -1 is not 0 or a positive number; give e.g. 0.5."),
        ("--add inf", "Invalid value for '--add': inf is not 0 or a positive number; give e.g. 0.5."),
    ],
)
def test_a_number_that_cannot_be(run, table, options, message):
    ended = run("pool", table(), "--measure", "RR", *options.split())
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.endswith(f"\nError: {message}\n")


@pytest.mark.parametrize("words", ["pool", "pool t.csv --mesure RR", "pol t.csv", "", "forest t.csv"])
def test_words_that_are_no_command(run, words):
    ended = run(*words.split())
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("Usage: metail2")
    assert "\nError: " in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--column events1=e1",
            "trials.csv: There is no column 'e1' (given as events1); the table has study, events1, n1, events2, n2.",
        ),
        (
            "--study author",
            "trials.csv: There is no column 'author' for the study labels; the table has study, events1, n1, events2, "
            "n2.",
        ),
        (
            "--moderators dose",
            "The formula 'dose' names 'dose', which is no column; the columns are: study, events1, n1, events2, n2.",
        ),
        (
            "--moderators n1+n2",
            "3 studies cannot support 3 coefficients (intercept, n1, n2); at least 4 are needed, so use fewer "
            "moderators.",
        ),
    ],
)
def test_what_the_file_cannot_give(run, table, options, message):
    assert run("pool", table(), "--measure", "RR", *options.split()) == (1, "", f"error: {message}\n")
