from __future__ import annotations

import math

import pytest
import torch

from trials.promptbert.interests import Fusion, ShortTerm, at_places

WIDTH, HEADS = 6, 2


def slow_gru(short: ShortTerm, z_LD: torch.Tensor) -> torch.Tensor:
    """Step by step from a state of zeros, as torch defines a GRU."""
    w_in, w_hidden = short.gru.weight_ih_l0, short.gru.weight_hh_l0
    b_in, b_hidden = short.gru.bias_ih_l0, short.gru.bias_hh_l0
    g = torch.zeros(WIDTH)
    states = []
    for z in z_LD:
        r_in, u_in, n_in = (w_in @ z + b_in).chunk(3)
        r_h, u_h, n_h = (w_hidden @ g + b_hidden).chunk(3)
        reset, update = torch.sigmoid(r_in + r_h), torch.sigmoid(u_in + u_h)
        g = (1 - update) * torch.tanh(n_in + reset * n_h) + update * g
        states.append(g)
    return torch.stack(states)


def slow_short(short: ShortTerm, z_LD: torch.Tensor) -> torch.Tensor:
    """Section 3.3.1 for one prompt without padding, place by place and head by head."""
    g = slow_gru(short, z_LD)
    size = WIDTH // HEADS
    out = []
    for t in range(len(g)):
        heads = []
        for h in range(HEADS):
            rows = slice(h * size, (h + 1) * size)
            query = short.query.weight[rows] @ g[t]
            scores = torch.stack([query @ (short.key.weight[rows] @ g[j]) / math.sqrt(size) for j in range(len(g))])
            alpha = torch.softmax(scores, 0)
            heads.append(sum(alpha[j] * (short.value.weight[rows] @ g[j]) for j in range(len(g))))
        s = short.output.weight @ torch.cat(heads)
        gamma = torch.sigmoid(short.gate.weight @ torch.cat([g[t], s]))
        out.append(gamma * g[t] + (1 - gamma) * s)
    return torch.stack(out)


@pytest.fixture
def short() -> ShortTerm:
    torch.manual_seed(0)
    made = ShortTerm(WIDTH, HEADS)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def test_the_short_term_branch_is_its_equations_and_padding_changes_nothing(short: ShortTerm) -> None:
    z = torch.randn(3, 5, WIDTH)
    lengths = [5, 2, 4]
    valid = torch.arange(5) < torch.tensor(lengths)[:, None]
    places = torch.arange(5).expand(3, -1)
    found = short(z, valid, places)
    assert found.shape == (3, 5, WIDTH)
    for b, length in enumerate(lengths):
        torch.testing.assert_close(found[b, :length], slow_short(short, z[b, :length]), rtol=1e-4, atol=1e-5)


def test_a_place_by_itself_is_as_among_all(short: ShortTerm) -> None:
    z, valid = torch.randn(2, 6, WIDTH), torch.ones(2, 6, dtype=torch.bool)
    every = short(z, valid, torch.arange(6).expand(2, -1))
    some = short(z, valid, torch.tensor([[4], [1]]))
    torch.testing.assert_close(some, at_places(every, torch.tensor([[4], [1]])), rtol=1e-5, atol=1e-6)


def test_the_gate_has_the_shape_of_the_paper() -> None:
    made = ShortTerm(8, 4)
    assert made.gate.weight.shape == (8, 16)  # W_gate is 2d x d, times [g; s]
    assert made.gate.bias is None
    assert made.gru.weight_ih_l0.shape == (24, 8)


@pytest.mark.parametrize("branches", [2, 3])
@pytest.mark.parametrize(("temperature", "residual"), [(1.0, 0.5), (0.3, 0.0), (4.0, 2.0)])
def test_fusion_is_its_equation(branches: int, temperature: float, residual: float) -> None:
    torch.manual_seed(branches)
    fusion = Fusion(WIDTH, branches, 5, temperature, residual)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    z = [torch.randn(2, 3, WIDTH) for _ in range(branches)]
    main = torch.randn(2, 3, WIDTH)
    found, alpha = fusion(z, main)
    inner, _, outer = fusion.scorer
    for b in range(2):
        for t in range(3):
            u = torch.cat([branch[b, t] for branch in z])
            scores = outer.weight @ torch.nn.functional.gelu(inner.weight @ u + inner.bias) + outer.bias
            weights = torch.exp(scores / temperature) / torch.exp(scores / temperature).sum()
            torch.testing.assert_close(alpha[b, t], weights, rtol=1e-4, atol=1e-6)
            mixed = sum(weights[m] * z[m][b, t] for m in range(branches)) + residual * main[b, t]
            centred = mixed - mixed.mean()
            normed = centred / torch.sqrt(centred.square().mean() + fusion.norm.eps)
            expected = normed * fusion.norm.weight + fusion.norm.bias
            torch.testing.assert_close(found[b, t], expected, rtol=1e-4, atol=1e-5)


def test_branches_that_are_made_equal_are_normed_first() -> None:
    torch.manual_seed(0)
    fusion = Fusion(WIDTH, 2, 5, 1.0, 0.5, equal=True).requires_grad_(False)
    for norm in fusion.norms:
        torch.nn.init.normal_(norm.weight)  # type: ignore[arg-type]
    plain = Fusion(WIDTH, 2, 5, 1.0, 0.5).requires_grad_(False)
    assert not plain.norms
    plain.load_state_dict({key: value for key, value in fusion.state_dict().items() if not key.startswith("norms")})
    z, main = [1000 * torch.randn(2, 3, WIDTH), torch.randn(2, 3, WIDTH)], torch.randn(2, 3, WIDTH)
    first, second, third = fusion.norms
    for found, expected in zip(fusion(z, main), plain([first(z[0]), second(z[1])], third(main)), strict=True):
        torch.testing.assert_close(found, expected)


def test_tokens_that_continue_a_prompt_are_those_of_the_whole_prompt() -> None:
    torch.manual_seed(0)
    short = ShortTerm(WIDTH, HEADS).requires_grad_(False)
    z_BLD, asked_BTD, read_BT = torch.randn(2, 4, WIDTH), torch.randn(2, 3, WIDTH), torch.tensor([[1, 4, 0], [2, 2, 3]])
    found = short.continued(z_BLD, asked_BTD, read_BT)
    for b in range(2):
        for t in range(3):
            whole = torch.cat([z_BLD[b, : read_BT[b, t]], asked_BTD[b, t : t + 1]])
            torch.testing.assert_close(found[b, t], slow_short(short, whole)[-1], rtol=1e-4, atol=1e-5)
    assert short.continued(z_BLD[:, :0], asked_BTD, torch.zeros_like(read_BT)).shape == (2, 3, WIDTH)
