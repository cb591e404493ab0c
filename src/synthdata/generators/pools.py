"""Stage `generate`: one image a layout with each generator, shard by shard.

A shard's record is written after its images are on the disk, and holds their digests. A killed
run redoes at most the shards in flight, and those of which an image was lost or changed since; its
pixels equal an undisturbed run's.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from synthdata.conditioning import prompt_for
from synthdata.config.generate import (
    ControlNetConfig,
    GenerateConfig,
    GeneratorConfig,
    PipelineConfig,
)
from synthdata.errors import DamagedFileError
from synthdata.files import (
    read_json,
    replacing,
    sha256_file,
    sha256_json,
    sync_files,
    write_json,
)
from synthdata.generators import build_generator
from synthdata.generators.base import ImageGenerator
from synthdata.generators.model import sampling_hardware
from synthdata.generators.streams import count_streams, map_streams
from synthdata.manifest import save_dataset
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
    Sample,
)
from synthdata.seeding import derive_seed
from synthdata.training.card import read_card
from synthdata.training.hardware import free_memory, peak_memory, reset_peak_memory


@dataclass(frozen=True)
class _Shard:
    """Some of a pool's requests, and the file that says that they are done."""

    pool: str
    requests: Sequence[GenerationRequest]
    record: Path


def generate_pools(
    section: GenerateConfig,
    *,
    model_dir: Path,
    train: DetectionDataset,
    layouts: list[Layout],
    out_dir: Path,
) -> dict[str, Any]:
    """Make one image a layout with each generator, and their manifest.

    Args:
        section: The generators, by pool name.
        model_dir: The folder of stage `fit`.
        train: The real train split.
        layouts: What to show.
        out_dir: Gets the data set of all pools; finished shards in it are kept.

    Returns:
        A pool's images, images a second, seconds and largest memory, for `metrics.json`.

    Raises:
        GenerationError: If a generator can't be built or doesn't suit the layouts.
    """
    samples: list[Sample] = []
    metrics: dict[str, Any] = {}
    for pool, config in section.generators.items():
        template = ""
        if isinstance(config, ControlNetConfig):
            template = read_card(model_dir).prompt_template
        requests = _requests(
            section, pool, layouts, template=template, class_names=train.class_names
        )
        shards = [
            _Shard(pool, requests[start : start + section.shard_size], record)
            for start, record in (
                (start, out_dir / "shards" / f"{pool}-{start // section.shard_size:05d}.json")
                for start in range(0, len(requests), section.shard_size)
            )
        ]
        made, metrics[pool] = _make_pool(
            config, shards, model_dir=model_dir, train=train, out_dir=out_dir
        )
        if isinstance(config, PipelineConfig):
            metrics[pool] |= sampling_hardware(config).describe()
        samples += made
        free_memory()
    save_dataset(
        DetectionDataset(root=out_dir, class_names=train.class_names, samples=tuple(samples))
    )
    return {"pools": metrics}


def _requests(
    section: GenerateConfig,
    pool: str,
    layouts: Sequence[Layout],
    *,
    template: str,
    class_names: Sequence[str],
) -> list[GenerationRequest]:
    """Return a request a layout; its seed depends on the run's seed and its own id only."""
    return [
        GenerationRequest(
            sample_id=f"{pool}-{layout.layout_id}",
            layout=layout,
            prompt=prompt_for(layout, class_names, template) if template else "",
            seed=derive_seed(section.seed, f"{pool}-{layout.layout_id}"),
        )
        for layout in layouts
    ]


def _make_pool(
    config: GeneratorConfig,
    shards: Sequence[_Shard],
    *,
    model_dir: Path,
    train: DetectionDataset,
    out_dir: Path,
) -> tuple[list[Sample], dict[str, Any]]:
    """Make the shards that have no record yet; return all samples and the pool's metrics."""
    reset_peak_memory()
    todo = [shard for shard in shards if not _is_whole(shard, out_dir)]
    if todo:
        made = _make_shards(config, todo, model_dir=model_dir, train=train, out_dir=out_dir)
        desc = f"generate: {shards[0].pool}"
        for _ in tqdm(made, desc=desc, unit="shard", total=len(todo), disable=None):
            pass
    records = [read_json(shard.record) for shard in shards]
    elapsed_s = _time_covered((record["began"], record["ended"]) for record in records)
    samples = [_sample_from_json(row) for record in records for row in record["samples"]]
    return samples, {
        "images": len(samples),
        "elapsed_s": round(elapsed_s, 3),
        "images_per_s": round(len(samples) / max(elapsed_s, 1e-9), 3),
        **peak_memory(),
    }


def _is_whole(shard: _Shard, out_dir: Path) -> bool:
    """Return whether a shard's record and images are as they were written.

    A record is of other requests where the shards had another size.
    """
    try:
        rows = read_json(shard.record)["samples"]
    except (FileNotFoundError, DamagedFileError):
        return False
    files = {row["sample_id"]: (out_dir / row["path"], row["sha256"]) for row in rows}
    return list(files) == [request.sample_id for request in shard.requests] and all(
        path.is_file() and sha256_file(path) == sha256 for path, sha256 in files.values()
    )


def _make_shards(
    config: GeneratorConfig,
    shards: Sequence[_Shard],
    *,
    model_dir: Path,
    train: DetectionDataset,
    out_dir: Path,
) -> Iterator[Path]:
    """Make shards, side by side where they can be, and yield their records in order."""
    streams = count_streams(config, model_dir)
    generators = [
        build_generator(config, model_dir=model_dir, dataset=train)
        for _ in range(min(streams or 1, len(shards)))
    ]

    def make(generator: ImageGenerator, shard: _Shard) -> Path:
        return _make_shard(generator, config, shard, out_dir)

    if streams is None:
        yield from (make(generators[0], shard) for shard in shards)
    else:
        yield from map_streams(make, generators, shards)


def _make_shard(
    generator: ImageGenerator, config: GeneratorConfig, shard: _Shard, out_dir: Path
) -> Path:
    """Make a shard's images, then its record, and return that."""
    began = time.time()
    digest = sha256_json(config.model_dump(mode="json"))
    rows = [
        _write(made, shard.pool, digest, out_dir) for made in generator.generate(shard.requests)
    ]
    sync_files(out_dir / row["path"] for row in rows)
    # By the clock on the wall, since a resumed run's other shards are of another process.
    write_json(shard.record, {"began": began, "ended": time.time(), "samples": rows})
    return shard.record


def _time_covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds in which at least one shard was being made."""
    covered, until = 0.0, -math.inf
    for began, ended in sorted(spans):
        covered += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return covered


def _write(made: GeneratedSample, pool: str, config_sha256: str, out_dir: Path) -> dict[str, Any]:
    """Write the image and return its row of the shard's record."""
    request = made.request
    path = Path("images") / f"{request.sample_id}.png"
    with replacing(out_dir / path, sync=False) as temporary:
        # A stronger compression takes 4 times as long, for files an eighth smaller.
        Image.fromarray(made.image).save(temporary, compress_level=1)
    return {
        "sample_id": request.sample_id,
        "path": path.as_posix(),
        "width": made.image.shape[1],
        "height": made.image.shape[0],
        "origin": made.origin,
        "sha256": sha256_file(out_dir / path),
        "seed": request.seed,
        "layout_id": request.layout.layout_id,
        "prompt": request.prompt,
        "generator": pool,
        "config_sha256": config_sha256,
        "xyxy": made.annotations.xyxy.tolist(),
        "class_id": made.annotations.class_id.tolist(),
    }


def _sample_from_json(row: dict[str, Any]) -> Sample:
    values = {key: value for key, value in row.items() if key not in ("xyxy", "class_id")}
    return Sample(
        **values | {"path": Path(row["path"])},
        split="train",
        annotations=Annotations(
            xyxy=np.array(row["xyxy"], np.float32), class_id=np.array(row["class_id"], np.int64)
        ),
    )
