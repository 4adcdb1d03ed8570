"""Feeds every reader of strangers' files with hostile ones, and says how many each got: `python tests/fuzz/run.py`.

Inputs come in blocks, each with a seed of its own, `<seed>-<target>-<block>`. With `--state FILE` finished blocks are
written down, and the same command goes on after them. Exit code 1 if anything but an error of ours came out; the
input stands above the traceback, shrunk.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "packages"))

from fuzz_targets import TARGETS, Files, counts, scratch
from hypothesis import HealthCheck, Phase, given, seed, settings

BLOCK = 500


def run_block(name: str, inputs: int, number: int) -> tuple[int, int]:
    """Feed a target; how many inputs it was fed, and how many of them it accepted.

    Args:
        number: The seed.
    """
    target, fed, accepted = TARGETS[name], 0, 0

    with scratch() as folder:

        @seed(number)
        @settings(
            max_examples=inputs,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(target.inputs)
        def feed(contents: Files) -> None:
            nonlocal fed, accepted
            fed += 1
            accepted += target.feed(contents, folder)

        feed()
    return fed, accepted


def block_seed(base: int, name: str, block: int) -> int:
    """Of one block; the same everywhere."""
    return zlib.crc32(f"{base}-{name}-{block}".encode())


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, help="a file that remembers finished blocks")
    parser.add_argument("--only", choices=sorted(TARGETS), action="append", help="repeatable")
    asked = parser.parse_args()
    key = f"seed {asked.seed}, inputs {asked.inputs}"
    done: dict[str, list[float]] = {}
    if asked.state is not None and asked.state.exists():
        kept = json.loads(asked.state.read_text())
        done = kept["blocks"] if kept["key"] == key else {}
    broken = 0
    print(f"{key}; 'took' is what was accepted as valid\n{'target':<16}{'fed':>8}{'took':>8}{'seconds':>9}", flush=True)
    for name, wanted in counts(asked.inputs).items():
        if asked.only and name not in asked.only:
            continue
        for start in range(0, wanted, BLOCK):
            block = f"{name}-{start // BLOCK}"
            if block in done:
                continue
            began = time.perf_counter()
            try:
                fed, took = run_block(name, min(BLOCK, wanted - start), block_seed(asked.seed, name, start // BLOCK))
            except Exception:
                import traceback

                broken += 1
                print(
                    f"--- {block}, seed {block_seed(asked.seed, name, start // BLOCK)}\n{traceback.format_exc()}",
                    flush=True,
                )
                continue
            done[block] = [fed, took, time.perf_counter() - began]
            if asked.state is not None:
                part = asked.state.with_suffix(".part")
                part.write_text(json.dumps({"key": key, "blocks": done}))
                part.replace(asked.state)
        print(_line(name, [row for block, row in done.items() if block.rpartition("-")[0] == name]), flush=True)
    print(_line("all", list(done.values())))
    print(f"{broken} blocks with something else than an error of ours")
    return 1 if broken else 0


def _line(name: str, rows: list[list[float]]) -> str:
    fed, took, seconds = (sum(column) for column in zip(*rows, strict=True)) if rows else (0, 0, 0)
    return f"{name:<16}{fed:>8.0f}{took:>8.0f}{seconds:>9.1f}"


if __name__ == "__main__":
    sys.exit(main())
