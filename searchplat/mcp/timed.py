"""`python -m searchplat.mcp.timed SECONDS COMMAND...`: a command of searchplat that ends by itself after some time.

In one process, so that nothing of the bound is left when the process is killed, and nothing of the process when the
bound's keeper is. It ends as by a SIGTERM from elsewhere: in good order, and the same command goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from searchplat.cli import main


def _end(seconds: float) -> None:
    print(f"the {seconds / 60:g} minutes that it was given are over", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    bound = float(sys.argv.pop(1))
    timer = threading.Timer(bound, _end, [bound])
    timer.daemon = True
    timer.start()
    main()
