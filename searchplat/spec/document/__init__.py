"""A document before it means anything: strict YAML, values that know their place, what is laid over it."""
