"""Stage `generate`: the images of every pool."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from synthdata.conditioning import prompt_for
from synthdata.config.composite import CompositeConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.generator import ControlNetConfig, PipelineConfig
from synthdata.config.paste import PasteConfig
from synthdata.config.pools import REAL, FolderPool, GeneratorPool, PoolConfig
from synthdata.errors import GenerationError
from synthdata.files import (
    sha256_json,
)
from synthdata.generators import ImageGenerator, build_generator
from synthdata.generators.folder import read_folder_pool
from synthdata.generators.paste import PasteGenerator
from synthdata.generators.shards import Maker, make_in_shards, remove_others
from synthdata.generators.streams import count_streams
from synthdata.manifest import save_dataset
from synthdata.runfolder import complete_key
from synthdata.runfolder.code import installed_code
from synthdata.runfolder.key import effective_settings
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GenerationRequest,
    Layout,
)
from synthdata.seeding import derive_seed
from synthdata.training.card import read_card
from synthdata.training.hardware import free_memory


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


def generate_pools(section: GenerateConfig, inputs: PoolInputs, *, out_dir: Path) -> dict[str, Any]:
    """Make the images of every pool, and their manifest.

    Args:
        section: The pools, each after those that it builds on.
        inputs: What they are made of.
        out_dir: Gets the data set of all pools. Shards that are there are kept where all that
            decides them is the same, whatever pools there are beside theirs.

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
            samples, metrics[name] = make_in_shards(name, maker, section.shard_size, out_dir)
        if sampled := _sampled(pool):
            # Here, since only these kinds of pools need diffusers.
            from synthdata.generators.model import sampling_hardware

            metrics[name] |= sampling_hardware(sampled).describe()
        made[name] = DetectionDataset(out_dir, inputs.train.class_names, tuple(samples))
        free_memory()
    _refuse_shared_ids(made)
    remove_others(out_dir, made)
    everything = tuple(sample for pool in made.values() for sample in pool)
    save_dataset(DetectionDataset(out_dir, inputs.train.class_names, everything))
    return {"pools": metrics}


def _sampled(pool: PoolConfig) -> PipelineConfig | None:
    """Return how a pool's model is sampled; None where it has none."""
    if isinstance(pool, GeneratorPool):
        return pool.generator
    return pool if isinstance(pool, CompositeConfig) else None


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
    pool: GeneratorPool | PasteConfig | CompositeConfig,
    inputs: PoolInputs,
    made: Mapping[str, DetectionDataset],
) -> Maker:
    if isinstance(pool, PasteConfig):
        canvases = inputs.train if pool.onto == REAL else made[pool.onto]
        # Pasted images follow no layout: they are numbered as if there were one for each.
        numbered = [
            Layout(f"layout-{i:05d}", 0, 0, Annotations.empty())
            for i in range(pool.num_images or 0)
        ]
        requests = _requests(section, name, numbered)
        return Maker(
            requests=requests,
            build=partial(PasteGenerator, pool, donors=inputs.train, canvases=canvases),
            streams=None,
            config_sha256=sha256_json(pool.model_dump(mode="json")),
            key=_key(pool, requests, inputs.train, canvases),
        )
    model_dir = inputs.model_dir
    if model_dir is None:
        raise GenerationError(f"pool {name!r} needs the model of stage fit; run that stage first")
    if isinstance(pool, CompositeConfig):
        below = inputs.train if pool.onto == REAL else made[pool.onto]
        requests = _one_for_one(section, name, below, pool.num_images or len(below))
        return Maker(
            requests=requests,
            build=partial(_build_composite, pool, model_dir, below, inputs.train),
            streams=count_streams(pool, model_dir),
            config_sha256=sha256_json(pool.model_dump(mode="json")),
            key=_key(pool, requests, inputs.train, below, model=complete_key(model_dir)),
        )
    template = ""
    if isinstance(pool.generator, ControlNetConfig):
        template = read_card(model_dir).prompt_template
    layouts = inputs.layouts[pool.balance or 0.0]
    names = inputs.train.class_names
    requests = _requests(section, name, layouts, template=template, class_names=names)
    return Maker(
        requests=requests,
        build=partial(build_generator, pool.generator, model_dir=model_dir, dataset=inputs.train),
        streams=count_streams(pool.generator, model_dir),
        config_sha256=sha256_json(pool.model_dump(mode="json")),
        key=_key(pool, requests, inputs.train, model=complete_key(model_dir)),
    )


def _build_composite(
    pool: CompositeConfig, model_dir: Path, below: DetectionDataset, train: DetectionDataset
) -> ImageGenerator:
    # Here, since other pools need no diffusers.
    from synthdata.generators.composite import CompositeGenerator

    return CompositeGenerator(pool, model_dir, below=below, train=train)


def _key(
    pool: GeneratorPool | PasteConfig | CompositeConfig,
    requests: Sequence[GenerationRequest],
    *images: DetectionDataset,
    model: str | None = None,
) -> str:
    """Return the digest of all that decides a pool's images.

    Args:
        pool: Its settings.
        requests: What is asked for.
        images: What it is made of.
        model: Key of the stage that made or named the model.
    """
    code = installed_code("generate")
    return sha256_json(
        [
            effective_settings(pool),
            [[one.sample_id, one.seed, one.prompt] for one in requests],
            [_annotations(one.layout.annotations) for one in requests],
            [[s.sha256, _annotations(s.annotations)] for part in images for s in part],
            model,
            [code.sha256, code.libraries],
        ]
    )


def _annotations(annotations: Annotations) -> list[Any]:
    return [annotations.xyxy.tolist(), annotations.class_id.tolist()]


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


def _one_for_one(
    section: GenerateConfig, pool: str, below: DetectionDataset, num: int
) -> list[GenerationRequest]:
    """Return requests for the images below in their order, again from the first after the last."""
    requests = []
    for i in range(num if len(below) else 0):
        sample = below.samples[i % len(below)]
        layout = Layout(sample.sample_id, sample.width, sample.height, sample.annotations)
        sample_id = f"{pool}-layout-{i:05d}"
        seed = derive_seed(section.seed, sample_id)
        requests.append(GenerationRequest(sample_id, layout, prompt="", seed=seed))
    return requests
