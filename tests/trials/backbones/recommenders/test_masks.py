"""Gates against the masked weights that they stand for, `W * outer(r, c)`, built for every history."""

from __future__ import annotations

import pytest
import torch
from method_cases import as_queries
from torch import Tensor, nn

from trials.backbones.recommenders.bert4rec import BERT4RecEncoder
from trials.backbones.recommenders.masks import Gates, LayerMasks, gated_linear
from trials.backbones.recommenders.sasrec import SASRecEncoder

D, INNER, LAYERS = 8, 12, 2


def make(kind: type[SASRecEncoder] | type[BERT4RecEncoder]) -> SASRecEncoder | BERT4RecEncoder:
    torch.manual_seed(0)
    encoder = kind(
        10, max_length=6, num_layers=LAYERS, num_heads=2, hidden_size=D, inner_size=INNER, dropout=0.3
    ).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # small weights and biases of 0 would hide mistakes
    return encoder


def bits(*shape: int) -> Tensor:
    return (torch.rand(*shape) < 0.7).float()


def random_masks(batch: int) -> list[LayerMasks]:
    return [
        LayerMasks(
            output=Gates(bits(batch, D), bits(batch, D)),
            inner=Gates(bits(batch, D), bits(batch, INNER)),
            outer=Gates(bits(batch, INNER), bits(batch, D)),
        )
        for _ in range(LAYERS)
    ]


@pytest.mark.parametrize("shape", [(3, 4), (3, 5, 4), (3, 2, 5, 4)])
def test_a_gated_map_is_the_map_with_a_masked_weight(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    linear, x, gates = nn.Linear(4, 6), torch.randn(shape), Gates(bits(3, 4), bits(3, 6))
    found = gated_linear(linear, x, gates)
    assert gates.rows_BO is not None
    assert gates.columns_BI is not None
    for b in range(3):
        weight = linear.weight * torch.outer(gates.rows_BO[b], gates.columns_BI[b])
        torch.testing.assert_close(found[b], x[b] @ weight.T + linear.bias)


def test_either_side_may_be_left_open_and_one_row_of_gates_is_for_all() -> None:
    linear, x = nn.Linear(4, 6), torch.randn(3, 5, 4)
    columns, rows = bits(1, 4), bits(1, 6)
    torch.testing.assert_close(gated_linear(linear, x, Gates(columns_BI=columns)), linear(x * columns))
    masked = x @ (linear.weight * rows.T).T + linear.bias
    torch.testing.assert_close(gated_linear(linear, x, Gates(rows_BO=rows)), masked)
    assert torch.equal(gated_linear(linear, x, None), linear(x))


@pytest.mark.parametrize("kind", [SASRecEncoder, BERT4RecEncoder])
def test_an_encoder_under_masks_is_for_each_history_the_encoder_with_masked_weights(
    kind: type[SASRecEncoder] | type[BERT4RecEncoder],
) -> None:
    encoder = make(kind)
    histories = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 0, 1]]
    masks = random_masks(3)
    found_BD = encoder.encode(as_queries(histories), masks)
    for b, history in enumerate(histories):
        alone = make(kind)
        with torch.no_grad():
            for layer, layer_masks in zip(alone.layers, masks, strict=True):
                for name in ("output", "inner", "outer"):
                    gates = getattr(layer_masks, name)
                    getattr(layer, name).weight.mul_(torch.outer(gates.rows_BO[b], gates.columns_BI[b]))
        torch.testing.assert_close(found_BD[b], alone.encode(as_queries([history]))[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [SASRecEncoder, BERT4RecEncoder])
def test_open_gates_and_no_masks_change_nothing(kind: type[SASRecEncoder] | type[BERT4RecEncoder]) -> None:
    encoder = make(kind)
    asked = as_queries([[1, 2, 3], [4, 5]])
    plain = encoder.encode(asked)
    ones = Gates(torch.ones(2, D), torch.ones(2, D))
    torch.testing.assert_close(encoder.encode(asked, [LayerMasks(output=ones), None]), plain)
    assert torch.equal(encoder.encode(asked, [None, LayerMasks()]), plain)


def test_gates_get_gradients_and_masks_must_be_one_a_layer() -> None:
    encoder = make(SASRecEncoder).requires_grad_(False)
    rows = torch.ones(1, INNER, requires_grad=True)
    encoder.encode(as_queries([[1, 2]]), [LayerMasks(inner=Gates(rows_BO=rows)), None]).sum().backward()
    assert rows.grad is not None
    assert rows.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="zip"):
        encoder.encode(as_queries([[1, 2]]), [None])
