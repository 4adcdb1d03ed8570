"""Imports point one way, read from the source; and loading the platform stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ("data", "nn", "backbones", "training", "dual", "papers", "counted")
METHODS = sorted(
    folder.name
    for folder in (ROOT / "trials").iterdir()
    if (folder / "__init__.py").exists() and folder.name not in SHARED
)


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Line and full module name of every import of a file, relative ones resolved, nested ones too."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    there: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            there.extend((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            there.append((node.lineno, module))
            there.extend((node.lineno, f"{module}.{alias.name}") for alias in node.names)
    return there


def found(folder: str, *forbidden: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Imports under `folder` of a forbidden module or anything in it, `file:line module`."""

    def within(name: str, modules: tuple[str, ...]) -> bool:
        return any(name == module or name.startswith(module + ".") for module in modules)

    return [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in imports(path)
        if within(name, forbidden) and not within(name, allowed)
    ]


def test_the_reader_of_imports_sees_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    file = tmp_path / "package" / "inner" / "module.py"
    file.parent.mkdir(parents=True)
    file.write_text("import a.b\ndef f():\n    from c import d\nfrom . import e\nfrom ..f import g\n")
    names = {name for _, name in imports(file)}
    assert {"a.b", "c", "c.d", "package.inner.e", "package.f.g"} <= names
    assert found("package", "c") == ["package/inner/module.py:3 c", "package/inner/module.py:3 c.d"]


def test_the_platform_never_imports_the_methods() -> None:
    assert found("searchplat", "trials") == []


def test_methods_know_the_platform_by_its_contract_only_and_neither_ray_nor_mlflow() -> None:
    assert found("trials", "ray", "mlflow", "optuna") == []
    allowed = ("searchplat.contract", "searchplat.errors", "searchplat.paths")
    assert [hit for hit in found("trials", "searchplat", allowed=allowed) if not hit.endswith(" searchplat")] == []


@pytest.mark.parametrize("method", METHODS)
def test_methods_never_import_each_other(method: str) -> None:
    others = tuple(f"trials.{other}" for other in METHODS if other != method)
    assert found(f"trials/{method}", *others) == []


def test_shared_parts_of_methods_import_no_method() -> None:
    for shared in SHARED:
        assert found(f"trials/{shared}", *(f"trials.{method}" for method in METHODS)) == []


def test_views_and_the_report_know_no_command() -> None:
    assert found("searchplat/views", "searchplat.cli") == []
    assert found("searchplat/report", "searchplat.cli") == []


MOST_FILES = 16
OF_ONE_KIND = {"searchplat/cli"}
"""Folders with a file for each command, however many there are."""
MOST_LINES = 400


def test_rooms_and_files_are_small() -> None:
    for top in ("searchplat", "trials"):
        for folder in {path.parent for path in (ROOT / top).rglob("*.py")}:
            if str(folder.relative_to(ROOT)) not in OF_ONE_KIND:
                assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder
        for path in (ROOT / top).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path


def test_ray_mlflow_and_optuna_each_have_one_home() -> None:
    homes = {"ray": ("engine", "tune"), "ray.tune": ("tune",), "mlflow": ("tracking",), "optuna": ("searchers",)}
    for library, rooms in homes.items():
        inside = tuple(f"searchplat/{room}/" for room in rooms)
        assert [hit for hit in found("searchplat", library) if not hit.startswith(inside)] == [], library


def test_nothing_of_ours_needs_what_is_there_for_scripts_on_ray_tune() -> None:
    assert [hit for hit in found("searchplat", "searchplat.tune") if not hit.startswith("searchplat/tune/")] == []


HEAVY = {"torch", "ray", "mlflow", "transformers", "optuna", "botorch", "gpytorch", "pandas"}


@pytest.mark.parametrize("module", ["searchplat", "searchplat.cli", "searchplat.spec", "searchplat.searchers"])
def test_loading_the_platform_is_light(module: str) -> None:
    assert heavy_after(f"import {module}") == set()


def test_loading_a_methods_module_is_light() -> None:
    code = "from searchplat.methods import load_method, method_names\nfor name in method_names(): load_method(name)"
    assert heavy_after(code) == set()


def heavy_after(code: str) -> set[str]:
    code += "\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())
