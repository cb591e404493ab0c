"""Shifted evaluation sets: the run's classes by name, at the run's scale, and no leak unnamed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_folders import MakeFolder, snapshot, write_blobs
from PIL import Image, ImageEnhance

from synthdata.config.evaluation import EvaluationConfig, ShiftedSetConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.config.sources import DigitsSource
from synthdata.datasets.digits import make_scene
from synthdata.datasets.prepare import prepare
from synthdata.datasets.shifted import read_shifted, write_shifted
from synthdata.datasets.sources import shifted_fingerprint, shifted_source
from synthdata.errors import DatasetError
from synthdata.files import sha256_file
from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset, Sample

BOXES = {"cat": (4, 6, 20, 30), "dog": (30, 8, 50, 40), "owl": (2, 30, 12, 44)}


def write_other(
    root: Path, names: tuple[str, ...] = ("dog", "cat"), *, labelled: tuple[str, ...] = ()
) -> Path:
    """Write a YOLO folder with 3 val and 2 test images of 64x48 px, and no train split."""
    lines = []
    for name in labelled or names:
        x1, y1, x2, y2 = np.array(BOXES[name]) / (64, 48, 64, 48)
        box = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        lines.append(" ".join(map(str, (names.index(name), *box))))
    for number in range(5):
        split = "val" if number < 3 else "test"
        write_blobs(root / "images" / split / f"other{number}.png", seed=100 + number)
        label = root / "labels" / split / f"other{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("\n".join(lines))
    (root / "data.yaml").write_text(
        f"val: images/val\ntest: images/test\nnames: [{', '.join(names)}]\n"
    )
    return root


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_other(tmp_path / "elsewhere")


@pytest.fixture
def own(make_folder: MakeFolder) -> Path:
    """The run's own data: cat and dog; 4 train, 2 val and 2 test images."""
    return make_folder("yolo")


def folder(path: Path) -> dict[str, Any]:
    return {"kind": "folder", "path": str(path), "format": "yolo"}


def run_config(own: Path, **values: Any) -> PrepareConfig:
    return PrepareConfig.model_validate({"source": folder(own), "min_instances": 0, **values})


def sets(**shifted: Any) -> dict[str, ShiftedSetConfig]:
    return EvaluationConfig.model_validate({"shifted": shifted}).shifted


def read_and_write(
    config: PrepareConfig, shifted: dict[str, ShiftedSetConfig], tmp_path: Path
) -> dict[str, tuple[dict[str, Any], DetectionDataset]]:
    """Prepare the run's own data in `run`; return each set's metrics, and itself from `out`."""
    prepare(config, raw_dir=tmp_path / "raw", out_dir=tmp_path / "run")
    run = load_dataset(tmp_path / "run")
    found = {}
    for name, one in read_shifted(shifted, run=run, raw_dir=tmp_path / "raw").items():
        target = tmp_path / "out" / name
        target.mkdir(parents=True)
        _, metrics = write_shifted(one, target)
        found[name] = (metrics, load_dataset(target))
    return found


def prepared(
    own: Path, tmp_path: Path, *, config: PrepareConfig | None = None, **settings: Any
) -> tuple[dict[str, Any], DetectionDataset]:
    """Return the metrics of one shifted set, `other`, and itself."""
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    shifted = sets(other={"source": folder(tmp_path / "elsewhere"), **settings})
    return read_and_write(config or run_config(own), shifted, tmp_path)["other"]


@pytest.mark.usefixtures("other")
def test_classes_follow_their_names_and_boxes_the_scale(own: Path, tmp_path: Path) -> None:
    metrics, dataset = prepared(own, tmp_path, scale=0.5)

    assert dataset.class_names == ("cat", "dog")
    assert [s.sample_id for s in dataset] == [f"other-other{n}" for n in (0, 1, 2, 3, 4)]
    assert {(s.split, s.width, s.height, s.origin) for s in dataset} == {("test", 32, 24, "real")}
    for sample in dataset:
        boxes = dict(zip(sample.annotations.class_id, sample.annotations.xyxy, strict=True))
        np.testing.assert_allclose(boxes[0], np.array(BOXES["cat"]) / 2, atol=1e-4)
        np.testing.assert_allclose(boxes[1], np.array(BOXES["dog"]) / 2, atol=1e-4)
        assert sha256_file(dataset.image_path(sample)) == sample.sha256
        with Image.open(dataset.image_path(sample)) as image:
            assert (image.size, image.mode) == ((32, 24), "RGB")
    assert metrics == {
        "images": 5, "groups": 5, "objects": {"cat": 5, "dog": 5}, "objects_lost_by_resizing": 0,
        "source": "folder", "scale": 0.5, "repairs": {}, "warnings": {}, "ignored": {},
    }  # fmt: skip
    assert not any(s.sample_id.startswith("other-") for s in load_dataset(tmp_path / "run"))


def test_the_aspect_ratio_stays_and_detail_is_smoothed(own: Path, tmp_path: Path) -> None:
    """Columns of one pixel, black and white, become grey: plain picking would alias them."""
    other = write_other(tmp_path / "elsewhere")
    stripes = np.tile(np.array([0, 255], np.uint8), (75, 60))
    Image.fromarray(stripes).save(other / "images" / "val" / "other0.png")

    _, dataset = prepared(own, tmp_path, scale=0.25)

    with Image.open(dataset.image_path(dataset.samples[0])) as image:
        assert image.size == (30, 19)
        assert 100 < np.asarray(image)[:, 3:-3].min() <= np.asarray(image)[:, 3:-3].max() < 155


@pytest.mark.usefixtures("other")
def test_objects_that_scaling_makes_invisible_are_counted(own: Path, tmp_path: Path) -> None:
    metrics, dataset = prepared(own, tmp_path, scale=0.06)
    assert metrics["objects_lost_by_resizing"] == 5
    assert metrics["objects"] == {"cat": 0, "dog": 5}
    assert sum(len(sample.annotations) for sample in dataset) == 5
    with pytest.raises(DatasetError, match=r"other: at scale 0\.02 no object is larger than"):
        prepared(own, tmp_path, scale=0.02)


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({"split": "test"}, {"other3", "other4"}),
        ({"split": "val", "max_images": 2}, {"other0", "other1", "other2"}),
        ({"max_images": 9}, {f"other{n}" for n in range(5)}),
    ],
)
@pytest.mark.usefixtures("other")
def test_a_split_or_a_few(
    own: Path, tmp_path: Path, settings: dict[str, Any], ids: set[str]
) -> None:
    metrics, dataset = prepared(own, tmp_path, **settings)
    assert {s.sample_id.removeprefix("other-") for s in dataset} <= ids
    assert metrics["images"] == len(dataset) == min(len(ids), settings.get("max_images", 9))


def test_classes_that_the_run_does_not_know(own: Path, tmp_path: Path) -> None:
    write_other(tmp_path / "elsewhere", ("owl", "dog", "cat"))
    with pytest.raises(
        DatasetError,
        match=r"evaluation\.shifted\.other: expected .* cat, dog, got also owl \(5 objects\)",
    ):
        prepared(own, tmp_path)
    assert not (tmp_path / "out").exists()

    metrics, dataset = prepared(own, tmp_path, ignore_classes=["owl"])

    assert metrics["ignored"] == {"owl": 5}
    assert all(sorted(s.annotations.class_id) == [0, 1] for s in dataset)


def test_an_unknown_class_without_objects_is_no_matter(own: Path, tmp_path: Path) -> None:
    write_other(tmp_path / "elsewhere", ("owl", "dog", "cat"), labelled=("dog", "cat"))
    metrics, _ = prepared(own, tmp_path)
    assert metrics["warnings"] == {}


@pytest.mark.parametrize(
    ("ignored", "message"),
    [("dog", "names dog, which detectors of this run look for"), ("odd", "names odd, the data")],
)
@pytest.mark.usefixtures("other")
def test_only_classes_that_are_there_and_unknown_can_be_ignored(
    own: Path, tmp_path: Path, ignored: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        prepared(own, tmp_path, ignore_classes=[ignored])


def test_an_absent_class_is_warned_of_and_no_class_at_all_refused(
    own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_other(tmp_path / "elsewhere", ("cat", "owl"), labelled=("cat",))
    metrics, _ = prepared(own, tmp_path)
    assert metrics["warnings"] == {"class_absent": 1}
    assert "other: .: warning: no object of 'dog': mAP leaves it out" in caplog.text

    write_other(tmp_path / "elsewhere", ("cat", "owl"), labelled=("owl",))
    with pytest.raises(DatasetError, match="has none, so it shows a detector nothing to find"):
        prepared(own, tmp_path, ignore_classes=["owl"])


def copy_of(sample: Sample, own: Path, target: Path, *, brightness: float = 1.0) -> None:
    with Image.open(own / "images" / sample.split / f"{sample.sample_id}.png") as image:
        ImageEnhance.Brightness(image).enhance(brightness).save(target, quality=80)


def test_a_train_image_among_them_is_an_error(
    own: Path, other: Path, tmp_path: Path, sound_dataset: DetectionDataset
) -> None:
    target = other / "images" / "test" / "other4.png"
    target.unlink()
    copy_of(sound_dataset.split("train").samples[1], own, target.with_suffix(".jpg"))
    with pytest.raises(
        DatasetError,
        match=r"images/test/other4\.jpg: error: .* same picture as 'img-1' in the run's train"
        r".*same_as_train_image",
    ):
        prepared(own, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("ceiling", "image_size"), [(2, None), (4, (40, 40))])
def test_what_is_compared_is_what_is_trained_on(
    own: Path,
    other: Path,
    tmp_path: Path,
    sound_dataset: DetectionDataset,
    ceiling: int,
    image_size: tuple[int, int] | None,
) -> None:
    """A train image beyond the draw and the reserve is none; resizing hides no copy."""
    config = run_config(own, train_images=1, ceiling_images=ceiling, image_size=image_size)
    prepare(config, raw_dir=tmp_path, out_dir=tmp_path / "run")
    kept = {s.sample_id: s.split for s in load_dataset(tmp_path / "run")}
    for sample in sound_dataset.split("train"):
        copy_of(sample, own, other / "images" / "test" / "other4.png", brightness=0.9)
        if sample.sample_id in kept:
            message = f"'{sample.sample_id}' in the run's {kept[sample.sample_id]}"
            with pytest.raises(DatasetError, match=message):
                prepared(own, tmp_path, config=config)
        else:
            metrics, _ = prepared(own, tmp_path, config=config)
            assert metrics["warnings"] == {}
    assert len({"train", "reserve"} & set(kept.values())) == 2
    assert sum(split in ("train", "reserve") for split in kept.values()) == ceiling


def test_a_test_image_made_darker_is_a_counted_warning(
    own: Path,
    other: Path,
    tmp_path: Path,
    sound_dataset: DetectionDataset,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sample = sound_dataset.split("test").samples[0]
    copy_of(sample, own, other / "images" / "test" / "other4.png", brightness=0.7)
    metrics, dataset = prepared(own, tmp_path)
    assert metrics["warnings"] == {"same_as_test_image": 1}
    assert f"is the same picture as '{sample.sample_id}' in the run's test" in caplog.text
    assert len(dataset) == 5


def test_bad_boxes_stop_it_unless_they_are_repaired(own: Path, other: Path, tmp_path: Path) -> None:
    label = other / "labels" / "val" / "other1.txt"
    label.write_text(label.read_text() + "\n0 0.5 0.5 3 0.1\n")
    with pytest.raises(DatasetError, match=r"^evaluation\.shifted\.other: .*elsewhere has 1 error"):
        prepared(own, tmp_path)
    metrics, dataset = prepared(own, tmp_path, repair=True)
    assert metrics["repairs"] == {"box_outside": 1}
    assert all(len(sample.annotations) == 2 for sample in dataset)


def test_what_is_not_there_is_named(own: Path, other: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected images in the split 'train', .* test, val"):
        prepared(own, tmp_path, split="train")
    shutil.rmtree(other)
    with pytest.raises(DatasetError, match=r"shifted\.other: expected the folder of a yolo"):
        prepared(own, tmp_path)


@pytest.mark.usefixtures("other")
def test_ids_never_meet_those_of_the_run(own: Path, tmp_path: Path) -> None:
    for kind, suffix in (("images", "png"), ("labels", "txt")):
        place = own / kind / "val"
        (place / f"img-4.{suffix}").rename(place / f"other-other1.{suffix}")
    with pytest.raises(DatasetError, match="'other-other1' is an image of the run already"):
        prepared(own, tmp_path)


@pytest.mark.usefixtures("other")
def test_a_prepared_image_that_was_cut_is_named(own: Path, tmp_path: Path) -> None:
    prepare(run_config(own), raw_dir=tmp_path, out_dir=tmp_path / "run")
    run = load_dataset(tmp_path / "run")
    run.image_path(run.samples[0]).write_bytes(b"")
    shifted = sets(other={"source": folder(tmp_path / "elsewhere")})
    with pytest.raises(DatasetError, match="expected the run's prepared images, got: .*run it"):
        read_shifted(shifted, run=run, raw_dir=tmp_path)


def test_a_set_is_the_same_whatever_the_draw(own: Path, other: Path, tmp_path: Path) -> None:
    found = []
    for seed in (0, 3):
        config = run_config(own, train_images=2, seed=seed)
        found.append((prepared(own, tmp_path, config=config)[0], snapshot(tmp_path / "out")))
    assert other.is_dir()
    assert found[0] == found[1]


def test_the_fingerprint_follows_their_data(other: Path, tmp_path: Path) -> None:
    shifted = sets(other={"source": folder(other)})
    first = shifted_fingerprint(shifted, tmp_path)
    assert first != shifted_fingerprint({}, tmp_path) == ""
    (other / "labels" / "val" / "other0.txt").write_text("")
    assert shifted_fingerprint(shifted, tmp_path) != first
    shutil.rmtree(other)
    with pytest.raises(DatasetError, match=r"correct evaluation\.shifted\.other\.source\.path"):
        shifted_fingerprint(shifted, tmp_path)


def test_digits_on_other_paper_need_no_download_and_show_no_train_scan(tmp_path: Path) -> None:
    own = DigitsSource(kind="digits", num_train=12, num_val=4, num_test=3)
    look = {"kind": "digits", "num_test": 6, "paper": "kraft", "ink": "pencil"}
    config = PrepareConfig(source=own, train_images=4)
    metrics, dataset = read_and_write(config, sets(kraft={"source": look}), tmp_path)["kraft"]
    assert metrics["warnings"] == {}
    assert [s.sample_id for s in dataset] == [f"kraft-test-{n:05d}" for n in range(6)]
    for number, sample in enumerate(dataset):
        scene = make_scene("test", number, paper="kraft", ink="pencil")
        with Image.open(dataset.image_path(sample)) as image:
            np.testing.assert_array_equal(np.asarray(image), scene.image)


def test_of_digits_only_what_is_asked_for_is_drawn() -> None:
    source, split = shifted_source(sets(a={"source": {"kind": "digits"}, "split": "val"})["a"])
    assert split == "val"
    assert isinstance(source, DigitsSource)
    assert (source.num_train, source.num_val, source.num_test) == (1, 100, 1)


def test_red_cells_of_other_laboratories_have_the_size_of_bccds(
    tmp_path: Path, txl_pbc_mirror: Path, bccd_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One laboratory as a data set that is fetched, the other as a user's folder."""
    monkeypatch.setenv("SYNTHDATA_MIRROR", str(bccd_mirror))
    config = PrepareConfig.model_validate(
        {
            "source": {"kind": "bccd"},
            "image_size": (192, 144),
            "train_images": 24,
            "ceiling_images": 24,
            "repair": True,
        }
    )
    laboratories = sets(
        raabin={"source": {"kind": "txl-pbc", "laboratory": "raabin"}, "scale": 0.25},
        pbc={"source": folder(txl_pbc_mirror / "pbc"), "scale": 0.44},
    )
    found = read_and_write(config, laboratories, tmp_path)
    own = median_side(load_dataset(tmp_path / "run"), "RBC")
    for name, longest in (("raabin", 144), ("pbc", 162)):
        metrics, shifted = found[name]
        assert metrics["warnings"] == {}
        assert len(shifted) == 150
        assert max(max(sample.width, sample.height) for sample in shifted) == longest
        assert median_side(shifted, "RBC") == pytest.approx(own, rel=0.1)
        # White cells are the larger ones: had ids been taken over as they stand, red ones were.
        assert median_side(shifted, "RBC") < 0.6 * median_side(shifted, "WBC")


def median_side(dataset: DetectionDataset, class_name: str) -> float:
    """Return the median square root of a class's box areas, in pixels."""
    class_id = dataset.class_names.index(class_name)
    boxes = np.vstack([s.annotations.xyxy[s.annotations.class_id == class_id] for s in dataset])
    return float(np.median(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))))
