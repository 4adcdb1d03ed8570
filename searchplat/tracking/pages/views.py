"""Views of a search in MLflow's own pages: the trials that compare, the best first; the Pareto front of several
objectives; the curves of all trials by stage.

MLflow keeps a view that a person shares as a tag of the experiment and opens it by a key in the page's address. We
write such tags, so a search opens with its columns chosen, its trials sorted and its charts grouped. Should another
MLflow not know them, its page opens as it always does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.spec.model import Objective
from searchplat.tracking.store import keys

TRIALS, STAGES, FRONT = "trials", "stages", "front"
"""Keys of the views."""

_PREFIX = "mlflow.sharedViewState."
_MAX_PARAMETERS = 12
"""Columns of searched values; a table of more is not read."""


def view_tags(
    objectives: Sequence[Objective],
    parameters: Sequence[str],
    layout: bool,
    share: float | None = None,
    *,
    bounded: bool = False,
) -> dict[str, str]:
    """The experiment's tags that hold the views.

    Args:
        objectives: The first one sorts the trials.
        parameters: Searched parameters other than a layout, in the order of the space; the first 12 become columns.
        layout: Whether trials have a tag with their layout.
        share: The share of the users on which trials compare; the list of the trials leaves others out.
        bounded: Whether there are bounds on outcomes; that list then leaves out trials that break any.

    With several objectives a third view has the Pareto front alone.
    """
    best = [f"metrics.`{keys.key(f'best/{objective.metric}')}`" for objective in objectives]
    extra = ((keys.LAYOUT, layout), (keys.FRONT, len(objectives) > 1), (keys.FEASIBLE, bounded))
    columns = [
        "attributes.`Duration`",
        *best,
        *(f"tags.`{tag}`" for tag in (keys.STAGE, keys.STATE)),
        *(f"tags.`{tag}`" for tag, shown in extra if shown),
        *(f"params.`{keys.key(name)}`" for name in parameters[:_MAX_PARAMETERS]),
    ]
    every = f"tags.`{keys.KIND}` = 'trial'"
    kept = [f"tags.`{keys.FEASIBLE}` != 'no'"] if bounded else []
    trials: dict[str, Any] = {
        "searchFilter": " and ".join([every, *([] if share is None else [compares(share)]), *kept]),
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
        "groupByKeys": [{"mode": "tag", "groupByData": keys.STAGE}],
    }
    views = {TRIALS: trials, STAGES: {**trials, "searchFilter": every, "groupBy": group}}
    if len(objectives) > 1:
        views[FRONT] = {**trials, "searchFilter": f"{every} and tags.`{keys.FRONT}` = 'yes'"}
    return {f"{_PREFIX}{key}": json.dumps(view) for key, view in views.items()}


def compares(share: float) -> str:
    """MLflow's condition on trials that compare.

    >>> compares(0.2)
    "params.`data_fraction` = '0.2'"
    """
    return f"params.`data_fraction` = '{keys.share(share)}'"


def has_view(tags: Mapping[str, str], view: str) -> bool:
    """Whether an experiment of these tags has the view."""
    return f"{_PREFIX}{view}" in tags


def view_address(server: str, experiment_id: str, tags: Mapping[str, str], view: str) -> str:
    """The page of a view; the experiment's runs where it has no such tag.

    Args:
        server: Where MLflow answers, such as `http://127.0.0.1:5000`.
        tags: The experiment's.
        view: TRIALS, STAGES or FRONT.
    """
    # MLflow opens with its pages for agents unless told otherwise.
    address = f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    if not has_view(tags, view):
        return address
    return f"{address}&viewStateShareKey={view}{'&compareRunsMode=CHART' if view == STAGES else ''}"
