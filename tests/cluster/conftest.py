"""A cluster whose hosts have networks and temporary files of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Network, network, possible


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Network]:
    """A network without hosts; what is started there imports nothing of ours but what a search sends."""
    if not possible():
        pytest.skip("network namespaces need root, and the commands ip and unshare")
    with network(tmp_path, PYTHONPATH="") as made:
        yield made
