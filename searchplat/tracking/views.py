"""Two views of a search in MLflow's own pages: its trials, the best first, and their curves by stage.

MLflow keeps a view that a person shares as a tag of the experiment and opens it by a key in the page's address. We
write such tags, so a search opens with its columns chosen, its trials sorted and its charts grouped. Should another
MLflow not know them, its page opens as it always does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.spec.model import Objective
from searchplat.tracking import names

TRIALS, STAGES = "trials", "stages"
"""Keys of the views."""

_PREFIX = "mlflow.sharedViewState."
_MAX_PARAMETERS = 12
"""Columns of searched values; a table of more is not read."""


def view_tags(objectives: Sequence[Objective], parameters: Sequence[str], layout: bool) -> dict[str, str]:
    """The experiment's tags that hold the views.

    Args:
        objectives: The first one sorts the trials.
        parameters: Searched parameters other than a layout, in the order of the space; the first 12 become columns.
        layout: Whether trials have a tag with their layout.
    """
    best = [f"metrics.`{names.key(f'best/{objective.metric}')}`" for objective in objectives]
    columns = [
        "attributes.`Duration`",
        *best,
        *(f"tags.`{tag}`" for tag in (names.STAGE, names.STATE, *([names.LAYOUT] if layout else []))),
        *(f"params.`{names.key(name)}`" for name in parameters[:_MAX_PARAMETERS]),
    ]
    trials: dict[str, Any] = {
        "searchFilter": f"tags.`{names.KIND}` = 'trial'",
        "orderByKey": best[0],
        "orderByAsc": not objectives[0].maximize,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
    }
    group = {
        "aggregateFunction": "max" if objectives[0].maximize else "min",
        "groupByKeys": [{"mode": "tag", "groupByData": names.STAGE}],
    }
    views = {TRIALS: trials, STAGES: {**trials, "groupBy": group}}
    return {f"{_PREFIX}{key}": json.dumps(view) for key, view in views.items()}


def view_address(server: str, experiment_id: str, tags: Mapping[str, str], view: str) -> str:
    """The page of a view; the experiment's runs where it has no such tag.

    Args:
        server: Where MLflow answers, such as `http://127.0.0.1:5000`.
        tags: The experiment's.
        view: TRIALS or STAGES.
    """
    # MLflow opens with its pages for agents unless told otherwise.
    address = f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    if f"{_PREFIX}{view}" not in tags:
        return address
    return f"{address}&viewStateShareKey={view}{'&compareRunsMode=CHART' if view == STAGES else ''}"
