"""The `train` stage: the same detector on every arm, with the same seed and the same work."""

import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synthdata.armfolder import ARMS, EVAL, PHASES, shifted_sets
from synthdata.config.train import TrainConfig
from synthdata.detectors.base import TRAINING, WEIGHTS, TrainingPhase, TrainSettings
from synthdata.detectors.job_data import target_key
from synthdata.detectors.jobs import prepare_job, read_predictions
from synthdata.detectors.workers import WorkerCall, run_workers
from synthdata.errors import DatasetError
from synthdata.files import read_json, write_json
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import evaluate_detections
from synthdata.samples import DetectionDataset, Sample
from synthdata.seeding import derive_seed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """How a caller that trains many arms, such as a search, follows the trainings.

    Attributes:
        trained: Called with the name of each arm that is trained now, when it is; not with those
            of which the training was there.
        deadline: No training is started after it; a time of `time.monotonic`, in seconds.
    """

    trained: Callable[[str], None]
    deadline: float | None = None


def train_arms(
    section: TrainConfig,
    *,
    version_dir: Path,
    out_dir: Path,
    only: Collection[str] | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train the detector on every arm and evaluate it on the evaluation sets.

    Each arm's training lives in `jobs/<arm>/` (see `synthdata.detectors.base`), beside
    `metrics-<set>.json`. A finished training is reused where its images, labels, lists and
    settings are the same, so that a killed stage loses the trainings in flight only, and another
    evaluation set costs no training.

    Args:
        section: The detector, its training, and the evaluation sets.
        version_dir: The `version` stage's folder.
        out_dir: The stage's folder.
        only: The arms; None takes all that there are.
        watch: Who follows the trainings, in the place of the progress bar.

    Returns:
        `evaluation_split`, `detector_seed`, `sets` (by name `num_images` and `digest` of its
        images), `arms`: by name the scores of `DetectionMetrics` on the split, `steps`, `seconds`,
        `cpu_seconds`, `num_images` (of the lists, repeats counted), `num_parameters`,
        `weights_sha256` and `weights` (relative to `out_dir`); and `shifted`: by set and arm the
        scores there.

    Raises:
        DatasetError: If there is no arm, a list names an unknown image, or a list's length is no
            multiple of the batch.
        TrainingError: If a training fails.
        OutOfTimeError: If the watch's deadline kept a training from its start.
    """
    names = sorted(path.name for path in (version_dir / ARMS).glob("*/"))
    names = [name for name in names if only is None or name in only]
    if not names:
        raise DatasetError(f"{version_dir / ARMS} holds no arm; run the version stage first")
    split = section.evaluation_split
    targets = {
        name: load_dataset(version_dir / EVAL / name)
        for name in (split, *(shifted_sets(version_dir) if section.shifted else ()))
    }
    jobs = {name: out_dir / "jobs" / name for name in names}
    _remove_others(out_dir / "jobs", keep=names)
    # One seed for all arms: a repetition's arms differ by their images only.
    seed = derive_seed(section.seed, "detector") % 2**31
    calls = [
        call
        for name, job_dir in jobs.items()
        if (call := _prepare(section, version_dir / ARMS / name, targets, seed, job_dir))
    ]
    _run(calls, num_arms=len(jobs), num_parallel=section.num_jobs, watch=watch)
    scores = {
        target: {arm: _measure(job_dir, dataset, target) for arm, job_dir in jobs.items()}
        for target, dataset in targets.items()
    }
    return {
        "evaluation_split": split,
        "detector_seed": seed,
        "sets": {
            name: {"num_images": len(dataset), "digest": target_key(dataset)}
            for name, dataset in targets.items()
        },
        "arms": {arm: scores[split][arm] | _training(job_dir) for arm, job_dir in jobs.items()},
        "shifted": {name: scores[name] for name in targets if name != split},
    }


def _run(
    calls: Sequence[WorkerCall], *, num_arms: int, num_parallel: int, watch: Watch | None
) -> None:
    """Do the trainings that are missing, and show how far they are."""
    if watch is not None:
        for call in run_workers(calls, num_parallel=num_parallel, deadline=watch.deadline):
            watch.trained(call.job_dir.name)
        return
    with tqdm(total=num_arms, initial=num_arms - len(calls), desc="train", unit="arm") as progress:
        for call in run_workers(calls, num_parallel=num_parallel):
            progress.set_postfix_str(call.job_dir.name)
            progress.update()


def _remove_others(jobs_dir: Path, *, keep: list[str]) -> None:
    """Remove the jobs of arms that are no more."""
    for path in jobs_dir.glob("*/"):
        if path.name not in keep:
            shutil.rmtree(path)


def _prepare(
    section: TrainConfig,
    arm_dir: Path,
    targets: Mapping[str, DetectionDataset],
    seed: int,
    job_dir: Path,
) -> WorkerCall | None:
    dataset = load_dataset(arm_dir)
    settings = TrainSettings(
        batch_size=section.batch_size,
        seed=seed,
        threads=section.threads_per_job,
        device=section.device,
    )
    call = prepare_job(
        section.detector,
        settings,
        phases=_phases(dataset, section.epochs),
        dataset=dataset,
        targets=targets,
        job_dir=job_dir,
    )
    if call is None:
        logger.info("%s: trained and evaluated already, reused", job_dir.name)
    return call


def _phases(dataset: DetectionDataset, epochs: int) -> list[TrainingPhase]:
    """Return an arm's phases; their epochs sum to those of every other arm."""
    phases, done, share = [], 0, 0.0
    for phase in read_json(dataset.root / PHASES):
        share += phase["steps"]
        until = round(share * epochs)
        phases.append(
            TrainingPhase(
                train=_training_list(dataset, phase["list"]),
                epochs=until - done,
                learning_rate=phase["learning_rate"],
            )
        )
        done = until
    return phases


def _training_list(dataset: DetectionDataset, name: str) -> list[Sample]:
    """Return the samples that a list names, with repeats."""
    sample_at = {sample.path: sample for sample in dataset}
    path = dataset.root / name
    lines = [Path(line) for line in path.read_text(encoding="utf-8").splitlines()]
    unknown = [line for line in lines if line not in sample_at]
    if unknown:
        raise DatasetError(f"{path} lists {unknown[0]}, which is no image of the data set")
    return [sample_at[line] for line in lines]


def _measure(job_dir: Path, evaluation: DetectionDataset, target: str) -> dict[str, Any]:
    predictions = read_predictions(job_dir, target, num_images=len(evaluation))
    metrics = evaluate_detections(evaluation, predictions).to_json()
    write_json(job_dir / f"metrics-{target}.json", metrics)
    return metrics


def _training(job_dir: Path) -> dict[str, Any]:
    weights = Path("jobs", job_dir.name, WEIGHTS)
    return {**read_json(job_dir / TRAINING), "weights": weights.as_posix()}
