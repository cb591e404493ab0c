"""A finished run as the stages leave it: real files and real scores of made-up detections."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from builders import CLASS_NAMES, write_dataset
from synthdata.config import ExperimentConfig, StageName, load_config
from synthdata.config.report import ReportConfig
from synthdata.detections import Detections, to_coco_results
from synthdata.detectors.job_data import target_key
from synthdata.files import link_or_copy, read_json, write_json
from synthdata.manifest import load_dataset, save_dataset
from synthdata.metrics.detection import evaluate_detections
from synthdata.plan import plan
from synthdata.report import write_report
from synthdata.runfolder import run_in_folder
from synthdata.samples import DetectionDataset, Sample, Split
from synthdata.stages import run_step

# Noise of the made-up boxes, as a fraction of their size: less is a better detector.
NOISE: Mapping[str, float] = {
    "real": 0.13, "copy_paste": 0.10, "synthetic": 0.11, "synthetic_filtered": 0.09,
    "synthetic_random_drop": 0.11, "oracle": 0.07,
}  # fmt: skip
# A class name is a user's text: it must arrive as text wherever it is shown.
HOSTILE_CLASSES = ("RBC", "<script>alert(1)</script>", 'a|b" onload="x` [c](d)')


@dataclass(frozen=True)
class FinishedRun:
    """A workspace with every stage but the report done.

    Attributes:
        root: The workspace.
        config: The experiment.
        section: The report's, as the plan makes it.
        inputs: What the report is given.
    """

    root: Path
    config: ExperimentConfig
    section: ReportConfig
    inputs: Mapping[str, Path]

    @property
    def run_dir(self) -> Path:
        return self.root / "runs" / self.config.name

    @property
    def results(self) -> pd.DataFrame:
        """Columns `arm`, `seed`, `map50_95`, as the trainings have them."""
        return pd.DataFrame(
            {"arm": arm, "seed": seed, "map50_95": values["map50_95"]}
            for seed in self.config.seeds
            for arm, values in read_json(self.run_dir / f"seed-{seed}" / "train" / "metrics.json")[
                "arms"
            ].items()
        )

    def report(self, **changes: Any) -> dict[str, Any]:
        """Write the report, with changes to its section, and return its metrics."""
        section = self.section.model_copy(update=changes)
        return write_report(section, inputs=self.inputs, out_dir=self.run_dir / "report")


def finish_run(
    root: Path,
    *,
    seeds: tuple[int, ...] = (0, 1, 2, 3),
    shared_through: StageName | None = "filter",
    arms: tuple[str, ...] = tuple(NOISE),
    contrasts: Sequence[tuple[str, str]] | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    noise: Mapping[str, float] = NOISE,
    overrides: tuple[str, ...] = (),
    split: Split = "val",
) -> FinishedRun:
    if contrasts is None:
        named = load_config("smoke.yaml").contrasts
        contrasts = [pair for pair in named if set(pair) <= set(arms)]
    config = load_config(
        "smoke.yaml",
        [
            f"seeds={list(seeds)}",
            f"shared_through={shared_through or 'null'}",
            "version.dvc=false",
            f"contrasts={json.dumps(list(contrasts))}",
            *(f"arms.{arm}.twin=null" for arm in arms if f"{arm}_random_drop" not in arms),
            *(f"arms.{arm}=null" for arm in NOISE if arm not in arms),
            *overrides,
        ],
    )
    steps = plan(config, root)
    for step in steps[:-1]:
        if step.linked_from is not None:
            run_step(step)
            continue
        work = _Work(step.inputs, step.out_dir, step.section.seed, class_names, arms, noise, split)
        run_in_folder(
            step.stage, step.section, inputs=step.inputs, out_dir=step.out_dir,
            work=getattr(work, step.stage),
        )  # fmt: skip
    assert isinstance(steps[-1].section, ReportConfig)
    return FinishedRun(root, config, steps[-1].section, steps[-1].inputs)


@dataclass(frozen=True)
class _Work:
    inputs: Mapping[str, Path]
    out_dir: Path
    seed: int
    class_names: tuple[str, ...]
    arms: tuple[str, ...]
    noise: Mapping[str, float]
    split: Split

    def prepare(self) -> dict[str, Any]:
        parts: list[tuple[Split, int]] = [("train", 6), ("reserve", 4), ("val", 12), ("test", 5)]
        samples: list[Sample] = []
        for index, (split, num) in enumerate(parts):
            drawn = self.seed if split == "train" else 0
            samples += write_dataset(
                self.out_dir, num=num, split=split, seed=index + 10 * drawn, prefix=split
            ).samples
        save_dataset(DetectionDataset(self.out_dir, self.class_names, tuple(samples)))
        return {
            "source": "digits", "classes": list(self.class_names), "image_size": None,
            "repairs": {"tiny_box": 2}, "warnings": {"no_labels": 1},
            "objects_lost_by_resizing": 3,
            "splits": {split: {"images": num} for split, num in parts},
        }  # fmt: skip

    def fit(self) -> dict[str, Any]:
        steps = np.arange(10, 401, 10)
        rng = np.random.default_rng(self.seed)
        frames = [
            pd.DataFrame({"phase": phase, "step": steps, "loss": np.exp(-steps / 120) + floor
                          + 0.01 * rng.random(len(steps))})
            for phase, floor in (("autoencoder", 0.05), ("decoder", 0.04), ("denoiser", 0.2))
        ]  # fmt: skip
        pd.concat(frames).to_csv(self.out_dir / "losses.csv", index=False)
        phases = {name: {"steps": 400, "loss": 0.1, "elapsed_s": 60.0}
                  for name in ("autoencoder", "decoder", "denoiser")}  # fmt: skip
        return {
            "kind": "embedded", "autoencoder_psnr_db": 31.5, "phases": phases,
            "device": "cpu", "dtype": "float32", "threads": 2,
        }  # fmt: skip

    def layout(self) -> dict[str, Any]:
        return {"num_layouts": 10, "num_objects": dict.fromkeys(self.class_names, 16)}

    def generate(self) -> dict[str, Any]:
        samples: list[Sample] = []
        for index, pool in enumerate(("synthetic", "copy_paste")):
            made = write_dataset(self.out_dir, num=10, seed=10 + index, prefix=f"{pool}-layout")
            origin = "generated" if pool == "synthetic" else "composited"
            samples += [replace(s, pool=pool, origin=origin) for s in made]  # type: ignore[arg-type]
        save_dataset(DetectionDataset(self.out_dir, self.class_names, tuple(samples)))
        return {
            "pools": {
                "synthetic": {"images": 10, "elapsed_s": 40.0, "images_per_s": 0.25},
                "copy_paste": {"images": 10, "elapsed_s": 0.5, "images_per_s": 20.0},
            }
        }

    def score(self) -> dict[str, Any]:
        values = (0.9, 0.6, 0.02, 0.667, 0.022)
        names = ("real_map50", "generated_map50", "shuffled_map50", "score", "shuffled_score")
        counts = {"promised": 40, "found": 25, "moved": 5, "missing": 10, "extra": 7}
        return {
            "images": 12, "judge_train_images": 10, "score": 0.667, "shuffled_score": 0.022,
            "map50": {"real": 0.9, "generated": 0.6, "shuffled": 0.02},
            "per_class": {
                name: dict(zip(names, values, strict=True)) for name in self.class_names
            },
            "boxes": {"real": counts, "generated": counts},
            "novelty": {
                "encoder": {"name": "efficientnet-lite0", "weights_sha256": "0" * 64},
                "median_distance": {"real": 2.0, "generated": 1.8, "pool": 1.7}, "ratio": 0.9,
                "pool_ratio": 0.85,
            },
            "alone": {
                "images": 10, "real": {"map50_95": 0.5, "map50": 0.8},
                "generated": {"map50_95": 0.43, "map50": 0.7}, "ratio": 0.86,
            },
            "fidelity": {
                "encoders": [{"name": "efficientnet-lite0", "weights_sha256": "0" * 64}],
                "confidence": 0.95,
                "rows": list(self.fidelity_rows()),
            },
        }  # fmt: skip

    def fidelity_rows(self) -> Iterator[dict[str, Any]]:
        names = ("value", "low", "high", "halves", "differs")
        known = dict(zip(names, (-0.0123, -0.2, 0.1, 0.003, True), strict=True)) | {"reason": ""}
        unknown = dict.fromkeys(names) | {"reason": "12 of 1281 items"}
        encoder = "efficientnet-lite0"
        for of, name in (("images", None), *(("crops", name) for name in self.class_names)):
            where = {"of": of, "class": name, "encoder": encoder, "num": 6}
            yield where | {"metric": "fid"} | unknown
            yield where | {"metric": "kid"} | known
        for name in self.class_names:
            where = {"of": "boxes", "class": name, "encoder": None, "num": 6}
            yield where | {"metric": "log_area"} | known

    def filter(self) -> dict[str, Any]:
        pool = load_dataset(self.inputs["generate"]).where(pool="synthetic")
        out_dir = self.out_dir / "synthetic"
        out_dir.mkdir()
        rng = np.random.default_rng(self.seed)
        ids = [sample.sample_id for sample in pool]
        scores = {name: rng.random(len(ids)) for name in ("manifold", "detector")}
        pd.DataFrame(
            [
                {"sample_id": i, "filter": name, "score": value, "detail": ""}
                for name, values in scores.items()
                for i, value in zip(ids, values, strict=True)
            ]
        ).to_parquet(out_dir / "scores.parquet")
        kept = np.argsort(np.argsort(sum(scores.values()))) >= 3
        at_random = rng.permutation(kept)
        reason = "detector: 2 of 5 objects found; score 0.400 not among the best"
        pd.DataFrame(
            {
                "sample_id": ids,
                "kept": kept,
                "reason": np.where(kept, "", reason),
                "random_kept": at_random,
            }
        ).to_parquet(out_dir / "decisions.parquet")
        sets = {"pool": np.ones(len(ids), bool), "filtered": kept, "random_drop": at_random}
        coverage = {
            "coverage_by_class": dict.fromkeys(self.class_names, 0.8),
            "mean_class_coverage": 0.8,
        }
        measured = {
            "num_images": {name: int(chosen.sum()) for name, chosen in sets.items()},
            "rejected_by": {"detector": 3},
            "mean_score": {
                kind: {name: float(values[chosen].mean()) for name, chosen in sets.items()}
                for kind, values in scores.items()
            },
            "sets": dict.fromkeys(sets, coverage),
            "encoder": {"name": "efficientnet-lite0", "weights_sha256": "0" * 64},
            "by_filter": {"clip": {"encoder": {"name": "a CLIP", "weights_sha256": "none"}}},
            "num_neighbors": 3,
            "relative_coverage": dict.fromkeys(self.class_names, 1.0),
            "judge_score_on_real_train": 0.9,
        }
        return {"pools": {"synthetic": measured}}

    def version(self) -> dict[str, Any]:
        prepared = load_dataset(self.inputs["prepare"])
        for split in ("val", "test"):
            folder = self.out_dir / "eval" / split
            part = replace(prepared.split(split), root=folder)  # type: ignore[arg-type]
            for sample in part:
                link_or_copy(prepared.image_path(sample), part.image_path(sample))
            save_dataset(part)
        for arm in self.arms:
            write_json(self.out_dir / "arms" / arm / "card.json", {"arm": arm})
        card = {"num_images": 16, "images_left_out": {}}
        return {"list_length": 16, "arms": dict.fromkeys(self.arms, card)}

    def train(self) -> dict[str, Any]:
        truth = load_dataset(self.inputs["version"] / "eval" / self.split)
        return {
            "evaluation_split": self.split,
            "sets": {self.split: {"num_images": len(truth), "digest": target_key(truth)}},
            "arms": {arm: self._train_arm(arm) for arm in self.arms},
            "shifted": {},
        }

    def _train_arm(self, arm: str) -> dict[str, Any]:
        truth = load_dataset(self.inputs["version"] / "eval" / self.split)
        rng = np.random.default_rng([self.seed, *arm.encode()])
        found = [_detect(sample, self.noise[arm], rng) for sample in truth]
        job_dir = self.out_dir / "jobs" / arm
        write_json(job_dir / f"predictions-{self.split}.json", to_coco_results(found))
        epochs = np.arange(1, 31)
        fall = np.exp(-epochs / 8) + self.noise[arm]
        pd.DataFrame({"epoch": epochs, "box": 2 * fall, "cls": 3 * fall, "dfl": fall}).to_csv(
            job_dir / "losses.csv", index=False
        )
        return {
            **evaluate_detections(truth, found).to_json(),
            "seconds": 90.0, "steps": 300, "num_images": 16, "device": "cpu",
        }  # fmt: skip


def _detect(sample: Sample, noise: float, rng: np.random.Generator) -> Detections:
    """Find the true objects, moved by noise, and some that are not there."""
    truth = sample.annotations
    size = np.tile(truth.xyxy[:, 2:] - truth.xyxy[:, :2], 2)
    moved = truth.xyxy + rng.normal(0, noise, truth.xyxy.shape) * size
    false = rng.integers(0, max(len(truth), 1), 2)
    return Detections(
        xyxy=np.vstack([moved, moved[false] + 15]),
        class_id=np.concatenate([truth.class_id, truth.class_id[false]]),
        confidence=rng.uniform(0.3, 1, len(truth) + 2),
    )
