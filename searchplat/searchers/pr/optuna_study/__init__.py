"""An Optuna study as `sampler` sees it: its parameters as axes, and the conditions under which it asks for them."""
