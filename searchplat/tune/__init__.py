"""Our methods, spaces and PR searcher in a Ray Tune script of your own; no search of ours runs through here.

`trainable` makes a `ray.tune.Trainable` of a space's method, `param_space` its `param_space`, or `optuna_space` its
space for `OptunaSearch`; `values_of` reads a trial's config. Next: `parameters`, then `method_trainable`.
"""

from searchplat.tune.method_trainable import MethodTrainable, trainable
from searchplat.tune.parameters import layer_of, optuna_space, param_space, values_of

__all__ = ["MethodTrainable", "layer_of", "optuna_space", "param_space", "trainable", "values_of"]
