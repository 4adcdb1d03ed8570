"""What is installed, for scripts: methods, and the config fields of one."""

from __future__ import annotations

from typing import Any

from searchplat.errors import InputError
from searchplat.methods import load_method, method_names


def installed_methods() -> list[dict[str, str]]:
    """Name, summary and paper of each; one that cannot be loaded says so in place of its summary."""
    found = []
    for name in method_names():
        try:
            method = load_method(name)
            found.append({"name": name, "summary": method.summary, "paper": method.paper})
        except InputError as error:  # one broken package must not hide the others
            found.append({"name": name, "summary": f"cannot be loaded: {error}", "paper": ""})
    return found


def described_method(name: str) -> dict[str, Any]:
    """One method, with the JSON Schema of its config.

    Raises:
        InputError: If there is no such method.
    """
    method = load_method(name)
    return {
        "name": method.name,
        "summary": method.summary,
        "paper": method.paper,
        "config": method.Config.model_json_schema(),
    }
