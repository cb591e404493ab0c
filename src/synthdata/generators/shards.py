"""Makes a pool's images shard by shard.

A shard's record is written after its images are on the disk, and holds their digests. A killed
run redoes at most the shards in flight, and those of which an image was lost or changed since; its
pixels equal an undisturbed run's.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from synthdata.errors import DamagedFileError
from synthdata.files import (
    read_json,
    replacing,
    sha256_file,
    sync_files,
    write_json,
)
from synthdata.generators.base import ImageGenerator
from synthdata.generators.streams import map_streams
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Sample,
)
from synthdata.training.hardware import peak_memory, reset_peak_memory


@dataclass(frozen=True)
class _Shard:
    """Some of a pool's requests, and the file that says that they are done."""

    pool: str
    requests: Sequence[GenerationRequest]
    record: Path


@dataclass(frozen=True)
class Maker:
    """How a pool's images are made.

    Attributes:
        requests: An image each.
        build: Returns a generator of them.
        streams: How many generators can work side by side; None if one takes all of the machine.
        config_sha256: Digest of the settings that make the images.
        key: Digest of all that decides the images: a shard of another key is made anew.
    """

    requests: Sequence[GenerationRequest]
    build: Callable[[], ImageGenerator]
    streams: int | None
    config_sha256: str
    key: str


def make_in_shards(
    name: str, maker: Maker, shard_size: int, out_dir: Path
) -> tuple[list[Sample], dict[str, Any]]:
    """Make what isn't there yet, and return the pool's samples and metrics.

    Args:
        name: The pool's.
        maker: How its images are made.
        shard_size: Images between two checkpoints.
        out_dir: Gets `images/` and the records, `shards/<pool>-<number>.json`.
    """
    reset_peak_memory()
    shards = [
        _Shard(
            name,
            maker.requests[start : start + shard_size],
            out_dir / "shards" / f"{name}-{start // shard_size:05d}.json",
        )
        for start in range(0, len(maker.requests), shard_size)
    ]
    todo = [shard for shard in shards if not _is_whole(shard, maker.key, out_dir)]
    if todo:
        made = _make_shards(maker, todo, out_dir=out_dir)
        for _ in tqdm(made, desc=f"generate: {name}", unit="shard", total=len(todo), disable=None):
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


def _is_whole(shard: _Shard, key: str, out_dir: Path) -> bool:
    """Return whether a shard's record and images are as they were written.

    A record is of other requests where the shards had another size.
    """
    try:
        record = read_json(shard.record)
    except (FileNotFoundError, DamagedFileError):
        return False
    if record.get("key") != key:
        return False
    rows = record["samples"]
    files = {row["sample_id"]: (out_dir / row["path"], row["sha256"]) for row in rows}
    return list(files) == [request.sample_id for request in shard.requests] and all(
        path.is_file() and sha256_file(path) == sha256 for path, sha256 in files.values()
    )


def _make_shards(maker: Maker, shards: Sequence[_Shard], *, out_dir: Path) -> Iterator[Path]:
    """Make shards, side by side where they can be, and yield their records in order."""
    generators = [maker.build() for _ in range(min(maker.streams or 1, len(shards)))]

    def make(generator: ImageGenerator, shard: _Shard) -> Path:
        return _make_shard(generator, maker, shard, out_dir)

    if maker.streams is None:
        yield from (make(generators[0], shard) for shard in shards)
    else:
        yield from map_streams(make, generators, shards)


def _make_shard(generator: ImageGenerator, maker: Maker, shard: _Shard, out_dir: Path) -> Path:
    """Make a shard's images, then its record, and return that."""
    began = time.time()
    rows = [
        _write(made, shard.pool, maker.config_sha256, out_dir)
        for made in generator.generate(shard.requests)
    ]
    sync_files(out_dir / row["path"] for row in rows)
    # By the clock on the wall, since a resumed run's other shards are of another process.
    record = {"key": maker.key, "began": began, "ended": time.time(), "samples": rows}
    write_json(shard.record, record)
    return shard.record


def remove_others(out_dir: Path, pools: Mapping[str, DetectionDataset]) -> None:
    """Remove images and records of pools that are no more, and of shards of another size."""
    wanted = {out_dir / sample.path for made in pools.values() for sample in made}
    for path in (out_dir / "images").glob("*"):
        if path not in wanted:
            path.unlink()
    for record in (out_dir / "shards").glob("*.json"):
        try:
            rows = read_json(record)["samples"]
        except DamagedFileError:
            rows = []
        if not rows or out_dir / rows[0]["path"] not in wanted:
            record.unlink()


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
        "pool": pool,
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
