"""The environment of a trial's process."""

from __future__ import annotations

import os

from searchplat.environment import adopt
from searchplat.paths import from_environment


def quiet_environment() -> dict[str, str]:
    """Environment of a trial's process: no hub requests, no progress bars of libraries, our cache."""
    # A trial works in a folder of its own.
    folders = {name: from_environment(name) for name in ("SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "HF_HOME")}
    return {
        **{name: str(folder) for name, folder in folders.items() if folder is not None},
        **{name: os.environ[name] for name in ("SEARCHPLAT_OFFLINE",) if name in os.environ},
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }


def enter_host() -> None:
    """Make a worker's process one of its host: with the host's own folders, and off the hub."""
    adopt(os.environ)
    os.environ["HF_HUB_OFFLINE"] = "1"
