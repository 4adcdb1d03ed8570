"""Steering a search while it runs: requests in its folder, what applies them, what they change."""
