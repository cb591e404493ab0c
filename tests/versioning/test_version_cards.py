from pathlib import Path
from typing import Any

from version_pools import Pools, recipes

from synthdata.config.base import StageName, StageSection
from synthdata.config.detector import UltralyticsConfig
from synthdata.config.filter import DetectorFilterConfig, FilterConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import BccdSource
from synthdata.config.version import VersionConfig
from synthdata.runfolder import run_in_folder
from synthdata.versioning.arms import build_arm
from synthdata.versioning.cards import Provenance, arm_card, read_provenance, render_card

SECTION = VersionConfig(list_length=16, arms=recipes())


def _finish(stage: StageName, section: StageSection, folder: Path, **metrics: Any) -> Path:
    out_dir = folder / stage
    run_in_folder(stage, section, inputs={}, out_dir=out_dir, work=lambda: dict(metrics))
    return out_dir


def _inputs(folder: Path, image_size: tuple[int, int] | None = None) -> dict[str, Path]:
    judge = DetectorFilterConfig(kind="detector", detector=UltralyticsConfig(kind="ultralytics"))
    prepare = PrepareConfig(source=BccdSource(kind="bccd"), image_size=image_size)
    metrics = {"pools": {"synthetic": {"coverage": 0.75, "kept": {"synthetic": 3}}}}
    return {
        "prepare": _finish("prepare", prepare, folder),
        "filter": _finish("filter", FilterConfig(filters=(judge,)), folder, **metrics),
    }


def _card(pools: Pools, name: Any, provenance: Provenance) -> dict[str, Any]:
    arm = build_arm(name, SECTION, pools.ingredients, length=16)
    return arm_card(arm, pools.prepared.class_names, SECTION, provenance)


def test_card_names_source_licence_filter_and_scores(pools: Pools, tmp_path: Path) -> None:
    card = _card(pools, "synthetic_filtered", read_provenance(_inputs(tmp_path)))
    assert card["sources"]["dataset"] == "bccd"
    assert card["sources"]["licence"] == "BCCD, MIT"
    assert card["sources"]["pools"] == ["synthetic"]
    assert card["sources"]["pool_config_sha256"] == ["abc"]
    assert card["scores"] == {"synthetic": {"coverage": 0.75, "kept": {"synthetic": 3}}}
    assert card["config"]["prepare"]["source"] == {"kind": "bccd"}
    text = render_card(card)
    assert "Filter: of synthetic what all filters keep." in text
    assert "- synthetic, coverage: 0.75" in text


def test_real_arm_has_no_filter_scores(pools: Pools, tmp_path: Path) -> None:
    card = _card(pools, "real", read_provenance(_inputs(tmp_path)))
    assert card["scores"] == {}
    assert card["sources"]["filter"] == ""
    assert "Filter scores" not in render_card(card)


def test_config_digest_follows_the_sections(pools: Pools, tmp_path: Path) -> None:
    cards = [
        _card(pools, "real", read_provenance(_inputs(tmp_path / str(i), size)))
        for i, size in enumerate([None, None, (64, 48)])
    ]
    assert cards[0]["config_sha256"] == cards[1]["config_sha256"]
    assert cards[0]["config_sha256"] != cards[2]["config_sha256"]


def test_box_statistics_are_in_pixels(pools: Pools) -> None:
    boxes = _card(pools, "real", Provenance())["boxes"]
    xyxy = [box for s in pools.prepared.split("train") for box in s.annotations.xyxy]
    assert boxes["num"] == len(xyxy) == 20
    assert boxes["width_px"]["max"] == round(float(max(x2 - x1 for x1, _, x2, _ in xyxy)), 2)
    assert boxes["height_px"]["min"] == round(float(min(y2 - y1 for _, y1, _, y2 in xyxy)), 2)
