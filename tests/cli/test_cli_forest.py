import os
import re

import pytest

TEXT = re.compile(r"<!-- (.*?) -->", re.DOTALL)


def words(path):
    """The text of an SVG picture; its letters are shapes, each piece with a comment that says what it reads."""
    return "\n".join(TEXT.findall(path.read_text(encoding="utf-8"))).replace("\xa0", " ")


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")])
def test_kinds_of_picture(run, table, folder, suffix, start):
    ended = run("forest", table(), "--measure", "RR", "--output", f"fig{suffix}")
    assert ended == (0, f"fig{suffix}\n", "")
    assert (folder / f"fig{suffix}").read_bytes().startswith(start)
    assert sorted(path.name for path in folder.iterdir()) == [f"fig{suffix}", "trials.csv"]


def test_options_reach_the_picture(run, folder, bcg):
    options = ["--tau2", "DL", "--level", "0.9", "--common", "--favours", "BCG", "no vaccine"]
    assert run("forest", *bcg, *options, "--output", "fig.svg").status == 0
    text = words(folder / "fig.svg")
    for expected in ("Random effects (DL)", "Common effect", "← Favours BCG", "Favours no vaccine →", "90% CI"):
        assert expected in text


def test_a_transform(run, folder, table):
    name = table("A,0.1,0.04", "B,0.3,0.05", "C,0.2,0.05", header="study,yi,vi")
    assert run("forest", name, "--measure", "GEN", "--transform", "percent_change", "--output", "fig.svg").status == 0
    assert "Percentage change" in words(folder / "fig.svg")


@pytest.mark.parametrize("options", ["--measure RR --model mantel_haenszel", "--measure PETO --model peto"])
def test_other_models(run, folder, table, options):
    assert run("forest", table(), *options.split(), "--output", "fig.svg").status == 0
    assert "Common effect (" in words(folder / "fig.svg")


def test_one_study_is_drawn(run, folder, table):
    assert run("forest", table("A,1,10,2,10"), "--measure", "RR", "--common", "--output", "fig.svg").status == 0
    assert "nothing is pooled" in words(folder / "fig.svg")


def test_a_picture_is_replaced(run, folder, table):
    (folder / "fig.svg").write_text("old")
    assert run("forest", table(), "--measure", "RR", "--output", "fig.svg").status == 0
    assert (folder / "fig.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_an_old_picture_stays_where_the_new_one_fails(run, folder, table):
    (folder / "fig.svg").write_text("old")
    assert run("forest", table("A,11,10,2,10"), "--measure", "RR", "--output", "fig.svg").status == 1
    assert (folder / "fig.svg").read_text() == "old"


NO_PLACE = "give a file in a folder that exists and that you may write to."


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("fig.gif", "Unknown kind of picture 'fig.gif'. Choose from: .png, .svg, .pdf."),
        ("fig", "Unknown kind of picture 'fig'. Choose from: .png, .svg, .pdf."),
        ("no/fig.svg", f"no/fig.svg cannot be written (No such file or directory); {NO_PLACE}"),
        ("trials.csv/fig.svg", f"trials.csv/fig.svg cannot be written (Not a directory); {NO_PLACE}"),
    ],
)
def test_a_place_that_cannot_be_written_to(run, table, untouched, output, message):
    table()
    untouched()
    ended = run("forest", "trials.csv", "--measure", "RR", "--output", output)
    assert ended == (2, "", f"error: {message}\n")


def test_a_folder_in_the_place_of_the_picture(run, folder, table):
    (folder / "fig.svg").mkdir()
    ended = run("forest", table(), "--measure", "RR", "--output", "fig.svg")
    assert ended == (2, "", "error: fig.svg is no ordinary file; give the name of a file.\n")
    assert sorted(path.name for path in folder.iterdir()) == ["fig.svg", "trials.csv"]


def test_too_many_studies(run, table, untouched):
    table(*(f"s{i},1,10,2,10" for i in range(1001)))
    untouched()
    ended = run("forest", "trials.csv", "--measure", "RR", "--output", "fig.svg")
    message = "trials.csv has 1001 studies, too many for one picture; draw at most 1000."
    assert ended == (1, "", f"error: {message}\n")


def test_two_common_effects_are_one_too_many(run, table, untouched):
    table()
    untouched()
    ended = run("forest", "trials.csv", "--measure", "RR", "--model", "mantel_haenszel", "--common", "-o", "x.svg")
    message = "--common draws a second diamond beside random effects, not beside mantel_haenszel; leave it out."
    assert ended == (2, "", f"error: {message}\n")


def test_a_link_stays_a_link_and_a_pipe_is_no_place(run, table, folder):
    name = table()
    (folder / "there.svg").write_text("old")
    (folder / "link.svg").symlink_to("there.svg")
    assert run("forest", name, "--measure", "RR", "--output", "link.svg").status == 0
    assert (folder / "link.svg").is_symlink()
    assert (folder / "there.svg").read_text(encoding="utf-8").startswith("<?xml")
    os.mkfifo(folder / "pipe.svg")
    ended = run("forest", name, "--measure", "RR", "--output", "pipe.svg")
    assert (ended.status, ended.err) == (2, "error: pipe.svg is no ordinary file; give the name of a file.\n")
