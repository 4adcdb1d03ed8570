"""How a trial's facts are called in MLflow, within MLflow's limits. Outside tools rely on these names."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from searchplat.ledger import TrialRecord
from searchplat.tracking.store.address import redact

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 5000
"""Characters. MLflow takes 8,000 in a tag today; its servers of some years ago took 5,000."""

KIND = "searchplat.kind"
SEARCH_ID = "searchplat.search_id"
TRIAL = "searchplat.trial"
STAGE = "searchplat.stage"
STATE = "searchplat.state"
CONTROL = "searchplat.control"
METHOD = "searchplat.method"
LAYOUT = "searchplat.layout"
FRONT = "searchplat.front"
"""Of a trial, with several objectives: `yes` on the Pareto front of the trials that compare, else `no`."""
FEASIBLE = "searchplat.feasible"
"""Of a trial, with bounds on outcomes: `yes` if it keeps them, `no` if not, `unknown` before it ended with a value."""
BROKEN = "searchplat.broken"
"""Of a trial: which bounds it breaks, and by how much."""
VIOLATION = "violation"
"""The metric: by how much it breaks bounds on outcomes together, in shares of their limits; 0 if it keeps them."""
BOUNDS = "searchplat.outcomes"
"""Of the search: its bounds on outcomes."""
SHARE = "searchplat.compared_on"
"""Of the search: the share of the users on which its trials compare, as their parameter `data_fraction`."""
REPEATS = "searchplat.repeats"
"""Of a trial that repeats another one's configuration: that one's number. `best/...` is a mean, and the other one's."""
NON_FINITE = "searchplat.non_finite"
CAUSE = "searchplat.cause"
OBJECTIVE = "searchplat.objective"
DIRECTION = "searchplat.direction"
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"


def key(name: str) -> str:
    """The MLflow key of a metric or parameter.

    >>> key("valid/ndcg@10"), key("valid/mrr"), key("gate load [%]")
    ('valid/ndcg_at_10', 'valid/mrr', 'gate load ___')
    """
    clean = re.sub(r"[^/\w.\- ]", "_", name.replace("@", "_at_"), flags=re.ASCII)
    # MLflow reads keys as paths and refuses `a//b`, `./a`, `/a`.
    clean = posixpath.normpath(clean).lstrip("/.") or "_"
    return clean[:MAX_KEY]


def is_test(metric: str) -> bool:
    """Whether a metric was measured on the test split, which a trial must never see."""
    return metric.lower().startswith("test")


def params(trial: TrialRecord) -> dict[str, str]:
    """The flattened config, nested keys joined by dots, with the trial's `data_fraction` and `seed`.

    Text stays as it is, anything else is written as JSON: `true`, `0.001`, `["mrr"]`, `null`.
    """
    return flat_params(trial.config, data_fraction=float(trial.data_fraction), seed=trial.seed)


def share(data_fraction: float) -> str:
    """A share of the users as the parameter `data_fraction` has it.

    >>> share(1), share(0.2)
    ('1.0', '0.2')
    """
    return json.dumps(float(data_fraction))


def flat_params(config: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """A config as MLflow's parameters, nested keys joined by dots, then `more`; see `params`."""
    rows: dict[str, str] = {}
    for name, value in [*_flat(config), *more.items()]:
        unique, copies = key(name), 1
        while unique in rows:  # `a@1` and `a_at_1` may meet
            copies += 1
            unique = f"{key(name)[: MAX_KEY - 4]}_{copies}"
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        rows[unique] = cut(redact(text), MAX_PARAM)
    return rows


def cut(text: str, limit: int = MAX_TAG, keep_end: bool = False) -> str:
    """`text`, shortened to `limit` characters with a note that says so, in characters that every database takes.

    PostgreSQL refuses NUL, and halves of surrogate pairs are no UTF-8: both are spelled out. SQLite takes the one.

    >>> cut("0123456789" * 10, 40)
    '0123456789 ... [cut from 100 characters]'
    """
    text = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if len(text) <= limit:
        return text
    note = f"[cut from {len(text)} characters]"
    room = limit - len(note) - 5
    return f"{note} ... {text[-room:]}" if keep_end else f"{text[:room]} ... {note}"


def run_name(trial: TrialRecord) -> str:
    """`trial-0007 layout`; a control is `control-default`, and so are its repetitions: their numbers are tags."""
    if trial.control is not None:
        return f"control-{trial.control}"
    return f"trial-{trial.number:04d} {trial.stage}"


def trial_tags(trial: TrialRecord, search_id: str, parent: str) -> Mapping[str, str]:
    """The tags that a trial's run is created with."""
    tags = {
        KIND: "trial",
        SEARCH_ID: search_id,
        TRIAL: str(trial.number),
        STAGE: trial.stage,
        METHOD: trial.method,
        PARENT: parent,
    }
    if trial.control is not None:
        tags[CONTROL] = trial.control
    if trial.info:
        tags["searchplat.info"] = json.dumps(trial.info, sort_keys=True, default=str)
    return {name: cut(redact(value)) for name, value in tags.items()}


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + str(name), value))
    return rows
