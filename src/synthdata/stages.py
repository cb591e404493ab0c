"""The stages: each reads complete folders and writes a fresh one.

Heavy libraries are imported inside the stage that needs them, so that the command line
starts at once and a stage runs without the extras of the others.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from synthdata.armfolder import EVAL, shifted_sets
from synthdata.config.base import StageName
from synthdata.config.filter import FilterConfig
from synthdata.config.fit import FitConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.layout import LayoutConfig
from synthdata.config.pools import GeneratorPool
from synthdata.config.prepare import PrepareConfig
from synthdata.config.report import ReportConfig
from synthdata.config.score import ScoreConfig
from synthdata.config.train import TrainConfig
from synthdata.config.version import VersionConfig
from synthdata.errors import RunError
from synthdata.files import read_json, sha256_json
from synthdata.looks import log_look, read_looks
from synthdata.manifest import load_dataset
from synthdata.plan import Step
from synthdata.runfolder import (
    METRICS,
    StageResult,
    complete_key,
    is_own_link,
    read_section,
    run_in_folder,
    set_aside,
)
from synthdata.samples import DetectionDataset, Layout

RAW_DIR = Path("data") / "raw"


def run_prepare(
    section: PrepareConfig, *, inputs: Mapping[str, Path], out_dir: Path
) -> StageResult:
    """Fetch, check, split and resize the real data."""
    from synthdata.datasets.prepare import prepare, source_fingerprint

    return run_in_folder(
        "prepare",
        section,
        inputs=inputs,
        out_dir=out_dir,
        fingerprint=source_fingerprint(section, RAW_DIR),
        work=lambda: prepare(section, raw_dir=RAW_DIR, out_dir=out_dir),
    )


def run_fit(section: FitConfig, *, inputs: Mapping[str, Path], out_dir: Path) -> StageResult:
    """Train, or name, the image generator; it sees the real train split only."""
    from synthdata.training.fit import fit_model

    return run_in_folder(
        "fit",
        section,
        inputs=inputs,
        out_dir=out_dir,
        work=lambda: fit_model(section, _train_split(inputs), out_dir),
    )


def run_layout(section: LayoutConfig, *, inputs: Mapping[str, Path], out_dir: Path) -> StageResult:
    """Sample layouts that follow the real train split, a set for each class balance."""
    from synthdata.layout import make_balanced_layouts

    return run_in_folder(
        "layout",
        section,
        inputs=inputs,
        out_dir=out_dir,
        work=lambda: make_balanced_layouts(section, train=_train_split(inputs), out_dir=out_dir),
    )


def run_generate(
    section: GenerateConfig, *, inputs: Mapping[str, Path], out_dir: Path
) -> StageResult:
    """Make the images of every pool."""
    from synthdata.generators.folder import folder_fingerprints
    from synthdata.generators.pools import PoolInputs, generate_pools
    from synthdata.layout import load_layout_sets

    def work() -> dict[str, Any]:
        layouts: Mapping[float, list[Layout]] = {}
        if "layout" in inputs:
            made = LayoutConfig.model_validate(read_section(inputs["layout"]))
            layouts = load_layout_sets(inputs["layout"], made)
        prepared = load_dataset(inputs["prepare"])
        of = PoolInputs(
            train=prepared.split("train"),
            held_out=prepared.split("val", "test"),
            layouts=layouts,
            model_dir=inputs.get("fit"),
        )
        return generate_pools(section, of, out_dir=out_dir)

    return run_in_folder(
        "generate",
        section,
        inputs=inputs,
        out_dir=out_dir,
        fingerprint=folder_fingerprints(section.pools),
        work=work,
    )


def run_score(section: ScoreConfig, *, inputs: Mapping[str, Path], out_dir: Path) -> StageResult:
    """Let a judge look for what val layouts promise in images made for them."""
    from synthdata.scoring import score_generator

    def work() -> dict[str, Any]:
        generate = GenerateConfig.model_validate(read_section(inputs["generate"]))
        pool = generate.pools[section.pool or ""]
        if not isinstance(pool, GeneratorPool):
            raise RunError(f"score looks at a pool of kind generator, {section.pool!r} is none")
        return score_generator(
            section,
            generator=pool,
            prepared=load_dataset(inputs["prepare"]),
            pool=load_dataset(inputs["generate"]).where(pool=section.pool),
            model_dir=inputs["fit"],
            out_dir=out_dir,
        )

    return run_in_folder("score", section, inputs=inputs, out_dir=out_dir, work=work)


def run_filter(section: FilterConfig, *, inputs: Mapping[str, Path], out_dir: Path) -> StageResult:
    """Score the images of the pools that an arm takes a part of, and decide which are kept."""
    from synthdata.filters.run import filter_pools

    return run_in_folder(
        "filter",
        section,
        inputs=inputs,
        out_dir=out_dir,
        work=lambda: filter_pools(
            section,
            train=_train_split(inputs),
            made=load_dataset(inputs["generate"]),
            model_dir=inputs.get("fit"),
            out_dir=out_dir,
        ),
    )


def run_version(
    section: VersionConfig, *, inputs: Mapping[str, Path], out_dir: Path
) -> StageResult:
    """Write each arm as a data set with its card, and what is scored on; give them to DVC."""
    from synthdata.datasets.sources import shifted_fingerprint
    from synthdata.versioning.cards import read_provenance
    from synthdata.versioning.ingredients import read_ingredients
    from synthdata.versioning.publish import publish_versions
    from synthdata.versioning.write import write_versions

    result = run_in_folder(
        "version",
        section,
        inputs=inputs,
        out_dir=out_dir,
        fingerprint=shifted_fingerprint(section.shifted, RAW_DIR),
        work=lambda: write_versions(
            section,
            ingredients=read_ingredients(section, inputs, raw_dir=RAW_DIR),
            out_dir=out_dir,
            provenance=read_provenance(inputs),
        ),
    )
    if section.dvc:
        publish_versions(
            [out_dir], workspace=Path.cwd(), remote=section.remote, commit=section.commit
        )
    return result


def run_train(section: TrainConfig, *, inputs: Mapping[str, Path], out_dir: Path) -> StageResult:
    """Train and evaluate the detector on every arm; finished trainings are kept."""
    from synthdata.detectors.arms import train_arms

    def work() -> dict[str, Any]:
        _log_looks(section, inputs["version"], out_dir)
        return train_arms(section, version_dir=inputs["version"], out_dir=out_dir)

    return run_in_folder("train", section, inputs=inputs, out_dir=out_dir, work=work)


def _log_looks(section: TrainConfig, version_dir: Path, out_dir: Path) -> None:
    """Put on record which sets that choices must not see this repetition is scored on."""
    from synthdata.detectors.job_data import target_key

    run_dir = out_dir.absolute().parents[1]
    opening = sha256_json(
        [section.model_dump(mode="json", exclude={"seed"}), read_section(version_dir)["arms"]]
    )
    shifted = shifted_sets(version_dir) if section.shifted else []
    for name in ["test"] * (section.evaluation_split == "test") + shifted:
        log_look(
            run_dir.parents[1],
            digest=target_key(load_dataset(version_dir / EVAL / name)),
            evaluation_set=name,
            run=run_dir.name,
            seed=section.seed,
            opening=opening,
        )


def run_report(section: ReportConfig, *, inputs: Mapping[str, Path], out_dir: Path) -> StageResult:
    """Compare the arms over all repetitions and write the verdict."""
    from synthdata.report import write_report

    return run_in_folder(
        "report",
        section,
        inputs=inputs,
        out_dir=out_dir,
        fingerprint=_looks_fingerprint(inputs, out_dir),
        work=lambda: write_report(section, inputs=inputs, out_dir=out_dir),
    )


def _looks_fingerprint(inputs: Mapping[str, Path], out_dir: Path) -> str:
    """Return a digest of the looks at what the run is scored on: one not shown is hidden."""
    workspace = out_dir.absolute().parents[2]
    trained = [path / METRICS for name, path in inputs.items() if name.endswith("/train")]
    sets = [read_json(path)["sets"] for path in trained if path.is_file()]
    digests = sorted({one["digest"] for by_name in sets for one in by_name.values()})
    looks = [look.to_json() for digest in digests for look in read_looks(workspace, digest=digest)]
    return sha256_json(looks)


def _train_split(inputs: Mapping[str, Path]) -> DetectionDataset:
    return load_dataset(inputs["prepare"]).split("train")


def run_step(step: Step) -> StageResult:
    """Run one step of a plan: its stage, or a link to the repetition that shares it.

    Raises:
        RunError: If the step links to a stage that isn't finished.
        SynthdataError: What the stage raises.
    """
    if step.linked_from is not None:
        return _link(step, step.linked_from)
    if is_own_link(step.out_dir):  # shared before the config changed
        step.out_dir.unlink()
    return _RUNNERS[step.stage](step.section, inputs=step.inputs, out_dir=step.out_dir)


def _link(step: Step, target: Path) -> StageResult:
    key = complete_key(target)
    if key is None:
        raise RunError(
            f"{step.out_dir} shares {target}, which isn't finished; run {step.stage} for "
            "the first seed"
        )
    if complete_key(step.out_dir) != key:
        if is_own_link(step.out_dir):
            step.out_dir.unlink()
        elif step.out_dir.exists():
            set_aside(step.out_dir)
        step.out_dir.parent.mkdir(parents=True, exist_ok=True)
        step.out_dir.symlink_to(Path("..") / target.parent.name / target.name)
    return StageResult(step.stage, step.out_dir, read_json(target / METRICS), reused=True)


_RUNNERS: Mapping[StageName, Callable[..., StageResult]] = {
    "prepare": run_prepare,
    "fit": run_fit,
    "layout": run_layout,
    "generate": run_generate,
    "score": run_score,
    "filter": run_filter,
    "version": run_version,
    "train": run_train,
    "report": run_report,
}
