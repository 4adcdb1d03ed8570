"""The text of a layout and what it says of each layer. Loads no torch."""

from __future__ import annotations

from typing import NamedTuple


class Designs(NamedTuple):
    """Which of a DALayer's three adapters are parallel; the others are serial."""

    causal: bool
    context: bool
    recommend: bool


SERIAL = Designs(False, False, False)
PARALLEL = Designs(True, True, True)


def parse_layout(text: str, layers: int | None) -> tuple[Designs, ...]:
    """Designs of every DALayer, from the input to the output.

    Args:
        text: `serial`, `parallel`, or one group of three bits (causal, context, recommend; 1 = parallel) a layer,
            joined by `-`.
        layers: Number of DALayers; None checks the text alone and takes one layer for a named layout.

    Raises:
        ValueError: If the text is none of these, or has another number of layers.

    >>> parse_layout("010-000", 2)[0]
    Designs(causal=False, context=True, recommend=False)
    """
    if text in ("serial", "parallel"):
        return ((SERIAL if text == "serial" else PARALLEL),) * (1 if layers is None else layers)
    groups = text.split("-")
    if set(text) - set("01-") or any(len(group) != len(Designs._fields) for group in groups):
        raise ValueError(
            f"layout must be serial, parallel, or groups of 3 bits joined by - such as 010-000-111, got {text!r}"
        )
    if layers is not None and len(groups) != layers:
        raise ValueError(
            f"layout must have one group of bits for each of the {layers} adapted layers, got {len(groups)} in "
            f"{text!r}; give {layers} groups or set num_layers and replace_every accordingly"
        )
    return tuple(Designs(*(bit == "1" for bit in group)) for group in groups)
