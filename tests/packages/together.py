"""Several processes that train one model, without Ray: each does the same work under its own rank.

They are forked from a server that has loaded torch and no more, as autograd works in no process that is forked from one
in which it worked.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from method_cases import CASES, Bench

from searchplat.engine.worker.process_group import join, open_store
from searchplat.errors import PartnerLostError
from trials.sasrec.model import SASRecModel
from trials.training.loop import Loop
from trials.training.ranks import Ranks

Work = Callable[[int], Any]
"""Given its rank; returns what JSON can say, with NaN and infinities."""


def together(workers: int, folder: Path, work: Work, timeout_s: float = 120.0) -> list[Any]:
    """What each rank's work returned; it must be importable, or a `partial` of what is."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["method_cases", "trials.training.loop"])
    folder.mkdir(parents=True, exist_ok=True)
    store, port = open_store("127.0.0.1", workers)
    processes = [context.Process(target=_work, args=(rank, workers, port, folder, work)) for rank in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
    codes = [process.exitcode for process in processes]
    assert codes == [0] * workers, f"exit codes {codes}"
    del store
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(workers)]


def _work(rank: int, workers: int, port: int, folder: Path, work: Work) -> None:
    join(("127.0.0.1", port), rank, workers, gpu=False)
    (folder / f"{rank}.json").write_text(json.dumps(work(rank)))


def still(bench: Bench) -> dict[str, Any]:
    """Settings that switch off what is drawn within a model: dropout, and noise in the choice among experts."""
    without = {name: 0.0 for name in type(bench.config()).model_fields if name.endswith("dropout")}
    return without | ({"experts": 1} if bench.case.method == "unisrec" else {})


def start(bench: Bench, folder: Path, rank: int = 0, workers: int = 1, **values: Any) -> Loop:
    job = replace(bench.job(folder, **still(bench), **values), rank=rank, workers=workers)
    return bench.method.start(job)


def epochs(loop: Loop, most: int = 9) -> list[dict[str, float]]:
    """What each epoch reports, checkpoints written; times and memory are the process's own."""
    found: list[dict[str, float]] = []
    loop.restore()
    while loop.epoch < loop.epochs and len(found) < most:
        metrics = loop.run_epoch()
        loop.save()
        found.append({name: metrics[name] for name in metrics if not name.startswith(("time/", "memory/"))})
    return found


def in_step(name: str, cache: Path, folder: Path, workers: int, rank: int) -> list[dict[str, float]]:
    return epochs(start(Bench(CASES[name], cache), folder, rank, workers))


def exchanged(rank: int) -> dict[str, Any]:
    ranks = Ranks(rank, 2, torch.device("cpu"))
    used, unused, one_sided = (torch.zeros(2, requires_grad=True) for _ in range(3))
    used.grad = torch.full((2,), 1.0 + rank)
    if rank:
        one_sided.grad = torch.ones(2)
    refused = ranks.add_gradients([used, unused, one_sided], done=not rank)
    before = used.grad.tolist()
    added = ranks.add_gradients([used, unused, one_sided], done=True)
    own = torch.full((2,), float(rank + 5))
    ranks.take_from_first([own])
    try:
        ranks.agree(rank, "the epoch")
        agreed = True
    except PartnerLostError:
        agreed = False
    return {
        "refused": refused, "before": before, "added": added, "used": used.grad.tolist(),
        "unused": unused.grad is None, "one_sided": one_sided.grad.tolist() if one_sided.grad is not None else None,
        "own": own.tolist(), "agreed": agreed, "same": ranks.agree(4, "the epoch"),
        "values": ranks.add_values({"b": float(rank), "a": 1.0}),
    }  # fmt: skip


class Narrow(SASRecModel):
    """Runs out of memory where more than four windows come at once, in the second worker alone."""

    rank = 0

    def loss(self, batch: Any) -> Any:
        if self.rank and len(batch) > 4:
            raise MemoryError("planted")
        return super().loss(batch)


def in_small_parts(cache: Path, folder: Path, rank: int) -> list[Any]:
    loop = start(Bench(CASES["sasrec"], cache), folder, rank, 2, batch_size=32)
    loop.model.__class__ = type("Narrow", (Narrow,), {"rank": rank})
    return [*epochs(loop), loop.metrics["memory/parts"]]


def resumed(cache: Path, folder: Path, workers: int, most: int, rank: int) -> list[Any]:
    return epochs(start(Bench(CASES["sasrec"], cache), folder, rank, workers, epochs=3), most)
