"""A stage's folder: locked, resumable, complete only when its `config.yaml` is there.

A finished folder is reused while its key is the same (`key`); an unfinished one with the same
key is resumed by the stage itself, shard by shard; one with another key is set aside in
`runs/<name>/.stale/<key>`, and found again by its key (`stale`). A stage refuses inputs that no
longer follow from theirs (`chain`), and two processes never mix two configs (`lock`).
"""

from synthdata.runfolder.chain import is_own_link
from synthdata.runfolder.changes import setting_differences
from synthdata.runfolder.key import key_parts
from synthdata.runfolder.lock import hold_runs, lock_folder
from synthdata.runfolder.record import CONFIG, METRICS, complete_key, read_record, read_section
from synthdata.runfolder.run import StageResult, run_in_folder
from synthdata.runfolder.stale import (
    StaleFolder,
    find_runs,
    list_stale,
    remove_stale,
    set_aside,
)

__all__ = [
    "CONFIG",
    "METRICS",
    "StageResult",
    "StaleFolder",
    "complete_key",
    "find_runs",
    "hold_runs",
    "is_own_link",
    "key_parts",
    "list_stale",
    "lock_folder",
    "read_record",
    "read_section",
    "remove_stale",
    "run_in_folder",
    "set_aside",
    "setting_differences",
]
