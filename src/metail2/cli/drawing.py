"""What ``forest`` does: fit, draw, and write a file that is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from metail2.cli.analysis import Analysis
from metail2.cli.guard import WrongUse
from metail2.errors import ReportError, UnknownChoice

MOST_STUDIES = 1000


def check_picture(output: Path, transform: str | None) -> None:
    """Refuse, before anything is read, a kind of file or a display transform that does not exist."""
    from metail2.effects.transforms import TRANSFORMS
    from metail2.plots.saving import METADATA

    if output.suffix.lower() not in METADATA:
        raise UnknownChoice("kind of picture", output.name, METADATA)
    if transform is not None:
        _ = TRANSFORMS[transform]


def draw(asked: Analysis, output: Path, transform: str | None, favours: tuple[str, str] | None, common: bool) -> None:
    """Fit the model asked for, and draw it to `output`; `common` adds the common effect of the same studies."""
    from metail2 import RandomEffects, forest
    from metail2.plots.saving import save

    if common and asked.model != "random_effects":
        raise WrongUse(
            f"--common draws a second diamond beside random effects, not beside {asked.model}; leave it out."
        )
    specification, effects = asked.prepared()
    if len(effects) > MOST_STUDIES:
        raise ReportError(
            f"{asked.source.file} has {len(effects)} studies, too many for one picture; draw at most {MOST_STUDIES}."
        )
    result = specification.fit(effects)
    shared = effects.subset([state != "missing_group" for state in result.studies()["state"]])
    other = RandomEffects(tau2="CE", test="z", level=asked.level).fit(shared) if common else None
    sides = favours and (f"Favours {favours[0]}", f"Favours {favours[1]}")
    axes = forest(result, common=other, favours=sides, transform=transform)
    write_whole(output, lambda part: save(axes, part))


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under another name beside `target`, and move it there when it is whole.

    A link stays a link: what it leads to is written. A device or pipe is not replaced but refused.

    Raises
    ------
    ReportError
        If the folder does not exist or cannot be written to (raised from the OSError), or `target` is no ordinary file.
    """
    place = target.resolve()
    if place.exists() and not place.is_file():
        raise ReportError(f"{target} is no ordinary file; give the name of a file.") from FileExistsError(str(target))
    try:
        with TemporaryDirectory(dir=place.parent, prefix=".metail2-") as folder:
            part = Path(folder) / place.name
            write(part)
            part.replace(place)
    except OSError as error:
        raise ReportError(
            f"{target} cannot be written ({error.strerror}); give a file in a folder that exists and that you may "
            "write to."
        ) from error
