"""Blocks that methods share: adapters, routers, attention over packed tokens, collaborative filtering, losses."""
