"""The forestplot package, kept from changing the process that uses it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@contextmanager
def own_style() -> Iterator[None]:
    """Let Matplotlib's own defaults hold, so that a picture looks the same whatever style the caller has set."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Restore NumPy's error state, the warning filters and Matplotlib's settings on leaving.

    Importing forestplot silences NumPy and every warning and changes the monospace font, for the whole process;
    calling it warns about pandas' deprecations. Neither is the caller's business.
    """
    with np.errstate(), warnings.catch_warnings(), own_style():
        warnings.simplefilter("ignore")
        yield


def _text_renderer(dpi: float) -> Any:
    """Make a renderer that measures text, in pixels."""
    from matplotlib.backends import backend_agg

    agg: Any = backend_agg
    return agg.RendererAgg(1, 1, dpi)


@contextmanager
def _own_figure(module: Any, ax: Axes) -> Iterator[None]:
    """Let forestplot's `module` measure text without pyplot.

    It asks pyplot for the current figure: that would open one that nobody closes, take the wrong one where several
    are open, and fail on canvases that cannot render to pixels.
    """
    renderer = _text_renderer(ax.figure.dpi)
    canvas = SimpleNamespace(get_renderer=lambda: renderer)
    pyplot = module.plt
    module.plt = SimpleNamespace(gcf=lambda: SimpleNamespace(canvas=canvas))
    try:
        yield
    finally:
        module.plt = pyplot


def draw_forest(ax: Axes, **options: Any) -> Axes:
    """Call ``forestplot.forestplot`` with `options` on `ax`; nothing outside `ax` is changed."""
    with quiet():
        import forestplot
        from forestplot import graph_utils

        plot: Callable[..., Axes] = forestplot.forestplot
        with _own_figure(graph_utils, ax):
            return plot(ax=ax, **options)
