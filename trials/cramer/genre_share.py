"""What requests do to the share of a genre in the ten best (section 4.5, Table 3).

`python -m trials.cramer.genre_share FOLDER` prints it.

For some users of the data that a model was trained on, the share of a genre among the ten best items is measured
without a request, which is the bare backbone, and after each of six kinds of request around the genre. Items of a
user's own history are left out of the ten best. The histories end before the validation item; nothing here reads the
test split.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from searchplat.contract import AssetSource, DataRequest, asset_source
from searchplat.errors import InputError, SearchplatError
from searchplat.paths import resolve
from trials.cramer import CRAMER
from trials.cramer.model import CRAMERModel
from trials.data import Queries, SearchData, open_search

TOP = 10

ROMANCE: dict[str, str] = {
    "clear positive": "I'd like a romantic comedy.",
    "ambiguous positive": "Something sweet and heartwarming.",
    "rare-term positive": "I want an offbeat, slow-burn emotional drama.",
    "clear opposite": "Please avoid romantic movies.",
    "ambiguous opposite": "Maybe something less focused on love.",
    "rare-term opposite": "Skip movies with amour-driven plots.",
}
"""The paper's requests, word by word. A kind that ends in `positive` asks for the genre, one in `opposite` for less."""

PAPER: dict[str, tuple[float, float]] = {
    "no request": (0.286, 0.0218),
    "clear positive": (0.432, 0.0244),
    "ambiguous positive": (0.345, 0.0253),
    "rare-term positive": (0.312, 0.0371),
    "clear opposite": (0.135, 0.0187),
    "ambiguous opposite": (0.204, 0.0198),
    "rare-term opposite": (0.253, 0.0389),
}
"""Table 3, on ReDial: mean and variance over users."""


@dataclass(frozen=True)
class Share:
    """The share of a genre in users' ten best.

    Args:
        kind: Of request, or `no request`.
        request: Its text.
        mean: Over users, in [0, 1].
        variance: Over users.
        wanted: Whether the request should raise the share, lower it, or neither.
        moved: Mean of the changes against no request, over users.
        standard_error: Of `moved`; a change of less than about two of them is no evidence of any.
    """

    kind: str
    request: str
    mean: float
    variance: float
    wanted: Literal["up", "down", ""]
    moved: float
    standard_error: float


def genre_share(
    model: CRAMERModel, queries: Queries, in_genre_N: NDArray[np.bool_], requests: Mapping[str, str]
) -> list[Share]:
    """Shares without a request, and after each of the requests, asked of every user.

    Args:
        model: Trained; in evaluation mode.
        queries: One a user.
        in_genre_N: Which items have the genre.
        requests: Kind -> text.
    """
    with torch.inference_mode():
        before_U = _shares(model.bare_scores(queries), queries, in_genre_N)
        found = [_share("no request", "", before_U, before_U)]
        for kind, text in requests.items():
            asked = Queries(queries.users_B, queries.items, queries.offsets, [text] * len(queries))
            found.append(_share(kind, text, _shares(model.scores(asked), queries, in_genre_N), before_U))
    return found


def items_of_genre(data: SearchData, genre: str) -> NDArray[np.bool_]:
    """`[N]` whether an item's genres name this one, in whichever case.

    Raises:
        InputError: If the data set tells no genres, or none like it.
    """
    column = data.attributes.get("genres")
    if column is None:
        raise InputError(f"data {data.name!r} tells no genres of its items; use a data set of films")
    names_N = [set(re.split(r"[\s,|]+", text.casefold())) for text in column]
    found_N = np.array([genre.casefold() in names for names in names_N])
    if not found_N.any():
        known = sorted(set().union(*names_N) - {""})
        raise InputError(f"genre {genre!r}: no item of data {data.name!r} has it; known are {', '.join(known)}")
    return found_N


def measure(
    folder: Path, assets: AssetSource, *, genre: str, requests: Mapping[str, str], users: int, seed: int
) -> list[Share]:
    """Load a model and the data that it was trained on, and measure `users` users drawn by the seed.

    Args:
        folder: A final training's folder, or a package made of one.

    Raises:
        InputError: If the folder holds no trained CRAMER that reads requests, or its data has not the genre.
    """
    served = CRAMER().load(folder, assets)
    model = served.model
    assert isinstance(model, CRAMERModel)
    if model.projection is None:
        raise InputError(
            f"{folder}: this CRAMER was trained with request=none and reads no requests; train one that does"
        )
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))["data"]
    data = open_search(DataRequest(told["name"], told["options"], told["fraction"], told["seed"]), assets)
    drawn = np.random.default_rng(seed).permutation(data.num_users)[:users]
    rows = [data.history(user) for user in sorted(drawn.tolist())]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    queries = Queries(np.full(len(rows), -1), np.concatenate(rows), offsets)
    return genre_share(model, queries, items_of_genre(data, genre), requests)


def _shares(scores_BN: torch.Tensor, queries: Queries, in_genre_N: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows = np.repeat(np.arange(len(queries)), np.diff(queries.offsets))
    open_BN = scores_BN.float().cpu().numpy().copy()
    open_BN[rows, queries.items] = -np.inf
    best_BK = np.argsort(-open_BN, axis=1, kind="stable")[:, :TOP]
    shares_B: NDArray[np.float64] = in_genre_N[best_BK].mean(axis=1)
    return shares_B


def _share(kind: str, request: str, after_U: NDArray[np.float64], before_U: NDArray[np.float64]) -> Share:
    moved_U = after_U - before_U
    error = float(moved_U.std(ddof=1) / np.sqrt(len(moved_U))) if len(moved_U) > 1 else float("nan")
    wanted: Literal["up", "down", ""] = (
        "up" if kind.endswith("positive") else "down" if kind.endswith("opposite") else ""
    )
    return Share(kind, request, float(after_U.mean()), float(after_U.var()), wanted, float(moved_U.mean()), error)


def _table(shares: Sequence[Share], genre: str, users: int, papers: bool) -> str:
    lines = [f"share of {genre} in the {TOP} best of {users} users"]
    lines.append(f"{'kind':<20} {'mean':>6} {'var':>7} {'change':>15} {'wanted':>7}" + ("   paper" if papers else ""))
    for one in shares:
        change = "" if not one.request else f"{one.moved:+.3f} ± {one.standard_error:.3f}"
        line = f"{one.kind:<20} {one.mean:>6.3f} {one.variance:>7.4f} {change:>15} {one.wanted:>7}"
        if papers and one.kind in PAPER:
            line += f"   {PAPER[one.kind][0]:.3f}"
        lines.append(f"{line}   {one.request}".rstrip())
    return "\n".join(lines)


def _requests(path: Path) -> dict[str, str]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: must be a JSON object of kinds and requests, but cannot be read ({error})"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(text, str) and text.strip() for text in found.values()):
        raise InputError(f"{path}: must be a JSON object whose values are requests, got {str(found)[:80]}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.cramer.genre_share", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", help="a final run's folder, or a package of a registered model")
    parser.add_argument("--genre", default="Romance", help="as the data set names it (default: Romance)")
    parser.add_argument("--requests", help="a JSON file {kind: request}; kinds end in positive or opposite")
    parser.add_argument("--users", type=int, default=100, help="how many users to ask for (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="draws the users (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        if options.users < 1:
            raise InputError(f"--users: must be at least 1, got {options.users}")
        if options.requests is None and options.genre.casefold() != "romance":
            raise InputError(f"--requests: the built-in requests are about romance; write some about {options.genre}")
        requests = ROMANCE if options.requests is None else _requests(resolve(options.requests, "--requests"))
        shares = measure(
            resolve(options.folder, "folder"), asset_source(), genre=options.genre, requests=requests,
            users=options.users, seed=options.seed,
        )  # fmt: skip
    except SearchplatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps([asdict(one) for one in shares], indent=1))
    else:
        print(_table(shares, options.genre, options.users, options.requests is None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
