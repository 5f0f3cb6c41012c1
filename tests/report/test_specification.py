"""A specification that cannot be carried out is refused in one sentence that names the place."""

import re

import pytest

from metail2.errors import MetailError, RecordError, ReportError, UnknownChoice
from metail2.report.build import build_report
from metail2.report.specification import read_specification, specification_path

HEAD = 'title = "Made by hand"\nrecords = "trials"\n'


def refused(path, tmp_path):
    """Words of the refusal; nothing may have been written."""
    with pytest.raises(MetailError) as caught:
        build_report(str(path), tmp_path / "out", "test")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".metail2-*"))
    return str(caught.value)


def test_the_shipped_report_is_found_by_name_and_file(tmp_path, monkeypatch):
    path = specification_path("il2")
    assert specification_path(str(path)) == path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "il2").mkdir()  # a folder of the user's that happens to have the name
    assert specification_path("il2") == path
    spec = read_specification(path)
    assert len(spec.outcome) == 14
    assert len({outcome.id for outcome in spec.outcome}) == 14


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "Made', 'titel = "Made'),
         "at title: the key 'title' is missing; correct it (1 more problem follows)."),
        (('better = "higher"', 'better = "higher"\nbeter = 1'),
         "at outcome.0.beter: the key 'beter' is unknown (did you mean 'better'?) (outcome 'response'); correct it."),
        (('id = "response"', ""), "at outcome.0.id: the key 'id' is missing (outcome 1); correct it."),
        (('id = "response"', 'id = "two words"'),
         "at outcome.0.id: String should match pattern '^[a-z0-9_]+$' (outcome 'two words'); correct it."),
        (('design = "controlled"', 'design = "before"'),
         "at outcome.0.design: Input should be 'controlled', 'before_after' or 'single_arm' (outcome 'response'); "
         "correct it."),
        (('better = "higher"', 'better = "higher"\nfavours = ["one"]'),
         "at outcome.0: favours of 'response' must have two entries, for lower and for higher effects (outcome "
         "'response'); correct it."),
        (('better = "higher"', 'better = "higher"\ncommon = "ce"'),
         "at outcome.0: common = 'ce' of 'response' is no analysis; its analyses are primary (outcome 'response'); "
         "correct it."),
        (('id = "primary"', 'id = "primary"\nmodel = "random"'),
         "at outcome.0.analyses.0.model: Input should be 'random_effects', 'mantel_haenszel', 'peto' or 'show' "
         "(outcome 'response'); correct it."),
        (('records = "trials"', 'records = "trials"\narms = ["one"]'),
         "at arms: List should have at least 2 items after validation, not 1; correct it."),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value(specify, outcome_toml, tmp_path, change, message):
    path = specify(outcome_toml())
    text = path.read_text(encoding="utf-8")
    assert change[0] in text
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    assert refused(path, tmp_path) == f"{path}: {message}"


def test_two_outcomes_or_analyses_with_one_id(specify, outcome_toml, tmp_path):
    path = specify(outcome_toml(), outcome_toml())
    assert refused(path, tmp_path) == f"{path}: at the file: two outcomes have one id; correct it."
    path = specify(outcome_toml(analysis='[[outcome.analyses]]\nid = "primary"\ntitle = "Again"'))
    assert refused(path, tmp_path) == (
        f"{path}: at outcome.0: two analyses of 'response' have one id (outcome 'response'); correct it."
    )


def test_no_outcome(specify, tmp_path):
    path = specify()
    assert refused(path, tmp_path) == f"{path}: at outcome: the key 'outcome' is missing; correct it."


def test_no_toml(specify, tmp_path):
    path = specify("[[outcome\n")
    message = refused(path, tmp_path)
    assert message.startswith(f"{path} is not valid TOML: ")
    assert "line 3" in message


def test_not_utf_8(specify, tmp_path):
    path = specify()
    path.write_bytes(b'title = "\xff"\n')
    assert refused(path, tmp_path) == (
        f"{path} cannot be read: 'utf-8' codec can't decode byte 0xff in position 9: invalid start byte."
    )


def test_no_such_file_or_report(tmp_path):
    path = tmp_path / "none.toml"
    assert refused(path, tmp_path) == f"There is no file '{path}'; give the name of a shipped report or a TOML file."
    with pytest.raises(UnknownChoice, match=r"^Unknown report 'il3'\. Did you mean 'il2'\? Choose from: il2\.$"):
        specification_path("il3")


CASES = {
    "unknown outcome": (
        {}, ('outcome = "response"', 'outcome = "respons"'), ReportError,
        "Outcome 'response', analysis 'primary': Unknown outcome 'respons'. Did you mean 'response'? Choose from: "
        "response, score.",
    ),
    "unknown study": (
        {"studies": ["one", "tow"]}, None, ReportError,
        "Outcome 'response', analysis 'primary': Unknown study 'tow'. Did you mean 'two'? Choose from: one, two, "
        "three, case.",
    ),
    "no study": (
        {"studies": []}, None, ReportError,
        "Outcome 'response', analysis 'primary': studies names no study; name at least one, or leave it out for all.",
    ),
    "unknown measure": (
        {"measure": "RRR"}, None, ReportError, "Outcome 'response': Unknown measure 'RRR'. Did you mean 'RR'? Choose",
    ),
    "unknown transform": (
        {"more": 'transform = "exq"'}, None, ReportError,
        "Outcome 'response', analysis 'primary': Unknown display transform 'exq'. Did you mean 'exp'? Choose from: ",
    ),
    "transform of another scale": (
        {"more": 'transform = "logistic"'}, None, ReportError,
        "Outcome 'response', analysis 'primary': Unknown display transform of RR (pooled as log risk ratio) 'logistic'",
    ),
    "unknown estimator": (
        {"analysis": 'tau2 = "RELM"'}, None, ReportError,
        "at outcome.0.analyses.0: Unknown τ² estimator 'RELM'. Did you mean 'REML'?",
    ),
    "unknown heading": (
        {"more": 'heading = "diseases"'}, None, ReportError,
        "Outcome 'response', analysis 'primary': Unknown heading 'diseases'. Did you mean 'disease'? Choose from: ",
    ),
    "designs mixed": (
        {"measure": "MC"}, None, ReportError,
        "Outcome 'response' is controlled, but MC measures something else (change); the designs are never mixed.",
    ),
    "designs mixed the other way": (
        {"design": "before_after"}, None, ReportError,
        "Outcome 'response' is before/after, but RR measures something else (two by two); the designs are never mixed.",
    ),
    "designs mixed in an analysis": (
        {"analysis": 'measure = "PR"'}, None, ReportError,
        "Outcome 'response' is controlled, but PR measures something else (proportion); the designs are never mixed.",
    ),
    "no correlation": (
        {"design": "before_after", "measure": "MC"}, None, ReportError,
        "Outcome 'response', analysis 'primary': MC needs the correlation of the values before and after, which trials "
        "seldom print; assume one with r=0.5 (the trail marks it as assumed) and vary it.",
    ),
    "control risks of means": (
        {"design": "before_after", "measure": "MC", "more": "r = 0.5\ncontrol_risks = true"}, None, ReportError,
        "Outcome 'response': control_risks needs events in two arms, which MC does not have; leave it out.",
    ),
    "Peto of means": (
        {"design": "before_after", "measure": "MC", "more": "r = 0.5\npeto = true"}, None, ReportError,
        "Outcome 'response': peto needs events in two arms, which MC does not have; leave it out.",
    ),
    "sensitivity of several rows": (
        {"design": "before_after", "measure": "MC", "more": "r = 0.5\nr_values = [0.3]",
         "analysis": 'model = "show"\nreason = "Side by side."'}, None, ReportError,
        "Outcome 'response': r_values needs one estimate, but the primary analysis shows several side by side; leave "
        "r_values out.",
    ),
    "unknown records": (
        {}, ('records = "trials"', 'records = "none"'), RecordError,
        "does not exist; give a folder with studies.csv and outcomes.csv, or an .xlsx file.",
    ),
    "a table as records": (
        {}, ('records = "trials"', 'records = "bcg"'), RecordError,
        "'bcg' is one table of studies, not trial records; read it with load_dataset('bcg').",
    ),
    "unknown review": (
        {}, ("[[outcome]]", '[[review]]\ntable = "review"\ntitle = "T"\n[[outcome]]'), ReportError,
        "The records hold no review table 'review'; beside studies and outcomes they hold nothing.",
    ),
    "unknown study beside": (
        {"analysis": '[[outcome.beside]]\nstudy = "tow"\nreason = "R."'}, None, UnknownChoice,
        "Unknown study 'tow'. Did you mean 'two'? Choose from: one, two, three, case.",
    ),
    "beside without its outcome": (
        {"analysis": '[[outcome.beside]]\nstudy = "two"\nmeasure = "PR"\nreason = "R."'}, None, ReportError,
        "Outcome 'response', Beta 2021 beside: Unknown outcome ''. Choose from: response, score.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_the_records_do_not_support(specify, outcome_toml, tmp_path, name):
    options, change, error, message = CASES[name]
    path = specify(outcome_toml(**options))
    if change:
        text = path.read_text(encoding="utf-8")
        assert change[0] in text
        path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(error, match=re.escape(message)):
        build_report(str(path), tmp_path / "out", "test")
    assert not (tmp_path / "out").exists()


def test_no_parts(specify, outcome_toml, tmp_path):
    path = specify(re.sub(r"\[\[outcome\.parts\]\](?:.|\n)*?(?=\[\[)", "", outcome_toml()))
    assert refused(path, tmp_path) == (
        "Outcome 'response', analysis 'primary': nothing says where the figures come from; add [[outcome.parts]]."
    )


@pytest.mark.parametrize("column", ["row", "disease", "study_id"])
def test_a_review_table_without_a_column(specify, outcome_toml, trials, tmp_path, column):
    columns = [name for name in ("row", "disease", "study_id") if name != column]
    (trials / "trials" / "review.csv").write_text(",".join(columns) + "\n1,2\n", encoding="utf-8")
    path = specify('[[review]]\ntable = "review"\ntitle = "T"\n', outcome_toml())
    assert refused(path, tmp_path) == f"The review table 'review' has no column {column!r}; add it to the records."


@pytest.mark.parametrize("epoch", ["yesterday", "", "1.5", "99999999999999999"])
def test_a_nonsense_source_date_epoch(specify, outcome_toml, tmp_path, monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    message = f"SOURCE_DATE_EPOCH is {epoch!r}; it must be a whole number of seconds since 1970."
    assert refused(specify(outcome_toml()), tmp_path) == message
