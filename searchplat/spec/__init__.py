"""The space language: a YAML file in, a typed and fully checked `SearchSpec` out.

The way of a file: `strict_yaml` (text to a tree with places) -> `merge` (its scale) -> `overrides` (`--set`) ->
`grammar` on `shapes` (keys and types) -> `building` (axes, stages, searcher, controls; rules between them, and the
method's own) -> `model`. `load` holds them together. People read `spaces/README.md`.
"""

from searchplat.spec.errors import Problem, SpecError
from searchplat.spec.find import find_space, shipped_spaces
from searchplat.spec.load import load, load_text
from searchplat.spec.model import SearchSpec
from searchplat.spec.record import diff, digest, from_document, to_document
from searchplat.spec.schema import json_schema

__all__ = [
    "Problem",
    "SearchSpec",
    "SpecError",
    "diff",
    "digest",
    "find_space",
    "from_document",
    "json_schema",
    "load",
    "load_text",
    "shipped_spaces",
    "to_document",
]
