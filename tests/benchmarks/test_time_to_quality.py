"""The benchmark runs: what it times changes with the package, and nobody runs it every day."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_both_forms_reach_a_target_on_generated_data() -> None:
    script = Path(__file__).with_name("time_to_quality.py")
    done = subprocess.run([sys.executable, script, "--smoke"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "without takes" in done.stdout
