"""Features of real photographs, computed once for all tests of metrics."""

from dataclasses import replace
from pathlib import Path

import pytest

from synthdata.config.encoder import EfficientNetConfig
from synthdata.features import build_encoder
from synthdata.features.boxes import BoxFeatures, box_features
from synthdata.features.cache import FeatureCache
from synthdata.features.crops import CropSettings
from synthdata.formats.assemble import assemble
from synthdata.formats.voc_reader import parse_voc
from synthdata.samples import DetectionDataset

CROP = CropSettings(size=48, margin=0.2)


@pytest.fixture(scope="session")
def bccd(bccd_mirror: Path) -> DetectionDataset:
    """The first 40 images of BCCD, each a microscope's field."""
    raw = parse_voc(bccd_mirror / "bccd", class_names=("RBC", "WBC", "Platelets"))
    dataset = assemble(raw, drop_bad_boxes=True)
    return replace(dataset, samples=dataset.samples[:40])


@pytest.fixture(scope="session")
def cells(bccd: DetectionDataset, tmp_path_factory: pytest.TempPathFactory) -> BoxFeatures:
    """The features of their boxes."""
    encoder = build_encoder(EfficientNetConfig(kind="efficientnet-lite0"))
    cache = FeatureCache(tmp_path_factory.mktemp("cache"), encoder, CROP)
    return box_features(bccd, encoder=encoder, crop=CROP, cache=cache)
