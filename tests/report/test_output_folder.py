"""The output folder: nothing of the user's is touched, and a report is there whole or not at all."""

import json
from pathlib import Path

import pytest

from metail2.errors import ReportError
from metail2.report import build as module
from metail2.report.build import build_report


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def simple(specify, outcome_toml, monkeypatch):
    """A report that is built quickly: without pictures."""
    monkeypatch.setattr(module, "FORMATS", ("svg",))
    return str(specify(outcome_toml()))


def left(tmp_path):
    """What lies beside the input."""
    return sorted(path.name for path in tmp_path.iterdir() if path.name != "here")


def test_new_empty_and_nested_folders(simple, tmp_path):
    built = build_report(simple, tmp_path / "a" / "b" / "out", "test")
    assert built.page.is_file()
    (tmp_path / "empty").mkdir()
    build_report(simple, tmp_path / "empty", "test")
    assert (tmp_path / "empty" / "index.html").is_file()
    assert left(tmp_path) == ["a", "empty"]


def test_an_earlier_report_is_replaced(build, outcome_toml, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FORMATS", ("svg",))
    build(outcome_toml("first"))
    before = tree(tmp_path / "out")
    build(outcome_toml("second"))
    after = tree(tmp_path / "out")
    assert "figures/first.svg" in before
    assert "figures/first.svg" not in after
    assert "figures/second.svg" in after
    assert left(tmp_path) == ["out"]


def test_the_working_folder_itself(simple, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    for _ in range(2):
        monkeypatch.chdir(tmp_path / "out")
        build_report(simple, Path("."), "test")
        assert (tmp_path / "out" / "index.html").is_file()
    assert left(tmp_path) == ["out"]


def refusal(report, output):
    with pytest.raises(ReportError) as caught:
        build_report(report, output, "test")
    return str(caught.value)


def test_a_file(simple, tmp_path):
    output = tmp_path / "out"
    output.write_text("mine", encoding="utf-8")
    assert refusal(simple, output) == f"{output} is a file; give a folder to write the report to."
    assert output.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "mine"},
        {"sub/notes.txt": "mine"},
        {"manifest.json": '{"name": "a web page"}', "notes.txt": "mine"},
        {"manifest.json": "not json", "notes.txt": "mine"},
        {"manifest.json": '["a list"]', "notes.txt": "mine"},
    ],
    ids=["a file", "in a folder", "another manifest", "no JSON", "a list"],
)
def test_a_folder_with_other_files(simple, tmp_path, files):
    output = tmp_path / "out"
    for name, text in files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(text, encoding="utf-8")
    before = tree(output)
    first = min(files)
    assert refusal(simple, output) == (
        f"{output} holds other files ({first}); give a new folder, so that nothing of yours is replaced."
    )
    assert tree(output) == before


def test_a_file_added_to_an_earlier_report(simple, tmp_path):
    output = tmp_path / "out"
    build_report(simple, output, "test")
    (output / "figures" / "mine.svg").write_text("mine", encoding="utf-8")
    before = tree(output)
    assert "(figures/mine.svg)" in refusal(simple, output)
    assert tree(output) == before


def test_a_folder_that_cannot_be_made(simple, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    output = tmp_path / "file" / "new" / "out"
    assert refusal(simple, output) == f"The report cannot be written to {output}: Not a directory."
    assert left(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["_write_tables", "_write_json", "render", "manifest", "_figures", "_move"])
@pytest.mark.parametrize("earlier", [True, False])
def test_a_failure_leaves_nothing_behind_and_the_earlier_report_whole(simple, tmp_path, monkeypatch, step, earlier):
    output = tmp_path / "new" / "out"
    if earlier:
        build_report(simple, output, "test")
    before = tree(tmp_path)

    def fail(*given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, step, fail)
    assert refusal(simple, output) == f"The report cannot be written to {output}: No space left on device."
    assert tree(tmp_path) == before
    assert left(tmp_path) == (["new"] if earlier else [])
    assert sorted((tmp_path / "new").glob("*")) == ([output] if earlier else [])


def test_a_failure_of_the_last_step_puts_the_earlier_report_back(simple, tmp_path, monkeypatch):
    output = tmp_path / "out"
    build_report(simple, output, "test")
    before = tree(tmp_path)
    rename = Path.rename

    def broken(self, target):
        if self.name == "report":
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    assert refusal(simple, output) == f"The report cannot be written to {output}: Invalid cross-device link."
    assert tree(tmp_path) == before


def test_an_error_of_the_program_leaves_nothing_behind_either(simple, tmp_path, monkeypatch):
    def fail(*given, **named):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(module, "render", fail)
    with pytest.raises(RuntimeError):
        build_report(simple, tmp_path / "new" / "out", "test")
    assert left(tmp_path) == []


def test_without_source_date_epoch_the_report_says_now(simple, tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    build_report(simple, tmp_path / "out", "test")
    created = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["created"]
    assert created > "2024"
    assert created.endswith("+00:00")
