"""The metrics of stage `score`, on real photographs and on what was done to them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from synthdata.config.encoder import EfficientNetConfig, ThumbnailConfig
from synthdata.config.fidelity import FidelityConfig
from synthdata.features import build_encoder
from synthdata.features.clip import ClipScorer
from synthdata.features.crops import CropSettings
from synthdata.fidelity import measure_fidelity
from synthdata.samples import Annotations, DetectionDataset, Layout

CONFIG = FidelityConfig(
    encoders=(ThumbnailConfig(kind="thumbnail"),), image_size=64, crop_size=48, num_draws=40
)


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
        encoder=build_encoder(EfficientNetConfig(kind="efficientnet-lite0")),
        crop=CropSettings(48, 0.2),
        image_projection=None,
        captions=captions / np.linalg.norm(captions, axis=1, keepdims=True),
        logit_scale=10,
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
        CONFIG.model_copy(update={"encoders": (EfficientNetConfig(kind="efficientnet-lite0"),)}),
        real=real,
        generated=blurred(real, tmp_path / "blurred"),
        layouts=squeezed,
        clip=clip,
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
    area = rows["boxes", "RBC", None, "log_area"]
    assert area["value"] == pytest.approx(np.log(4), rel=0.2)
    assert area["halves"] < area["low"]
    fid = rows["images", None, "efficientnet-lite0", "fid"]
    assert fid["value"] is None
    assert "singular" in fid["reason"]


def test_images_of_one_kind_are_as_near_as_real_halves(
    bccd: DetectionDataset, tmp_path: Path
) -> None:
    even, odd = (replace(bccd, samples=bccd.samples[i::2]) for i in (0, 1))

    found = measure_fidelity(
        CONFIG, real=even, generated=odd, layouts=layouts(odd), clip=None, seed=0,
        work_dir=tmp_path / "features",
    )  # fmt: skip

    rows = [row for row in found["rows"] if row["metric"] in ("kid", "coverage", "count")]
    known = [row for row in rows if row["value"] is not None]
    assert len(known) == 6, "the rest is too rare"
    inside = [row["low"] <= row["halves"] <= row["high"] for row in known]
    assert np.mean(inside) > 0.8, known
