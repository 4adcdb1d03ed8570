"""Data sets: readers of published formats, filters, and prepared data that trials memory-map.

`catalog.py` and `catalog_amazon.py` list the data sets, `prepared.py` turns one into arrays, `stored.py` says which,
`dataset.py` is what training sees.
"""

from trials.data.dataset import FinalData, Queries, SearchData
from trials.data.prepared import open_final, open_search, prepare
from trials.data.source import Source

__all__ = ["FinalData", "Queries", "SearchData", "Source", "open_final", "open_search", "prepare"]
