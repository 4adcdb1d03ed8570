from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trials.promptbert.contrast import contrast, pairs_of, window_means

WINDOW, TAU = 2, 0.7


def written_out(
    z: torch.Tensor, lengths: list[int], users: list[int], group: int, *, cosine: bool = False
) -> tuple[float, int]:
    """The equation of section 3.2, term by term; the mean over pairs, and their number."""

    def mean(b: int, j: int) -> np.ndarray:
        found = z[b, j * WINDOW : (j + 1) * WINDOW].double().mean(0).numpy()
        return found / np.linalg.norm(found) if cosine else found

    def f(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(float(x @ y) / TAU)

    count = [length // WINDOW for length in lengths]
    total, pairs = 0.0, 0
    for u in range(len(lengths)):
        near = [v for v in range(len(lengths)) if v // group == u // group and users[v] != users[u]]
        for j in range(count[u]):
            for k in range(count[u]):
                if j == k:
                    continue
                positive = f(mean(u, j), mean(u, k))
                negatives = sum(f(mean(u, j), mean(v, k)) for v in near if k < count[v])
                total -= math.log(positive / (positive + negatives))
                pairs += 1
    return total / max(pairs, 1), pairs


def call(z: torch.Tensor, lengths: list[int], users: list[int], group: int, **options: str) -> torch.Tensor:
    return contrast(z, np.array(lengths), np.array(users), window=WINDOW, temperature=TAU, group=group, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("group", [1, 2, 3, 16])
@pytest.mark.parametrize("similarity", ["inner", "cosine"])
def test_it_is_the_written_out_equation(group: int, similarity: str) -> None:
    torch.manual_seed(group)
    z = torch.randn(5, 9, 4)
    lengths, users = [9, 4, 7, 3, 2], [0, 1, 0, 2, 3]
    expected, pairs = written_out(z, lengths, users, group, cosine=similarity == "cosine")
    assert float(call(z, lengths, users, group, similarity=similarity)) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert pairs_of(np.array(lengths), WINDOW).sum() == pairs


def test_padding_and_incomplete_windows_change_nothing() -> None:
    torch.manual_seed(0)
    z = torch.randn(3, 8, 4)
    lengths, users = [5, 8, 6], [0, 1, 2]
    other = z.clone()
    other[0, 4:] = 9.0  # the fifth token makes no whole window
    other[2, 6:] = -9.0
    assert float(call(z, lengths, users, 3)) == pytest.approx(float(call(other, lengths, users, 3)))
    assert window_means(z, 3).shape == (3, 2, 4)


def test_one_user_or_short_prompts_have_nothing_to_contrast() -> None:
    z = torch.randn(3, 8, 4, requires_grad=True)
    assert float(call(z, [8, 8, 8], [4, 4, 4], 3).detach()) == pytest.approx(0.0, abs=1e-6)
    loss = call(z, [3, 3, 3], [0, 1, 2], 3)
    loss.backward()
    assert float(loss.detach()) == 0.0


def test_windows_of_one_user_attract() -> None:
    torch.manual_seed(1)
    z = torch.randn(2, 4, 4, requires_grad=True)
    optimizer = torch.optim.SGD([z], lr=0.5)
    for _ in range(50):
        optimizer.zero_grad()
        call(z, [4, 4], [0, 1], 2, similarity="cosine").backward()
        optimizer.step()
    means = torch.nn.functional.normalize(window_means(z.detach(), WINDOW), dim=-1)
    within = float((means[0, 0] * means[0, 1]).sum())
    across = float((means[0, 0] * means[1, 1]).sum())
    assert within > across + 0.5
