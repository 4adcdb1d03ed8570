"""How soon DARec ranks well on Scientific, with items read once ahead of training and with items read word by word.

    python tests/benchmarks/time_to_quality.py                    until a validation NDCG@10 of 0.05
    python tests/benchmarks/time_to_quality.py --smoke            generated data, random tiny weights: whether it runs

Both forms are the scale `evening` of spaces/darec.yaml with L_seq alone; the one without item states has `item_layers:
0`, so that the same number of layers, the first instead of those behind the 20th, is adapted and sees each title's
tokens. They train side by side, each in a process of its own with one thread, taking turns of an eighth of an epoch, so
that whatever else the machine does costs both alike. After each turn the first users are ranked, and all of them once
those are near the target: the first turn after which all users have it is the crossing. Seconds are the process's CPU
seconds: for preparing with a cold cache (data, item states; not the download of weights), for building the model, and
for training; ranking is in none of them, nor is loading libraries.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

ALIKE = ["lambda_align=0", "lambda_cl=0", "lambda_cf=0", "head_dropout=0.5", "learning_rate=0.001"]
FORMS: dict[str, list[str]] = {
    "with item states": [],
    "without": ["item_layers=0", "item_pooling=tokens", "join_special=false"],
}
TURNS = 8
"""An epoch has so many."""

NEAR = 0.95
"""Share of the target from which on all users are ranked and not the first alone."""

SOME = 1000
"""Users who are ranked first."""


class _Cold:
    """The user's cache for weights, an empty one for all that is prepared."""

    def __init__(self, folder: Path) -> None:
        from searchplat.assets import AssetStore

        own, cold = AssetStore(), AssetStore(folder)
        self.fetch, self.digest, self.folder = own.fetch, own.digest, cold.folder


class _EndedError(Exception):
    """No further turn."""


def train(form: str, overrides: list[str], scale: str, target: float, seed: int, folder: str, line: Connection) -> None:
    """Prepare, build and train in this process, a turn at each word from the other side of the line."""
    import torch
    from transformers import AutoModel, AutoTokenizer  # noqa: F401  (now, since they load at first use)

    from searchplat.contract import DataRequest, TrialJob, WarmCache
    from searchplat.engine.planning.configuration import full_config
    from searchplat.methods import load_method
    from searchplat.spec import find_space, load
    from trials.backbones.names import RANDOM_DECODERS
    from trials.training.measures import metrics
    from trials.training.measures.evaluation import rankings

    torch.set_num_threads(1)
    spec = load(find_space("darec"), scale=scale, overrides=overrides)
    method = load_method(spec.method)
    config = method.Config(**full_config(spec.method, spec.fixed))
    request = DataRequest(spec.data.name, spec.data.options, 1.0, spec.seed)
    assets: Any = _Cold(Path(folder) / "cache")
    if config.backbone not in RANDOM_DECODERS:
        assets.fetch(config.backbone)
    line.recv()
    mark = time.process_time()
    method.prepare(config, request, assets)
    prepared = time.process_time() - mark
    line.send({"prepared": prepared})
    line.recv()
    mark = time.process_time()
    loop: Any = method.start(TrialJob(None, config, request, seed, Path(folder), assets, WarmCache()))
    built = time.process_time() - mark
    line.send({"built": built})
    line.recv()
    trained, mark, steps = 0.0, time.process_time(), 0
    queries, targets_U = loop.data.valid_queries(), loop.data.valid_target_U

    def quality(users: int) -> float:
        ranked = rankings(
            loop.model, queries.rows(0, users), targets_U[:users], [None],
            batch_size=config.eval_batch_size, rank_met=loop.data.rank_met,
        )  # fmt: skip
        return float(metrics.summarise(ranked.ranks_CU[0], ["ndcg@10"])["ndcg@10"])

    def after_batch(phase: str, done: int, batches: int) -> None:
        nonlocal trained, mark, steps
        if phase != "train":
            return
        steps += 1
        if done * TURNS // batches == (done - 1) * TURNS // batches:
            return
        trained += time.process_time() - mark
        some, every = quality(min(SOME, len(targets_U))), None
        if some >= NEAR * target or done == batches:
            every = quality(len(targets_U))
        line.send({"steps": steps, "epochs": steps / batches, "trained": trained, "some": some, "all": every})
        if line.recv() == "end":
            raise _EndedError
        mark = time.process_time()

    loop.progress = after_batch
    try:
        while loop.epoch < loop.epochs:
            mark = time.process_time()
            loop.run_epoch()
    except _EndedError:
        pass
    line.send(None)


def race(overrides: Mapping[str, list[str]], scale: str, target: float, seed: int) -> dict[str, dict[str, Any]]:
    """Let the forms take turns until each has reached the target or trained to its end; what each had at the last."""
    context = multiprocessing.get_context("spawn")
    lines: dict[str, Connection] = {}
    found: dict[str, dict[str, Any]] = {form: {"reached": False} for form in overrides}
    with tempfile.TemporaryDirectory() as name:
        team = []
        for form, values in overrides.items():
            ours, theirs = context.Pipe()
            folder = Path(name) / str(len(team))
            arguments = (form, values, scale, target, seed, str(folder), theirs)
            team.append(context.Process(target=train, args=arguments, daemon=True))
            team[-1].start()
            theirs.close()
            lines[form] = ours
        while lines:
            for form in list(lines):
                # One at a time: the other waits for its turn.
                lines[form].send("end" if found[form]["reached"] else "go on")
                said = lines[form].recv()
                if said is None:
                    del lines[form]
                    continue
                found[form] |= said
                if said.get("all") is not None and said["all"] >= target:
                    found[form]["reached"] = True
                print(f"{form}: {', '.join(f'{key} {_short(value)}' for key, value in said.items())}", flush=True)
        for one in team:
            one.join()
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=float, default=0.05, help="of NDCG@10 on validation, all users")
    parser.add_argument("--epochs", type=int, default=3, help="over which the learning rate falls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="further settings of both, such as learning_rate=5e-4")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    alike = [*ALIKE, f"epochs={given.epochs}", *given.set]
    if given.smoke:
        alike += ["num_layers=1", "item_layers=1", "item_pooling=mean", "join_special=true"]
    forms = {form: [*alike, *own] for form, own in FORMS.items()}
    found = race(forms, "smoke" if given.smoke else "evening", given.target, given.seed)
    print(f"\nCPU seconds of one core to a validation NDCG@10 of {given.target:g}, seed {given.seed}:")
    print(f"{'form':18} {'prepare':>8} {'build':>8} {'train':>8} {'in all':>8} {'epochs':>7} {'NDCG@10':>8}")
    for form, said in found.items():
        total = said["prepared"] + said["built"] + said["trained"]
        end = "" if said["reached"] else "  not reached"
        print(f"{form:18} {said['prepared']:>8.1f} {said['built']:>8.1f} {said['trained']:>8.1f} {total:>8.1f}"
              f" {said['epochs']:>7.2f} {said['all'] or said['some']:>8.4f}{end}")  # fmt: skip
    if all(said["reached"] for said in found.values()):
        sums = [said["prepared"] + said["built"] + said["trained"] for said in found.values()]
        trained = [said["trained"] for said in found.values()]
        print(f"without takes {sums[1] / sums[0]:.2f} times as long in all, {trained[1] / trained[0]:.2f} in training")
    return 0


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
