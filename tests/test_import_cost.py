"""``import metail2``, and pooling plain arrays, stay light: the slow libraries come when they are needed."""

import json
import subprocess
import sys

import pytest

SLOW = ("matplotlib", "forestplot", "statsmodels", "typer", "pandera", "formulaic", "jinja2", "openpyxl")
PREFIX = "import sys, json; import metail2 as m2; "
STEPS = {
    "import": "pass",
    "pool": "m2.pool([0.1, 0.4, 0.3], [0.04, 0.09, 0.02])",
    "tables": "r = m2.pool([0.1, 0.4, 0.3], [0.04, 0.09, 0.02]); r.tidy(); r.glance(); r.studies(); r.summary()",
    "effect sizes": "import pandas as pd; m2.pool(m2.effect_sizes(pd.DataFrame("
    "{'events1': [1, 2], 'n1': [9, 9], 'events2': [3, 4], 'n2': [9, 9]}), 'RR'))",
    "mantel_haenszel": "m2.MantelHaenszel(); m2.Peto()",
}


def loaded_after(code):
    """Top-level names in sys.modules after running `code` in a fresh interpreter."""
    script = f"{PREFIX}{code}\nprint(json.dumps(sorted(name for name in sys.modules if '.' not in name)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("step", list(STEPS))
def test_slow_libraries_are_not_loaded(step):
    assert loaded_after(STEPS[step]) & set(SLOW) == set()


def test_importing_the_package_loads_no_pandas_either():
    assert loaded_after("pass") & {"pandas", "scipy"} == set()


def test_the_check_sees_a_library_that_is_loaded():
    assert "formulaic" in loaded_after("import formulaic")
