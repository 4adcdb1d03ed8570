"""From interactions to what trials memory-map: filtered, split, stored once, and opened without copying."""
