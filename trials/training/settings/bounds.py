"""Settings that bound each other. Loads no torch."""

from __future__ import annotations

from pydantic import BaseModel


def check_at_most(settings: BaseModel, name: str, bound: str, remedy: str | None = None) -> None:
    """Refuse a setting above another; null is no number, and fits any.

    Args:
        settings: Which have both.
        name: The one.
        bound: The other.
        remedy: What to say in place of "lower" and the one's name.

    Raises:
        ValueError: If it is above it.
    """
    value, most = getattr(settings, name), getattr(settings, bound)
    if value is not None and most is not None and value > most:
        remedy = remedy or f"lower {name}"
        raise ValueError(f"{name} must not exceed {bound}, got {name}={value}, {bound}={most}; {remedy}")


def check_divides(settings: BaseModel, name: str, whole: str) -> None:
    """Refuse a setting that does not divide another.

    Raises:
        ValueError: If something is left over.
    """
    value, total = getattr(settings, name), getattr(settings, whole)
    if total % value:
        raise ValueError(f"{name} must divide {whole}, got {name}={value}, {whole}={total}; change one of them")
