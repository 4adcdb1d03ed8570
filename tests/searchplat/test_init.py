"""What `import searchplat` offers, and that it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import searchplat


def test_every_name_is_there_and_documented() -> None:
    for name in set(searchplat.__all__) - {"__version__"}:
        assert getattr(searchplat, name).__doc__
    assert set(searchplat.__all__) <= set(dir(searchplat))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = searchplat.nothing


def test_importing_it_loads_nothing_but_itself() -> None:
    code = "import sys; before = set(sys.modules); import searchplat; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"searchplat"}
    assert "searchplat.errors" not in done.stdout.split()


TYPED = """\
import searchplat as sp

search: sp.Search = sp.search("darec", trials=20, overrides={"epochs": 1})
reveal_type(search.best(2)[0].value)
study = sp.Study("darec", seed=1)
reveal_type(study.ask().params)
study.tell(study.ask(), "good")
"""


@pytest.mark.slow  # mypy reads the whole platform
@pytest.mark.timeout(900)
def test_type_checkers_see_the_names(tmp_path: object) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "-c", TYPED]
    done = subprocess.run(command, capture_output=True, text=True)
    assert 'float | None"' in done.stdout, done.stdout + done.stderr
    assert "dict[" in done.stdout
    assert 'has incompatible type "str"' in done.stdout
