"""Recommenders by item ids: methods of their own, and frozen under methods that build on them."""
