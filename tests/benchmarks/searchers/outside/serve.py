"""Entry of a process of another interpreter: `python serve.py [FOLDER]`, with the package's folder. See `protocol`."""

import sys
from pathlib import Path

# The folder above, and last: the modules beside this one are named as the packages that they adapt.
sys.path[:1] = []
sys.path.append(str(Path(__file__).parents[1]))

from outside.protocol import serve

if __name__ == "__main__":
    serve()
