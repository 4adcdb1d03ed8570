"""What reading a batch in parts of about the same length saves: `python tests/benchmarks/reading_in_parts.py`.

One epoch and one evaluation of each method on a CPU core, on histories as long as those of Amazon Scientific (most have
three to eight items, a few have fifty), with all rows of a batch padded to its longest and in parts, in turns; CPU
seconds, medians, and the ratio. Sizes are RecBole's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any
from unittest.mock import patch

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy and torch read them

import numpy as np
import torch

from searchplat.methods import load_method
from trials.backbones.recommenders import cloze, histories, next_item
from trials.data.preparing.dataset import SearchData

USERS, ITEMS = 4000, 4000
PLACES = (histories, next_item, cloze)


def data(seed: int) -> SearchData:
    """Histories of random items; 2 and a geometric number of items, 50 at most, 5 in the mean."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(2 + rng.geometric(0.25, size=USERS), 50)
    lengths[rng.random(USERS) < 0.01] = 50
    return SearchData(
        name="as-scientific",
        train_items=rng.integers(ITEMS, size=lengths.sum()).astype(np.int32),
        train_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        valid_target_U=rng.integers(ITEMS, size=USERS).astype(np.int32),
        users_U=np.arange(USERS),
        num_items=ITEMS,
        sentences=[f"title {item}" for item in range(ITEMS)],
        titles=[str(item) for item in range(ITEMS)],
        fingerprint="as-scientific",
    )


def seconds(method: str, seen: SearchData, in_parts: bool) -> tuple[float, float]:
    """CPU seconds of an epoch's steps and of scoring everybody."""

    def whole(lengths: Any, device: torch.device) -> list[Any]:
        return [np.arange(len(lengths))]

    torch.manual_seed(0)
    made = load_method(method)
    model = made.build(made.Config(batch_size=256), seen, None)  # type: ignore[arg-type]  # these ask a job for nothing
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    patches = [] if in_parts else [patch.object(place, "by_length", whole) for place in PLACES]
    for one in patches:
        one.start()
    began = time.process_time()
    model.train()
    for batch in model.batches(0, np.random.default_rng(0)):
        optimizer.zero_grad()
        torch.stack(list(model.loss(batch).values())).sum().backward()
        optimizer.step()
    trained = time.process_time()
    model.eval()
    queries = seen.valid_queries()
    with torch.inference_mode():
        model.start_evaluation()
        for start in range(0, USERS, 256):
            model.scores(queries.rows(start, min(start + 256, USERS)))
    scored = time.process_time()
    for one in patches:
        one.stop()
    return trained - began, scored - trained


def main() -> None:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["sasrec", "gru4rec", "bert4rec", "cl4srec"])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seen = data(0)
    for method in arguments.methods:
        taken: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(arguments.repeats):
            for in_parts in (False, True):
                taken[in_parts].append(seconds(method, seen, in_parts))
        (train, score), (train_parts, score_parts) = (
            [statistics.median(times) for times in zip(*taken[in_parts], strict=True)] for in_parts in (False, True)
        )
        print(
            f"{method}: an epoch {train:.1f} s, in parts {train_parts:.1f} s ({train_parts / train:.2f}); "
            f"scoring {score:.1f} s, in parts {score_parts:.1f} s ({score_parts / score:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
