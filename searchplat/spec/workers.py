"""What must hold where several processes train a trial together: each has cores and a GPU of its own, and the method
divides its batches exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from searchplat import methods
from searchplat.contract import ProgramMethod
from searchplat.errors import InputError
from searchplat.spec.controls import control_key
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import whole
from searchplat.spec.errors import Problems

_KEY = "resources.workers"


def check_workers(root: Node, read: Mapping[str, Any], problems: Problems) -> None:
    """Note what does not go with `resources.workers`, if that is more than one."""
    fields = read.get("resources") or {}
    if not whole(fields) or (workers := fields.get("workers", 1)) == 1:
        return
    nodes = root.fields["resources"].fields
    if fields.get("cpu") == "auto":
        rule = "the cores of several workers are not measured"
        problems.add(nodes["cpu"], "resources.cpu", rule, value="auto", remedy="write the cores of one worker")
    gpu = fields.get("gpu", "auto")
    if gpu != "auto" and gpu % 1:
        rule = "each of several workers has a GPU of its own"
        remedy = "write 1, or 0 to train on cores; to pack trials on a GPU remove workers"
        problems.add(nodes["gpu"], "resources.gpu", rule, value=gpu, remedy=remedy)
    for name, key in _methods(root, read):
        if (why := _alone(name)) is not None:
            problems.add(nodes["workers"], _KEY, f"{key}: {why}", value=workers, remedy="remove workers, or write 1")


def _methods(root: Node, read: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of methods, and under which keys."""
    places = [("method", root)]
    if whole(read.get("controls", [])) and "controls" in root.fields:
        places += [(f"{control_key(one, i)}.method", one) for i, one in enumerate(root.fields["controls"].items)]
    for key, node in places:
        if isinstance(name := node.at(["method"]).content, str):
            yield name, key


def _alone(name: str) -> str | None:
    """Why a method cannot be trained by several processes; None if it can, or is not installed, which others say."""
    try:
        method = methods.load_method(name)
    except InputError:
        return None
    if isinstance(method, ProgramMethod):
        return (
            f"method {name} runs a program, which is one process for the platform; it may start workers of its own on "
            "the cores and GPUs of the trial, by torchrun say"
        )
    if not getattr(method, "takes_workers", False):
        return f"method {name} does not say that several workers give the results of one (`takes_workers`)"
    return None
