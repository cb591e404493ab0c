from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from synthdata.boxes import iou_matrix
from synthdata.config.layout import LayoutConfig
from synthdata.errors import DatasetError
from synthdata.layout import make_layouts, sample_layouts
from synthdata.layout.geometry import (
    covered_share,
    nearest_separation,
    overlap_matrix,
    separation_matrix,
    touched_edges,
)
from synthdata.layout.model import fit_layout_model
from synthdata.layout.sampled import sample_counts
from synthdata.manifest import load_layouts
from synthdata.samples import Annotations, DetectionDataset, Layout, Sample

WIDTH, HEIGHT = 160, 120
CLASSES = ("cell", "plate", "rare")
KINDS = ("sampled", "recombined")


def sample_of(index: int, xyxy: object, class_id: object) -> Sample:
    annotations = Annotations(np.array(xyxy, dtype=np.float32), np.array(class_id, dtype=np.int64))
    return Sample(f"real-{index}", Path(f"images/{index}.png"), WIDTH, HEIGHT, annotations)


def dataset_of(*samples: Sample) -> DetectionDataset:
    return DetectionDataset(Path(), CLASSES, samples)


def scene(index: int, rng: np.random.Generator) -> Sample:
    """Cells all over that hardly overlap, flat plates in the upper half, one a few cells."""
    boxes: list[np.ndarray] = []
    class_id = []
    num_plates = int(rng.integers(1, 5))
    for kind in [1] * num_plates + [0] * (2 * num_plates + int(rng.integers(0, 3))):
        for _ in range(200):
            side = rng.lognormal(2.9, 0.15)
            stretch = rng.lognormal(0.7 if kind else 0, 0.1)
            w, h = side * stretch, side / stretch
            x = rng.uniform(-w / 3, WIDTH - w * 2 / 3)
            y = rng.uniform(0, HEIGHT / 2 - h if kind else HEIGHT - h)
            box = np.clip([x, y, x + w, y + h], 0, [WIDTH, HEIGHT] * 2).astype(np.float32)
            placed = np.array(boxes, np.float32).reshape(-1, 4)
            if (overlap_matrix(box[None], placed) <= 0.1).all():
                boxes.append(box)
                class_id.append(kind)
                break
    return sample_of(index, boxes, class_id)


@pytest.fixture(scope="module")
def train() -> DetectionDataset:
    rng = np.random.default_rng(0)
    return dataset_of(*(scene(i, rng) for i in range(40)))


@pytest.fixture(scope="module", params=KINDS)
def layouts(request: pytest.FixtureRequest, train: DetectionDataset) -> list[Layout]:
    return sample_layouts(train, LayoutConfig(kind=request.param, num_layouts=80))


@pytest.fixture(scope="module")
def sampled(train: DetectionDataset) -> list[Layout]:
    return sample_layouts(train, LayoutConfig(num_layouts=80))


def boxes_of(images: object, class_id: int) -> np.ndarray:
    return np.concatenate(
        [i.annotations.xyxy[i.annotations.class_id == class_id] for i in images]  # type: ignore[attr-defined]
    )


def log_aspect(xyxy: np.ndarray) -> np.ndarray:
    return np.log((xyxy[:, 2] - xyxy[:, 0]) / (xyxy[:, 3] - xyxy[:, 1]))


def log_area(xyxy: np.ndarray) -> np.ndarray:
    return np.log((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]))


def counts_of(images: object) -> np.ndarray:
    return np.stack([i.annotations.counts(len(CLASSES)) for i in images])  # type: ignore[attr-defined]


def test_overlap_counts_the_smaller_box() -> None:
    big, small = np.array([[0, 0, 10, 10]], np.float32), np.array([[2, 2, 4, 4]], np.float32)
    assert overlap_matrix(big, small) == 1
    assert overlap_matrix(big, small + 7) == pytest.approx(0.25)
    assert overlap_matrix(big, np.zeros((1, 4), np.float32)) == 0
    assert overlap_matrix(big, np.zeros((0, 4), np.float32)).shape == (1, 0)


def test_covered_share_counts_the_box_itself() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 2, 4, 4], [50, 50, 60, 60]], np.float32)
    np.testing.assert_allclose(covered_share(boxes), [0.04, 1, 0])


def test_separation_is_along_the_best_axis() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    assert separation_matrix(box, np.array([[13, 2, 20, 8]], np.float32)) == 3
    assert separation_matrix(box, np.array([[8, 2, 20, 8]], np.float32)) == -2
    assert np.isinf(nearest_separation(box)).all()
    assert nearest_separation(np.zeros((0, 4), np.float32)).shape == (0,)


@pytest.mark.parametrize("class_id", [0, 1])
def test_counts_follow_the_train_split(
    train: DetectionDataset, sampled: list[Layout], class_id: int
) -> None:
    real, new = counts_of(train)[:, class_id], counts_of(sampled)[:, class_id]
    uniform = np.arange(0, real.max() + 1)
    assert wasserstein_distance(real, new) < 0.5 * wasserstein_distance(real, uniform)


def test_recombined_counts_have_the_same_mean(train: DetectionDataset) -> None:
    layouts = sample_layouts(train, LayoutConfig(kind="recombined", num_layouts=80))
    real, new = counts_of(train).mean(axis=0), counts_of(layouts).mean(axis=0)
    np.testing.assert_allclose(new, real, rtol=0.15)


def test_counts_keep_the_correlation_of_classes(
    train: DetectionDataset, sampled: list[Layout]
) -> None:
    real, new = counts_of(train), counts_of(sampled)
    assert np.corrcoef(real[:, 0], real[:, 1])[0, 1] > 0.7
    assert np.corrcoef(new[:, 0], new[:, 1])[0, 1] > 0.7


def test_counts_of_absent_classes_stay_absent() -> None:
    counts = np.array([[5, 0, 0], [9, 0, 0], [0, 0, 0], [3, 2, 0], [8, 6, 0]], dtype=np.int64)
    rng = np.random.default_rng(0)
    drawn = np.stack([sample_counts(counts, i, rng=rng) for i in (0, 1, 2, 3, 4) for _ in range(9)])
    first, background, both = drawn[:18], drawn[18:27], drawn[27:]
    assert (background == 0).all()
    assert (first[:, 0] >= 5).all()
    assert (first[:, 0] <= 9).all()
    assert (first[:, 1:] == 0).all()
    assert (both[:, :2] > 0).all()
    assert len(np.unique(first[:, 0])) > 2


@pytest.mark.parametrize("class_id", [0, 1])
def test_sizes_and_shapes_follow_their_class(
    train: DetectionDataset, layouts: list[Layout], class_id: int
) -> None:
    real, new = boxes_of(train, class_id), boxes_of(layouts, class_id)
    other = boxes_of(train, 1 - class_id)
    assert ks_2samp(log_aspect(real), log_aspect(new)).statistic < 0.15
    assert ks_2samp(log_aspect(other), log_aspect(new)).statistic > 0.6  # shuffled would fail
    assert ks_2samp(log_area(real), log_area(new)).statistic < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_jitter_changes_sizes_and_keeps_aspect_ratios(train: DetectionDataset, kind: str) -> None:
    config = LayoutConfig(kind=kind, num_layouts=80, jitter=0.3)  # type: ignore[arg-type]

    def whole(images: object) -> np.ndarray:
        xyxy = boxes_of(images, 0)
        return xyxy[~touched_edges(xyxy, width=WIDTH, height=HEIGHT).any(axis=1)]

    real, new = whole(train), whole(sample_layouts(train, config))
    assert log_area(new).std() > 1.5 * log_area(real).std()
    assert log_aspect(new).std() < 1.1 * log_aspect(real).std()


def test_positions_follow_their_class(train: DetectionDataset, layouts: list[Layout]) -> None:
    def centre_y(images: object, class_id: int) -> np.ndarray:
        return boxes_of(images, class_id)[:, [1, 3]].mean(axis=1)

    assert ks_2samp(centre_y(train, 1), centre_y(layouts, 1)).statistic < 0.15
    assert ks_2samp(centre_y(train, 0), centre_y(layouts, 1)).statistic > 0.3


def test_borders_cut_as_many_boxes(train: DetectionDataset, layouts: list[Layout]) -> None:
    def share(images: object) -> np.ndarray:
        edges = touched_edges(boxes_of(images, 0), width=WIDTH, height=HEIGHT)
        return edges.mean(axis=0)

    np.testing.assert_allclose(share(layouts), share(train), atol=0.06)
    assert share(train)[0] > 0.04


def test_objects_keep_their_distance(train: DetectionDataset, sampled: list[Layout]) -> None:
    def separation(images: object) -> np.ndarray:
        return np.concatenate([nearest_separation(i.annotations.xyxy) for i in images])  # type: ignore[attr-defined]

    # What independent positions would give: each image's objects from as many other images.
    rng = np.random.default_rng(0)
    every = np.concatenate([s.annotations.xyxy for s in train])
    independent = np.concatenate(
        [
            nearest_separation(every[rng.choice(len(every), len(s.annotations), replace=False)])
            for s in train
        ]
    )
    real = separation(train)
    assert wasserstein_distance(real, separation(sampled)) < 0.4 * wasserstein_distance(
        real, independent
    )


def test_clusters_are_kept() -> None:
    rng = np.random.default_rng(1)

    def pairs(index: int) -> Sample:
        first = rng.uniform(10, 90, (3, 2))
        corner = np.concatenate([first, first + np.array([11, 0])])
        return sample_of(index, np.hstack([corner, corner + 10]), [0] * 6)

    train = dataset_of(*(pairs(i) for i in range(30)))
    new = sample_layouts(train, LayoutConfig(num_layouts=30))
    near = np.concatenate([nearest_separation(i.annotations.xyxy) for i in new])
    # Six 10 px boxes on 100 px by 100 px lie 15 px apart by chance.
    assert np.median(near) < 5


def test_no_overlap_beyond_what_real_pairs_show(
    train: DetectionDataset, layouts: list[Layout]
) -> None:
    limit = fit_layout_model(train, max_overlap=0.5).overlap_limit
    assert limit.max() <= 0.1 + 1e-6
    for layout in layouts:
        xyxy, class_id = layout.annotations.xyxy, layout.annotations.class_id
        overlap = overlap_matrix(xyxy, xyxy)
        np.fill_diagonal(overlap, 0)
        assert (overlap <= limit[class_id][:, class_id] + 1e-6).all()


def test_max_overlap_caps_what_real_pairs_show() -> None:
    train = dataset_of(sample_of(0, [[0, 0, 20, 20], [2, 2, 18, 18]], [0, 1]))
    assert fit_layout_model(train, max_overlap=0.5).overlap_limit.tolist() == [
        [0, 0.5, 0], [0.5, 0, 0], [0, 0, 0],
    ]  # fmt: skip


def test_boxes_lie_inside_the_canvas(layouts: list[Layout]) -> None:
    for layout in layouts:
        xyxy = layout.annotations.xyxy
        assert (xyxy >= 0).all()
        assert (xyxy[:, [0, 2]] <= layout.width).all()
        assert (xyxy[:, [1, 3]] <= layout.height).all()
        assert (xyxy[:, 2:] - xyxy[:, :2] > 1.5).all()


def test_no_layout_is_a_copy(train: DetectionDataset, layouts: list[Layout]) -> None:
    def same(new: Annotations, real: Annotations) -> float:
        if len(new) == 0 or len(real) == 0:
            return 0
        return float((iou_matrix(new.xyxy, real.xyxy).max(axis=1) > 0.9).mean())

    copied = [max(same(n.annotations, r.annotations) for r in train) for n in layouts]
    assert np.mean([share > 0.9 for share in copied]) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_layout_depends_on_seed_and_index_only(train: DetectionDataset, kind: str) -> None:
    config = LayoutConfig(kind=kind, num_layouts=6, seed=3)  # type: ignore[arg-type]
    long = sample_layouts(train, config)
    short = sample_layouts(train, config.model_copy(update={"num_layouts": 4}))
    assert short == long[:4]
    assert [layout.layout_id for layout in short] == [f"layout-0000{i}" for i in range(4)]
    other = sample_layouts(train, config.model_copy(update={"seed": 4}))
    assert other[0].annotations != long[0].annotations


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([sample_of(0, [[5, 5, 30, 40], [60, 60, 90, 99]], [0, 1])], id="one image"),
        pytest.param([sample_of(0, [], [])], id="one image without objects"),
        pytest.param([sample_of(0, [], []), sample_of(1, [[5, 5, 9, 9]], [0])], id="background"),
        pytest.param(
            [sample_of(0, [[0, 0, WIDTH, HEIGHT]], [2]), sample_of(1, [[1, 1, 9, 9]] * 9, [0] * 9)],
            id="one instance, and nine on one place",
        ),
    ],
)
def test_small_train_splits(kind: str, samples: list[Sample]) -> None:
    train = dataset_of(*samples)
    layouts = sample_layouts(train, LayoutConfig(kind=kind, num_layouts=10))  # type: ignore[arg-type]
    counts, real = counts_of(layouts), counts_of(train)
    assert len(layouts) == 10
    assert (counts <= real.max(axis=0) * 2).all()
    if real.sum():
        assert counts.sum() > 0


def test_a_rare_class_comes_as_rarely(train: DetectionDataset) -> None:
    rare = sample_of(99, [[60, 60, 80, 80]], [2])
    layouts = sample_layouts(
        dataset_of(*train.samples[:9], rare), LayoutConfig(num_layouts=100, seed=1)
    )
    assert 3 <= counts_of(layouts)[:, 2].sum() <= 20
    size = np.diff(boxes_of(layouts, 2).reshape(-1, 2, 2), axis=1)
    assert (np.abs(size - 20) < 8).all()


def test_canvas_is_a_real_images() -> None:
    small = Sample("s", Path("s.png"), 64, 48, Annotations([[8, 8, 24, 24]], [0]))
    large = Sample("l", Path("l.png"), 640, 480, Annotations([[80, 80, 240, 240]], [0]))
    layouts = sample_layouts(dataset_of(small, large), LayoutConfig(num_layouts=30))
    assert {(i.width, i.height) for i in layouts} == {(64, 48), (640, 480)}
    for layout in layouts:
        size = layout.annotations.xyxy[0, 2:] - layout.annotations.xyxy[0, :2]
        assert 0.2 < size[0] / layout.width < 0.32


def test_no_image_is_an_error() -> None:
    with pytest.raises(DatasetError, match="at least one real train image, got none"):
        sample_layouts(dataset_of(), LayoutConfig())


def test_stage_writes_layouts_and_metrics(train: DetectionDataset, tmp_path: Path) -> None:
    config = LayoutConfig(num_layouts=40)
    metrics = make_layouts(config, train=train, out_dir=tmp_path)
    loaded = load_layouts(tmp_path)
    drawn = sample_layouts(train, config)
    for one, other in zip(loaded, drawn, strict=True):
        assert one.layout_id == other.layout_id
        np.testing.assert_allclose(one.annotations.xyxy, other.annotations.xyxy, atol=1e-4)
    assert metrics["num_layouts"] == 40
    assert metrics["num_objects"]["cell"] == counts_of(drawn)[:, 0].sum()
    count = metrics["distances"]["cell"]["count"]
    assert count["distance"] < 2 * count["between_real"]
    assert metrics["distances"]["rare"]["log_area"] == {
        "distance": None, "between_real": None, "std": None,
    }  # fmt: skip
