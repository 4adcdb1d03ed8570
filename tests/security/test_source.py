"""What the source never does, read from the source: unpickle, evaluate, trust remote code, hand text to a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchplat.contract import ProgramMethod
from searchplat.methods import load_method, method_names
from searchplat.spec import SpecError, load_text

ROOT = Path(__file__).parents[2]
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "pty", "jsonpickle"}
CALLS = {
    "torch.load", "torch.jit.load", "torch.hub.load", "np.loads", "numpy.loads", "pd.read_pickle", "pandas.read_pickle",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "eval", "exec", "compile", "__import__",
    "os.system", "os.popen", "pd.eval", "pandas.eval",
}  # fmt: skip
TREES = ("searchplat", "trials")


def offences(path: Path) -> Iterator[str]:
    """What a file does of it, `line: what`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        for name in names:
            if name.partition(".")[0] in MODULES or name in CALLS:
                yield f"{node.lineno}: imports {name}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            yield from _of_call(node)
        if isinstance(node, ast.Attribute) and node.attr in ("Unpickler", "read_pickle"):
            yield f"{node.lineno}: {node.attr}"
        if isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            yield f"{node.lineno}: names trust_remote_code in a text"


def _of_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {keyword.arg: keyword.value for keyword in node.keywords}

    def is_(argument: str, value: object) -> bool:
        found = given.get(argument)
        return isinstance(found, ast.Constant) and found.value is value

    if name in CALLS:
        yield f"{node.lineno}: calls {name}"
    if name in ("np.load", "numpy.load") and not is_("allow_pickle", False):
        yield f"{node.lineno}: {name} must say allow_pickle=False"
    if "trust_remote_code" in given and not is_("trust_remote_code", False):
        yield f"{node.lineno}: {name} trusts remote code"
    if name.endswith(".from_pretrained"):
        if not is_("trust_remote_code", False):
            yield f"{node.lineno}: {name} must say trust_remote_code=False"
        if "Model" in name and not is_("use_safetensors", True) and "gguf_file" not in given:
            yield f"{node.lineno}: {name} must say use_safetensors=True"
    if "shell" in given and not is_("shell", False):
        yield f"{node.lineno}: {name} with a shell"


def test_nothing_is_unpickled_evaluated_or_trusted() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{offence}"
        for tree in TREES
        for path in sorted((ROOT / tree).rglob("*.py"))
        for offence in offences(path)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from torch import load",
        "torch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "pd.read_pickle(path)",
        "yaml.load(text, Loader)",
        "eval(text)",
        "AutoModel.from_pretrained(name, use_safetensors=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=False)",
        "AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=config.trust)",
        "AutoTokenizer.from_pretrained(name, trust_remote_code=True)",
        "load(name, **{'trust_remote_code': True})",
        "subprocess.run(text, shell=True)",
    ],
)
def test_the_reader_of_the_source_sees_each_kind(tmp_path: Path, line: str) -> None:
    (tmp_path / "module.py").write_text(line)
    assert len(list(offences(tmp_path / "module.py"))) >= 1


SPACE = """
method: {method}
data: {{name: toy}}
objective: {{metric: valid/mrr, direction: maximize}}
fixed: {{trust_remote_code: true}}
search: {{}}
"""


@pytest.mark.parametrize("method", [name for name in method_names() if name != "rehearsal"])
def test_a_space_cannot_switch_trust_in_remote_code_on(method: str) -> None:
    found = load_method(method)
    assert "trust_remote_code" not in found.Config.model_fields
    if isinstance(found, ProgramMethod):  # its further fields are words of a command that is run with leave alone
        with pytest.raises(SpecError, match="give --allow-import"):
            load_text(SPACE.format(method=method))
        return
    with pytest.raises(SpecError, match=f"fixed.trust_remote_code: is not a field of method {method}"):
        load_text(SPACE.format(method=method))
    with pytest.raises(SpecError, match="trust_remote_code: is not a key of a space file"):
        load_text(SPACE.format(method=method) + "trust_remote_code: true\n")
    with pytest.raises(SpecError, match="trust_remote_code"):
        load_text(SPACE.format(method=method), overrides=["trust_remote_code=true"])
