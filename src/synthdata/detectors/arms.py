"""The `train` stage: the same detector on every arm, with the same seed and the same work."""

import logging
import shutil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synthdata.config.train import TrainConfig
from synthdata.detectors.base import TRAINING, WEIGHTS, TrainingPhase, TrainSettings
from synthdata.detectors.jobs import prepare_job, read_predictions
from synthdata.detectors.workers import WorkerCall, run_workers
from synthdata.errors import DatasetError
from synthdata.files import read_json, write_json
from synthdata.manifest import load_dataset
from synthdata.metrics.detection import evaluate_detections
from synthdata.samples import DetectionDataset, Sample
from synthdata.seeding import derive_seed

logger = logging.getLogger(__name__)


def train_arms(section: TrainConfig, *, version_dir: Path, out_dir: Path) -> dict[str, Any]:
    """Train the detector on every arm and evaluate it on the evaluation split.

    Each arm's training lives in `jobs/<arm>/` (see `synthdata.detectors.base`), beside
    `metrics-<split>.json`. A finished training is reused where its images, labels, list and
    settings are the same, so that a killed stage loses the trainings in flight only, and another
    evaluation split costs no training.

    Args:
        section: The detector, its training, and the evaluation split.
        version_dir: The `version` stage's folder.
        out_dir: The stage's folder.

    Returns:
        `evaluation_split`, `num_evaluation_images`, `detector_seed` and `arms`: by name the
        scores of `DetectionMetrics`, `steps`, `seconds`, `cpu_seconds`, `num_images` (of the
        list, repeats counted), `num_parameters` and `weights` (relative to `out_dir`).

    Raises:
        DatasetError: If there is no arm, a list names an unknown image, or a list's length is no
            multiple of the batch.
        TrainingError: If a training fails.
    """
    names = sorted(path.name for path in (version_dir / "arms").glob("*/"))
    if not names:
        raise DatasetError(f"{version_dir / 'arms'} holds no arm; run the version stage first")
    split = section.evaluation_split
    evaluation = load_dataset(version_dir / "eval" / split)
    jobs = {name: out_dir / "jobs" / name for name in names}
    _remove_others(out_dir / "jobs", keep=names)
    # One seed for all arms: a repetition's arms differ by their images only.
    seed = derive_seed(section.seed, "detector") % 2**31
    calls = [
        call
        for name, job_dir in jobs.items()
        if (call := _prepare(section, version_dir / "arms" / name, evaluation, seed, job_dir))
    ]
    reused = len(jobs) - len(calls)
    with tqdm(total=len(jobs), initial=reused, desc="train", unit="arm") as progress:
        for call in run_workers(calls, num_parallel=section.num_jobs):
            progress.set_postfix_str(call.job_dir.name)
            progress.update()
    return {
        "evaluation_split": split,
        "num_evaluation_images": len(evaluation),
        "detector_seed": seed,
        "arms": {name: _measure(job_dir, evaluation, split) for name, job_dir in jobs.items()},
    }


def _remove_others(jobs_dir: Path, *, keep: list[str]) -> None:
    """Remove the jobs of arms that are no more."""
    for path in jobs_dir.glob("*/"):
        if path.name not in keep:
            shutil.rmtree(path)


def _prepare(
    section: TrainConfig, arm_dir: Path, evaluation: DetectionDataset, seed: int, job_dir: Path
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
        phases=[TrainingPhase(_training_list(dataset), section.epochs)],
        dataset=dataset,
        targets={section.evaluation_split: evaluation},
        job_dir=job_dir,
    )
    if call is None:
        logger.info("%s: trained and evaluated already, reused", job_dir.name)
    return call


def _training_list(dataset: DetectionDataset) -> list[Sample]:
    """Return the samples that `train.txt` lists, with repeats."""
    sample_at = {sample.path: sample for sample in dataset}
    path = dataset.root / "train.txt"
    lines = [Path(line) for line in path.read_text(encoding="utf-8").splitlines()]
    unknown = [line for line in lines if line not in sample_at]
    if unknown:
        raise DatasetError(f"{path} lists {unknown[0]}, which is no image of the data set")
    return [sample_at[line] for line in lines]


def _measure(job_dir: Path, evaluation: DetectionDataset, split: str) -> dict[str, Any]:
    predictions = read_predictions(job_dir, split, num_images=len(evaluation))
    metrics = evaluate_detections(evaluation, predictions).to_json()
    write_json(job_dir / f"metrics-{split}.json", metrics)
    weights = Path("jobs", job_dir.name, WEIGHTS)
    return {**metrics, **read_json(job_dir / TRAINING), "weights": weights.as_posix()}
