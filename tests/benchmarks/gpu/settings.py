"""What all parts share: the machine, the space, the backbone, and the rows that they find. Loads nothing at first."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]

NEEDED = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "yaml",
    "filelock",
    "pydantic",
)
"""Modules that the parts import; of these only pydantic and what it needs are carried."""

PACKED_USERS = 0.1
"""Share of the users on whom packed trials train: an epoch of seconds."""


@dataclass(frozen=True)
class Settings:
    """What `prepare` found.

    Args:
        device: `cuda` or `cpu`.
        rehearse: Whether everything is tiny.
        backbone: Folder of the weights.
        encoder: Whose vectors hard items are similar by.
        work: For checkpoints.
        changed: What the part `paper` sets on top of the scale, as `key=value`.
    """

    device: str
    rehearse: bool
    backbone: str
    encoder: str
    work: str
    changed: list[str]

    def spec(self, *overrides: str) -> Any:
        """DARec's space at the scale `paper` (rehearsed: `smoke`), with the weights that are here."""
        return space(self.backbone, self.encoder, self.rehearse, *overrides)

    def order(self, spec: Any, config: dict[str, Any], seed: int, folder: str, share: float = 1.0) -> Any:
        """What a trial of the space is told to do."""
        from searchplat.engine.worker.order import Order

        return Order(
            number=None, method=spec.method, config=config, data=spec.data.name,
            data_options=dict(spec.data.options), data_fraction=share, data_seed=spec.seed, seed=seed,
            folder=str(Path(self.work) / "trials" / folder), gpu=self.device == "cuda",
        )  # fmt: skip


class Rows:
    """A part's figures, one line each in a file, so that what was found outlives the part."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, what: str, figure: str, **values: Any) -> None:
        """Write one figure, in words and as numbers."""
        print(f"{what}: {figure}", flush=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"what": what, "figure": figure, **values}) + "\n")


def space(backbone: str, encoder: str, rehearse: bool, *overrides: str) -> Any:
    """DARec's space with this backbone and this encoder."""
    from searchplat.spec import load

    names = [f"backbone={json.dumps(backbone)}", f"text_encoder={encoder}", *overrides]
    if rehearse:
        return load(ROOT / "spaces" / "darec.yaml", scale="smoke", overrides=names)
    depth = json.loads((Path(backbone) / "config.json").read_text())["num_hidden_layers"]
    return load(ROOT / "spaces" / "darec.yaml", scale="paper", overrides=[*names, f"fixed.num_layers={depth}"])


def prepare(work: Path, rehearse: bool, changed: list[str]) -> int:
    """See what is here, make what is not, and write it down; 2 if the parts cannot run here."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{sys.executable} must have {', '.join(missing)}; name another interpreter in PYTHON", file=sys.stderr)
        return 2
    import torch

    if not rehearse and not torch.cuda.is_available():
        print("Torch sees no GPU; `scripts/gpu rehearse` runs all of it on a CPU", file=sys.stderr)
        return 2
    import carrying

    from searchplat.errors import SearchplatError

    backbone = work / "carried" / "backbone"
    try:
        if not backbone.is_dir():
            carrying.opt_shape(backbone, _sentences())
        encoder = "random-bert" if rehearse else _prepared(str(backbone))
    except SearchplatError as error:
        print(error, file=sys.stderr)
        return 2
    words = json.loads((backbone / "about.json").read_text())["words"]
    device = "cpu" if rehearse else "cuda"
    made = Settings(device, rehearse, str(backbone), encoder, str(work), changed)
    (work / "settings.json").write_text(json.dumps(asdict(made)))
    machine = {
        "device": "CPU" if rehearse else torch.cuda.get_device_name(),
        "memory_bytes": 0 if rehearse else torch.cuda.mem_get_info()[1],
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "backbone": words,
        "hard_items_by": encoder,
        "rehearsed": rehearse,
    }
    print(json.dumps(machine))
    return 0


def read(work: Path) -> Settings:
    """What `prepare` wrote."""
    return Settings(**json.loads((work / "settings.json").read_text()))


def words(machine: dict[str, Any]) -> str:
    """The machine in a line."""
    rehearsed = "; REHEARSED: no figure means anything" if machine["rehearsed"] else ""
    return (
        f"{machine['device']}, {machine['cores']} cores, torch {machine['torch']}; backbone: {machine['backbone']}; "
        f"hard items by {machine['hard_items_by']}{rehearsed}"
    )


def requests(spec: Any) -> list[Any]:
    """The data that the parts train on: all users, and the share of them that packed trials have."""
    from searchplat.contract import DataRequest

    return [DataRequest(spec.data.name, spec.data.options, share, spec.seed) for share in (1.0, PACKED_USERS)]


def _sentences() -> list[str]:
    """What the items of Scientific say, for a vocabulary."""
    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest
    from trials.data import open_search

    return list(open_search(DataRequest("scientific"), AssetStore()).sentences)


def _prepared(backbone: str) -> str:
    """Prepare data and hard items for all parts; the encoder whose hard items were carried, else a random one."""
    from searchplat.assets import AssetStore
    from searchplat.errors import AssetError
    from searchplat.methods import load_method

    for encoder in ("minilm-l6-v2", "random-bert"):
        spec = space(backbone, encoder, False)
        method = load_method(spec.method)
        config = method.Config(**{**spec.fixed, "lambda_cl": 1e-3})
        try:
            for request in requests(spec):
                method.prepare(config, request, AssetStore())
        except AssetError as error:
            if encoder == "random-bert":
                raise
            print(f"no hard items by {encoder}: {error}", file=sys.stderr)
            continue
        return encoder
    raise AssertionError
