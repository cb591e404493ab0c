"""The metrics of stage `score`, on real photographs and on what was done to them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from synthdata.config.clip import FittedClip
from synthdata.config.encoder import EfficientNetConfig, ThumbnailConfig
from synthdata.config.fidelity import FidelityConfig
from synthdata.errors import GenerationError
from synthdata.features import build_encoder
from synthdata.features.clip import ClipScorer
from synthdata.features.crops import CropSettings
from synthdata.features.images import image_features
from synthdata.fidelity import FidelityTools, load_tools, measure_fidelity
from synthdata.samples import Annotations, DetectionDataset, Layout

THUMBNAIL = ThumbnailConfig(kind="thumbnail")
EFFICIENTNET = EfficientNetConfig(kind="efficientnet-lite0")


def tools(encoder: ThumbnailConfig | EfficientNetConfig, clip: ClipScorer | None) -> FidelityTools:
    config = FidelityConfig(encoders=(encoder,), image_size=64, crop_size=48, num_draws=40)
    return FidelityTools(config, (build_encoder(encoder),), clip)


def layouts(dataset: DetectionDataset) -> list[Layout]:
    return [Layout(s.sample_id, s.width, s.height, s.annotations) for s in dataset]


def blurred(dataset: DetectionDataset, root: Path) -> DetectionDataset:
    samples = []
    for sample in dataset:
        path = root / f"{sample.sample_id}.png"
        with Image.open(dataset.image_path(sample)) as image:
            image.convert("RGB").filter(ImageFilter.GaussianBlur(12)).save(path)
        samples.append(replace(sample, path=Path(path.name), sha256=""))
    return replace(dataset, root=root, samples=tuple(samples))


@pytest.fixture(scope="module")
def clip() -> ClipScorer:
    captions = np.random.default_rng(0).normal(size=(4, 1280)).astype(np.float32)
    return ClipScorer(
        name="untrained CLIP",
        encoder=build_encoder(EFFICIENTNET),
        crop=CropSettings(48, 0.2),
        image_projection=None,
        captions=captions / np.linalg.norm(captions, axis=1, keepdims=True),
        logit_scale=10,
        known=np.array([True, True, False]),
        weights_sha256="0" * 64,
        embed_texts=None,
    )


def test_blurred_images_and_squeezed_layouts_are_told_from_real_ones(
    bccd: DetectionDataset, clip: ClipScorer, tmp_path: Path
) -> None:
    (tmp_path / "blurred").mkdir()
    real = replace(bccd, samples=bccd.samples[:24])
    squeezed = [
        replace(one, annotations=Annotations(one.annotations.xyxy / 2, one.annotations.class_id))
        for one in layouts(real)
    ]

    found = measure_fidelity(
        tools(EFFICIENTNET, clip),
        real=real,
        generated=blurred(real, tmp_path / "blurred"),
        layouts=squeezed,
        seed=0,
        work_dir=tmp_path / "features",
    )

    rows = {(r["of"], r["class"], r["encoder"], r["metric"]): r for r in found["rows"]}
    assert len(rows) == len(found["rows"])
    assert [one["name"] for one in found["encoders"]] == ["efficientnet-lite0", "untrained CLIP"]
    for of, name, metric in (("images", None, "kid"), ("crops", "RBC", "kid")):
        row = rows[of, name, "efficientnet-lite0", metric]
        assert row["halves"] < row["low"] < row["value"] < row["high"]
    assert rows["crops", "RBC", "untrained CLIP", "cmmd"]["low"] > 0
    assert 0 <= rows["crops", "WBC", "untrained CLIP", "clip_score"]["value"] <= 100
    # It was fitted where no platelet was: what it says of them means nothing.
    assert ("crops", "Platelets", "untrained CLIP", "clip_score") not in rows
    area = rows["boxes", "RBC", None, "log_area"]
    assert area["value"] == pytest.approx(np.log(4), rel=0.2)
    assert area["halves"] < area["low"]
    fid = rows["images", None, "efficientnet-lite0", "fid"]
    assert fid["value"] is None
    assert "singular" in fid["reason"]


def test_a_perfect_generator_gives_what_real_halves_give(
    bccd: DetectionDataset, tmp_path: Path
) -> None:
    found = measure_fidelity(
        tools(THUMBNAIL, None), real=bccd, generated=bccd, layouts=bccd.samples, seed=0,
        work_dir=tmp_path,
    )  # fmt: skip

    known = [row for row in found["rows"] if row["value"] is not None]
    assert {row["of"] for row in known} == {"images", "crops", "boxes"}
    assert [row for row in known if row["differs"]] == []
    for row in known:
        if row["of"] != "boxes":
            assert row["value"] == row["halves"]


def test_a_clip_that_is_an_encoder_too_has_each_metric_once(
    bccd: DetectionDataset, clip: ClipScorer, tmp_path: Path
) -> None:
    few = replace(bccd, samples=bccd.samples[:4])
    named = replace(clip, name="efficientnet-lite0")
    found = measure_fidelity(
        tools(EFFICIENTNET, named), real=few, generated=few, layouts=few.samples, seed=0,
        work_dir=tmp_path,
    )  # fmt: skip

    metrics = [row["metric"] for row in found["rows"] if row["class"] == "RBC"]
    assert len(set(metrics)) == len(metrics)
    assert "clip_score" in metrics
    assert [one["name"] for one in found["encoders"]] == ["efficientnet-lite0"]


def test_whole_images_have_the_clip_score_of_their_prompts(
    bccd: DetectionDataset, clip: ClipScorer, tmp_path: Path
) -> None:
    real = replace(bccd, samples=bccd.samples[:24])
    prompts = [f"smear {i}" for i in range(24)]
    prompted = [replace(one, prompt=text) for one, text in zip(real, prompts, strict=True)]
    texts = np.random.default_rng(1).normal(0.1, size=(24, clip.encoder.dim)).astype(np.float32)
    reader = replace(clip, embed_texts=lambda asked: texts[[prompts.index(one) for one in asked]])

    found = measure_fidelity(
        tools(THUMBNAIL, reader), real=real, generated=replace(real, samples=tuple(prompted)),
        layouts=real.samples, seed=0, work_dir=tmp_path,
    )  # fmt: skip

    rows = {
        r["metric"]: r for r in found["rows"] if (r["of"], r["encoder"]) == ("images", clip.name)
    }
    assert list(rows) == ["cmmd", "clip_score"]
    images = image_features(real, encoder=clip.encoder, size=64, cache_dir=tmp_path)
    cosine = (
        (images * texts).sum(1) / np.linalg.norm(images, axis=1) / np.linalg.norm(texts, axis=1)
    )
    score = rows["clip_score"]
    assert score["value"] == pytest.approx(100 * np.clip(cosine, 0, 1).mean(), abs=1)
    assert score["value"] == score["halves"]


def test_what_is_missing_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    config = FidelityConfig(clip=FittedClip(kind="fitted"))
    with pytest.raises(GenerationError, match="score.fidelity.clip needs the CLIP that fit trains"):
        load_tools(config, tmp_path, ["RBC"])
