"""Feeds one reader with bytes that follow its branches, by atheris: `python tests/fuzz/guided.py yaml --runs 20000`.

`pip install atheris` first; it has wheels for some versions of Python on Linux only, so nothing else here needs it. It
starts from the reader's valid files and keeps what reaches new code of `searchplat.spec`, `searchplat.assets` and
`trials.data`. Several files travel as one, parted by a line that no file holds. Exit code 1 if anything but an error of
ours came out; atheris writes the input down in the folder that it is run in.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]

sys.path.insert(0, str(Path(__file__).parents[1] / "packages"))

with atheris.instrument_imports(include=["searchplat.spec", "searchplat.assets", "trials.data"]):
    from fuzz_targets import TARGETS, scratch

PARTED = b"\n\x00next file\x00\n"


def main() -> None:
    """Run from the command line; atheris ends the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=int, default=4096, help="bytes of an input, at most")
    asked = parser.parse_args()
    target = TARGETS[asked.target]
    with tempfile.TemporaryDirectory(prefix="searchplat-fuzz-") as corpus, scratch() as folder:
        Path(corpus, "valid").write_bytes(PARTED.join(target.valid))

        def feed(given: bytes) -> None:
            files = given.split(PARTED)
            wanted = len(target.names)
            target.feed(tuple([*files, *[b""] * wanted][:wanted]), folder)

        options = [f"-runs={asked.runs}", f"-seed={asked.seed}", f"-max_len={asked.longest}", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, corpus], feed)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
