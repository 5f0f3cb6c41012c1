"""Pictures to files: the same picture gives the same bytes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metail2.errors import MetailError, ReportError
from metail2.plots.quiet import own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PNG_DPI = 200
# What Matplotlib writes by itself and would differ between runs (dates) or machines (versions) is switched off.
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}
SETTINGS: dict[Any, Any] = {"svg.hashsalt": "metail2", "svg.fonttype": "path", "pdf.fonttype": 42}


def _title(figure: Figure) -> str:
    """Join the labels that the pictures on `figure` carry (``Axes.set_label``); Matplotlib's own begin with "<"."""
    labels = [str(ax.get_label()) for ax in figure.axes]
    return "; ".join(label for label in labels if label and not label.startswith("<"))


def _render(figure: Figure, suffix: str) -> bytes:
    import matplotlib as mpl

    buffer = BytesIO()
    metadata = METADATA[suffix] | {"Title": _title(figure)}
    # Matplotlib's defaults, not the caller's style, decide what is read while drawing.
    with own_style(), mpl.rc_context(SETTINGS):
        figure.savefig(buffer, format=suffix[1:], dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()


def save(picture: Axes | Figure, path: str | Path) -> Path:
    """Write a picture as PNG (200 dpi), SVG or PDF, by the suffix of `path`.

    SVG text is written as outlines, so that columns stay aligned on any machine; the file has a title.


    Parameters
    ----------
    picture : Axes or Figure
        What a function of `metail2.plots` returned, or its figure.
    path : str or Path
        Where to write; the folder must exist.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    MetailError
        For a suffix other than .png, .svg and .pdf.
    ReportError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in METADATA:
        raise MetailError(f"A picture is saved as {', '.join(METADATA)}, not as {target.name!r}: change the suffix.")
    figure = picture if isinstance(picture, Figure) else picture.figure
    content = _render(figure, suffix)  # type: ignore[arg-type]
    try:
        target.write_bytes(content)
    except OSError as error:
        raise ReportError(f"Cannot write the picture to {target}: {error.strerror or error}.") from error
    return target
