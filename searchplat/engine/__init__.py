"""Runs searches, on Ray.

`search` puts everything together. `plan` says what comes next (pure), `judge` what a trial's message means; between
them and the trials' processes (`cluster.pool`) is the `loop`, and `suggestions` are computed beside it. What runs in
those processes is `worker`'s. `run_one` trains one configuration without Ray, `finals` the winners by Ray
Train, and `shutdown` is how all of it ends early.
"""
