"""Runs searches, on Ray.

`search` puts everything together. `planning` says what comes next (pure), `judging` what a trial's message means;
between them and the processes of trials (`cluster.trial_process`) is the `loop`, suggestions are made beside it. What
runs in those processes is `worker`'s. `without_ray` trains one configuration in this process, `promotion_runs`
the winners by Ray Train, and `shutdown` is how all of it ends early.
"""
