"""The grammar and its page say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchplat.spec import load, load_text, shipped_spaces
from searchplat.spec.document.shapes import Fields, ListOf, MapOf, Shape, Tagged
from searchplat.spec.find import _folder
from searchplat.spec.grammar import FILE

PAGE = Path(__file__).resolve().parents[3] / "spaces" / "README.md"


def keys(shape: Shape) -> Iterator[str]:
    match shape:
        case Fields():
            for name, field in shape.fields.items():
                yield name
                yield from keys(field.shape)
        case Tagged():
            for variant in shape.variants.values():
                yield from keys(variant)
        case ListOf() | MapOf():
            yield from keys(shape.item)


def test_the_page_explains_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [key for key in dict.fromkeys(keys(FILE)) if f"`{key}`" not in text]
    assert not missing


def test_the_page_s_example_is_valid() -> None:
    example = re.search(r"```yaml\n(method: .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    spec = load_text(example[1], "example.yaml")
    assert (spec.scale, [stage.name for stage in spec.stages]) == ("quick", ["layout", "weights"])


@pytest.mark.parametrize("path", shipped_spaces().values(), ids=lambda path: path.stem)
def test_shipped_spaces_are_valid_at_every_scale(path: Path) -> None:
    from searchplat.spec import load

    assert load(path).name == path.stem
    assert path.parent == _folder()


@pytest.mark.parametrize("path", shipped_spaces().values(), ids=lambda path: path.stem)
def test_shipped_spaces_are_compared_with_what_is_merely_counted(path: Path) -> None:
    yardsticks = {"popularity", "markov", "itemknn", "ease"}
    for scale in ("quick", "paper"):
        spec = load(path, scale=scale)
        assert {control.method for control in spec.controls} >= yardsticks - {spec.method}
    smoke = load(path, scale="smoke")
    assert {control.method for control in smoke.controls} >= {"popularity", "markov"} - {smoke.method}
