"""What all tests share: the rehearsal method on the path, and nothing of the user's own settings."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import hypothesis
import pytest

PACKAGES = str(Path(__file__).parent / "packages")

# Under nohup the tests' processes would inherit that this signal is not heard, and some tests send it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Also for processes that tests start: Ray's workers, the command line.
sys.path.insert(0, PACKAGES)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH")]))
os.environ["HF_HUB_OFFLINE"] = "1"
# Two processes of tests, each with as many threads as there are cores, take several times as long as with one each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray reads it when a test's module imports it, and searches in this process start a Ray of their own.
os.environ["RAY_AUTH_MODE"] = "token"

# A busy machine or a first import is no failure of the property; and the same examples each time, so that what fails
# a run is the change. `--hypothesis-profile search` looks for new ones.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=500)
hypothesis.settings.load_profile("same")


ONE_AT_A_TIME = ("faults", "cluster")
"""Folders of tests that kill, cut off and hang what runs, and count seconds: at once they would disturb each other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file stay together with what they share, where pytest-xdist shares them out (`--dist loadgroup`)."""
    numbers: dict[str, int] = {}
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        # Numbers, since pytest-xdist puts them behind each test's name.
        number = 0 if path.parts[0] in ONE_AT_A_TIME else numbers.setdefault(str(path), len(numbers) + 1)
        item.add_marker(pytest.mark.xdist_group(str(number)))


@pytest.fixture(autouse=True)
def _own_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches and stores land in the test's own folder, and modules are found where they were before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SEARCHPLAT_RUNS", raising=False)
