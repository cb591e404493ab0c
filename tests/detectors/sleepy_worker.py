"""A worker for tests: does what `order.txt` in its folder says; needs no detector library."""

import sys
import time
from pathlib import Path

from synthdata.lifeline import end_with_parent


def main(job_dir: Path) -> None:
    order = (job_dir / "order.txt").read_text()
    (job_dir / "started").touch()
    if order == "fail":
        sys.exit("the disk is made of cheese")
    if order == "sleep":
        time.sleep(600)
    if order == "doze":
        time.sleep(2)
    (job_dir / "finished").touch()


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
