"""The method as the platform sees it."""

from __future__ import annotations

import subprocess
import sys

from searchplat.methods import load_method
from trials.darec import DARec, DARecConfig


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys; from trials.darec import DARec; DARec.Config(num_layers=2); DARec().layout_layers(DARec.Config());"
        "print([m for m in ('torch', 'transformers', 'scipy', 'ray', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_found_as_a_method() -> None:
    method = load_method("darec")
    assert isinstance(method, DARec)
    assert method.Config is DARecConfig
    assert method.layout_layers(DARecConfig(num_layers=6, replace_every=4)) == 1
