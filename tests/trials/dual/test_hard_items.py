"""Hard items against a slow version of Appendix A."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from trials.data.preparing.dataset import SearchData
from trials.dual import hard_items as module
from trials.dual.config import DualConfig
from trials.dual.hard_items import hard_items, interaction_matrix, load_hard_items, mf_item_vectors


def random_case(seed: int = 0) -> tuple[np.ndarray, sparse.csr_array]:
    rng = np.random.default_rng(seed)
    seen = (rng.random((15, 30)) < 0.12).astype(np.float32)
    seen[:, :3] = 0
    return rng.normal(size=(30, 4)), sparse.csr_array(seen)


def nearest(vectors: np.ndarray, j: int, count: int) -> set[int]:
    distance = [(round(float(np.linalg.norm(vectors[i] - vectors[j])), 6), i) for i in range(len(vectors)) if i != j]
    return {i for _, i in sorted(distance)[:count]}


@pytest.mark.parametrize("chunk", [7, 256])
def test_union_of_the_nearest_less_co_occurring(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    text, seen = random_case()
    mf = mf_item_vectors(seen, 6)
    rows = hard_items(text, seen, fraction=0.1, mf_width=6)
    dense = seen.toarray()
    checked = 0
    for j in range(30):
        together = {i for i in range(30) if ((dense[:, i] > 0) & (dense[:, j] > 0)).any()}
        got = set(rows.row(j).tolist())
        assert not got & (together | {j})
        if expected := (nearest(text, j, 3) | nearest(mf, j, 3)) - together:
            assert got == expected
            checked += 1
        assert len(got) > 0
    assert checked > 20


def test_of_equally_near_items_the_first_whatever_rounding_says() -> None:
    """Items 1 to 4 are as far from item 0 and from each other, but for what the last bits of a sum say."""
    rng = np.random.default_rng(0)
    text = np.array([[0.0, 0.0]] + [[1.0, 0.0]] * 4)
    seen = sparse.csr_array(np.eye(3, 5, dtype=np.float32) * [1, 0, 0, 0, 0])
    for _ in range(20):
        rows = hard_items(text + rng.normal(scale=1e-15, size=text.shape), seen, fraction=0.4, mf_width=1)
        assert [rows.row(j).tolist() for j in range(5)] == [[1, 2], [2, 3], [1, 3], [1, 2], [1, 2]]


def test_at_least_one_and_at_most_all_others() -> None:
    text, seen = random_case()
    assert hard_items(text, seen, fraction=1e-6, mf_width=6).lengths().max() <= 2
    assert hard_items(text, seen, fraction=1.0, mf_width=6).lengths().max() == 29


def test_falls_back_to_random_items_never_together() -> None:
    """Items 0 and 1 are each other's only neighbours, but occur together; 2 and 3 never meet them."""
    text = np.array([[0.0], [0.1], [50.0], [90.0]])
    seen = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], dtype=np.float32))
    rows = hard_items(text, seen, fraction=0.25, mf_width=2)
    assert set(rows.row(0)) <= {2, 3}
    assert len(rows.row(0)) == 1


def test_item_together_with_every_other_has_none() -> None:
    seen = sparse.csr_array(np.ones((3, 4), dtype=np.float32))
    assert hard_items(np.eye(4), seen, fraction=0.5, mf_width=2).lengths().tolist() == [0, 0, 0, 0]


def test_factorisation_keeps_distances() -> None:
    """At full rank less one, distances of the vectors are those of the columns up to the smallest singular value."""
    _, seen = random_case()
    dense = seen.toarray()
    vectors = mf_item_vectors(seen, 1000)
    assert vectors.shape == (30, 14)
    smallest = np.linalg.svd(dense, compute_uv=False)[14]
    ours = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    theirs = np.linalg.norm(dense.T[:, None] - dense.T[None], axis=-1)
    assert np.abs(ours**2 - theirs**2).max() <= 2 * smallest**2 + 1e-6


def test_the_same_whenever_asked() -> None:
    text, seen = random_case()
    first, second = (hard_items(text, seen, fraction=0.1, mf_width=6) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)


def test_kept_in_the_cache(data: SearchData, make_job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    config = job.config
    assert isinstance(config, DualConfig)
    first = load_hard_items(config, data, job.assets)
    monkeypatch.setattr(module, "hard_items", None)
    again = load_hard_items(config, data, job.assets)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.offsets, again.offsets)
    assert len(list((tmp_path / "prepared" / "hard-items").iterdir())) == 1


def test_interaction_matrix_counts_a_repeat_once(data: SearchData) -> None:
    matrix = interaction_matrix(data).toarray()
    for user in range(data.num_users):
        assert set(np.flatnonzero(matrix[user])) == set(data.history(user).tolist())
    assert matrix.max() == 1
