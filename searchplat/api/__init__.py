"""What `import searchplat` offers, for scripts and notebooks.

`running` starts a search, also for the command line; `search` is one that was started, `study` asks and is told
without Ray. They decide nothing: views, ledger, report and promotion answer here as they do on the command line.
"""
