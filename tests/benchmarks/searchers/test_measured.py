"""The problems that somebody measured give what others would compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured import FEATURES, FOLDS, MAXSAT_FILE, MAXSAT_FOLDER, NEIGHBOURS, Selection, maxsat
from problems import PROBLEMS, available


@pytest.mark.parametrize("name", FEATURES)
def test_accuracies_are_those_of_scikit_learn(name: str) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    data, layers, roles, rows, _ = FEATURES[name]
    selection = Selection(data, rows)
    z_F = np.random.default_rng(1).integers(0, 2, layers * roles).astype(float)
    x, y, folds_R = selection._known * z_F, selection._y, selection._folds_PR[2]
    right = 0
    for fold in range(FOLDS):
        held = folds_R == fold
        model = neighbors.KNeighborsClassifier(NEIGHBOURS).fit(x[~held], y[~held])
        right += (model.predict(x[held]) == y[held]).sum()
    assert selection.validation(z_F)[2] == pytest.approx(right / rows)
    model = neighbors.KNeighborsClassifier(NEIGHBOURS).fit(x, y)
    assert selection.test(z_F) == pytest.approx(model.score(selection._unseen * z_F, selection._y_unseen))


def test_columns_of_the_breast_cancer_data_are_quantities_by_layers() -> None:
    problem = PROBLEMS["breast-cancer-30"](0)
    # The mean radius alone tells more than its error alone.
    only = ["100" + "-000" * 9, "010" + "-000" * 9]
    mean, error = (problem.value({"layout": layout}) for layout in only)
    assert mean > error + 0.02
    assert problem.value({"layout": "-".join(["111"] * 10)}) <= problem.best


def test_maxsat_counts_the_weights_of_satisfied_clauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MAXSAT_FOLDER, raising=False)
    assert "maxsat-60" not in available()
    (tmp_path / MAXSAT_FILE).write_text("c a comment\np wcnf 60 3 9\n1 1 0\n5 -1 -60 0\n3 2 60 0\n")
    monkeypatch.setenv(MAXSAT_FOLDER, str(tmp_path))
    problem = maxsat(seed=4)
    flipped = np.random.default_rng([4, 70]).integers(0, 2, 60)

    def value(*true: int) -> float:
        z = np.zeros(60, dtype=int)
        z[[number - 1 for number in true]] = 1
        layout = problem.space["layout"]
        return problem.value({"layout": layout.encode(z ^ flipped)})  # type: ignore[union-attr]

    assert (value(), value(1), value(60), value(1, 60), value(1, 2)) == (5, 6, 8, 4, 9)
    assert "maxsat-60" in available()
