"""What a measured share of a machine is worth: trials an hour one at a time and packed, and how good predictions are.

    python tests/benchmarks/packing.py                          DARec and CRAMER at the scale `quick`, made short
    python tests/benchmarks/packing.py --scale smoke --trials 4   whether it runs: generated data, random tiny weights

For each space two searches with the same random points run one after the other: one trial at a time on a whole unit
(a GPU, or all cores where there is none), then what `gpu: auto` (there `cpu: auto`) chooses. Trials an hour are those
between the end of the first round and the end of the last trial, so that starting processes is in neither. Peak
memory was predicted by the probe trainings, before the margin; the actual one is the largest that trials report:
`torch.cuda.max_memory_allocated` on a GPU, else the resident memory of the process. The ratio is to be within 10 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from searchplat.engine.places import Places
from searchplat.engine.search import run_search
from searchplat.engine.sizing.arithmetic import Choice
from searchplat.engine.sizing.choose import recorded
from searchplat.ledger import Ledger
from searchplat.spec import find_space, load
from searchplat.spec.model import Resources, SearcherSpec, SearchSpec

SHORT = {
    "darec": ["learning_rate=0.001", "lambda_align=0.02", "lambda_cl=0.01", "lambda_cf=0.01", "controls=null"],
    "cramer": ["epochs=2", "controls=null"],
}
"""What is set on top of the scale: one stage, no controls."""


def short(space: str, scale: str, trials: int, fraction: float) -> SearchSpec:
    """The space at its scale, searched at random by so many trials on a share of the users."""
    spec = load(find_space(space), scale=scale, overrides=SHORT.get(space, ["controls=null"]))
    stage = replace(
        spec.stages[-1] if space != "darec" else spec.stages[0],
        searcher=SearcherSpec("random"), trials=trials, data_fraction=fraction, start_from=None,
    )  # fmt: skip
    return replace(spec, stages=(stage,))


def run(
    spec: SearchSpec, resources: Resources, name: str, folder: Path, address: str | None
) -> tuple[Path, Choice | None]:
    """Run a search to its end; its ledger, and the share that was measured for it."""
    uri = f"sqlite:///{folder}/mlflow.db"
    outcome = run_search(
        replace(spec, resources=resources), name=name, places=Places(runs=folder, tracking_uri=uri, address=address)
    )
    assert outcome.exit_code == 0, outcome.message
    with Ledger.read(outcome.ledger_path) as ledger:
        return outcome.ledger_path, recorded(ledger).get(spec.stages[0].name)


def per_hour(path: Path, at_once: int) -> float:
    """Trials an hour, from the end of the first round on."""
    with Ledger.read(path) as ledger:
        ends = sorted(event.at for event in ledger.events(limit=100_000) if event.kind == "ended")
    return 3600 * (len(ends) - at_once) / (ends[-1] - ends[at_once - 1])


def actual_peak(path: Path) -> float:
    """Largest `memory/peak_bytes` that any trial reported."""
    with Ledger.read(path) as ledger:
        return max(report.metrics["memory/peak_bytes"] for report in ledger.reports())


def gpus() -> int:
    """GPUs that Torch sees."""
    import torch

    return torch.cuda.device_count()


def compare(space: str, scale: str, trials: int, fraction: float, address: str | None) -> None:
    """Print both rates, their ratio, and predicted and actual memory."""
    on_gpu, cores = gpus(), len(os.sched_getaffinity(0))
    spec = short(space, scale, trials, fraction)
    whole = Resources(cpu=1, gpu=1, concurrent=1) if on_gpu else Resources(cpu=cores, gpu=0, concurrent=1)
    auto = Resources(cpu=1, gpu=None, probe_s=1e6) if on_gpu else Resources(gpu=0, cpu_auto=True, probe_s=1e6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone, _ = run(spec, whole, "alone", folder, address)
        packed, choice = run(spec, auto, "packed", folder, address)
        assert choice is not None, "nothing was measured; the search above says why"
        units = max(1, on_gpu)
        rates = {"one at a time": per_hour(alone, 1), "packed": per_hour(packed, choice.share.parts * units)}
        print(f"{space} at scale {scale}, {trials} trials: {choice.share.words()}; {choice.reason}")
        print(f"  measuring took {choice.seconds:.1f} s")
        for what, rate in rates.items():
            print(f"  {what:<14} {rate:8.1f} trials an hour   x{rate / rates['one at a time']:.3f}")
        for what, path in (("one at a time", alone), ("packed", packed)):
            predicted = max((p.gpu_allocated_bytes if on_gpu else p.host_bytes) or 0 for p in choice.peaks)
            actual = actual_peak(path)
            print(
                f"  peak memory, {what}: predicted {predicted / 2**20:.0f} MiB, actual {actual / 2**20:.0f} MiB, "
                f"ratio {predicted / actual:.3f}"
            )


def main() -> None:
    """Compare space by space."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["darec", "cramer"])
    parser.add_argument("--scale", default="quick")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--fraction", type=float, default=0.2, help="share of the users")
    parser.add_argument("--address", help="a Ray cluster on this machine; by default one is started")
    options = parser.parse_args()
    for space in options.spaces:
        compare(space, options.scale, options.trials, options.fraction, options.address)


if __name__ == "__main__":
    sys.exit(main())
