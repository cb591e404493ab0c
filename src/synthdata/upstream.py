"""What one stage's command needs done before it, and whether what lies there is that."""

from collections.abc import Sequence
from pathlib import Path

from synthdata.config.base import StageName
from synthdata.errors import DamagedFileError, RunError
from synthdata.plan import Step
from synthdata.runfolder import complete_key, key_parts, read_record, setting_differences


def upstream_of(steps: Sequence[Step], chosen: Sequence[Step]) -> list[Step]:
    """Return the steps of a plan that others need, in order, without these others.

    Args:
        steps: The plan.
        chosen: Some of its steps. Where a step is shared, its first repetition's is needed.
    """
    needed: set[Path] = set()
    found = []
    for step in reversed(steps):
        if step in chosen or step.out_dir in needed:
            linked = step.linked_from
            needed |= set(step.inputs.values()) if linked is None else {linked}
            if step not in chosen:
                found.append(step)
    return found[::-1]


def is_fresh(step: Step) -> bool:
    """Return whether a step's folder holds what the step would make, so that it can be left out.

    What a stage reads beside its inputs is taken as recorded. `prepare`, which reads the user's
    data, is therefore never fresh; nor is a link, which costs nothing.
    """
    if step.stage == "prepare" or step.linked_from is not None:
        return False
    try:
        record = read_record(step.out_dir) if complete_key(step.out_dir) else {}
    except DamagedFileError:
        return False
    if not record:
        return False
    keys = {name: complete_key(folder) for name, folder in step.inputs.items()}
    finished = {name: key for name, key in keys.items() if key is not None}
    parts = key_parts(step.stage, step.section, finished, str(record.get("fingerprint", "")))
    return len(finished) == len(keys) and parts.digest == record["key"]


def refuse_differences(stage: StageName, upstream: Sequence[Step]) -> None:
    """Refuse stages that aren't finished, or were made with other settings than the config's.

    Args:
        stage: The stage that is to run alone.
        upstream: The steps that it needs.

    Raises:
        RunError: With the name of each setting that differs.
        DamagedFileError: If the record of a finished stage can't be read.
    """
    for step in upstream:
        if complete_key(step.out_dir) is None:
            raise RunError(
                f"{stage} needs {step.stage} at {step.out_dir}, which isn't finished; run it "
                "first, or leave out --only"
            )
        recorded = read_record(step.out_dir)["section"]
        differences = setting_differences(recorded, step.section)
        if differences:
            listed = "\n".join(f"  {step.stage}.{one}" for one in differences)
            raise RunError(
                f"{stage} needs {step.stage} as the config has it, and {step.out_dir} was made "
                f"with other settings:\n{listed}\nleave out --only to make it anew, or give the "
                "settings that lie there"
            )
