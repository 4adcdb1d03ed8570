"""The registered model as MLflow runs it: this file is copied beside the weights and executed when a model is loaded.

MLflow calls that "models from code"; nothing is pickled. Executing it loads neither torch nor the weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow


class Champion(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers user histories with the best items."""

    def load_context(self, context: Any) -> None:
        """Make the model ready; frozen pretrained weights come from the asset cache, fetched if need be."""
        from searchplat.assets import AssetStore
        from searchplat.tracking.registry.pack import load_package

        self._served = load_package(Path(context.artifacts["package"]), AssetStore())

    # MLflow's own switch: it would take hints for a schema, and warn where there are none. The signature has one.
    _skip_type_hint_validation = True

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Best items for each history.

        Args:
            model_input: A table with the column `history`, each cell a list of ids or titles, oldest first; and
                `request`, a text each, for methods that read one.
            params: `k`, and `exclude_history`: recommend nothing that is in the history.

        Returns:
            A table of lists, best first: `items`, `titles`, `scores`.
        """
        import pandas as pd

        options = {"k": 10, "exclude_history": True, **(params or {})}
        histories = [self._history(cell) for cell in model_input["history"]]
        requests = None
        if "request" in model_input and not model_input["request"].isna().all():
            requests = ["" if text is None else str(text) for text in model_input["request"]]
        answers = self._served.top(
            histories, int(options["k"]), exclude_history=bool(options["exclude_history"]), requests=requests
        )
        return pd.DataFrame(
            {
                "items": [[one.item for one in answer] for answer in answers],
                "titles": [[one.title for one in answer] for answer in answers],
                "scores": [[one.score for one in answer] for answer in answers],
            }
        )

    @staticmethod
    def _history(cell: Any) -> list[str]:
        """A CSV's cell is text, and is read as a JSON list."""
        items = json.loads(cell) if isinstance(cell, str) else cell
        return [str(item) for item in items]


mlflow.models.set_model(Champion())
