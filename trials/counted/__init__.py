"""What the methods share that count, or solve at once, what others train: `popularity`, `markov`, `itemknn`, `ease`.

`config.py` has their settings, `model.py` the model's base, `matrix.py` who met what as a sparse matrix.
"""
