"""Train layouts of three DALayers on SmolLM2's own weights: what bits do, alone and in pairs, and how much is noise.

    python tests/benchmarks/searchers/smollm2_layouts.py              all 512 layouts, 3 seeds each
    python tests/benchmarks/searchers/smollm2_layouts.py --limit 8    the first 8 trainings that are missing
    python tests/benchmarks/searchers/smollm2_layouts.py --part 1/2   every other one, beside a process that does 2/2
    python tests/benchmarks/searchers/smollm2_layouts.py --summary    how much layouts differ, noise, effects

MovieLens 100K, all users; layers 1 to 20 have read each film once, layers 21 to 23 are adapted. A training is a lean
one of the scale `quick` of spaces/darec.yaml, so that there can be 1,536 of them: see `SETTINGS`.

Each training is a line of `smollm2_layouts.csv`, appended when it ends: stopped and started again at any time, the
command goes on where it was. Layouts come in the order of `design.py`, all seeds of each, so that after 64 of them
main effects and pairs are known, with their errors. A seed sets initial weights, windows and batches, the same for
all layouts.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from design import order

if TYPE_CHECKING:
    from searchplat.contract import WarmCache

TABLE = Path(__file__).with_name("smollm2_layouts.csv")
COLUMNS = (
    "layout", "seed", "valid_mrr", "valid_ndcg_at_10", "valid_recall_at_10", "valid_loss", "train_loss", "seconds",
)  # fmt: skip
SEEDS = 3
DATA: dict[str, Any] = {"name": "ml-100k", "options": {"attributes": ["title"]}, "fraction": 1.0, "seed": 1}
SETTINGS: dict[str, Any] = {
    # As the scale `quick`.
    "backbone": "smollm2-135m",
    "item_layers": 20,
    "item_pooling": "mean",
    "join_special": True,
    "max_sentence_tokens": 8,
    "item_bias": "popularity",
    "condition_states": "whiten",
    "item_start": "text",
    "label_smoothing": 0.1,
    "injection": "and",
    "collaborative_norm": True,
    "router_floor": 0.1,
    # Lean: three layers, one window of a user, L_seq and L_cf alone.
    "num_layers": 3,
    "epochs": 1,
    "windows": "random",
    "max_items": 10,
    "batch_size": 16,
    # At 3e-3 a training's noise, 0.0046 of MRR, hides what layouts differ by; at 1e-3 it is half of that and less.
    "learning_rate": 1e-3,
    "lambda_align": 0.0,
    "lambda_cl": 0.0,
}


def layouts() -> list[str]:
    """All layouts, such as 010-000-111, in the order of `design.order`."""
    return ["-".join("".join(map(str, row[i : i + 3])) for i in (0, 3, 6)) for row in order().tolist()]


def header() -> str:
    """What a reader needs to make the table again."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy"))
    return (
        "# DARec on SmolLM2: python tests/benchmarks/searchers/smollm2_layouts.py\n"
        f"# data {DATA}\n# settings {SETTINGS}\n"
        f"# python {platform.python_version()}, {versions}, {platform.machine()}, one CPU thread\n"
    )


def train(layout: str, seed: int, warm: WarmCache, changes: dict[str, Any]) -> dict[str, Any]:
    """Train one layout with one seed; its line of the table.

    Args:
        warm: Keeps the frozen layers, the films' states and the data between trainings.
        changes: Over `SETTINGS`.
    """
    import torch

    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest, TrialJob
    from trials.darec import DARec

    began = time.process_time()
    method = DARec()
    config = method.Config(**{**SETTINGS, **changes, "layout": layout})
    with tempfile.TemporaryDirectory() as folder:
        job = TrialJob(None, config, DataRequest(**DATA), seed, Path(folder), AssetStore(), warm)
        loop = method.start(job)
        lost = _losses(loop)
        while loop.epoch < loop.epochs:
            lost.clear()
            loop.run_epoch()
    metrics = loop.metrics
    return {
        "layout": layout, "seed": seed, "valid_mrr": round(metrics["valid/mrr"], 6),
        "valid_ndcg_at_10": round(metrics["valid/ndcg@10"], 6),
        "valid_recall_at_10": round(metrics["valid/recall@10"], 6),
        "valid_loss": round(float(torch.cat(lost).mean()), 6), "train_loss": round(metrics["train/seq"], 6),
        "seconds": round(time.process_time() - began, 2),
    }  # fmt: skip


def _losses(loop: Any) -> list[Any]:
    """Where the cross entropies of the validation targets go, in the one pass that ranks them."""
    import torch
    from torch.nn import functional as F

    found: list[Any] = []
    scores_of = loop.model.scores

    def scores(queries: Any) -> Any:
        scores_BN = scores_of(queries)
        first = sum(map(len, found))
        targets_B = torch.tensor(loop.data.valid_target_U[first : first + len(scores_BN)]).long()
        found.append(F.cross_entropy(scores_BN, targets_B, reduction="none"))
        return scores_BN

    loop.model.scores = scores
    return found


def rows(path: Path) -> list[dict[str, str]]:
    """The lines that are there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def main() -> int:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=None, help="at most so many trainings")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="the I-th of N processes that share the work")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings, into another --table"
    )
    parser.add_argument("--summary", action="store_true", help="only say what the table holds")
    arguments = parser.parse_args()
    if arguments.summary:
        from factorial import summary

        print(summary(rows(arguments.table)))
        return 0
    import json

    changes = {name: json.loads(value) for name, _, value in (item.partition("=") for item in arguments.set)}
    if changes and arguments.table == TABLE:
        parser.error("--set: the table holds one kind of training; give another --table too")
    there = {(row["layout"], int(row["seed"])) for row in rows(arguments.table)}
    mine, parts = (int(number) for number in arguments.part.split("/"))
    every = [(name, seed) for name in layouts() for seed in range(SEEDS)][mine - 1 :: parts]
    missing = [one for one in every if one not in there][: arguments.limit]
    print(f"{len(there)} trainings there, {len(missing)} to do", flush=True)

    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest, WarmCache
    from trials.darec import DARec

    DARec().prepare(DARec.Config(**{**SETTINGS, **changes}), DataRequest(**DATA), AssetStore())
    if not arguments.table.exists():
        arguments.table.write_text(header() + ",".join(COLUMNS) + "\n")
    warm, began = WarmCache(), time.monotonic()
    for layout, seed in missing:
        if time.monotonic() - began > arguments.seconds:
            break
        row = train(layout, seed, warm, changes)
        with arguments.table.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
        print(*row.values(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
