from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthdata.config.paste import PasteConfig
from synthdata.errors import GenerationError
from synthdata.generators.paste import PasteGenerator
from synthdata.layout.geometry import overlap_matrix
from synthdata.samples import (
    Annotations,
    DetectionDataset,
    GeneratedSample,
    GenerationRequest,
    Layout,
    Sample,
)

CONFIG = PasteConfig(kind="paste")
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


def generator_of(
    train: DetectionDataset, canvases: DetectionDataset | None = None, **config: object
) -> PasteGenerator:
    return PasteGenerator(
        CONFIG.model_copy(update=config),
        donors=train,
        canvases=train if canvases is None else canvases,
    )


def compose(train: DetectionDataset, num: int = 40, **config: object) -> list[GeneratedSample]:
    return list(generator_of(train, **config).generate(requests(*range(num))))


def num_mixed(made: GeneratedSample) -> int:
    """How many pixels are neither background nor of an object's colour."""
    pure = [(made.image == colour).all(axis=2) for colour in ((GREY,) * 3, *COLOURS)]
    return int((~np.logical_or.reduce(pure)).sum())


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


@pytest.mark.parametrize("mask", ["ellipse", "grabcut"])
@pytest.mark.parametrize("blend", ["feather", "poisson", ("none", "feather", "poisson")])
def test_an_image_depends_on_its_seed_only(
    train: DetectionDataset, mask: str, blend: object
) -> None:
    config = {"mask": mask, "blend": blend}
    generator = generator_of(train, **config)
    forward = {m.request.seed: m for m in generator.generate(requests(1, 2, 3))}
    alone = {seed: next(generator_of(train, **config).generate(requests(seed))) for seed in (3, 1)}
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
    empty = DetectionDataset(train.root, train.class_names, (train.samples[3],))
    with pytest.raises(GenerationError, match="at least one object in the train split"):
        generator_of(empty, train)


def test_objects_need_an_image_of_their_classes(train: DetectionDataset) -> None:
    with pytest.raises(GenerationError, match="at least one image to paste onto, 'scenes' has"):
        generator_of(train, DetectionDataset(train.root, train.class_names), onto="scenes")
    with pytest.raises(GenerationError, match=r"'scenes' has \['cell'\] and .* \['red', 'green'\]"):
        generator_of(train, DetectionDataset(train.root, ("cell",)), onto="scenes")


def test_a_pool_gets_real_objects_beside_its_own(train: DetectionDataset) -> None:
    scenes = DetectionDataset(
        train.root,
        train.class_names,
        tuple(write_image(train.root, 10 + i, [[70, 70, 90 + i, 90]], [1]) for i in range(2)),
    )
    # One image is no canvas of its own, but the first scene's place is the same.
    donors = DetectionDataset(train.root, train.class_names, train.samples[:1])
    generator = generator_of(donors, scenes, onto="scenes")

    pasted = list(generator.generate(requests(*range(20))))

    assert {made.annotations.xyxy[0].tolist()[2] for made in pasted} == {90, 91}
    for made in pasted:
        assert made.annotations.class_id[0] == 1
        assert (made.annotations.class_id[1:] == 0).all()
        assert len(made.annotations) > 2
        assert made.image[80, 80].tolist() == list(COLOURS[1])


def test_an_object_that_others_hide_loses_its_label(train: DetectionDataset) -> None:
    hidden = 0
    for made in compose(train, num=60, max_overlap=1.0, num_objects=(12, 12), blend="none"):
        hidden += 12 + 3 - len(made.annotations)
        for (x1, y1, x2, y2), class_id in zip(
            made.annotations.xyxy, made.annotations.class_id, strict=True
        ):
            inside = made.image[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            of_class = (np.abs(inside.astype(int) - COLOURS[class_id]).max(axis=2) < 60).mean()
            # An ellipse fills pi / 4 of its box, and half of the box may be hidden.
            assert of_class > np.pi / 4 - 0.5 - 0.05
    assert hidden > 0


def test_several_blends_are_drawn_for_each_object(train: DetectionDataset) -> None:
    one = compose(train, num=5)
    np.testing.assert_array_equal(
        [m.image for m in one], [m.image for m in compose(train, num=5, blend=("feather",))]
    )
    drawn = compose(
        train, num=40, num_objects=(1, 1), blend=("none", "feather"), mask="box", scale_jitter=0.0
    )
    faded = [num_mixed(made) > 0 for made in drawn]
    assert 0.25 < np.mean(faded) < 0.75


def test_no_blend_leaves_no_mixed_colour(train: DetectionDataset) -> None:
    config = {"scale_jitter": 0.0, "mask": "box"}
    assert not any(num_mixed(made) for made in compose(train, blend="none", **config))
    assert all(num_mixed(made) for made in compose(train, blend="feather", **config))


def test_grabcut_spares_the_background_that_a_box_takes_along(train: DetectionDataset) -> None:
    """A plus sign, of which an ellipse misses the arms' ends and takes the corners."""
    pixels = np.full((HEIGHT, WIDTH, 3), (200, 200, 60), np.uint8)
    pixels[40:80, 55:65] = pixels[55:65, 40:80] = COLOURS[0]
    Image.fromarray(pixels).save(train.root / "images/plus.png")
    plus = Sample(
        "plus", Path("images/plus.png"), WIDTH, HEIGHT, Annotations([[40, 40, 80, 80]], [0])
    )
    donors = DetectionDataset(train.root, train.class_names, (plus,))
    empty = DetectionDataset(train.root, train.class_names, (train.samples[3],))

    def yellow(mask: str) -> float:
        generator = generator_of(
            donors, empty, onto="scenes", mask=mask, blend="none", scale_jitter=0.0
        )
        made = list(generator.generate(requests(*range(5))))
        assert generator.mask_counts == ({"grabcut": 1} if mask == "grabcut" else {})
        red = np.mean(
            [(m.image == COLOURS[0]).all(axis=2).sum() / len(m.annotations) for m in made]
        )
        assert red > 0.9 * 700 or mask == "ellipse"
        return float(np.mean([(m.image[..., 2] == 60).sum() / len(m.annotations) for m in made]))

    assert yellow("grabcut") < 50  # it rounds the inner corners off
    assert yellow("ellipse") > 500


def test_what_grabcut_does_not_find_is_an_ellipse_and_counted(train: DetectionDataset) -> None:
    blank = Sample(
        "blank", train.samples[3].path, WIDTH, HEIGHT, Annotations([[9, 9, 40, 40]], [0])
    )
    donors = DetectionDataset(train.root, train.class_names, (blank,))
    config = {"mask": "grabcut", "onto": "scenes"}
    generator = generator_of(donors, train, **config)
    like = generator_of(donors, train, onto="scenes")
    for one, other in zip(
        generator.generate(requests(1, 2)), like.generate(requests(1, 2)), strict=True
    ):
        np.testing.assert_array_equal(one.image, other.image)
    assert generator.mask_counts == {"ellipse": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_objects": (5, 2)}, "smallest, largest"),
        ({"blend": ()}, "at least 1"),
        ({"blend": "alpha"}, "feather"),
        ({"onto": ""}, "at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PasteConfig.model_validate({"kind": "paste"} | values)
