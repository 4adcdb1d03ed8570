"""Which gate acts where: one row gate for each output and one column gate for each input of every maskable matrix.

Shape letters: `B` requests, `G` gates (the paper's d).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from trials.backbones.recommenders.masks import Gates, LayerMasks
from trials.cramer.scopes import MAPS, Scope


@dataclass(frozen=True)
class Segment:
    """The gates of one matrix: `rows` row gates from `start`, then `columns` column gates.

    Args:
        layer: From 0.
        name: `output`, `inner` or `outer`.
        rows: α, outputs of the map.
        columns: β, its inputs.
        start: Place of its first row gate among all gates.
    """

    layer: int
    name: str
    rows: int
    columns: int
    start: int

    @property
    def stop(self) -> int:
        """Place after its last column gate."""
        return self.start + self.rows + self.columns


class GateLayout:
    """The gates of a backbone under a scope.

    Args:
        layers: The backbone's layers, each with linear maps `output`, `inner`, `outer`.
        scope: Which of them are maskable.
    """

    def __init__(self, layers: Sequence[nn.Module] | nn.ModuleList, scope: Scope) -> None:
        self.num_layers = len(layers)
        self.segments = tuple(_segments(layers, MAPS[scope]))

    @property
    def size(self) -> int:
        """The paper's d: rows plus columns, summed over the maskable matrices."""
        return self.segments[-1].stop if self.segments else 0

    def masks(self, gates_BG: Tensor) -> list[LayerMasks]:
        """The gates as the backbone's layers take them; slices, nothing is copied.

        Args:
            gates_BG: `[B, d]`, or `[1, d]` for gates that all share.
        """
        found: list[dict[str, Any]] = [{} for _ in range(self.num_layers)]
        for part in self.segments:
            split = part.start + part.rows
            found[part.layer][part.name] = Gates(
                columns_BI=gates_BG[:, split : part.stop], rows_BO=gates_BG[:, part.start : split]
            )
        return [LayerMasks(**maps) for maps in found]


def _segments(layers: Sequence[nn.Module] | nn.ModuleList, names: tuple[str, ...]) -> Iterator[Segment]:
    start = 0
    for number, layer in enumerate(layers):
        for name in names:
            linear = getattr(layer, name)
            assert isinstance(linear, nn.Linear)
            part = Segment(number, name, linear.out_features, linear.in_features, start)
            yield part
            start = part.stop
