"""What ranking everybody's target among all items needs of memory: `python tests/benchmarks/full_ranking.py`.

A SASRec of RecBole's sizes with random weights ranks one target a user among 50,000 items, for 1,000 and for 10,000
users with 50 items each, 256 at once. Every measurement is a process of its own; memory is the most that the
process held resident beyond what it held with model and histories loaded, as the kernel counts it. Bounded means: ten
times the users need at most 1.2 times the memory, while the matrix of all scores would be ten times as large.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

LENGTH = 50
"""Items of a history."""

GROWTH_BOUND = 1.2
MIB = 1 << 20


def resident_bytes() -> int:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(users: int, items: int, batch_size: int) -> None:
    """Print the peak beyond the start in bytes, and the seconds; for a process of its own."""
    import numpy as np
    import torch

    from trials.backbones.recommenders.frozen import SASRecSettings, blank_recommender
    from trials.backbones.recommenders.next_item import NextItemModel
    from trials.data.preparing.dataset import Queries
    from trials.training.measures.evaluation import target_ranks

    torch.manual_seed(0)
    settings = SASRecSettings()
    encoder = blank_recommender("sasrec", settings, items)
    rng = np.random.default_rng(0)
    offsets = np.arange(users + 1) * LENGTH
    queries = Queries(np.full(users, -1), rng.integers(items, size=users * LENGTH), offsets)
    targets = rng.integers(items, size=users)
    histories = SimpleNamespace(train_items=queries.items, train_offsets=queries.offsets)
    model = NextItemModel(encoder, histories, settings)  # type: ignore[arg-type]  # it reads nothing else of its data
    target_ranks(model, queries.rows(0, 2), targets[:2], batch_size=2)  # libraries load what they load late
    before = resident_bytes()
    began = time.perf_counter()
    ranks = target_ranks(model, queries, targets, batch_size=batch_size)
    seconds = time.perf_counter() - began
    assert ranks.shape == (users,)
    assert ranks.min() >= 1
    assert ranks.max() <= items
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before, seconds)


def main() -> int:
    """Print the figures; 1 if memory grows with the users."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--batch-size", type=int, default=256, help="queries scored at once; a method's default is 256")
    parser.add_argument("--one", action="store_true", help="one measurement, bytes and seconds")
    given = parser.parse_args()
    if given.one:
        measure(given.users, given.items, given.batch_size)
        return 0
    peaks = []
    for users in (given.users // 10, given.users):
        command = [sys.executable, __file__, "--one", "--users", users, "--items", given.items]
        command += ["--batch-size", given.batch_size]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
        peak, seconds = (float(word) for word in done.stdout.split())
        peaks.append(peak)
        print(
            f"{users:,} users x {given.items:,} items: {peak / MIB:,.0f} MiB beyond the start, {seconds:.1f} s; "
            f"all scores at once would be {users * given.items * 4 / MIB:,.0f} MiB"
        )
    growth = peaks[1] / peaks[0]
    print(f"ten times the users: {growth:.2f} times the memory (bound: {GROWTH_BOUND})")
    return int(growth > GROWTH_BOUND)


if __name__ == "__main__":
    sys.exit(main())
