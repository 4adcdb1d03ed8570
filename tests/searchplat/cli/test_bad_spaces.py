"""No wrong space file starts anything: exit code 2, the place on stderr, no traceback, no Ray."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

CORPUS = sorted((Path(__file__).parents[2] / "corpus" / "bad_spaces").glob("*.yaml"))
_PLACE = re.compile(r":\d+:\d+\b")


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_bad_space_names_the_place_and_starts_nothing(cli: Callable[..., Result], path: Path) -> None:
    result = cli("search", str(path))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert f"{path}" in result.stderr
    assert _PLACE.search(result.stderr), result.stderr
    assert "Traceback" not in result.output
    assert not list(Path.cwd().iterdir()), "something was started"


@pytest.mark.parametrize("path", CORPUS[:: max(1, len(CORPUS) // 3)], ids=lambda path: path.stem)
def test_ray_is_not_even_loaded(path: Path) -> None:
    code = (
        "import sys\n"
        "from searchplat.cli import main\n"
        f"sys.argv = ['searchplat', 'search', {str(path)!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert end.code == 2, end.code\n"
        "assert not {'ray', 'torch', 'mlflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) > 20
