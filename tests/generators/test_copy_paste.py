from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthdata.config.generator import CopyPasteConfig
from synthdata.errors import GenerationError
from synthdata.generators.copy_paste import CopyPasteGenerator
from synthdata.generators.pasting import soft_mask
from synthdata.layout.geometry import overlap_matrix
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
    Sample,
)

CONFIG = CopyPasteConfig(kind="copy_paste")
WIDTH, HEIGHT = 160, 120
GREY = 128
COLOURS = ((250, 0, 0), (0, 250, 0))


def write_image(root: Path, index: int, xyxy: list[list[int]], class_id: list[int]) -> Sample:
    """A grey image; an object is an ellipse of its class's colour that fills its box."""
    pixels = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for (x1, y1, x2, y2), kind in zip(xyxy, class_id, strict=True):
        radius = np.hypot((2 * x - x1 - x2) / (x2 - x1), (2 * y - y1 - y2) / (y2 - y1))
        pixels[radius <= 1] = COLOURS[kind]
    path = Path(f"images/{index}.png")
    (root / "images").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(root / path)
    return Sample(f"real-{index}", path, WIDTH, HEIGHT, Annotations(xyxy, class_id))


@pytest.fixture
def train(tmp_path: Path) -> DetectionDataset:
    """Many red objects, one green one, on three images; the fourth is background."""
    samples = (
        write_image(tmp_path, 0, [[10, 10, 30, 34], [60, 60, 84, 80], [100, 5, 130, 30]], [0] * 3),
        write_image(tmp_path, 1, [[40, 40, 60, 60], [0, 80, 12, 100]], [0, 0]),
        write_image(tmp_path, 2, [[90, 50, 114, 74]], [1]),
        write_image(tmp_path, 3, [], []),
    )
    return DetectionDataset(tmp_path, ("red", "green"), samples)


def requests(*seeds: int) -> list[GenerationRequest]:
    layout = Layout("layout-00000", WIDTH, HEIGHT, Annotations.empty())
    return [GenerationRequest(f"s{seed}", layout, "", seed) for seed in seeds]


def compose(train: DetectionDataset, num: int = 40, **config: object) -> list[GeneratedSample]:
    generator = CopyPasteGenerator(CONFIG.model_copy(update=config), train)
    return list(generator.generate(requests(*range(num))))


def base_of(made: GeneratedSample, train: DetectionDataset) -> Sample:
    """The real image with the most objects whose boxes come first."""
    fitting = [
        s
        for s in train
        if np.array_equal(made.annotations.xyxy[: len(s.annotations)], s.annotations.xyxy)
    ]
    return max(fitting, key=lambda s: len(s.annotations))


def test_real_objects_are_kept_and_new_ones_follow(train: DetectionDataset) -> None:
    for made in compose(train):
        base = base_of(made, train)
        num_pasted = len(made.annotations) - len(base.annotations)
        assert 2 <= num_pasted <= 6
        assert made.origin == "composited"
        assert made.image.shape == (HEIGHT, WIDTH, 3)
        assert made.image.dtype == np.uint8


def test_a_pasted_object_fills_its_box_and_spares_the_rest(train: DetectionDataset) -> None:
    for made in compose(train, num=30):
        coloured = np.abs(made.image.astype(int) - GREY).max(axis=2) > 60
        outside = coloured.copy()
        for (x1, y1, x2, y2), class_id in zip(
            made.annotations.xyxy, made.annotations.class_id, strict=True
        ):
            assert made.image[int((y1 + y2) / 2), int((x1 + x2) / 2)].tolist() == list(
                COLOURS[class_id]
            )
            inside = np.s_[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            assert 0.65 < coloured[inside].mean() < 0.9  # an ellipse fills pi / 4
            outside[inside] = False
        assert not outside.any()


def test_pasted_boxes_lie_inside_and_hardly_overlap(train: DetectionDataset) -> None:
    for made in compose(train, num_objects=(20, 20)):
        xyxy = made.annotations.xyxy
        assert (xyxy >= 0).all()
        assert (xyxy <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
        overlap = overlap_matrix(xyxy, xyxy)
        np.fill_diagonal(overlap, 0)
        assert overlap.max() <= CONFIG.max_overlap + 1e-6


@pytest.mark.parametrize(("balance", "low", "high"), [(0.0, 0.1, 0.3), (1.0, 0.4, 0.6)])
def test_balance_favours_the_rare_class(
    train: DetectionDataset, balance: float, low: float, high: float
) -> None:
    pasted = np.concatenate(
        [
            made.annotations.class_id[len(base_of(made, train).annotations) :]
            for made in compose(train, num=100, balance=balance)
        ]
    )
    # Of the objects that no border cuts, 1 in 5 is green.
    assert low < (pasted == 1).mean() < high


def test_cut_objects_are_pasted_only_where_there_are_no_others(train: DetectionDataset) -> None:
    def widths(dataset: DetectionDataset) -> np.ndarray:
        made = compose(dataset, num=20, scale_jitter=0.0)
        pasted = np.concatenate(
            [m.annotations.xyxy[len(base_of(m, dataset).annotations) :] for m in made]
        )
        return pasted[:, 2] - pasted[:, 0]

    assert (widths(train) > 15).all()  # the cut one is 12 pixels wide
    cut = write_image(train.root, 4, [[0, 80, 12, 100]], [0])
    assert (widths(DetectionDataset(train.root, ("red",), (cut,))) < 15).all()


def test_an_image_depends_on_its_seed_only(train: DetectionDataset) -> None:
    generator = CopyPasteGenerator(CONFIG, train)
    forward = {m.request.seed: m for m in generator.generate(requests(1, 2, 3))}
    alone = {
        seed: next(CopyPasteGenerator(CONFIG, train).generate(requests(seed))) for seed in (3, 1)
    }
    for seed, made in alone.items():
        np.testing.assert_array_equal(made.image, forward[seed].image)
        assert made.annotations == forward[seed].annotations
    assert not np.array_equal(forward[1].image, forward[2].image)


def test_real_files_are_not_touched(train: DetectionDataset) -> None:
    before = [train.image_path(s).read_bytes() for s in train]
    compose(train)
    assert [train.image_path(s).read_bytes() for s in train] == before
    with Image.open(train.image_path(train.samples[3])) as background:
        assert (np.asarray(background) == GREY).all()


def test_no_object_to_paste_is_an_error(train: DetectionDataset) -> None:
    empty = DetectionDataset(train.root, ("red",), (train.samples[3],))
    with pytest.raises(GenerationError, match="at least one object in the train split"):
        CopyPasteGenerator(CONFIG, empty)


def test_reversed_range_is_refused() -> None:
    with pytest.raises(ValueError, match="smallest, largest"):
        CopyPasteConfig(kind="copy_paste", num_objects=(5, 2))


@pytest.mark.parametrize(
    ("shape", "corner", "share"), [("ellipse", 0.0, np.pi / 4), ("box", 1.0, 1.0)]
)
def test_mask_is_opaque_on_the_object(shape: str, corner: float, share: float) -> None:
    inner = np.array([10, 5, 70, 45], np.float32)
    hard = soft_mask((50, 80), inner, shape=shape, feather=0.0)  # type: ignore[arg-type]
    assert hard[5, 10] == corner
    assert hard[25, 40] == 1
    assert hard.sum() == pytest.approx(share * 60 * 40, rel=0.02)
    soft = soft_mask((50, 80), inner, shape=shape, feather=0.2)  # type: ignore[arg-type]
    assert ((soft > 0) & (soft < 1)).any()
    assert (soft >= hard).all()
    assert soft[25, 0] == 0
