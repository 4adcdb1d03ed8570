"""Telling somebody how a search stands: `notices` is what, `receivers` to whom; `notifier` sends it beside the loop."""
