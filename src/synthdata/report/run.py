"""What a finished run left on the disk, as the report needs it; reads, never computes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthdata.config import STAGES, StageName
from synthdata.errors import RunError
from synthdata.files import read_json
from synthdata.manifest import load_dataset
from synthdata.runfolder import CONFIG, METRICS, read_record

_ALWAYS: tuple[StageName, ...] = ("prepare", "version", "train")


@dataclass(frozen=True)
class StageFolder:
    """One finished stage of one repetition.

    Attributes:
        stage: Its name.
        seed: The repetition that reads it; a shared stage appears under each of them.
        path: Its folder.
        key: Digest of its config and inputs; equal keys are the same computation.
        section: The resolved config that made it.
        metrics: What it measured.
    """

    stage: StageName
    seed: int
    path: Path
    key: str
    section: Mapping[str, Any]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """All repetitions of an experiment.

    Attributes:
        seeds: The paired repetitions, in order.
        folders: Each repetition's stages; one that no arm asks for isn't there.
    """

    seeds: tuple[int, ...]
    folders: Mapping[tuple[int, StageName], StageFolder]

    def first(self, stage: StageName) -> StageFolder:
        """Return the first repetition's folder of a stage."""
        return self.folders[self.seeds[0], stage]

    def has(self, stage: StageName) -> bool:
        """Return whether the run has a stage."""
        return (self.seeds[0], stage) in self.folders

    def of(self, stage: StageName) -> list[StageFolder]:
        """Return a stage's folder for each repetition, in the order of the seeds."""
        return [self.folders[seed, stage] for seed in self.seeds] if self.has(stage) else []

    def stages(self) -> list[StageName]:
        """Return the stages that the run has, in their order."""
        return [stage for stage in STAGES[:-1] if self.has(stage)]

    def computed(self, stage: StageName) -> list[StageFolder]:
        """Return a stage's folders, those that repetitions share once."""
        return list({folder.key: folder for folder in reversed(self.of(stage))}.values())[::-1]

    def shared_stages(self) -> list[StageName]:
        """Return the stages that several repetitions have in common, in their order.

        Computed once; or, of `prepare`, once a repetition and with the same train images, such
        as all there are.
        """
        if len(self.seeds) == 1:
            return []
        shared = [stage for stage in self.stages() if len(self.computed(stage)) == 1]
        draws = {_train_images(folder.path) for folder in self.computed("prepare")}
        return ["prepare", *shared] if len(draws) == 1 and "prepare" not in shared else shared


def _train_images(prepared: Path) -> tuple[str | None, ...]:
    return tuple(sample.sha256 for sample in load_dataset(prepared).split("train"))


def read_run(inputs: Mapping[str, Path]) -> Run:
    """Return the run whose stage folders are `inputs`.

    Args:
        inputs: Folders by `seed-<s>/<stage>`, for prepare to train.

    Raises:
        RunError: If a stage of a repetition is missing or unfinished.
    """
    folders = {(folder.seed, folder.stage): folder for folder in _read(inputs)}
    seeds = tuple(sorted({seed for seed, _ in folders}))
    stages = [stage for stage in STAGES[:-1] if any(of == stage for _, of in folders)]
    wanted = list(dict.fromkeys([*_ALWAYS, *stages]))
    missing = [f"seed-{s}/{of}" for s in seeds for of in wanted if (s, of) not in folders]
    if missing or not seeds:
        raise RunError(
            "the report needs the stages of each repetition; "
            f"missing: {', '.join(missing) or 'all'}; run those stages first"
        )
    return Run(seeds, folders)


def _read(inputs: Mapping[str, Path]) -> Iterator[StageFolder]:
    for name, path in inputs.items():
        repetition, _, stage = name.partition("/")
        if stage not in STAGES:
            raise RunError(f"an input of the report must be seed-<s>/<stage>, got {name!r}")
        if not (path / CONFIG).is_file() or not (path / METRICS).is_file():
            raise RunError(f"{name} at {path} isn't finished; run that stage first")
        resolved = read_record(path)
        yield StageFolder(
            stage=stage,
            seed=int(repetition.removeprefix("seed-")),
            path=path,
            key=str(resolved["key"]),
            section=resolved["section"],
            metrics=read_json(path / METRICS),
        )
