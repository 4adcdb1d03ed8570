"""Frozen decoder-only language models, taken apart layer by layer."""
