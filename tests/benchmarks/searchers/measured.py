"""Problems that somebody measured: which features of scikit-learn's data a classifier should have, and MaxSAT.

    python tests/benchmarks/searchers/measured.py            looks for better points than the best known ones

A feature selection's value is the accuracy on validation of a classifier by nearest neighbours that sees the chosen
features alone, as in papers on wrappers (Kohavi and John 1997). The accuracy on a test set that no searcher sees is
`Problem.test`; `on_test.py` tells it of finished runs.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from problems import Bits, Problem, _bits

from searchplat.spec.space import Layout, Space

NEIGHBOURS = 5
FOLDS = 5
PARTITIONS = 10
"""Ways to cut the data into folds. A searcher sees the accuracy under one of them, drawn at random for each
evaluation; a point's worth is the mean over all."""

STARTS, KICKS = 20, 100  # of the ascent to the best known points: random ones, then the best with three bits flipped
_ENOUGH = 60  # rows nearest to one, among which more than `NEIGHBOURS` are of other folds than its own

FEATURES = {
    # Data, layers, roles, rows for training and validation, best known mean accuracy (by `main`).
    "breast-cancer-30": ("breast_cancer", 10, 3, 380, 0.981053),
    "digits-64": ("digits", 8, 8, 500, 0.976600),
}
MAXSAT_FOLDER = "OUTSIDE_MAXSAT"
"""The variable that names the folder of the instances: `test_funcs/MaxSAT/maxsat2018_data` of github.com/xingchenwan/
Casmopolitan, MIT."""
MAXSAT_FILE = "frb-frb10-6-4.wcnf"


class Selection:
    """Accuracies of nearest neighbours by the features they see.

    Args:
        data: Which of scikit-learn's sets, `load_<data>`.
        rows: How many are for training and validation; the others are for the test.
    """

    def __init__(self, data: str, rows: int) -> None:
        from sklearn import datasets  # of the benchmarks alone, and slow to import

        x, y = getattr(datasets, f"load_{data}")(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        known, unseen = order[:rows], order[rows:]
        spread = x[known].std(0)
        x = (x - x[known].mean(0)) / np.where(spread > 0, spread, 1)  # pixels that are always white stay so
        self._known, self._unseen = x[known], x[unseen]
        self._classes_RC = np.eye(y.max() + 1)[y[known]]
        self._y, self._y_unseen = y[known], y[unseen]
        draws = [np.random.default_rng([p, 1]).permutation(rows) % FOLDS for p in range(PARTITIONS)]
        self._folds_PR = np.array(draws)

    def validation(self, z_F: Bits) -> Bits:
        """Accuracy under each partition, `[PARTITIONS]`: of each row, by the rows of other folds."""
        near_RN = np.argsort(self._distances(self._known, z_F), axis=1, kind="stable")[:, :_ENOUGH]
        found: list[float] = []
        for folds_R in self._folds_PR:
            other_RN = folds_R[near_RN] != folds_R[:, None]
            counted_RN = other_RN & (other_RN.cumsum(1) <= NEIGHBOURS)
            # As many in each row, so the chosen ones are a rectangle again.
            chosen_RK = near_RN[counted_RN].reshape(len(near_RN), NEIGHBOURS)
            found.append(self._accuracy(chosen_RK, self._y))
        return np.array(found)

    def test(self, z_F: Bits) -> float:
        """Accuracy on the rows for the test, by all others."""
        near_UR = np.argsort(self._distances(self._unseen, z_F), axis=1, kind="stable")
        return self._accuracy(near_UR[:, :NEIGHBOURS], self._y_unseen)

    def _distances(self, rows: Bits, z_F: Bits) -> Bits:
        a, b = rows * z_F, self._known * z_F
        squared: Bits = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
        return squared.round(9)  # equal rows are equally near, whatever was lost in the difference

    def _accuracy(self, near: Bits, y: Bits) -> float:
        return float((self._classes_RC[near].sum(1).argmax(1) == y).mean())


@cache
def _selection(data: str, rows: int) -> Selection:
    return Selection(data, rows)


def feature_selection(name: str) -> Problem:
    """Features of `FEATURES[name]` as a layout: of the breast cancer data a layer is a quantity, whose mean, error and
    worst are its roles; of the digits a layer is a row of pixels.
    """
    data, layers, roles, rows, best = FEATURES[name]
    selection = _selection(data, rows)
    space = Space((Layout("layout", layers, tuple(f"r{i}" for i in range(roles)), ("out", "in")),))

    def features(bits: Bits) -> Bits:
        # scikit-learn has all means first, then all errors; pixels are row by row already.
        return bits.reshape(layers, roles).T.reshape(-1) if data == "breast_cancer" else bits

    def partitions(values: Any) -> Bits:
        return selection.validation(features(_bits(space, values)))

    rng = np.random.default_rng(60)
    drawn = np.array([partitions(space.sample(rng)) for _ in range(100)])
    return Problem(
        name,
        space,
        lambda values: float(partitions(values).mean()),
        float(np.sqrt(drawn.var(1, ddof=1).mean())),
        best,
        float(drawn.mean()),
        lambda values, rng: float(rng.choice(partitions(values))),
        lambda values: selection.test(features(_bits(space, values))),
    )


def maxsat_path() -> Path | None:
    """The instance, where the user has put it."""
    path = Path(os.environ.get(MAXSAT_FOLDER, "")) / MAXSAT_FILE
    return path if os.environ.get(MAXSAT_FOLDER) and path.exists() else None


def maxsat(seed: int = 0, noise: float = 0.0) -> Problem:
    """Weighted MaxSAT, frb10-6-4 of the MaxSAT Evaluation 2018: 60 bits, 698 clauses, optimum 38928 by its own comment.

    It asks for the largest independent set: no bit at all is nearly best, and points of few bits are good. So each seed
    has bits of its own flipped, as in the Bounce paper. The weights are the file's: published curves subtract their
    mean, by which the clauses of single bits count less than nothing, and no bit at all is best.

    Raises:
        FileNotFoundError: If the instance is not there.
    """
    path = maxsat_path()
    if path is None:
        raise FileNotFoundError(f"{MAXSAT_FOLDER} names no folder with {MAXSAT_FILE}")
    lines = [line.split() for line in path.read_text().splitlines() if line and line[0] not in "cp"]
    weights_C = np.array([float(words[0]) for words in lines])
    positive_CD, negative_CD = np.zeros((2, len(lines), 60))
    for row, words in enumerate(lines):
        for literal in map(int, words[1:-1]):  # a line ends with 0
            (positive_CD if literal > 0 else negative_CD)[row, abs(literal) - 1] = 1
    flipped_D = np.random.default_rng([seed, 70]).integers(0, 2, 60)
    space = Space((Layout("layout", 20, ("r0", "r1", "r2"), ("false", "true")),))

    def values_of(z: Bits) -> Bits:
        z = np.abs(z - flipped_D)
        total: Bits = ((z @ positive_CD.T + (1 - z) @ negative_CD.T) > 0) @ weights_C
        return total

    drawn = values_of(np.random.default_rng(71).integers(0, 2, (4000, 60)).astype(float))
    return Problem(
        "maxsat-60" + ("-noisy" if noise else ""),
        space,
        lambda values: float(values_of(_bits(space, values)[None])[0]),
        noise * float(drawn.std()),
        38928.0,
        float(drawn.mean()),
    )


def main() -> None:
    """The best known values of `FEATURES`, by iterated ascent over flips from all features and from random ones.

    With names of `FEATURES` as arguments, only of these.
    """
    for name in sys.argv[1:] or FEATURES:
        data, layers, roles, rows, best = FEATURES[name]
        selection, d = _selection(data, rows), layers * roles
        rng = np.random.default_rng(0)
        starts = (np.ones(d), *rng.integers(0, 2, (STARTS, d)).astype(float))
        value, z_F = max((_ascended(selection, z_F, rng) for z_F in starts), key=lambda found: found[0])
        for _ in range(KICKS):
            kicked_F = z_F.copy()
            bits = rng.choice(d, 3, replace=False)
            kicked_F[bits] = 1 - kicked_F[bits]
            value, z_F = max((value, z_F), _ascended(selection, kicked_F, rng), key=lambda found: found[0])
        print(f"{name}: {value:.6f}, best known {best:.6f}", flush=True)


def _ascended(selection: Selection, z_F: Bits, rng: np.random.Generator) -> tuple[float, Bits]:
    """The mean accuracy where no flip helps, and the features there.

    Each flip that helps is taken at once, as the steepest costs much more.
    """
    value, unhelpful = float(selection.validation(z_F).mean()), 0
    while True:
        for bit in rng.permutation(len(z_F)):
            flipped_F = z_F.copy()
            flipped_F[bit] = 1 - flipped_F[bit]
            new = float(selection.validation(flipped_F).mean())
            if new > value + 1e-12:
                z_F, value, unhelpful = flipped_F, new, 0
            else:
                unhelpful += 1
            if unhelpful == len(z_F):
                return value, z_F


if __name__ == "__main__":
    main()
