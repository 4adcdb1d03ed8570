"""What masks cost: `python tests/benchmarks/cramer_masks.py`, with `--help` for the sizes.

Scores all items for users with 50 items each, at RecBole's sizes and with all matrices maskable, in three ways that
run in turn, so that a busy machine slows all alike. The text encoder is in none of them.

* bare:     the frozen backbone;
* masks:    the same, each user under gates of its own, which are there already;
* requests: the same from the vectors of 256 requests: their projection to logits and the choice of the k largest too.

Time is the process's CPU time, medians are compared; memory is the most that torch held at once, counted by its
profiler. Bounds: masks take at most 1.15 times the time and 1.1 times the memory of the bare backbone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from trials.backbones.encoders.request_encoder import FrozenRequests
from trials.backbones.encoders.text_encoder import TextEncoder
from trials.backbones.recommenders.frozen import blank_recommender, carried
from trials.cramer import CRAMERConfig
from trials.cramer.model import CRAMERModel
from trials.cramer.requests import HistoryTexts
from trials.data.preparing.dataset import Queries

LENGTH, WIDTH = 50, 384
"""Items of a history, and width of MiniLM's vectors."""

TIME_BOUND, MEMORY_BOUND = 1.15, 1.1


def setting(backbone: str, users: int, items: int) -> tuple[CRAMERModel, Queries, torch.Tensor]:
    """A model with random weights, histories, and vectors of requests."""
    torch.manual_seed(0)
    config = CRAMERConfig(backbone=backbone)  # type: ignore[arg-type]
    blank = carried(blank_recommender(config.backbone, config.backbone_settings, items))
    requests = FrozenRequests(TextEncoder("none", None, lambda texts: [], 0, WIDTH), 512, "cpu", None)
    model = CRAMERModel(config, blank, requests, "data", HistoryTexts([], 3), None).eval()
    offsets = np.arange(users + 1) * LENGTH
    drawn = np.random.default_rng(0).integers(items, size=users * LENGTH)
    return model, Queries(np.full(users, -1), drawn, offsets), torch.randn(users, WIDTH)


def seconds(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 2):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if repeat >= 2:  # the first two rounds warm up
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_bytes(way: Callable[[], object]) -> int:
    """The most that torch held at once beyond what it held before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        way()
    held = most = 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def main() -> int:
    """Print the ratios; 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--items", type=int, default=5207, help="the paper's ReDial has 5,207")
    parser.add_argument("--backbone", choices=["sasrec", "bert4rec"], default="sasrec")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        model, queries, vectors_BW = setting(options.backbone, options.users, options.items)
        gates_BG = model.gates_of(vectors_BW)
        ways: dict[str, Callable[[], object]] = {
            "bare": lambda: model.bare_scores(queries),
            "masks": lambda: model.masked_scores(queries, gates_BG),
            "requests": lambda: model.masked_scores(queries, model.gates_of(vectors_BW)),
        }
        taken = seconds(ways, options.repeats)
        memory = {name: peak_bytes(way) for name, way in ways.items()}
    print(f"{options.backbone}, {options.users} users, {options.items} items, {model.layout.size} gates")
    for name in ways:
        print(
            f"{name:<9} {1e3 * taken[name]:7.1f} ms  x{taken[name] / taken['bare']:.3f}   "
            f"{memory[name] / 2**20:6.1f} MiB  x{memory[name] / memory['bare']:.3f}"
        )
    slow = taken["masks"] / taken["bare"] > TIME_BOUND
    large = memory["masks"] / memory["bare"] > MEMORY_BOUND
    return int(slow or large)


if __name__ == "__main__":
    sys.exit(main())
