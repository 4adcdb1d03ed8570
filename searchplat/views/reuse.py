"""How to train a trial's configuration again: the words of a `searchplat run` command, or YAML for a space file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from searchplat import protocol
from searchplat.contract import ProgramMethod
from searchplat.errors import InputError
from searchplat.hints import space_word
from searchplat.ledger import TrialRecord
from searchplat.methods import ALLOW_IMPORT, asks_for_leave, load_method
from searchplat.spec.model import OWN_LOOP, SearchSpec
from searchplat.views import text
from searchplat.views.snapshot import Snapshot


def configuration(
    load: Callable[[tuple[str, ...]], SearchSpec], items: Sequence[str]
) -> tuple[SearchSpec, dict[str, Any]]:
    """What `searchplat run` trains: the spec with its stages as they are, and the values of the fields that are set.

    In a search, the bare name of a field fixes it and drops the stages that search it; here it is one value of
    one configuration, and stages keep their shares of the users and their own fixed values.

    Args:
        load: Loads the space with overrides.
        items: All `--set` items.

    Raises:
        SpecError: If an item breaks a rule.
    """
    ordered = sorted(items, key=lambda item: "." not in item.partition("=")[0])  # before stages are dropped
    everything = load(tuple(ordered))  # finds what is wrong with any of them
    method = load_method(everything.method)
    fields = everything.fixed if isinstance(method, ProgramMethod) else method.Config.model_fields
    names = {item: item.partition("=")[0] for item in items}
    values = {name: everything.fixed[name] for name in names.values() if name in fields and name in everything.fixed}
    return load(tuple(item for item in items if names[item] not in values)), values


def run_command(snapshot: Snapshot, trial: TrialRecord) -> list[str]:
    """Words of the command that trains a trial's configuration once more, in one process, with the trial's seed.

    None of them where nothing here can train it: it was trained by somebody's own loop.
    """
    spec = snapshot.spec
    if spec.method == OWN_LOOP:
        return []
    words = ["searchplat", "run", space_word(spec)]
    words += ["--scale", spec.scale] if spec.scale else []
    leave = asks_for_leave(spec.method)
    words += [ALLOW_IMPORT] if leave else []
    given = [word for override in spec.overrides for word in ("--set", override)]
    base, share = _without_settings(spec)
    chosen = {key: trial.config[key] for key in spec.space.names if key in trial.config and key in trial.values}
    if base or not leave:  # without leave the file cannot be read, and all but what was searched is in it
        chosen |= {key: value for key, value in trial.config.items() if key not in base or base[key] != value}
    else:
        chosen, share = dict(trial.values), trial.data_fraction
    if protocol.FORMER in chosen:  # of a ledger from before the data set said it
        chosen[f"data.{protocol.OPTION}"] = not chosen.pop(protocol.FORMER)
    order = sorted(chosen, key=lambda key: spec.space.names.index(key) if key in spec.space.names else 1000)
    given += [word for key in order for word in ("--set", text.setting(key, chosen[key]))]
    users = ["--users", f"{trial.data_fraction:g}"] if trial.data_fraction != share else []
    return [*words, *given, *users, "--seed", str(trial.seed)]


def _without_settings(spec: SearchSpec) -> tuple[dict[str, Any], float | None]:
    """The config and the share of the users that `searchplat run` would take without further settings."""
    from searchplat.engine.planning.configuration import full_config
    from searchplat.spec import load_text

    try:
        loaded, values = configuration(
            lambda items: load_text(spec.text, spec.source, scale=spec.scale, overrides=items, name=spec.name),
            spec.overrides,
        )
        last = loaded.stages[-1]
        return full_config(spec.method, {**loaded.fixed, **last.fixed, **values}), last.data_fraction
    except (InputError, ValueError):  # the method is not installed here, or another version of it
        return {}, None


def fixed_yaml(trial: TrialRecord) -> str:
    """A `fixed:` block for a space file with the trial's whole configuration.

    JSON values are YAML values, so whatever a value holds, it is read back as it was.
    """
    lines = [f"# trial {trial.number}"]
    lines.append("fixed:")
    _, config = protocol.renewed({}, trial.config)
    lines += [f"  {text.visible(key)}: {text.json_word(value)}" for key, value in config.items()]
    return "\n".join(lines)
