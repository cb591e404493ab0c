from pathlib import Path

import numpy as np
import pytest

from synthdata.config.layout import LayoutConfig
from synthdata.datasets.blood_smears import BCCD_CLASSES
from synthdata.formats.assemble import assemble
from synthdata.formats.voc_reader import parse_voc
from synthdata.layout import (
    load_layout_sets,
    make_balanced_layouts,
    make_layouts,
    sample_layouts,
)
from synthdata.layout.balance import class_balance, rebalance
from synthdata.layout.model import fit_layout_model
from synthdata.samples import Annotations, DetectionDataset, Sample

WIDTH, HEIGHT = 200, 160
CLASSES = ("many", "some", "few", "never")


def sample_of(index: int, counts: list[int], sides: tuple[int, ...]) -> Sample:
    """Objects of each class on a grid, which don't overlap."""
    rng = np.random.default_rng(index)
    class_id = np.repeat(np.arange(len(counts)), counts)
    cells = rng.permutation(8 * 5)[: len(class_id)]
    corner = np.stack([cells % 8 * 25, cells // 8 * 32], axis=1) + rng.uniform(
        0, 4, (len(cells), 2)
    )
    side = np.array(sides)[class_id][:, None]
    xyxy = np.hstack([corner, corner + side]).astype(np.float32)
    return Sample(f"{index}", Path(f"{index}.png"), WIDTH, HEIGHT, Annotations(xyxy, class_id))


def dataset_of(
    counts: list[list[int]], sides: tuple[int, ...] = (10, 10, 10, 10)
) -> DetectionDataset:
    return DetectionDataset(
        Path(), CLASSES, tuple(sample_of(i, of_image, sides) for i, of_image in enumerate(counts))
    )


@pytest.fixture(scope="module")
def train() -> DetectionDataset:
    """Of 100 objects 84, 9 and 7 are of the classes; an image has up to 6 of the rare ones."""
    rng = np.random.default_rng(0)
    counts = [
        [int(rng.integers(8, 15)), min(int(rng.poisson(1.2)), 6), min(int(rng.poisson(0.9)), 6), 0]
        for _ in range(58)
    ]
    return dataset_of([*counts, [9, 6, 2, 0], [9, 1, 6, 0]])


def counts_of(images: object, num_classes: int = len(CLASSES)) -> np.ndarray:
    return np.stack([i.annotations.counts(num_classes) for i in images])  # type: ignore[attr-defined]


def shares_of(counts: np.ndarray) -> np.ndarray:
    shares: np.ndarray = counts.sum(axis=0) / counts.sum()
    return shares


def test_balance_moves_the_shares_from_natural_to_equal(train: DetectionDataset) -> None:
    natural = counts_of(train)
    drawn = {
        balance: counts_of(sample_layouts(train, LayoutConfig(num_layouts=300, balance=balance)))
        for balance in (0.0, 0.5, 1.0)
    }

    assert np.abs(shares_of(drawn[0.0]) - shares_of(natural)).max() < 0.02
    wanted = np.sqrt(natural.sum(axis=0))
    np.testing.assert_allclose(shares_of(drawn[0.5]), wanted / wanted.sum(), atol=0.03)
    assert (shares_of(drawn[1.0])[:3] >= 0.28).all()
    assert (shares_of(drawn[1.0])[:3] <= 0.39).all()
    for counts in drawn.values():
        assert (counts <= natural.max(axis=0)).all()
        assert 0.6 <= counts.sum() / 300 / natural.sum(axis=1).mean() <= 1.4
        assert counts.sum(axis=1).std() > 1  # images still differ in how full they are


def test_bccd_is_balanced_as_far_as_its_images_show(bccd_mirror: Path) -> None:
    """Train images have 13.7 boxes, at most 2 of them white cells.

    A share of .28 would need layouts of 7.1 boxes, 48 % fewer; within 40 % it is .24 at most.
    """
    raw = parse_voc(bccd_mirror / "bccd", class_names=BCCD_CLASSES)
    train = assemble(raw, drop_bad_boxes=True).split("train")
    natural = counts_of(train, 3)
    assert natural.max(axis=0)[1] == 2
    for balance in (0.0, 0.5, 1.0):
        layouts = sample_layouts(train, LayoutConfig(num_layouts=300, balance=balance))
        counts = counts_of(layouts, 3)
        assert (counts <= natural.max(axis=0)).all()
        per_image = counts.sum(axis=1).mean()
        assert per_image == pytest.approx(natural.sum(axis=1).mean(), rel=0.4)
        red, white, platelets = shares_of(counts)
        if balance == 0:
            assert platelets <= 0.15
        if balance == 1:
            assert min(red, platelets) >= 0.28
            assert max(red, platelets) < 0.4
            assert white == pytest.approx(2 / per_image, rel=0.03)
            assert white > 0.22


def test_larger_objects_do_not_crowd_the_layouts() -> None:
    """One rare object covers as much as six others."""
    rng = np.random.default_rng(1)
    counts = [[int(rng.integers(6, 11)), int(rng.integers(0, 5)), 0, 0] for _ in range(40)]
    counts += [[20, 1, 0, 0], [8, 12, 0, 0]]
    train = dataset_of(counts, (9, 22, 1, 1))

    def covered(images: object) -> float:
        sizes = [i.annotations.xyxy[:, 2:] - i.annotations.xyxy[:, :2] for i in images]  # type: ignore[attr-defined]
        return float(np.mean([size.prod(axis=1).sum() for size in sizes]))

    layouts = sample_layouts(train, LayoutConfig(num_layouts=200, balance=1.0))

    assert covered(layouts) == pytest.approx(covered(train), rel=0.1)
    np.testing.assert_allclose(shares_of(counts_of(layouts))[:2], 0.5, atol=0.03)
    assert counts_of(layouts).sum() / 200 < 0.85 * counts_of(train).sum() / len(train)


def test_counts_at_balance_0_are_not_drawn_anew(train: DetectionDataset) -> None:
    assert class_balance(fit_layout_model(train, max_overlap=0.5), 0) is None


def test_a_small_balance_changes_few_objects(train: DetectionDataset) -> None:
    balance = class_balance(fit_layout_model(train, max_overlap=0.5), 0.02)
    assert balance is not None
    rng = np.random.default_rng(0)
    moved = [np.abs(rebalance(n, balance, rng=rng) - n).sum() for n in counts_of(train)] * 5
    assert np.mean(moved) < 0.5


def test_expected_counts_are_the_wanted_ones() -> None:
    """By hand: 12 objects, of which 4 shall be of each class; no image has more than 8."""
    counts = np.array([[8, 2, 2, 0], [8, 2, 2, 0], [8, 8, 8, 0]])
    balance = class_balance(fit_layout_model(dataset_of(counts.tolist()), max_overlap=0.5), 1.0)
    assert balance is not None
    rng = np.random.default_rng(0)
    drawn = np.stack([rebalance(np.array([8, 2, 2, 0]), balance, rng=rng) for _ in range(4000)])
    # The train split's shares are .5, .25 and .25: of 6 objects of the first class 4 may stay.
    np.testing.assert_allclose(drawn.mean(axis=0), [8 * 4 / 6, 2 + 1, 2 + 1, 0], atol=0.08)


def test_what_never_occurs_and_empty_layouts_stay(train: DetectionDataset) -> None:
    balance = class_balance(fit_layout_model(train, max_overlap=0.5), 1.0)
    assert balance is not None
    assert balance.wanted.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    rng = np.random.default_rng(0)
    assert rebalance(np.zeros(4, np.int64), balance, rng=rng).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([[0, 0, 0, 0]], id="no object"),
        pytest.param([[5, 0, 0, 0], [0, 0, 0, 0]], id="one class"),
        pytest.param([[0, 1, 0, 0], [30, 0, 0, 0]], id="classes that never meet"),
    ],
)
def test_small_train_splits_can_be_balanced(counts: list[list[int]]) -> None:
    train = dataset_of(counts)
    layouts = sample_layouts(train, LayoutConfig(num_layouts=20, balance=1.0))
    assert (counts_of(layouts) <= counts_of(train).max(axis=0)).all()
    assert (counts_of(layouts).sum() > 0) == (counts_of(train).sum() > 0)


def test_a_layout_depends_on_seed_balance_and_index_only(train: DetectionDataset) -> None:
    config = LayoutConfig(num_layouts=6, balance=0.75)
    long = sample_layouts(train, config)
    assert sample_layouts(train, config.model_copy(update={"num_layouts": 4})) == long[:4]
    assert sample_layouts(train, config.with_balance(0.5)) != long


def test_recombined_layouts_have_no_balance() -> None:
    with pytest.raises(ValueError, match="needs kind sampled"):
        LayoutConfig(kind="recombined", balance=0.5)
    with pytest.raises(ValueError, match="needs kind sampled"):
        LayoutConfig(kind="recombined").with_balance(0.5)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        LayoutConfig().with_balance(2)


def test_a_set_per_balance_is_written(train: DetectionDataset, tmp_path: Path) -> None:
    config = LayoutConfig(num_layouts=8, balances=(0, 0.75))
    metrics = make_balanced_layouts(config, train=train, out_dir=tmp_path / "sets")["sets"]
    assert list(metrics) == ["balance-0.0", "balance-0.75"]
    alone = make_layouts(config, train=train, out_dir=tmp_path / "alone")
    assert metrics["balance-0.0"] == alone
    for balance, written in load_layout_sets(tmp_path / "sets", config).items():
        drawn = sample_layouts(train, config.with_balance(balance))
        assert [i.annotations.counts(4).tolist() for i in written] == [
            i.annotations.counts(4).tolist() for i in drawn
        ]
    few = metrics["balance-0.75"]["class_shares"]["few"]
    assert few["layouts"] > 2 * few["train"]
    assert few["train"] == pytest.approx(shares_of(counts_of(train))[2])
    per_image = metrics["balance-0.75"]["objects_per_image"]
    assert per_image["train"] == pytest.approx(counts_of(train).sum(axis=1).mean())
    assert 0.6 * per_image["train"] < per_image["layouts"] < per_image["train"]
