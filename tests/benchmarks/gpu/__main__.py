"""The command line of `scripts/gpu`: runs each part in a process of its own, against its own clock; prints the table.

    speed     training tokens a second of DARec, beside its bare frozen backbone on as many tokens
    packed    trials an hour with one, two and four at once; peak memory predicted by probes, beside what trials took
    paper     DARec's scale `paper` on Scientific: validation after each epoch, as far as the time goes

A part that fails or runs out of time costs no other part anything, and what it had found by then counts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(ROOT)]

import carrying
import settings

PARTS = {"speed": 80.0, "packed": 170.0, "paper": 600.0}
"""In this order, with the seconds that each may take at most; the last gets what the others leave."""

REHEARSED = {"speed": 60.0, "packed": 90.0, "paper": 60.0}


def run(folder: Path | None, out: Path, minutes: float, rehearse: bool, only: list[str], changed: list[str]) -> int:
    """Run the parts; return 0 if every one came to its end."""
    ends = time.monotonic() + 60 * minutes
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"parts": {}}
    with tempfile.TemporaryDirectory(prefix="searchplat-gpu-") as name:
        work = Path(name)
        if rehearse:
            carrying.pack_rehearsal(work / "carried")
            folder = work / "carried"
        environment = {**os.environ, **carrying.unpack(folder, work, ROOT)}
        ready = subprocess.run(
            [
                sys.executable, str(Path(__file__).parent), "prepare", str(work),
                *(["--rehearse"] if rehearse else []), *(["--set", *changed] if changed else []),
            ],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if ready.returncode:
            return ready.returncode
        found["machine"] = json.loads(ready.stdout.splitlines()[-1])
        print(settings.words(found["machine"]), flush=True)
        for part, limit in (REHEARSED if rehearse else PARTS).items():
            if only and part not in only:
                continue
            seconds = min(limit, ends - time.monotonic() - 5)
            found["parts"][part] = _part(part, work, out, environment, seconds)
            # Each time: whoever ends this run has what was found so far.
            (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    for part, said in found["parts"].items():
        print(f"\n{part}: {said['state']}, {said['seconds']:.0f} s")
        for row in said["rows"]:
            print(f"  {row['what']:<44} {row['figure']}")
        if said["cause"]:
            print(f"  {said['cause']}")
    return 0 if all(said["state"] == "done" for said in found["parts"].values()) else 1


def _part(part: str, work: Path, out: Path, environment: dict[str, str], seconds: float) -> dict[str, Any]:
    """Run one part; its rows, its state, and the last lines that it wrote if it did not come to its end."""
    rows, log = out / f"{part}.jsonl", out / f"{part}.log"
    rows.write_text("")
    began = time.monotonic()
    state = "done"
    if seconds < 5:
        return {"state": "not begun, the time was up", "seconds": 0.0, "rows": [], "cause": ""}
    print(f"{part}: begins, at most {seconds:.0f} s", flush=True)
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent), "part", part, str(work), str(rows), str(seconds)],
            env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            if code := process.wait(seconds):
                state = f"failed with code {code}"
        except subprocess.TimeoutExpired:
            state = "ended, the time was up"
        finally:
            with suppress(ProcessLookupError):  # its own processes too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    last = log.read_text(errors="replace").splitlines()[-4:] if state.startswith("failed") else []
    lines = rows.read_text().splitlines(keepends=True)
    return {
        "state": state,
        "seconds": round(time.monotonic() - began, 1),
        "rows": [json.loads(line) for line in lines if line.endswith("\n")],
        "cause": " | ".join(last),
    }


def main() -> int:
    """Do what is asked."""
    parser = argparse.ArgumentParser(
        prog="scripts/gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write what has to be carried")
    packing.add_argument("folder", type=Path)
    packing.add_argument("--backbone", default="smollm2-135m", help="a Llama-like asset or folder with its tokenizer")
    packing.add_argument("--layers", type=int, default=12, help="first layers of the backbone (the paper's has 12)")
    packing.add_argument("--python", default="3.12", help="version there, for the few packages that are carried")
    packing.add_argument("--no-packages", action="store_true", help="carry no packages: they are there")
    running = commands.add_parser("run", help="measure everything")
    running.add_argument("folder", type=Path, nargs="?", help="with the carried parts; none: random weights, toy data")
    for command in (running, commands.add_parser("rehearse", help="the same on a CPU, tiny")):
        command.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "gpu-out")), help="default: $OUT")
        command.add_argument("--minutes", type=float, default=8.0, help="for all parts together")
        command.add_argument("--only", nargs="+", choices=PARTS, default=[], help="these parts")
        command.add_argument("--set", nargs="+", default=[], help="settings of the part `paper`, as batch_size=64")
    readying = commands.add_parser("prepare", help="used by the above")
    readying.add_argument("work", type=Path)
    readying.add_argument("--rehearse", action="store_true")
    readying.add_argument("--set", nargs="+", default=[])
    one = commands.add_parser("part", help="used by the above")
    one.add_argument("part", choices=PARTS)
    one.add_argument("work", type=Path)
    one.add_argument("rows", type=Path)
    one.add_argument("seconds", type=float)
    asked = parser.parse_args()
    if asked.command == "pack":
        carrying.pack(asked.folder, asked.backbone, asked.layers, None if asked.no_packages else asked.python)
    elif asked.command == "prepare":
        return settings.prepare(asked.work, asked.rehearse, asked.set)
    elif asked.command == "part":
        module = importlib.import_module(asked.part)
        module.main(settings.read(asked.work), settings.Rows(asked.rows), time.monotonic() + asked.seconds)
    else:
        folder = getattr(asked, "folder", None)
        return run(folder, asked.out.resolve(), asked.minutes, asked.command == "rehearse", asked.only, asked.set)
    return 0


if __name__ == "__main__":
    sys.exit(main())
