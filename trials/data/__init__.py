"""Data sets: readers of published formats, filters, and prepared data that trials memory-map.

`catalog.py` and `catalog_amazon.py` list the data sets, `reading` takes their files, `preparing` turns one into arrays,
of which `preparing.dataset` is what training sees.
"""

from trials.data.preparing.dataset import FinalData, Queries, SearchData
from trials.data.preparing.prepared import open_final, open_search, open_user_keys, prepare
from trials.data.source import Source

__all__ = ["FinalData", "Queries", "SearchData", "Source", "open_final", "open_search", "open_user_keys", "prepare"]
