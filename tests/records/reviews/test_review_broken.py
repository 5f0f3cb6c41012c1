"""Every broken file gives one sentence that names the file, and the row, study and column where there are such."""

import io
import shutil
import warnings
import zipfile
from pathlib import Path

import pytest

from metail2.errors import MetailError, MetailWarning, RecordError
from metail2.records.reviews import archive as archive_module
from metail2.records.reviews.reading import read_review

DATA = Path(__file__).parent / "data"
LAUGHS = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(2, 30)).replace("&a1;", "&a;")
    + "]>\n<COCHRANE_REVIEW>&a29;</COCHRANE_REVIEW>"
)
OUTSIDE = '<!DOCTYPE x SYSTEM "file:///etc/passwd">\n<COCHRANE_REVIEW/>'
EMPTY_REVIEW = "<COCHRANE_REVIEW><ANALYSES_AND_DATA/></COCHRANE_REVIEW>"


def refused(path):
    with pytest.raises(MetailError) as caught:
        read_review(path)
    assert type(caught.value) is RecordError
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message.replace("e.g. ", "")  # one sentence
    return message


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.rm5", b"", ["a.rm5 is empty"]),
        ("a.rm5", b"  \n", ["a.rm5 is empty"]),
        ("a.zip", b"no zip", ["a.zip is not a zip, whatever its name says"]),
        ("a.zip", b"PK\x03\x04 cut off", ["a.zip is a zip that is damaged or cut off"]),
        ("a.rm5", b"<COCHRANE_REVIEW><A>", ["a.rm5, row 1", "not whole XML"]),
        ("a.rm5", b"<COCHRANE_REVIEW>\n<A></B>", ["a.rm5, row 2", "mismatched tag"]),
        ("a.rm5", b"<html></html>", ["a.rm5 is XML, but of 'html'"]),
        ("a.rm5", EMPTY_REVIEW.encode(), ["a.rm5 holds no analysis"]),
        ("a.rm5", LAUGHS.encode(), ["a.rm5, row 2", "document type 'lolz'", "entities"]),
        ("a.rm5", OUTSIDE.encode(), ["a.rm5, row 1", "document type 'x'"]),
        ("a.rm5", b'<?xml version="1.0" encoding="klingon"?><COCHRANE_REVIEW/>', ["a.rm5", "encoding"]),
        ("a.rm5", b"<A>" * 300, ["a.rm5, row 1", "more than 200 deep"]),
        ("a.csv", b"study,yi,vi\na,1,2\n", ["a.csv is not a file of a review that can be read here", ".rm5"]),
        ("a.csv", "Study,Outcome,Arm\nBöhm,x,y\n".encode("latin-1"), ["not UTF-8 text (byte 20)"]),
        ("study-results.csv", b"Study,Outcome,Arm\nx,y,z\n", ["no column 'Data type'"]),
        ("study-results.csv", b"Study,Outcome,Data type,Arm\n", ["study-results.csv compares no two arms"]),
        ("study-results.csv", b'Study,Outcome,Data type,Arm\n"x,y,z', ["study-results.csv is not a CSV file"]),
        (
            "study-results.csv",
            b"Study,Outcome,Data type,Arm\nS,O,Ordinal,A\n",
            ["row 2, S", "'Data type' is 'Ordinal'"],
        ),
    ],
)
def test_files_that_are_none(tmp_path, name, content, parts):
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert all(part in message for part in parts), message


def test_a_path_that_leads_nowhere(tmp_path):
    assert "does not exist" in refused(tmp_path / "a.rm5")
    (tmp_path / "folder").mkdir()
    assert "folder has no file overall-estimates-and-settings.csv" in refused(tmp_path / "folder")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('EVENTS_1="12"', 'EVENTS_1="twelve"', ["Ash 2001: column 'EVENTS_1' holds 'twelve'"]),
        ('EVENTS_2="25"', 'EVENTS_2="25 of 82"', ["Ash 2001: column 'EVENTS_2' holds '25 of 82'"]),
        ('SD_1="2.1"', 'SD_1="inf"', ["Ash 2001", "column 'SD_1' holds 'inf'"]),
        ('SE="0.12"', 'SE="0,12"', ["Hazel 2005", "column 'SE' holds '0,12'"]),
        ('CHI2="', 'CHI2="?', ["changed.rm5, row ", "column 'CHI2' holds '?"]),
    ],
)  # fmt: skip
def test_entries_of_a_revman_file(rm5, old, new, parts):
    message = refused(rm5((old, new)))
    assert message.startswith("changed.rm5, row ")
    assert all(part in message for part in parts), message


def test_the_row_is_the_line_of_the_element(rm5):
    path = rm5(('SD_1="2.1"', 'SD_1="x"'))
    line = next(i for i, text in enumerate(path.read_text("latin-1").splitlines(), 1) if 'SD_1="x"' in text)
    assert refused(path).startswith(f"changed.rm5, row {line}, Ash 2001: column 'SD_1' holds 'x'")


def header(text):
    return text.split("\r\n")[0]


@pytest.mark.parametrize(
    ("end", "change", "parts"),
    [
        ("data-rows.csv", None, ["package_v1.zip has no file data-rows.csv", "it holds: CD000001-overall"]),
        ("settings.csv", None, ["package_v1.zip has no file overall-estimates-and-settings.csv"]),
        ("data-rows.csv", b"", ["CD000001-data-rows.csv is empty"]),
        ("settings.csv", header, ["CD000001-data-rows.csv, row 2", "does not have"]),
    ],
)
def test_files_of_packages(zipped, end, change, parts):
    message = refused(zipped("package_v1", {end: change}))
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("end", "old", "new", "parts"),
    [
        ("rows.csv", "Study,", "Trial,", ["CD000001-data-rows.csv has no column 'Study'"]),
        ("rows.csv", ",12,80,", ",many,80,", ["row 2, Ash 2001", "'Experimental cases' holds 'many'"]),
        ("rows.csv", ",12,80,", ",12,8O,", ["row 2, Ash 2001", "'Experimental N' holds '8O'"]),
        ("rows.csv", "1,1,Relapse", "9,1,Relapse", ["row 2, Ash 2001", "analysis 9.1"]),
        ("rows.csv", ",0.492,", ",0.492,,", ["CD000001-data-rows.csv, row 2 does not have the"]),
        ("settings.csv", '1,2,"Relapse', '1,1,"Relapse', ["analysis 1.1 is in rows 2 and 3"]),
    ],
)
def test_entries_of_packages(zipped, end, old, new, parts):
    def change(text):
        assert old in text
        return text.replace(old, new, 1)

    message = refused(zipped("package_v1", {end: change}))
    assert all(part in message for part in parts), message


def test_a_package_without_analyses(zipped):
    message = refused(zipped("package_v1", {"settings.csv": header, "data-rows.csv": header}))
    assert "CD000001-overall-estimates-and-settings.csv has no row below its header" in message


def test_a_package_of_diagnostic_tests(zipped):
    message = refused(zipped("package_v1", extra={"CD1-analysis-data/CD1-parameters.csv": b"a"}))
    assert "review of diagnostic tests" in message


def test_two_packages_in_one_zip(zipped):
    assert "holds two files data-rows.csv" in refused(zipped("package_v1", extra={"b/CD2-data-rows.csv": b"a"}))


@pytest.mark.parametrize("name", ["../outside.csv", "/etc/passwd", "a\\..\\..\\b.csv", "C:\\b.csv"])
def test_names_that_point_outside(zipped, name):
    assert "points outside the zip" in refused(zipped("package_v1", extra={name: b"a"}))


def test_a_zip_that_was_cut_off_or_changed(zipped):
    path = zipped("package_v1")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged or cut off" in refused(path)
    changed = bytearray(whole)
    changed[200:260] = bytes(60)
    path.write_bytes(bytes(changed))
    assert "is damaged" in refused(path)


def test_an_encrypted_zip(zipped):
    path = zipped("package_v1")
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    path.write_bytes(bytes(data))
    assert "encrypted" in refused(path)


def test_a_member_that_unpacks_to_too_much(zipped, monkeypatch):
    monkeypatch.setattr(archive_module, "LARGEST", 10_000_000)
    bomb = b"Analysis group\r\n" + b"0" * 11_000_000
    path = zipped("package_v1", {"settings.csv": bomb})
    assert path.stat().st_size < 100_000
    assert "CD000001-overall-estimates-and-settings.csv in it unpacks to more than 10,000,000 bytes" in refused(path)


def test_a_file_that_is_too_large_and_a_zip_of_too_many_files(zipped, monkeypatch):
    path = zipped("package_v1")
    monkeypatch.setattr(archive_module, "MOST_MEMBERS", 2)
    assert "holds 3 files, far more than a data package" in refused(path)
    monkeypatch.setattr(archive_module, "LARGEST", 100)
    assert "larger than 100 bytes" in refused(path)


def test_zips_within_zips_are_opened_once(tmp_path):
    content = b"x"
    for _ in range(1200):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("CD1-data.zip", content)
        content = stream.getvalue()
    (tmp_path / "a.zip").write_bytes(content)
    assert "a.zip, CD1-data.zip has no file overall-estimates" in refused(tmp_path / "a.zip")


def test_numbers_and_levels_that_cannot_be(rm5):
    assert "'SD_1' holds '1e400', but a plain number is needed" in refused(rm5(('SD_1="2.1"', 'SD_1="1e400"')))
    message = refused(rm5(('CI_TOTAL="90"', 'CI_TOTAL="0"')))
    assert message.startswith("changed.rm5, row ")
    assert "the confidence level is '0', but it is a percentage between 0 and 100" in message


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (",150,30,", ",150,some,", ["row 6, Beech 2003", "column 'Cases' holds 'some'"]),
        ("20 mg,,40,8", "10 mg,,40,8", ["row 3, Ash 2001", "arm '10 mg' of outcome 'Relapse' stands in row 2 too"]),
        (",139,,43.5,12", ",139,,43.5,12 %", ["row 10, Beech 2003", "column 'SD' holds '12 %'"]),
    ],
)
def test_study_data(tmp_path, old, new, parts):
    for file in (DATA / "study_data").iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "CD000003-study-results.csv"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetailWarning)  # arms that are combined on the way
        message = refused(path)
    assert all(part in message for part in parts), message
