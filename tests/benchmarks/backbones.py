"""SASRec and BERT4Rec on ML-100K: how soon they reach a fixed validation NDCG@10, and where they end.

    python tests/benchmarks/backbones.py --folder F            both, 5 seeds each; may be stopped and started again
    python tests/benchmarks/backbones.py --folder F --report   the table of what is done so far
    python tests/benchmarks/backbones.py --folder F --smoke    a generated data set and 2 epochs: whether it runs

Settings are RecBole's defaults: 2 layers, 2 heads, width 64, Adam at 1e-3, at most 300 epochs, and the end after 10
epochs without a better MRR@10. A step of SASRec has as many targets as RecBole's 2048 examples; one of BERT4Rec has
128 windows of the 10 cuts of an epoch, where RecBole has 2048 prefixes. Every epoch's figures are in
`F/<backbone>-<seed>.jsonl`, checkpoints beside it; the test split is not opened. Seconds are those of training alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, FinalJob, TrialJob, WarmCache
from trials.backbones.recommenders.frozen import BERT4RecSettings, SASRecSettings, make_model
from trials.data import open_search
from trials.training.final import FinalLoop
from trials.training.seeds import seed_everything

TARGET = 0.06
"""NDCG@10 on validation, full ranking, that both are to reach unless `--target` says otherwise."""

WINDOWS = 41
"""Windows of 50 places a step of SASRec: 2050 targets."""

SETTINGS: dict[str, SASRecSettings | BERT4RecSettings] = {
    "sasrec": SASRecSettings(batch_size=WINDOWS),
    "bert4rec": BERT4RecSettings(),
}


def train(name: str, seed: int, folder: Path, smoke: bool) -> None:
    """Train one backbone to its end, or go on with it; a line of figures an epoch."""
    settings = SETTINGS[name]
    if smoke:
        settings = settings.model_copy(update={"epochs": 2})
    assets = AssetStore()
    request = DataRequest("toy" if smoke else "ml-100k")
    data = open_search(request, assets)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trial = TrialJob(None, settings, request, seed, folder / f"{name}-{seed}", assets, WarmCache(), device)
    seed_everything(seed)
    model = make_model(name, settings, data).to(device)  # type: ignore[arg-type]
    job = FinalJob(trial, f"valid/{settings.stop_metric}", patience=settings.patience or settings.epochs)
    loop = FinalLoop(model, data, job, name)
    loop.restore()
    log = folder / f"{name}-{seed}.jsonl"
    kept = rows_of(log)[: loop.epoch]  # an epoch whose checkpoint was not written is run again
    log.write_text("".join(json.dumps(row) + "\n" for row in kept))
    with log.open("a") as file:
        while not loop.done:
            metrics = loop.run_epoch()
            loop.save()
            row = {"epoch": loop.epoch, "best": loop.best_epoch, "done": loop.done, "device": device, **metrics}
            file.write(json.dumps(row) + "\n")
            file.flush()


def rows_of(log: Path) -> list[dict[str, Any]]:
    """Lines of a log, without one that was cut; none if there is no log."""
    if not log.exists():
        return []
    lines = log.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def report(folder: Path, target: float) -> None:
    """Print a table of what is there."""
    print(f"{'backbone':16} {'seed':>4} {'to NDCG@10 ' + format(target, '.2f'):>18} {'kept':>5} {'epochs':>6}"
          f" {'s an epoch':>10} {'ndcg@10':>8} {'recall@10':>9} {'mrr@10':>8}")  # fmt: skip
    for name in [*SETTINGS, *(f"recbole-{name}" for name in SETTINGS)]:  # the latter by `recbole_sasrec.py`
        ends = []
        for log in sorted(folder.glob(f"{name}-*.jsonl"), key=lambda path: int(path.stem.rpartition("-")[2])):
            rows = rows_of(log)
            if not rows:
                continue
            seconds = [row["time/train_seconds"] for row in rows]
            reached = next((n for n, row in enumerate(rows) if row["valid/ndcg@10"] >= target), None)
            soon = "never" if reached is None else f"{sum(seconds[: reached + 1]):.1f} s, {reached + 1} epochs"
            best = rows[rows[-1]["best"] - 1]
            state = "" if rows[-1]["done"] else "  (goes on)"
            print(f"{name:16} {log.stem.rpartition('-')[2]:>4} {soon:>18} {best['epoch']:>5} {len(rows):>6}"
                  f" {statistics.mean(seconds):>10.2f} {best['valid/ndcg@10']:>8.4f} {best['valid/recall@10']:>9.4f}"
                  f" {best['valid/mrr@10']:>8.4f}{state}")  # fmt: skip
            if not state:
                ends.append(best)
        for metric in ("valid/ndcg@10", "valid/recall@10", "valid/mrr@10"):
            values = [row[metric] for row in ends]
            if len(values) > 1:
                print(f"{name:16} {metric}: mean {statistics.mean(values):.4f}, standard deviation "
                      f"{statistics.stdev(values):.4f}, {len(values)} seeds")  # fmt: skip


def main() -> None:
    """Train what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", choices=SETTINGS, help="one of the two")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--target", type=float, default=TARGET, help="of NDCG@10 on validation")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    given.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(1, given.seeds + 1) if not given.report else ():
        for name in [given.only] if given.only else SETTINGS:
            train(name, seed, given.folder, given.smoke)
    report(given.folder, given.target)


if __name__ == "__main__":
    sys.exit(main())
