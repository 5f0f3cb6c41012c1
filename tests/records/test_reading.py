import re

import openpyxl
import pytest

from metail2.errors import RecordError, UnknownChoice
from metail2.records.reading import load_records, read_records

STUDIES = "study_id,label,year,autoimmune\nmüller2020,Müller 2020,2020,true\nlee2021,Lee 2021,,\n"
HEADER = "record_id,study_id,outcome,arm,role,timepoint,statistic,value,unit_kind,source,quote"
ROW = "R1,müller2020,pain,drug,experimental,week 12,mean,30.00,score,abstract,pain was 30.00"
OUTCOMES = f"{HEADER}\n{ROW}\n"


@pytest.fixture
def folder(tmp_path):
    """A folder of two small, correct files."""
    home = tmp_path / "trials"
    home.mkdir()
    (home / "studies.csv").write_text(STUDIES, encoding="utf-8")
    (home / "outcomes.csv").write_text(OUTCOMES, encoding="utf-8")
    return home


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def grid(text):
    return [line.split(",") for line in text.strip().split("\n")]


def one_sentence(message):
    return f"^{re.escape(message)}$"


def test_a_folder(folder):
    records = read_records(folder)
    assert (records.name, len(records), records.outcomes) == ("trials", 1, ["pain"])
    figure = records.outcome("pain").iloc[0]
    assert (figure["value"], figure["printed"], figure["decimals"]) == (30.0, "30.00", 2)
    assert (figure["dose_unit"], figure["qualifier"], bool(figure["secondary"])) == ("", "", False)
    assert records.study("müller2020")["label"] == "Müller 2020"
    assert records.studies["cohort"].tolist() == ["müller2020", "lee2021"]
    assert records.studies["year"].isna().tolist() == [False, True]
    assert records.studies["autoimmune"].tolist()[0] is True
    assert repr(records) == "TrialRecords('trials': 2 studies, 1 printed figures)"


def test_unknown_names(folder):
    records = read_records(str(folder))
    with pytest.raises(UnknownChoice, match=r"^Unknown outcome 'pian'\. Did you mean 'pain'\? Choose from: pain\.$"):
        records.outcome("pian")
    with pytest.raises(UnknownChoice, match=r"^Unknown study 'lee'\..* Choose from: müller2020, lee2021\.$"):
        records.study("lee")


def test_byte_order_mark_spaces_blank_rows_and_line_breaks_in_quotes(folder):
    text = OUTCOMES.replace("pain was 30.00", '"pain was\n30.00"').replace(",mean,", ", mean ,").replace("\n", "\r\n")
    (folder / "outcomes.csv").write_bytes(b"\xef\xbb\xbf" + f"{text},,,,,,,,,,\r\n\r\n".encode())
    figure = read_records(folder).figures.iloc[0]
    assert (figure["record_id"], figure["statistic"], figure["quote"]) == ("R1", "mean", "pain was\r\n30.00")


def test_other_tables_and_unknown_columns(folder):
    (folder / "notes.csv").write_text("study_id,patients,remark,printed\nlee2021,12,,1/2\nx,,,3\n", encoding="utf-8")
    (folder / "studies.csv").write_text(
        STUDIES.replace("label", "sponsor,label").replace("20,M", "20,,M").replace("21,L", "21,NHS,L")
    )
    records = read_records(folder)
    notes = records.tables["notes"]
    assert notes["patients"].tolist()[0] == 12
    assert notes["patients"].isna().tolist() == [False, True]
    assert notes["printed"].tolist() == ["1/2", "3"]
    assert records.studies["sponsor"].tolist() == ["", "NHS"]
    with pytest.raises(TypeError):
        records.tables["more"] = notes


@pytest.mark.parametrize(
    ("printed", "value", "decimals"),
    [
        ("30.00", 30.0, 2),
        ("7", 7.0, 0),
        ("-0.171", -0.171, 3),
        ("−1.50", -1.5, 2),
        ("0·5", 0.5, 1),
        (".25", 0.25, 2),
        ("5.", 5.0, 0),
        ("1.25e3", 1250.0, 0),
        ("1.5e-3", 0.0015, 4),
    ],
)
def test_printed_digits(folder, printed, value, decimals):
    (folder / "outcomes.csv").write_text(OUTCOMES.replace("mean,30.00", f"mean,{printed}"), encoding="utf-8")
    figure = read_records(folder).figures.iloc[0]
    assert (figure["value"], figure["printed"], figure["decimals"]) == (value, printed, decimals)


def test_a_workbook_keeps_text_cells_and_writes_numbers_shortly(tmp_path):
    rows = grid(OUTCOMES)
    value = rows[0].index("value")
    more = [[*rows[1]] for _ in range(3)]
    for number, (row, cell) in enumerate(zip(more, [30.0, 0.1, 17], strict=True), start=2):
        row[0], row[value] = f"R{number}", cell
    book = workbook(tmp_path / "trials.xlsx", outcomes=rows + more, studies=grid(STUDIES), extra=[["a"], [1]], empty=[])
    records = read_records(book)
    assert records.figures["printed"].tolist() == ["30.00", "30", "0.1", "17"]
    assert records.figures["decimals"].tolist() == [2, 0, 1, 0]
    assert records.name == "trials"
    assert list(records.tables) == ["extra"]


def test_a_workbook_and_a_folder_say_the_same(tmp_path, folder):
    book = read_records(workbook(tmp_path / "trials.xlsx", studies=grid(STUDIES), outcomes=grid(OUTCOMES)))
    assert book.figures.equals(read_records(folder).figures)
    assert book.studies.equals(read_records(folder).studies)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("studies.csv", STUDIES, "", "studies.csv is empty; its first row must name the columns."),
        ("studies.csv", STUDIES, "\n , \n", "studies.csv is empty; its first row must name the columns."),
        ("outcomes.csv", ROW, "", "outcomes.csv has no row below its header; add at least one."),
        (
            "studies.csv",
            "study_id",
            "studyid",
            "studies.csv has no column 'study_id' (did you mean 'studyid'?); the columns found are: "
            "studyid, label, year, autoimmune.",
        ),
        ("studies.csv", ",label", ",study_id", "studies.csv has two columns 'study_id'; rename or remove one."),
        ("studies.csv", ",label", ",", "studies.csv: column 2 has no name in the first row; name it or remove it."),
        (
            "studies.csv",
            "Lee 2021",
            "Lee, 2021",
            "studies.csv, row 3 does not have the 4 cells of the header; put quotation marks around a cell that holds "
            "a comma, and keep the commas of empty cells.",
        ),
        (
            "studies.csv",
            "Lee 2021,,",
            "Lee 2021",
            "studies.csv, row 3 does not have the 4 cells of the header; put quotation marks around a cell that holds "
            "a comma, and keep the commas of empty cells.",
        ),
        (
            "studies.csv",
            "Lee 2021",
            '"Lee 2021',
            "studies.csv is not a CSV file that can be read (unexpected end of data); save it again as CSV.",
        ),
        (
            "studies.csv",
            "2020,true",
            "in 2020,true",
            "studies.csv, row 2, study müller2020: column 'year' holds 'in 2020', but a whole number is needed "
            "(digits only).",
        ),
        (
            "studies.csv",
            "true",
            "yes",
            "studies.csv, row 2, study müller2020: column 'autoimmune' holds 'yes', but true or false is needed.",
        ),
        (
            "outcomes.csv",
            "mean,30.00",
            "mean,about 30",
            "outcomes.csv, row 2, record R1, study müller2020: column 'value' holds 'about 30', but a plain number is "
            "needed (digits and a decimal point; no unit, comma or word).",
        ),
        (
            "outcomes.csv",
            "mean,30.00",
            "p_value,<0.001",
            "outcomes.csv, row 2, record R1, study müller2020: column 'value' holds '<0.001', but a plain number is "
            "needed; put the sign in column 'qualifier'.",
        ),
        (
            "outcomes.csv",
            "mean,30.00",
            "mean,",
            "outcomes.csv, row 2, record R1, study müller2020: column 'value' is empty, but a plain number is needed "
            "(digits and a decimal point; no unit, comma or word).",
        ),
        (
            "outcomes.csv",
            "mean,30.00",
            "mean,nan",
            "outcomes.csv, row 2, record R1, study müller2020: column 'value' holds 'nan', but a plain number is "
            "needed (digits and a decimal point; no unit, comma or word).",
        ),
        (
            "outcomes.csv",
            ROW,
            f"{ROW}\n{ROW}\n{ROW}",
            "outcomes.csv, row 3, record R1, study müller2020: column 'record_id' holds 'R1', but an earlier row has "
            "it too; give each its own (and 1 more).",
        ),
    ],
)
def test_files_that_cannot_be_used(folder, file, old, new, message):
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(folder)


def test_not_utf8(folder):
    (folder / "studies.csv").write_bytes(STUDIES.encode("latin-1"))
    message = "studies.csv is not UTF-8 text (byte 33); save it as CSV UTF-8 and read it again."
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(folder)


def test_a_folder_where_a_file_is_needed(folder):
    (folder / "studies.csv").unlink()
    (folder / "studies.csv").mkdir()
    message = f"{folder / 'studies.csv'} is a folder, but a CSV file is needed; put the file there."
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(folder)


def test_a_missing_file(folder):
    (folder / "outcomes.csv").unlink()
    with pytest.raises(RecordError, match=one_sentence(f"{folder} has no outcomes.csv; it holds: studies.csv.")):
        read_records(folder)
    (folder / "studies.csv").unlink()
    with pytest.raises(RecordError, match=one_sentence(f"{folder} has no studies.csv; it holds: no CSV file.")):
        read_records(folder)


def test_a_path_that_leads_nowhere(tmp_path):
    path = tmp_path / "none"
    message = f"{path} does not exist; give a folder with studies.csv and outcomes.csv, or an .xlsx file."
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(path)


def test_a_file_of_another_kind(folder):
    path = folder / "studies.csv"
    message = (
        f"{path} is neither a folder nor an .xlsx workbook; give the folder that holds studies.csv and outcomes.csv, "
        "or a workbook with these sheets."
    )
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "BadZipFile"), (b"not a workbook", "BadZipFile"), (b"PK\x05\x06" + b"\0" * 18, "KeyError")],
)
def test_a_broken_workbook(tmp_path, data, problem):
    path = tmp_path / "broken.xlsx"
    path.write_bytes(data)
    message = f"broken.xlsx cannot be read as an Excel workbook ({problem}); open it and save it as .xlsx."
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(path)


def test_a_workbook_without_a_sheet(tmp_path):
    path = workbook(tmp_path / "trials.xlsx", studies=grid(STUDIES), results=grid(OUTCOMES))
    message = "trials.xlsx has no sheet 'outcomes'; its sheets are: studies, results."
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(path)


def test_an_empty_sheet_and_a_wrong_cell_in_a_workbook(tmp_path):
    path = workbook(tmp_path / "trials.xlsx", studies=grid(STUDIES), outcomes=[])
    message = "trials.xlsx, sheet outcomes is empty; its first row must name the columns."
    with pytest.raises(RecordError, match=one_sentence(message)):
        read_records(path)
    workbook(path, studies=grid(STUDIES), outcomes=grid(OUTCOMES.replace("mean", "average")))
    with pytest.raises(RecordError, match=r"^trials\.xlsx, sheet outcomes, row 2, record R1, .* holds 'average', but"):
        read_records(path)


def test_shipped_records():
    assert repr(load_records("il2")) == "TrialRecords('il2': 44 studies, 393 printed figures)"
    with pytest.raises(RecordError, match=r"read it with load_dataset\('bcg'\)\.$"):
        load_records("bcg")
    with pytest.raises(UnknownChoice, match=r"^Unknown data set 'il3'\. Did you mean 'il2'\?"):
        load_records("il3")
