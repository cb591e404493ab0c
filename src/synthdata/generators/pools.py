"""Stage `generate`: the images of every pool, shard by shard.

A shard's record is written after its images are on the disk, and holds their digests. A killed
run redoes at most the shards in flight, and those of which an image was lost or changed since; its
pixels equal an undisturbed run's.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from synthdata.conditioning import prompt_for
from synthdata.config.generate import GenerateConfig
from synthdata.config.generator import ControlNetConfig
from synthdata.config.paste import PasteConfig
from synthdata.config.pools import REAL, FolderPool, GeneratorPool, PoolConfig
from synthdata.errors import DamagedFileError, GenerationError
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
from synthdata.generators.folder import read_folder_pool
from synthdata.generators.paste import PasteGenerator
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
class PoolInputs:
    """What pools are made of.

    Attributes:
        train: The real train split.
        held_out: Evaluation images, which no pool may hold; nothing else is done with them.
        layouts: What generated images show, by the balance of their classes.
        model_dir: The folder of stage `fit`; None where no pool needs a model.
    """

    train: DetectionDataset
    held_out: DetectionDataset
    layouts: Mapping[float, Sequence[Layout]]
    model_dir: Path | None = None


@dataclass(frozen=True)
class _Shard:
    """Some of a pool's requests, and the file that says that they are done."""

    pool: str
    requests: Sequence[GenerationRequest]
    record: Path


@dataclass(frozen=True)
class _Maker:
    """How a pool's images are made.

    Attributes:
        requests: An image each.
        build: Returns a generator of them.
        streams: How many generators can work side by side; None if one takes all of the machine.
        config_sha256: Digest of the settings that make the images.
    """

    requests: Sequence[GenerationRequest]
    build: Callable[[], ImageGenerator]
    streams: int | None
    config_sha256: str


def generate_pools(section: GenerateConfig, inputs: PoolInputs, *, out_dir: Path) -> dict[str, Any]:
    """Make the images of every pool, and their manifest.

    Args:
        section: The pools, each after those that it builds on.
        inputs: What they are made of.
        out_dir: Gets the data set of all pools; finished shards in it are kept.

    Returns:
        Per pool images, images per second, seconds and largest memory, for `metrics.json`.

    Raises:
        DatasetError: If a folder of labelled images has errors, or other classes.
        GenerationError: If a generator can't be built or doesn't suit the layouts, or two pools
            give an image the same id.
    """
    made: dict[str, DetectionDataset] = {}
    metrics: dict[str, Any] = {}
    for name, pool in section.pools.items():
        if isinstance(pool, FolderPool):
            start = time.perf_counter()
            samples = read_folder_pool(
                name, pool, train=inputs.train, held_out=inputs.held_out, out_dir=out_dir
            )
            elapsed_s = time.perf_counter() - start
            metrics[name] = {"images": len(samples), "elapsed_s": round(elapsed_s, 3)}
        else:
            maker = _maker(section, name, pool, inputs, made)
            samples, metrics[name] = _make_pool(name, maker, section.shard_size, out_dir)
        if isinstance(pool, GeneratorPool):
            # Here, since only this kind of pool needs diffusers.
            from synthdata.generators.model import sampling_hardware

            metrics[name] |= sampling_hardware(pool.generator).describe()
        made[name] = DetectionDataset(out_dir, inputs.train.class_names, tuple(samples))
        free_memory()
    _refuse_shared_ids(made)
    everything = tuple(sample for pool in made.values() for sample in pool)
    save_dataset(DetectionDataset(out_dir, inputs.train.class_names, everything))
    return {"pools": metrics}


def _refuse_shared_ids(pools: Mapping[str, DetectionDataset]) -> None:
    owners: dict[str, str] = {}
    for name, sample in ((name, sample) for name, pool in pools.items() for sample in pool):
        other = owners.setdefault(sample.sample_id, name)
        if other != name:
            raise GenerationError(
                f"pools {other!r} and {name!r} both have an image {sample.sample_id!r}, the "
                "pool's name before its own; give one of the pools another name"
            )


def _maker(
    section: GenerateConfig,
    name: str,
    pool: GeneratorPool | PasteConfig,
    inputs: PoolInputs,
    made: Mapping[str, DetectionDataset],
) -> _Maker:
    if isinstance(pool, PasteConfig):
        canvases = inputs.train if pool.onto == REAL else made[pool.onto]
        # Pasted images follow no layout: they are numbered as if there were one for each.
        numbered = [
            Layout(f"layout-{i:05d}", 0, 0, Annotations.empty())
            for i in range(pool.num_images or 0)
        ]
        return _Maker(
            requests=_requests(section, name, numbered),
            build=partial(PasteGenerator, pool, donors=inputs.train, canvases=canvases),
            streams=None,
            config_sha256=_digest(pool),
        )
    if inputs.model_dir is None:
        raise GenerationError(f"pool {name!r} needs the model of stage fit; run that stage first")
    template = ""
    if isinstance(pool.generator, ControlNetConfig):
        template = read_card(inputs.model_dir).prompt_template
    layouts = inputs.layouts[pool.balance or 0.0]
    names = inputs.train.class_names
    return _Maker(
        requests=_requests(section, name, layouts, template=template, class_names=names),
        build=partial(
            build_generator, pool.generator, model_dir=inputs.model_dir, dataset=inputs.train
        ),
        streams=count_streams(pool.generator, inputs.model_dir),
        config_sha256=_digest(pool),
    )


def _digest(pool: PoolConfig) -> str:
    return sha256_json(pool.model_dump(mode="json"))


def _requests(
    section: GenerateConfig,
    pool: str,
    layouts: Sequence[Layout],
    *,
    template: str = "",
    class_names: Sequence[str] = (),
) -> list[GenerationRequest]:
    """Return a request per layout; its seed depends on the run's seed and its own id only."""
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
    name: str, maker: _Maker, shard_size: int, out_dir: Path
) -> tuple[list[Sample], dict[str, Any]]:
    """Make the shards that have no record yet; return all samples and the pool's metrics."""
    reset_peak_memory()
    shards = [
        _Shard(
            name,
            maker.requests[start : start + shard_size],
            out_dir / "shards" / f"{name}-{start // shard_size:05d}.json",
        )
        for start in range(0, len(maker.requests), shard_size)
    ]
    todo = [shard for shard in shards if not _is_whole(shard, out_dir)]
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


def _make_shards(maker: _Maker, shards: Sequence[_Shard], *, out_dir: Path) -> Iterator[Path]:
    """Make shards, side by side where they can be, and yield their records in order."""
    generators = [maker.build() for _ in range(min(maker.streams or 1, len(shards)))]

    def make(generator: ImageGenerator, shard: _Shard) -> Path:
        return _make_shard(generator, maker.config_sha256, shard, out_dir)

    if maker.streams is None:
        yield from (make(generators[0], shard) for shard in shards)
    else:
        yield from map_streams(make, generators, shards)


def _make_shard(
    generator: ImageGenerator, config_sha256: str, shard: _Shard, out_dir: Path
) -> Path:
    """Make a shard's images, then its record, and return that."""
    began = time.time()
    rows = [
        _write(made, shard.pool, config_sha256, out_dir)
        for made in generator.generate(shard.requests)
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
