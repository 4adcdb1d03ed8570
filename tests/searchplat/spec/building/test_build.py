"""Several workers a trial: what goes with them, and what is refused before anything starts."""

from __future__ import annotations

import pytest

from searchplat.spec import SpecError, load_text

HEAD = """\
method: {method}
data: {{name: {data}}}
objective: {{metric: valid/mrr, direction: maximize}}
resources: {{{resources}}}
"""


def text(resources: str, method: str = "sasrec", data: str = "toy", more: str = "") -> str:
    return HEAD.format(method=method, data=data, resources=resources) + more


def test_a_trial_has_one_worker_unless_the_space_says_more() -> None:
    assert load_text(text("cpu: 1")).resources.workers == 1
    assert load_text(text("workers: 2, cpu: 2, gpu: 1")).resources.workers == 2
    assert load_text(text("workers: 2")).resources.gpu is None
    assert load_text(text("workers: 1, cpu: auto, gpu: 0.5", "probe")).resources.workers == 1


@pytest.mark.parametrize("workers", ["0", "-1", "1.5", "auto"])
def test_workers_are_a_whole_number(workers: str) -> None:
    with pytest.raises(SpecError, match=r"resources\.workers"):
        load_text(text(f"workers: {workers}"))


@pytest.mark.parametrize(
    ("found", "part"),
    [
        (text("workers: 2, cpu: auto"), "resources.cpu: the cores of several workers are not measured, got 'auto'"),
        (text("workers: 2, gpu: 0.5"), "resources.gpu: each of several workers has a GPU of its own, got 0.5"),
        (text("workers: 2", "probe"), "resources.workers: method: method probe does not say that several workers"),
        (
            text("workers: 2", more="controls:\n  - {name: other, method: plain, values: {size: 1}}\n"),
            "resources.workers: controls.other.method: method plain does not say that several workers",
        ),
        (
            text("workers: 2", "command", "none", "fixed: {command: [python, train.py]}\n"),
            "resources.workers: method: method command runs a program, which is one process for the platform",
        ),
    ],
)
def test_refuses(found: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(found)
    assert part in str(caught.value)
