"""Train every layout of three DALayers on a backbone of random weights: the table behind the problem `darec-table`.

    python tests/benchmarks/searchers/darec_layouts.py --workers 2   all 512 layouts, 2 seeds
    python tests/benchmarks/searchers/darec_layouts.py --limit 8     the first 8 that are missing
    python tests/benchmarks/searchers/darec_layouts.py --summary     how much layouts differ, noise, single bits

Trainings and data are real, MovieLens 100K; the backbone is not: a decoder of width 32 that was never pretrained.

Each training is a line of `darec_layouts.csv`, appended when it ends, so it may be stopped and started again at
any time. A seed sets weights, batches and dropped-in negatives; the users are the same for all. The order is shuffled
once, seeds outside, so that an unfinished table is a fair sample.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
from spread import spread

TABLE = Path(__file__).with_name("darec_layouts.csv")
COLUMNS = ("layout", "seed", "valid_mrr", "valid_ndcg_at_10", "valid_recall_at_10", "train_seconds", "seconds")
ROLES = ("causal", "context", "recommend")
"""A layer's bits, in their order."""
DATA: dict[str, Any] = {"name": "ml-100k", "options": {"attributes": ["title"]}, "fraction": 1.0, "seed": 1}
SETTINGS: dict[str, Any] = {
    # All users and a narrow decoder of random weights (width 32) rather than a tenth of the users and SmolLM2's first
    # three layers: at the same cost the seeds differ much less, and the layouts much more.
    "backbone": "random-llama",
    "num_layers": 3,
    "epochs": 4,
    "batch_size": 32,
    "max_items": 10,
    "windows": "random",
    "max_sentence_tokens": 3,
    "item_bias": "popularity",
    "bottleneck": 8,
    "align_batch_size": 8,
    "lambda_cl": 0.0,
    "cf_width": 16,
    "cf_negatives": 1,
    "learning_rate": 5e-3,
}


def layouts(count: int = 512) -> list[str]:
    """All layouts, such as 010-000-111, in one shuffled order."""
    groups = [f"{k:09b}" for k in np.random.default_rng(0).permutation(512)[:count]]
    return ["-".join(bits[i : i + 3] for i in (0, 3, 6)) for bits in groups]


def header() -> str:
    """What a reader needs to make the table again."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy"))
    return (
        "# DARec on every layout: python tests/benchmarks/searchers/darec_layouts.py\n"
        f"# data {DATA}\n# settings {SETTINGS}\n"
        f"# python {platform.python_version()}, {versions}, {platform.machine()}, one CPU thread a training\n"
    )


_warm: Any = None  # a process's frozen backbone, tokens and hard items


def train(task: tuple[str, int, dict[str, Any]]) -> dict[str, Any]:
    """Train one layout with one seed; its line of the table."""
    layout, seed, data = task
    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest, TrialJob, WarmCache
    from trials.darec import DARec

    global _warm
    _warm = _warm or WarmCache()
    began = time.perf_counter()
    method = DARec()
    config = method.Config(**{**SETTINGS, "layout": layout})
    with tempfile.TemporaryDirectory() as folder:
        job = TrialJob(None, config, DataRequest(**data), seed, Path(folder), AssetStore(), _warm)
        loop = method.start(job)
        spent = 0.0
        while loop.epoch < loop.epochs:
            spent += loop.run_epoch()["time/train_seconds"]
    metrics = loop.metrics
    return {
        "layout": layout, "seed": seed, "valid_mrr": round(metrics["valid/mrr"], 6),
        "valid_ndcg_at_10": round(metrics["valid/ndcg@10"], 6),
        "valid_recall_at_10": round(metrics["valid/recall@10"], 6),
        "train_seconds": round(spent, 2), "seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    """The lines that are there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def summary(path: Path) -> str:
    """How much the layouts differ, how much noise there is, what single bits do, and what a training costs."""
    values = {(row["layout"], int(row["seed"])): float(row["valid_mrr"]) for row in rows(path)}
    found = spread(values)
    if found is None:
        return f"{len(values)} trainings; too few layouts with two seeds for a summary"
    seconds = [float(row["seconds"]) for row in rows(path)]
    means: dict[str, list[float]] = {}
    for (layout, _), value in values.items():
        means.setdefault(layout, []).append(value)
    of_layouts = [float(np.mean(several)) for several in means.values()]
    bits = sorted(range(len(found.t)), key=lambda bit: -abs(found.t[bit]))[:3]
    largest = ", ".join(
        f"layer {bit // len(ROLES)} {ROLES[bit % len(ROLES)]} {found.effects[bit]:+.4f} (t = {found.t[bit]:.1f})"
        for bit in bits
    )
    return (
        f"{len(values)} trainings of {len(means)} layouts, median {np.median(seconds):.1f} s; valid/mrr:\n"
        f"layouts' means {min(of_layouts):.4f} to {max(of_layouts):.4f}; seeds' means "
        f"{', '.join(f'{mean:.4f}' for mean in found.seed_means)}, correlation of seeds {found.correlation:.2f}\n"
        f"deviations, seeds' means taken off: between layouts {found.layouts:.4f} (less the noise's share), "
        f"noise {found.noise:.4f}\n"
        f"single bits add up to {found.additive:.0%} of the variance between layouts; parallel less serial: {largest}"
    )


def main() -> int:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--limit", type=int, default=None, help="at most so many trainings")
    parser.add_argument("--layouts", type=int, default=512, help="only the first so many of the shuffled layouts")
    parser.add_argument("--fraction", type=float, default=DATA["fraction"], help="share of users, to see what it costs")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--summary", action="store_true", help="only say what the table holds")
    arguments = parser.parse_args()
    if arguments.summary:
        print(summary(arguments.table))
        return 0
    if arguments.fraction != DATA["fraction"] and arguments.table == TABLE:
        parser.error("--fraction: the table holds one share of users; give another --table too")
    there = {(row["layout"], int(row["seed"])) for row in rows(arguments.table)}
    data = {**DATA, "fraction": arguments.fraction}
    missing = [
        (layout, seed, data)
        for seed in range(arguments.seeds)
        for layout in layouts(arguments.layouts)
        if (layout, seed) not in there
    ][: arguments.limit]
    print(f"{len(there)} trainings there, {len(missing)} to do", flush=True)
    if not missing:
        return 0
    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest
    from trials.darec import DARec

    # Once, before any worker: what all trainings share must not be fetched twice.
    DARec().prepare(DARec.Config(**SETTINGS), DataRequest(**data), AssetStore())
    if not arguments.table.exists():
        arguments.table.write_text(header() + ",".join(COLUMNS) + "\n")
    began = time.time()
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for done, row in enumerate(pool.imap_unordered(train, missing), 1):
            with arguments.table.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
            left = (time.time() - began) / done * (len(missing) - done)
            print(f"{row['layout']} seed {row['seed']}: mrr {row['valid_mrr']}, {left / 60:.0f} min left", flush=True)
    print(summary(arguments.table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
