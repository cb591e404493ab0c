"""`trials.csv`: what every rung measured, a row for each arm and seed."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from synthdata.files import write_text
from synthdata.search.rungs import REFERENCE
from synthdata.search.study import Rung, Study

TRIALS = "trials.csv"


def write_trials(study: Study, path: Path, *, num_rungs: int) -> None:
    """Write the scores on val of all rungs that are done.

    Columns: `rung` (from 1), `epochs`, `steps` (optimizer steps), `trial` (empty for the
    reference), `family`, `arm`, `seed`, `map50_95`, and `ap_<class>` for each class.
    """
    rows = []
    for rung in range(num_rungs):
        reference = study.reference(rung)
        if reference is not None:
            rows += _rows(rung, reference, {"trial": None, "family": REFERENCE, "arm": REFERENCE})
        for trial in study.trials:
            if rung in trial.rungs:
                names = {"trial": trial.number, "family": trial.family, "arm": trial.arm}
                rows += _rows(rung, trial.rungs[rung], names)
    table = pd.DataFrame(rows).astype({"trial": "Int64"})
    write_text(path, table.round(4).to_csv(index=False))


def _rows(rung: int, measured: Rung, names: Mapping[str, object]) -> list[dict[str, object]]:
    return [
        {
            "rung": rung + 1,
            "epochs": measured.epochs,
            "steps": measured.steps,
            **names,
            "seed": seed,
            "map50_95": score,
            **{f"ap_{name}": ap for name, ap in measured.per_class[seed].items()},
        }
        for seed, score in measured.map50_95.items()
    ]
