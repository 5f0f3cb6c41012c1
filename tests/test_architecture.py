"""The house plan of ARCHITECTURE.md, read from the syntax of every module.

What counts as an import: every ``import`` and ``from … import`` in a module, also inside a function and under
``TYPE_CHECKING``, because a layer must not even know the names of a higher one. Two exemptions, both narrow: the
package's own ``__init__`` is the index of public names and may name anything; and for *cycles* imports under
``TYPE_CHECKING`` do not count, because they never run.
"""

import ast
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "metail2"

# parts of the house in the order of ARCHITECTURE.md, with their layer; later parts of a layer may import earlier ones
LAYERS = {
    "errors": 0, "registry": 0, "wording": 0,
    "kernels": 1,
    "conversions": 2, "effects": 2,
    "records": 3,
    "results": 4,
    "models": 5,
    "analysis": 6, "checks": 6, "batch": 6,
    "plots": 7,
    "report": 8,
    "cli": 9, "__main__": 9,
}  # fmt: skip
ORDER = list(LAYERS)
NUMBERS = {"numpy", "scipy"}
TABLES = NUMBERS | {"pandas"}
THIRD_PARTY = {
    0: set(),
    1: NUMBERS,
    2: TABLES,
    3: TABLES | {"pandera", "openpyxl"},
    4: TABLES,
    5: TABLES | {"formulaic", "statsmodels"},
    6: TABLES | {"formulaic", "statsmodels", "tqdm"},
    7: TABLES | {"matplotlib", "forestplot"},
    8: TABLES | {"jinja2", "pydantic", "statsmodels", "matplotlib", "forestplot"},
    9: TABLES | {"typer", "click", "rich", "matplotlib"},
}
FORBIDDEN = {"records": {"results"}, "results": {"records"}, "models": {"records"}, "plots": {"models"}}
"""Parts that may not be imported although their layer is lower (the table gives models 0–2 and 4, not 3)."""
SLOW = {"matplotlib", "forestplot", "statsmodels", "formulaic", "pandera", "jinja2", "tqdm"}
"""Libraries that are imported inside the functions that need them."""


@dataclass(frozen=True)
class Import:
    name: str
    line: int
    typing_only: bool
    at_top: bool


def imports(tree):
    """Every absolute import of a module, as dotted names; ``from a import b`` gives a and a.b."""
    found = []

    def walk(node, typing_only, at_top):
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, typing_only, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found.extend(Import(name, node.lineno, typing_only, at_top) for name in names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                walk(child, True, at_top)
            for child in node.orelse:
                walk(child, typing_only, at_top)
        else:
            inside = at_top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                walk(child, typing_only, inside)

    walk(tree, False, True)
    return found


def part_of(module):
    """Part of the house that a dotted module name belongs to, e.g. ``metail2.kernels.wls`` → ``kernels``."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def layer_faults(module, tree):
    """What a module imports that its layer may not."""
    part = part_of(module)
    if part == "":
        return []
    if part not in LAYERS:
        return [f"{module}: {part!r} is no part of ARCHITECTURE.md"]
    faults = []
    for found in imports(tree):
        top = found.name.split(".")[0]
        if top == "metail2":
            faults += _inner_fault(module, part, found)
        elif top not in sys.stdlib_module_names and top not in THIRD_PARTY[LAYERS[part]]:
            faults.append(f"{module}:{found.line} imports {top}, which layer {LAYERS[part]} may not")
        elif top in SLOW and found.at_top and not found.typing_only:
            faults.append(f"{module}:{found.line} imports {top} at the top; import it in the function that needs it")
    return faults


def _inner_fault(module, part, found):
    other = part_of(found.name)
    if other == "" or other == part or other not in LAYERS:
        return []
    if ORDER.index(other) > ORDER.index(part) or other in FORBIDDEN.get(part, set()):
        return [f"{module}:{found.line} imports {found.name}, which stands above it or is closed to it"]
    return []


def graph(trees):
    """Which modules a module imports when it runs, at the top or in a function."""
    return {
        module: {found.name for found in imports(tree) if not found.typing_only and found.name in trees} - {module}
        for module, tree in trees.items()
    }


def cycles(edges):
    """Modules that import themselves by way of others, as paths."""
    found, done = [], set()

    def visit(module, path):
        if module in path:
            found.append(" → ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for other in sorted(edges[module]):
                visit(other, [*path, module])
            done.add(module)

    for module in sorted(edges):
        visit(module, [])
    return found


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function):
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def without_docstring(tree):
    """Public functions, classes and methods that do not say what they are."""
    missing = []

    def look(node, prefix):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if child.name.startswith("_"):
                    continue
                if ast.get_docstring(child) is None and not _is_overload(child):
                    missing.append(f"{prefix}{child.name}")
                if isinstance(child, ast.ClassDef):
                    look(child, f"{child.name}.")

    look(tree, "")
    return missing


def _is_overload(node):
    return any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)


def prints(tree):
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def load():
    trees = {}
    for file in sorted(SOURCE.rglob("*.py")):
        pieces = file.relative_to(SOURCE.parent).with_suffix("").parts
        trees[".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)] = ast.parse(file.read_text("utf-8"))
    return trees


TREES = load()
MODULES = sorted(TREES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    assert layer_faults(module, TREES[module]) == []


def test_there_is_no_import_cycle():
    edges = graph(TREES)
    edges["metail2"] = set()  # the index imports on first use only
    assert cycles(edges) == []


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_readable(module):
    file = SOURCE.parent / Path(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    assert len(file.read_text("utf-8").splitlines()) <= 500


@pytest.mark.parametrize("module", MODULES)
def test_functions_stay_short(module):
    long = {f.name: body_lines(f) for f in functions(TREES[module]) if body_lines(f) > 60}
    assert long == {}


def test_the_median_function_has_at_most_ten_lines():
    assert statistics.median(body_lines(f) for tree in TREES.values() for f in functions(tree)) <= 10


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_says_what_it_is(module):
    assert ast.get_docstring(TREES[module])
    assert without_docstring(TREES[module]) == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_prints(module):
    assert part_of(module) == "cli" or prints(TREES[module]) == []


# ------------------------------------------------------------------------------------- the checker can fail
BAD = '''
"""A kernel that breaks every rule."""
from typing import TYPE_CHECKING
import pandas as pd
from metail2.models.base import PooledResult
if TYPE_CHECKING:
    from metail2.report import build

def public(x):
    import typer
    print(x)

class Shown:
    def method(self):
        return 1
    def _private(self):
        return 1
'''


def test_the_checker_sees_wrong_layers_and_packages():
    faults = layer_faults("metail2.kernels.bad", ast.parse(BAD))
    for name in ("pandas", "metail2.models.base", "metail2.report", "typer"):
        assert any(f"imports {name}" in fault for fault in faults), name
    assert not any("typing" in fault for fault in faults)


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("metail2.conversions.new", "from metail2.effects.compute import effect_sizes", True),
        ("metail2.effects.new", "from metail2.conversions import log_fold", False),
        ("metail2.plots.new", "def f():\n    from metail2.models.base import PooledResult", True),
        ("metail2.plots.new", "from metail2.results import Result", False),
        ("metail2.models.new", "from metail2.records.reading import read_records", True),
        ("metail2.report.new", "from metail2.plots.forest import forest", False),
        ("metail2.wording", "from metail2.errors import MetailError", False),
        ("metail2.errors", "from metail2.wording import number", True),
        ("metail2.plots.new", "import matplotlib", True),
        ("metail2.plots.new", "def f():\n    import matplotlib", False),
        ("metail2.helpers", "import os", True),
        ("metail2.models.new", "def f():\n    import matplotlib", True),
    ],
)
def test_the_checker_knows_the_layers(module, line, fault):
    assert bool(layer_faults(module, ast.parse(line))) is fault


def test_the_checker_sees_cycles_through_functions_but_not_through_annotations():
    first = ast.parse("def f():\n    import metail2.models.b")
    second = ast.parse("import metail2.models.a")
    assert cycles(graph({"metail2.models.a": first, "metail2.models.b": second}))
    typed = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import metail2.models.b")
    assert cycles(graph({"metail2.models.a": typed, "metail2.models.b": second})) == []


def test_the_checker_sees_long_functions_missing_docstrings_and_prints():
    tree = ast.parse(BAD)
    assert without_docstring(tree) == ["public", "Shown", "Shown.method"]
    assert prints(tree) == [11]
    long = ast.parse('def f():\n    """Doc."""\n' + "    x = 1\n" * 61).body[0]
    assert body_lines(long) == 61


def test_the_checker_reads_the_package():
    assert len(MODULES) > 50
    assert {part_of(module) for module in MODULES} - {""} <= set(LAYERS)
