"""Space files of commands and functions: names in the command, data, leave; every mistake before anything starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchplat.methods import imports, look_in
from searchplat.spec import SpecError, from_document, load_text, to_document
from searchplat.spec.model import SearchSpec

FIXED = 'command: [python, train.py, --lr, "{lr}", [--momentum, "{momentum}"], "{seed}"]'
SEARCH = """\
  lr: {type: float, low: 0.1, high: 1}
  opt: {type: categorical, choices: [sgd, adam]}
  momentum: {type: float, low: 0.1, high: 0.9, when: {opt: sgd}}
"""
REST = "searcher: {name: random}\ntrials: 2\n"


@pytest.fixture(autouse=True)
def leave() -> Iterator[None]:
    with imports():
        yield


def text(
    fixed: str = FIXED.replace('"{seed}"', '"{seed}", "{opt}"'),
    search: str = SEARCH,
    rest: str = REST,
    method: str = "command",
    data: str = "none",
) -> str:
    head = f"method: {method}\ndata: {{name: {data}}}\nobjective: {{metric: valid/ndcg, direction: maximize}}\n"
    return f"{head}fixed:\n  {fixed}\nsearch:\n{search}{rest}"


def read(written: str, *overrides: str) -> SearchSpec:
    return load_text(written, "elsewhere/../project/space.yaml", overrides=overrides)


def refusal(written: str, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        read(written, *overrides)
    return str(caught.value)


def test_parameters_have_the_commands_own_names(tmp_path: Path) -> None:
    spec = read(text())
    assert spec.space.names == ("lr", "opt", "momentum")
    assert spec.fixed["project"] == str(tmp_path / "project")
    assert spec.fixed["awaits"] == ["valid/ndcg"]
    assert from_document(to_document(spec)) == spec


def test_one_may_be_fixed_in_the_file_and_from_outside() -> None:
    assert read(text(), "lr=0.5").fixed["lr"] == 0.5
    assert read(text(), "lr=0.5").space.names == ("opt", "momentum")
    spec = read(
        text(fixed='opt: sgd\n  command: [run, "{lr}", "{opt}"]', search="  lr: {type: float, low: 0.1, high: 1}\n")
    )
    assert spec.fixed["opt"] == "sgd"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (text(fixed=FIXED), "space.yaml:8:3 search.opt: is not a field of method command, and its command makes"),
        (text(fixed=f"epoch_s: 3\n  {FIXED}"), "fixed.epoch_s: is not a field of method command"),
        (text(fixed='command: [run, "{lr}", "{momentum}", "{opt}"]'), "method command needs a value for momentum"),
        (text(fixed='command: [run, "{lr}", "{opt}", "{momentum}", "{layers}"]'), "needs a value for layers"),
        (text(fixed='command: [run, "{lr"]'), "fixed.command: must have its braces in pairs, got '{lr'"),
        (text(fixed='command: ["{lr}"]'), "must begin with the program's name"),
        (text(fixed="command: []"), "fixed.command: "),
        (text(fixed="command: python train.py"), "fixed.command: must be a list, got 'python train.py'"),
        (text(fixed="epochs: 3"), "method command needs a value for command"),
        (text(fixed=f"pattern: 'ndcg=(.*)'\n  {FIXED}"), "fixed.pattern: must name a group for each figure"),
        (text(search="  seed: {type: int, low: 1, high: 3}\n"), "search.seed: is not a name that a parameter may have"),
        (text(data="toy"), "method: method command brings its own data, got data 'toy'; write data: {name: none}"),
        (text(rest=f"data_fraction: 0.5\n{REST}"), "method command makes no use of data_fraction, got 0.5"),
        (text(rest=f"scheduler: {{name: asha}}\n{REST}"), "asha must know how many epochs there are"),
        (
            text(rest=f"controls: [{{name: a, method: popularity}}]\n{REST}"),
            "controls.a.method: method popularity needs a data set; none is for programs",
        ),
        (
            text(rest=f"controls: [{{name: a, method: command}}]\n{REST}"),
            "controls.a.method: a control runs a command of its own by its values alone",
        ),
        (text(rest=f"controls: [{{name: a, values: {{lr: 0.1}}}}]\n{REST}"), "controls.a: method command needs a"),
        (text(rest=f"controls: [{{name: a, values: {{rl: 0.1}}}}]\n{REST}"), "controls.a.values.rl: is not a field"),
        (
            text(search=f"{SEARCH}  net: {{type: layout, per_layer: [a], choices: [x, y]}}\n"),
            "search.net: only the file can say how many layers a program's layout has; add layers",
        ),
        (text(method="darec"), "method: method darec needs a data set; none is for programs that bring their own"),
    ],
)  # fmt: skip
def test_mistakes_have_their_place_and_a_remedy(written: str, said: str) -> None:
    assert said in refusal(written)


def test_a_layout_may_be_searched_and_a_control_may_run_another_command() -> None:
    spec = read(
        text(
            fixed='command: [run, "{net}"]',
            search="  net: {type: layout, layers: 2, per_layer: [a], choices: [x, y]}\n",
            rest=f'controls: [{{name: all, all: x}}, {{name: old, values: {{command: [old, "{{w}}"], w: 3}}}}]\n{REST}',
        )
    )
    assert [control.values.get("w") for control in spec.controls] == [None, 3]


def test_without_leave_neither_is_read() -> None:
    for method in ("command", "plain_function:train"):
        written = text(method=method, fixed=FIXED if method == "command" else "epochs: 3")
        assert "--allow-import" in without_leave(written)


def without_leave(written: str) -> str:
    code = "import sys\nfrom searchplat.spec import load_text\nload_text(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, written], capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr


def test_what_a_program_measures_is_its_own_to_say() -> None:
    rest = f"promotion: {{test: [test_ndcg]}}\n{REST}"
    spec = read(text(method="plain_function:train", fixed="metrics: 3", rest=rest))
    assert (spec.fixed["metrics"], spec.promotion.test) == (3, ("test_ndcg",))
    assert read(text(rest=rest)).promotion.test == ("test_ndcg",)


def test_what_a_method_cannot_measure_is_refused_with_its_place() -> None:
    head = "method: sasrec\ndata: {name: toy}\nobjective: {metric: valid/mrr, direction: maximize}\n"
    search = "search: {dropout: {type: float, low: 0.1, high: 0.5}}\n"
    written = f"{head}{search}promotion: {{test: [mrr, sampled/ndcg@5, foo]}}\n{REST}"
    said = refusal(written)
    assert "space.yaml:5:41 promotion.test: " in said
    assert "'foo'" in said
    assert said.count("\n") == 0


def test_a_functions_parameters_are_any() -> None:
    spec = read(text(method="plain_function:train", fixed="x: 0.7"))
    assert spec.fixed["x"] == 0.7
    assert "fixed.x: " in refusal(text(method="plain_function:train", fixed="x: [1, 2]"))
    assert "search.seed: is not a name" in refusal(
        text(method="plain_function:train", fixed="x: 1", search="  seed: {type: int, low: 1, high: 3}\n")
    )


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("no_such_module:train", "cannot be imported (ModuleNotFoundError"),
        ("plain_function:nothing", "cannot be imported (AttributeError"),
        ("plain_function:one_argument", "must be a function train(config, report)"),
    ],
)
def test_a_wrong_function_is_refused_where_it_stands(method: str, said: str) -> None:
    assert f"space.yaml:1:9 method: method '{method}'" in (found := refusal(text(method=method, fixed="epochs: 3")))
    assert said in found


def test_a_function_is_found_beside_the_space_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "beside_it.py").write_text("def train(config, report): ...\n")
    assert read(text(method="beside_it:train", fixed="epochs: 3")).method == "beside_it:train"
    assert sys.path[-1] == str(tmp_path / "project")
    before = list(sys.path)
    look_in(tmp_path, ["json:dumps", "darec"])
    assert sys.path == before, "what is found without it needs no folder"
