"""How long must a judge train? What it finds in real val images after as many steps.

    python benchmarks/judge.py configs/bccd-24.yaml --steps 1000 2000 4000 8000 16000 \
        --csv docs/benchmarks/judge.csv "seeds=[100]"

Each number of steps is a training of its own, since the learning rate falls over its whole length.
A row is appended as soon as it is measured; rows that the file has are skipped, so that a killed
call goes on. `score.judge.steps` is the number after which more bring nothing. Test images have no
part in it.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd
import torch

from synthdata.config import load_config
from synthdata.detectors.jobs import train_and_predict
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import evaluate_detections
from synthdata.plan import plan
from synthdata.scoring import judge_images
from synthdata.seeding import derive_seed
from synthdata.stages import run_step


def main() -> None:
    """Train a judge for each number of steps and append what it finds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs") / "judge")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    config = load_config(arguments.config, arguments.overrides)
    work_dir, path = arguments.work_dir.absolute(), arguments.csv
    prepare = next(step for step in plan(config, work_dir) if step.stage == "prepare")
    run_step(prepare)
    prepared = load_dataset(prepare.out_dir)
    val, judge = prepared.split("val"), config.score.judge
    for steps in arguments.steps:
        key = {
            "config": Path(arguments.config).stem,
            "overrides": " ".join(arguments.overrides),
            "steps": steps,
        }
        known = pd.read_csv(path).fillna("") if path.is_file() else pd.DataFrame(columns=list(key))
        if (known[list(key)] == pd.Series(key)).all(axis=1).any():
            continue
        found = train_and_predict(
            judge.detector,
            train=judge_images(prepared),
            targets=val,
            steps=steps,
            batch_size=judge.batch_size,
            seed=derive_seed(config.score.seed, "score-judge"),
            threads=judge.threads,
            out_dir=work_dir / str(steps),
        )
        measured = evaluate_detections(val, found)
        row = key | {
            "map50": measured.map50,
            **{f"map50_{name}": value for name, value in measured.per_class_map50.items()},
            "map50_95": measured.map50_95,
            "torch": torch.__version__,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame([row]).round(4).to_csv(path, mode="a", header=not path.is_file(), index=False)
        logging.info("%d steps: map50 %.3f", steps, measured.map50)


if __name__ == "__main__":
    main()
