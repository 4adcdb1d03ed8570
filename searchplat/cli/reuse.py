"""How to train a trial's configuration again: the words of a `searchplat run` command, or YAML for a space file."""

from __future__ import annotations

from typing import Any

from searchplat.cli import text
from searchplat.cli.snapshot import Snapshot
from searchplat.errors import InputError
from searchplat.ledger import TrialRecord
from searchplat.spec import shipped_spaces
from searchplat.spec.model import SearchSpec


def settings(spec: SearchSpec, trial: TrialRecord) -> dict[str, Any]:
    """Fields in which a trial's config differs from what `searchplat run` would take by itself, searched ones first.

    Empty `--set`s would train the method's defaults under the file's `fixed` and the last stage's.
    """
    from searchplat.engine.plan import full_config

    searched = [name for name in spec.space.names if name in trial.config]
    if trial.method != spec.method:
        return dict(trial.config)
    try:
        base = full_config(spec.method, {**spec.fixed, **spec.stages[-1].fixed})
    except (InputError, ValueError):  # the method is not installed here, or another version of it
        return {name: trial.config[name] for name in searched}
    missing = object()
    differing = [name for name, value in trial.config.items() if base.get(name, missing) != value]
    kept = {*differing, *trial.values}
    return {name: trial.config[name] for name in dict.fromkeys([*searched, *differing]) if name in kept}


def space_word(spec: SearchSpec) -> str:
    """How a command names the space: a shipped one by its bare name."""
    return spec.source.stem if shipped_spaces().get(spec.source.stem) == spec.source else str(spec.source)


def run_command(snapshot: Snapshot, trial: TrialRecord) -> list[str]:
    """Words of the command that trains a trial's configuration once more, in one process."""
    spec = snapshot.spec
    words = ["searchplat", "run", space_word(spec)]
    words += ["--scale", spec.scale] if spec.scale else []
    for override in spec.overrides:
        words += ["--set", override]
    if trial.method != spec.method:
        words += ["--set", text.setting("method", trial.method)]
    last = spec.stages[-1]
    if trial.data_fraction != last.data_fraction:
        words += ["--set", text.setting(f"stages.{last.name}.data_fraction", trial.data_fraction)]
    for key, value in settings(spec, trial).items():
        words += ["--set", text.setting(key, value)]
    return words


def fixed_yaml(spec: SearchSpec, trial: TrialRecord) -> str:
    """A `fixed:` block for a space file with the trial's whole configuration.

    JSON values are YAML values, so whatever a value holds, it is read back as it was.
    """
    lines = [f"# trial {trial.number}"]
    if trial.method != spec.method:
        lines.append(f"method: {text.json_word(trial.method)}")
    lines.append("fixed:")
    lines += [f"  {text.visible(key)}: {text.json_word(value)}" for key, value in trial.config.items()]
    return "\n".join(lines)
