"""Hyperparameter and architecture search on Ray for recommenders built on language models.

Start reading at `searchplat.spec` (what a search is), then `searchplat.ledger` (what happened),
then `searchplat.engine` (how it runs). `import searchplat` loads none of torch, ray and mlflow.
"""

__version__ = "0.1.0"
