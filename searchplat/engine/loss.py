"""Whether a trial's worker died alone or with its whole host: the one counts against the trial, the other does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FAILURE = "Failure # "
_RAY_SAYS = "because its node has died"


def host_died(trial: Any) -> bool:
    """Whether Ray says of a trial's last failure that the node was lost.

    Tune keeps what Ray said in a text beside the trial, in the driver's own folder; its callbacks are not told.

    Args:
        trial: Tune's.
    """
    path = trial.error_file
    if path is None or not Path(path).exists():
        return False
    return _RAY_SAYS in Path(path).read_text(encoding="utf-8", errors="replace").rpartition(_FAILURE)[2]
