from __future__ import annotations

import pytest
import torch

from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.cramer.layout import GateLayout
from trials.cramer.scopes import MAPS, Scope

SIZES = {"max_length": 6, "num_heads": 2, "hidden_size": 4, "inner_size": 10, "dropout": 0.0}


def encoder(num_layers: int = 2) -> SASRecEncoder:
    return SASRecEncoder(9, num_layers=num_layers, **SIZES)


@pytest.mark.parametrize("scope", MAPS)
@pytest.mark.parametrize("num_layers", [1, 3])
def test_there_is_one_gate_for_each_row_and_column_of_the_maskable_matrices(scope: Scope, num_layers: int) -> None:
    backbone = encoder(num_layers)
    wanted = 0
    for layer in backbone.layers:
        matrices = {"ffn": [layer.inner, layer.outer], "output": [layer.output]}
        matrices["both"] = [*matrices["ffn"], *matrices["output"]]
        wanted += sum(sum(linear.weight.shape) for linear in matrices[scope])
    assert GateLayout(backbone.layers, scope).size == wanted


def test_recboles_sizes_have_1536_gates() -> None:
    backbone = SASRecEncoder(9, max_length=6, num_layers=2, num_heads=2, hidden_size=64, inner_size=256, dropout=0.0)
    sizes = {scope: GateLayout(backbone.layers, scope).size for scope in MAPS}
    assert sizes == {"ffn": 1280, "output": 256, "both": 1536}


def test_every_gate_acts_at_one_place() -> None:
    layout = GateLayout(encoder().layers, "both")
    gates_BG = torch.arange(float(layout.size)).expand(2, -1)
    seen: list[float] = []
    for masks, layer in zip(layout.masks(gates_BG), encoder().layers, strict=True):
        for name in ("output", "inner", "outer"):
            linear, gates = getattr(layer, name), getattr(masks, name)
            assert gates.rows_BO.shape == (2, linear.out_features)
            assert gates.columns_BI.shape == (2, linear.in_features)
            seen += [*gates.rows_BO[0].tolist(), *gates.columns_BI[0].tolist()]
    assert sorted(seen) == list(range(layout.size))


@pytest.mark.parametrize(("scope", "bare"), [("ffn", ["output"]), ("output", ["inner", "outer"])])
def test_matrices_out_of_scope_are_left_alone(scope: Scope, bare: list[str]) -> None:
    layout = GateLayout(encoder().layers, scope)
    for masks in layout.masks(torch.ones(1, layout.size)):
        assert [name for name in ("output", "inner", "outer") if getattr(masks, name) is None] == bare
