"""How a worker process ends with the process that started it.

A worker's standard input is a pipe whose writing end its parent holds: when the parent dies,
even by `kill -9`, the pipe closes.
"""

import os
import threading


def end_with_parent() -> None:
    """End this worker process as soon as the process that started it is gone."""

    def watch() -> None:
        os.read(0, 1)  # returns only when the parent's end of the pipe closes
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
