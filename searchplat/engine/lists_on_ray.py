"""Lists for many users by Ray Data: each process has the model, batches come back in order.

What a batch is and who writes it is `searchplat.lists.making`'s business.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchplat.engine.cluster.auth import load_ray
from searchplat.engine.worker.environment import quiet_environment
from searchplat.lists.making import Batch, Wanted, one_batch, open_listing
from searchplat.methods import allow_imports

_BLOCKS = 1000
"""Parts that the work is cut into at most; each is done by one process, whole."""


class _Worker:
    """A process with the model.

    Args:
        rows_U: Of all users who are asked about.
    """

    def __init__(self, wanted: Wanted, rows_U: NDArray[np.int64]) -> None:
        from searchplat.assets import AssetStore

        if wanted.allow_import:
            allow_imports()
        self._wanted, self._rows_U = wanted, rows_U
        self._listing = open_listing(wanted, AssetStore())

    def __call__(self, numbers: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The lists of one batch, by its number."""
        (number,) = numbers["id"].tolist()
        rows_B, items_BK, scores_BK = one_batch(self._listing, self._wanted, self._rows_U, number)
        return {"user": rows_B, "items": items_BK, "scores": scores_BK}


def batches_on_ray(wanted: Wanted, rows_U: NDArray[np.int64], batches: int, workers: int) -> Generator[Batch]:
    """As `searchplat.lists.making.batches`, by several processes of a Ray on this machine."""
    # Ray's core warns on stderr of actors whose arguments are large; Ray Data makes ours so.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    load_ray(None)
    import ray

    from searchplat.engine.cluster.connect import connected

    with connected(None, quiet_environment()):
        import ray.data

        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # Ray Data numbers the batches in tasks of one core, for which the processes with the model leave room.
        cores = float(ray.cluster_resources().get("CPU", 1))
        share = int(100 * max(0.0, cores - 1) / workers) / 100
        found = ray.data.range(batches, override_num_blocks=min(batches, _BLOCKS)).map_batches(
            _Worker,
            fn_constructor_kwargs={"wanted": wanted, "rows_U": rows_U},
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=min(1.0, share),
        )
        for part in found.iter_batches(batch_size=None, batch_format="numpy"):
            yield part["user"], part["items"], part["scores"]
