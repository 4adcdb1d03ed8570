r"""RecBole's own SASRec or BERT4Rec on ML-100K, as a peer of `backbones.py`: the same lines of figures an epoch.

    pip install --no-deps --target R recbole==1.2.1 colorlog colorama thop tabulate texttable hyperopt \
        tensorboard absl-py
    PYTHONPATH=R python tests/benchmarks/recbole_sasrec.py --folder F --seed 1
    python tests/benchmarks/backbones.py --folder F --report

RecBole is never a dependency of ours (it pins an old Ray): it lies in a folder of its own. Its defaults, full softmax,
leave-one-out, ranked among all items, history too; as in `backbones.py` the test split is not looked at. Seconds are
the processor's. `--epochs` bounds a run, whose last line then says that it has not ended by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

import numpy as np
import torch

for old, new in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
    setattr(np, old, new)  # what NumPy 1 had

MODELS = {"sasrec": "SASRec", "bert4rec": "BERT4Rec"}


def main() -> int:
    """Train one model with one seed; a line of figures an epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, default="sasrec")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=300)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    sys.argv = sys.argv[:1]  # RecBole reads options there

    import recbole
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.trainer import Trainer
    from recbole.utils import get_model, init_seed

    config = Config(
        model=MODELS[given.model],
        dataset="ml-100k",
        config_dict={
            "data_path": str(Path(recbole.__file__).parent / "dataset_example"),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
            "train_neg_sample_args": None,
            "checkpoint_dir": str(given.folder / f"recbole-{given.model}-{given.seed}"),
            "metrics": ["Recall", "MRR", "NDCG"],
            "use_gpu": False,
            "seed": given.seed,
            "show_progress": False,
            "state": "ERROR",
        },
    )
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    init_seed(given.seed, reproducibility=True)
    dataset = create_dataset(config)
    train, valid, _ = data_preparation(config, dataset)
    model = get_model(config["model"])(config, train.dataset)
    trainer = Trainer(config, model)
    trainer.eval_collector.data_collect(train)
    best, best_epoch = float("-inf"), 0
    with (given.folder / f"recbole-{given.model}-{given.seed}.jsonl").open("w") as log:
        for epoch in range(1, given.epochs + 1):
            began = time.process_time()
            trainer._train_epoch(train, epoch - 1)
            seconds = time.process_time() - began
            _, scores = trainer._valid_epoch(valid)
            if scores["mrr@10"] > best:
                best, best_epoch = scores["mrr@10"], epoch
            done = epoch - best_epoch >= 10
            row = {"epoch": epoch, "best": best_epoch, "done": done, "device": "cpu", "time/train_seconds": seconds}
            log.write(json.dumps({**row, **{f"valid/{name}": float(value) for name, value in scores.items()}}) + "\n")
            log.flush()
            if done:
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())
