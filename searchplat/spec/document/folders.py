"""Local folders that a document names, made absolute before anything else is read of it.

Trials work in folders of their own, on other machines perhaps; and a search is the same from wherever it is resumed.
Which values are folders, the types of their fields say: `Path`, and `contract.AssetName` where the asset store would
take a folder of that name. A relative one begins at the working folder, or where `contract.BesideSpace` says so, at
that of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from searchplat import methods
from searchplat.assets import local_folder
from searchplat.contract import AssetName, BesideSpace
from searchplat.errors import InputError
from searchplat.paths import keep_within, resolve
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.errors import Problems, join

Reader = Callable[[str, Place], str]
"""From what a document says, and where, to what it means; raises `InputError`."""

_WHAT = "path"


def with_absolute_folders(root: Node, problems: Problems) -> Node:
    """Return the document with its local folders absolute, those of the method's fields and of the data's options.

    What is not as a document should be stays as it is: others note it.

    Args:
        root: The document at its scale, overrides applied.
        problems: Takes paths that cannot be read.
    """
    own = _readers(_config(root))
    read = _Reading(problems)

    def of_control(control: Node) -> Mapping[str, Reader]:
        return _readers(_config(control)) if "method" in control.fields else own

    parts: dict[str, Callable[[Node, str], Node]] = {
        "data": partial(read.fields, _readers(data_options(root))),
        "fixed": partial(read.fields, own),
        "search": partial(read.axes, own),
        "stages": partial(read.elements, lambda _: own, "fixed"),
        "controls": partial(read.elements, of_control, "values"),
    }
    return _with(root, {key: part(root.fields[key], key) for key, part in parts.items() if key in root.fields})


class _Reading:
    """Reads folders in the parts of a document."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def fields(self, readers: Mapping[str, Reader], node: Node, key: str) -> Node:
        """A mapping from fields to their values."""
        found = {name: each for name, each in node.fields.items() if name in readers}
        return _with(node, {name: self.value(readers[name], each, join(key, name)) for name, each in found.items()})

    def axes(self, readers: Mapping[str, Reader], node: Node, key: str) -> Node:
        """A mapping from fields to axes, whose conditions name values of other axes."""
        changed = {}
        for name, axis in node.fields.items():
            where = join(key, name)
            parts: dict[str, Node] = {}
            for part in ("choices", "default"):
                if name in readers and part in axis.fields:
                    parts[part] = self.value(readers[name], axis.fields[part], f"{where}.{part}")
            if "when" in axis.fields:
                parts["when"] = self.fields(readers, axis.fields["when"], f"{where}.when")
            changed[name] = _with(axis, parts)
        return _with(node, changed)

    def elements(self, readers: Callable[[Node], Mapping[str, Reader]], part: str, node: Node, key: str) -> Node:
        """A list of mappings, of which each may have fields with their values under the key `part`."""
        if not node.items:
            return node
        made = [
            _with(item, {part: self.fields(readers(item), item.fields[part], f"{key}.{item.name}.{part}")})
            if part in item.fields
            else item
            for item in node.items
        ]
        return Node(made, node.place, node.key_place)

    def value(self, read: Reader, node: Node, key: str) -> Node:
        """A value, or a list of them."""
        if isinstance(node.content, list):
            return Node([self.value(read, item, key) for item in node.items], node.place, node.key_place)
        if not isinstance(node.content, str):
            return node
        try:
            return Node(read(node.content, node.place), node.place, node.key_place)
        except InputError as error:
            self._problems.add(node, key, str(error).removeprefix(f"{_WHAT}: "))
            return node


def _with(node: Node, changed: Mapping[str, Node]) -> Node:
    if not changed or not isinstance(node.content, dict):
        return node
    return Node({**node.content, **changed}, node.place, node.key_place)


def _config(node: Node) -> type[BaseModel] | None:
    """The config of the method that a document or a control names, if there is one."""
    name = node.at(["method"]).content
    if not isinstance(name, str):
        return None
    try:
        return methods.load_method(name).Config
    except InputError:
        return None


def data_options(root: Node) -> type[BaseModel] | None:
    """The options of the document's data set, if it has typed ones."""
    name = root.at(["data", "name"]).content
    try:
        found = getattr(methods.load_dataset(name), "options", None) if isinstance(name, str) else None
    except InputError:
        return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _readers(model: type[BaseModel] | None) -> dict[str, Reader]:
    """How to read the fields that may name a folder."""
    if model is None:
        return {}
    found = {name: _reader(field.annotation, field.metadata) for name, field in model.model_fields.items()}
    return {name: read for name, read in found.items() if read is not None}


def _reader(annotation: Any, metadata: Iterable[Any]) -> Reader | None:
    mark = next((item for item in metadata if isinstance(item, AssetName)), None)
    if mark is not None:
        return lambda text, place: text if text in mark.known else _asset(text)
    if any(isinstance(item, BesideSpace) for item in metadata):
        return _beside
    if get_origin(annotation) is Annotated:
        return _reader(annotation.__origin__, annotation.__metadata__)
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return lambda text, place: str(keep_within(resolve(text, _WHAT), _WHAT))
    return next((read for part in get_args(annotation) if (read := _reader(part, ()))), None)


def _asset(text: str) -> str:
    """What is no folder here is a name to fetch; one that looks like a path must not tell what there is elsewhere."""
    folder = local_folder(text)
    if folder is not None or text.startswith(("/", "~", ".")):
        keep_within(resolve(text, _WHAT) if folder is None else folder, _WHAT)
    return str(folder or text)


def _beside(text: str, place: Place) -> str:
    """Beginning at the folder of the space file; what no file says, begins at the working folder."""
    path = resolve(text, _WHAT)  # refuses what is no path
    if place.line is None or text.startswith("~"):
        return str(keep_within(path, _WHAT))
    return str(keep_within(resolve(Path(place.source).parent / text, _WHAT), _WHAT))
