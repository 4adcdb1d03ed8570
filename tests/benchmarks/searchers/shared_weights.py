"""Do weights that all layouts share rank layouts as full trainings do? Kendall's tau against a table of trainings.

    python tests/benchmarks/searchers/shared_weights.py --on smollm2 --epochs 8 --seeds 0 1    train, and value layouts
    python tests/benchmarks/searchers/shared_weights.py --on random --table                    what is known

One model is trained with a layout drawn anew for each step, a single path (Guo et al. 2020, "Single Path One-Shot
Neural Architecture Search"), everything else as in the table: `smollm2_layouts.csv`, or `darec_layouts.csv` with its
random weights. After each of some epochs every layout that the table holds with all seeds is valued with these weights
on validation. Where item projections are fitted to a layout's states before training, `own` keeps those of each layout,
and `one` takes those of the all-serial layout for all.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import darec_layouts
import numpy as np
import smollm2_layouts
from smollm2_layouts import _losses, rows

if TYPE_CHECKING:
    from searchplat.contract import WarmCache

SHARED = Path(__file__).with_name("shared_weights.csv")
COLUMNS = ("on", "conditioning", "seed", "epochs", "layout", "valid_mrr", "valid_ndcg_at_10", "valid_loss", "seconds")
METRICS = ("valid_mrr", "valid_ndcg_at_10")
ON: dict[str, Any] = {"smollm2": smollm2_layouts, "random": darec_layouts}
SEEDS = {"smollm2": 3, "random": 2}


def complete(on: str) -> list[str]:
    """The layouts of which the table holds every seed."""
    count = Counter(row["layout"] for row in rows(ON[on].TABLE))
    return [name for name, seeds in count.items() if seeds == SEEDS[on]]


def train(
    on: str, seed: int, epochs: int, value_after: set[int], conditioning: str, most: int, warm: WarmCache, path: Path
) -> None:
    """Train shared weights with one seed; append the value of each layout after some epochs."""
    import torch

    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest, TrialJob
    from trials.darec import DARec
    from trials.dual.build import CONDITION_ON
    from trials.dual.layout import parse_layout
    from trials.nn.ragged import Ragged, spread

    began = time.process_time()
    method = DARec()
    config = method.Config(**{**ON[on].SETTINGS, "epochs": epochs, "layout": "serial"})
    with tempfile.TemporaryDirectory() as folder:
        loop: Any = method.start(
            TrialJob(None, config, DataRequest(**ON[on].DATA), seed, Path(folder), AssetStore(), warm)
        )
        model = loop.model
        fitted: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

        def take(layout: str) -> None:
            for layer, designs in zip(model.dalayers(), parse_layout(layout, config.num_layers), strict=True):
                layer.causal_adapter.parallel = designs.causal
                layer.context_adapter.parallel = designs.context
                layer.recommend_adapter.parallel = designs.recommend
            if layout in fitted:
                model.items.centre_2D.copy_(fitted[layout][0])
                model.items.whitening_DD.copy_(fitted[layout][1])

        everything = ON[on].layouts()
        if conditioning == "own" and config.condition_states == "whiten":
            users, items = CONDITION_ON["whiten"]
            users_B = spread(model.batcher.users, users)
            histories = Ragged.of([loop.data.history(user)[-config.max_items :] for user in users_B])
            for layout in everything:
                take(layout)
                model.condition(users_B, histories, spread(np.arange(loop.data.num_items), items))
                fitted[layout] = (model.items.centre_2D.clone(), model.items.whitening_DD.clone())
        draw = np.random.default_rng(seed)
        loss_of = model.loss

        def loss(batch: Any) -> Any:
            take(everything[draw.integers(len(everything))])
            return loss_of(batch)

        model.loss = loss
        lost = _losses(loop)
        queries, targets = loop.data.valid_queries(), loop.data.valid_targets()
        wanted = complete(on)[:most]
        trained = time.process_time() - began
        for epoch in range(epochs + 1):
            if epoch in value_after:
                for layout in wanted:
                    take(layout)
                    lost.clear()
                    _, scores = loop.measure(queries, targets, None, ("mrr", "ndcg@10"))
                    row = (on, conditioning, seed, epoch, layout, scores["mrr"], scores["ndcg@10"],
                           float(torch.cat(lost).mean()), trained)  # fmt: skip
                    with path.open("a", newline="") as file:
                        csv.writer(file, lineterminator="\n").writerow(
                            [round(one, 6) if isinstance(one, float) else one for one in row]
                        )
                print(
                    f"{on}, {conditioning}, seed {seed}, after {epoch} epochs: {len(wanted)} layouts valued", flush=True
                )
            if epoch < epochs:
                since = time.process_time()
                lost.clear()
                loop.run_epoch()
                trained += time.process_time() - since


def table(on: str, path: Path) -> str:
    """Kendall's tau of each kind of cheap value, beside what a second seed of a full training has."""
    from scipy.stats import kendalltau

    full, names, seeds = rows(ON[on].TABLE), complete(on), SEEDS[on]
    by_layout: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in full:
        by_layout[row["layout"]].append(row)
    lines = [f"{on}: {len(names)} layouts with {seeds} seeds"]
    truth = {}
    for metric in METRICS:
        values_NS = np.array([[float(row[metric]) for row in by_layout[name]] for name in names])
        truth[metric] = values_NS.mean(1)
        one = np.mean([kendalltau(*values_NS[:, pair].T).statistic for pair in itertools.combinations(range(seeds), 2)])
        rest = [kendalltau(values_NS[:, s], np.delete(values_NS, s, 1).mean(1)).statistic for s in range(seeds)]
        lines.append(f"{metric}: a seed against another {one:.2f}, against the mean of all others {np.mean(rest):.2f}")
    cheap = [row for row in rows(path) if row["on"] == on]
    for key in dict.fromkeys((row["conditioning"], row["epochs"]) for row in cheap):
        mine = [row for row in cheap if (row["conditioning"], row["epochs"]) == key]
        own_seeds = list(dict.fromkeys(row["seed"] for row in mine))
        said = []
        for metric in METRICS:
            values = [{row["layout"]: float(row[metric]) for row in mine if row["seed"] == seed} for seed in own_seeds]
            known = [k for k, name in enumerate(names) if all(name in one for one in values)]
            cheap_SN = np.array([[one[names[k]] for k in known] for one in values])
            taus = [kendalltau(one_N, truth[metric][known]).statistic for one_N in cheap_SN]
            both = kendalltau(cheap_SN.mean(0), truth[metric][known]).statistic
            said.append(f"{metric} {np.mean(taus):+.2f}, seeds together {both:+.2f}")
        seconds = np.mean([float(row["seconds"]) for row in mine])
        lines.append(
            f"{key[0]}, {key[1]} epochs, {len(own_seeds)} seeds of {seconds:.0f} s, {len(known)} layouts: "
            + "; ".join(said)
        )
    return "\n".join(lines)


def main() -> int:
    """Train and value, or say what is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=list(ON), default="smollm2")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--value-after", type=int, nargs="+", default=[0, 1, 2, 4, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--conditioning", choices=["one", "own"], default="own")
    parser.add_argument("--most", type=int, default=512, help="value at most so many layouts")
    parser.add_argument("--out", type=Path, default=SHARED)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.on, arguments.out))
        return 0
    from searchplat.contract import WarmCache

    if not arguments.out.exists():
        arguments.out.write_text(",".join(COLUMNS) + "\n")
    warm = WarmCache()
    for seed in arguments.seeds:
        train(
            arguments.on,
            seed,
            arguments.epochs,
            set(arguments.value_after),
            arguments.conditioning,
            arguments.most,
            warm,
            arguments.out,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
