"""The README does what it says: its page on adding a method is followed to the letter, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
FILES = {"toml": "pyproject.toml", "python": "lastitem.py", "yaml": "space.yaml"}


def page() -> str:
    text = README.read_text(encoding="utf-8")
    start = text.index("## Add a method")
    return text[start : text.index("\n## ", start)]


def test_the_page_on_adding_a_method_is_short() -> None:
    assert len(page().strip().splitlines()) <= 60


@pytest.mark.timeout(280)
def test_following_the_page_gives_a_method_that_a_search_runs(tmp_path: Path) -> None:
    for language, body in re.findall(r"```(\w+)\n(.*?)```", page(), flags=re.DOTALL):
        (tmp_path / FILES[language]).write_text(body, encoding="utf-8")
    command = re.search(r"`(pip install -e \. && searchplat search space\.yaml)`", page())
    assert command is not None

    # An environment beside this one, in which searchplat is installed already.
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    own = next((environment / "lib").glob("python*/site-packages"))
    outer = next(path for path in site.getsitepackages() if Path(path).is_dir())
    (own / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    for name, module in [("searchplat", "searchplat.cli"), ("pip", "pip._internal.cli.main")]:
        script = environment / "bin" / name
        script.write_text(f"#!{environment}/bin/python\nfrom {module} import main\nmain()\n")
        script.chmod(0o755)

    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    # The build backend comes from the test environment: no network in tests.
    variables = {**os.environ, "PATH": path, "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    variables.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        ["bash", "-c", command[1]], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=270
    )
    assert done.returncode == 0, done.stdout + done.stderr

    shown = subprocess.run(
        ["searchplat", "best", "space", "--json"], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)
