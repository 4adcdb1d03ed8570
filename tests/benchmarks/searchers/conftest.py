"""Lets tests import the scripts of this folder by their bare names, as these import each other."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
