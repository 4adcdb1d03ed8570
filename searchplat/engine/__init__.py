"""Runs searches: the only package that imports `ray.tune` and `ray.train`.

`plan` says what comes next (pure), `bridge` and `gate` connect the ledger to Tune, `actor` is a trial's
process, `search` puts them together, `local` runs one configuration without Ray.
"""
