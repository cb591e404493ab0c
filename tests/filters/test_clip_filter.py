"""The filter on a CLIP that is trained on a few images, and on one of transformers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from builders import write_dataset
from synthdata.config.clip import ClipTrainingConfig, PretrainedClip
from synthdata.errors import ConfigError, DatasetError, GenerationError
from synthdata.features.boxes import BoxFeatures, box_features
from synthdata.features.cache import FeatureCache
from synthdata.features.clip import ClipScorer, load_fitted_clip, load_pretrained_clip
from synthdata.filters.base import ImageScore
from synthdata.filters.clip import score_by_clip
from synthdata.samples import Annotations, DetectionDataset, Sample
from synthdata.training.clip import train_clip
from synthdata.training.text import build_tokenizer

CONFIG = ClipTrainingConfig(crop_size=32, crops_per_object=2, num_background=12, steps=60)
TEMPLATE = "a blood smear with {objects}"
SIZE = (160, 120)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return write_dataset(tmp_path_factory.mktemp("train"), num=12, seed=1, size=SIZE)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return write_dataset(tmp_path_factory.mktemp("pool"), num=20, seed=2, size=SIZE)


@pytest.fixture(scope="module")
def scorer(train: DetectionDataset, tmp_path_factory: pytest.TempPathFactory) -> ClipScorer:
    folder = tmp_path_factory.mktemp("fit")
    clip = train_clip(CONFIG, train, prompt_template=TEMPLATE, seed=0)
    clip.save(folder)
    assert clip.metrics["train_accuracy"] > 0.9
    assert set(clip.metrics["crops"]) == {*train.class_names, "no objects"}
    return load_fitted_clip(folder, train.class_names)


def encode(scorer: ClipScorer, dataset: DetectionDataset, root: Path) -> BoxFeatures:
    cache = FeatureCache(root, scorer.encoder, scorer.crop)
    return box_features(dataset, encoder=scorer.encoder, crop=scorer.crop, cache=cache)


def score(scorer: ClipScorer, dataset: DetectionDataset, root: Path) -> list[ImageScore]:
    return score_by_clip(dataset, scorer=scorer, generated=encode(scorer, dataset, root))


def test_swapped_and_misplaced_boxes_score_low(
    scorer: ClipScorer, pool: DetectionDataset, tmp_path: Path
) -> None:
    def changed(part: str) -> DetectionDataset:
        samples = []
        for sample in pool:
            xyxy, class_id = sample.annotations.xyxy.copy(), sample.annotations.class_id.copy()
            if part == "class":
                class_id[:2] = (class_id[:2] + 1) % 3
            else:
                xyxy[:2] = [1, 1, 9, 9]
            samples.append(replace(sample, annotations=Annotations(xyxy, class_id)))
        return replace(pool, samples=tuple(samples))

    clean = score(scorer, pool, tmp_path)

    for part in ("class", "place"):
        defective = score(scorer, changed(part), tmp_path)
        values = [one.score for one in (*clean, *defective)]
        assert roc_auc_score([1] * 20 + [0] * 20, values) > 0.95
    assert "like" in score(scorer, changed("class"), tmp_path)[0].detail


def test_an_image_is_scored_for_itself(
    scorer: ClipScorer, pool: DetectionDataset, tmp_path: Path
) -> None:
    part = replace(pool, samples=pool.samples[5:2:-1])

    together = score(scorer, pool, tmp_path / "together")
    alone = score(scorer, part, tmp_path / "alone")

    assert alone == together[5:2:-1]


def test_the_same_seed_trains_the_same_clip(train: DetectionDataset) -> None:
    short = CONFIG.model_copy(update={"steps": 5})
    one, same = (train_clip(short, train, prompt_template=TEMPLATE, seed=3) for _ in range(2))

    np.testing.assert_array_equal(one.image_projection, same.image_projection)
    assert one.captions[-1] == "a blood smear with no objects"


def test_an_image_without_boxes_is_not_judged(
    scorer: ClipScorer, pool: DetectionDataset, tmp_path: Path
) -> None:
    empty = replace(pool.samples[0], annotations=Annotations(np.zeros((0, 4)), []))

    (only,) = score(scorer, replace(pool, samples=(empty,)), tmp_path)

    assert (only.score, only.detail) == (None, "no box of a class that CLIP knows")
    assert score(scorer, replace(pool, samples=()), tmp_path) == []


def test_a_class_without_train_crops_is_not_judged(
    train: DetectionDataset, pool: DetectionDataset, tmp_path: Path
) -> None:
    def without(sample: Sample, class_id: int) -> Sample:
        kept = sample.annotations.class_id != class_id
        return replace(sample, annotations=sample.annotations.select(kept))

    fewer = replace(train, samples=tuple(without(one, 2) for one in train))
    short = CONFIG.model_copy(update={"steps": 20})
    clip = train_clip(short, fewer, prompt_template=TEMPLATE, seed=0)
    clip.save(tmp_path)
    scorer = load_fitted_clip(tmp_path, train.class_names)
    first = pool.samples[0]
    two_unseen = Annotations(first.annotations.xyxy[:2], [2, 2])
    unseen = replace(first, sample_id="unseen", annotations=two_unseen)

    only, mixed = score(scorer, replace(pool, samples=(unseen, first)), tmp_path)

    assert only.score is None
    judged = without(first, 2)
    assert mixed.detail.split(" boxes")[0].endswith(f"of {len(judged.annotations)}")


def test_no_object_to_learn_from_is_an_error(train: DetectionDataset) -> None:
    bare = replace(
        train,
        samples=tuple(replace(one, annotations=Annotations(np.zeros((0, 4)), [])) for one in train),
    )
    with pytest.raises(DatasetError, match=r"needs objects, the 12 train images have none"):
        train_clip(CONFIG, bare, prompt_template=TEMPLATE, seed=0)


def test_a_clip_for_other_classes_is_an_error(train: DetectionDataset, tmp_path: Path) -> None:
    short = CONFIG.model_copy(update={"steps": 2})
    train_clip(short, train, prompt_template=TEMPLATE, seed=0).save(tmp_path)

    with pytest.raises(GenerationError, match="was fitted for classes .* run fit again"):
        load_fitted_clip(tmp_path, ["cat"])


@pytest.mark.usefixtures("no_sockets")
def test_a_clip_of_transformers_is_asked_about_the_classes(
    pool: DetectionDataset, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    tokenizer = build_tokenizer("a photo of a {objects} background", pool.class_names)
    tiny = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }  # fmt: skip
    text = {
        "vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config = CLIPConfig(
        text_config=tiny | text, vision_config=tiny | {"image_size": 32, "patch_size": 8}
    )
    model = CLIPModel(config).eval()
    folder = tmp_path / "clip"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    named = PretrainedClip(kind="pretrained", model=str(folder), crop_size=32)

    scorer = load_pretrained_clip(named, pool.class_names)
    features = encode(scorer, pool, tmp_path / "cache").features

    texts = [f"a photo of a {name}" for name in (*pool.class_names, "background")]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        words = model.get_text_features(**tokens).pooler_output
        images = torch.nn.functional.normalize(torch.from_numpy(features))
        cosine = images @ torch.nn.functional.normalize(words).T
        expected = (model.logit_scale.exp() * cosine).softmax(dim=1)
    np.testing.assert_allclose(scorer.probabilities(features), expected.numpy(), atol=1e-5)
    assert scorer.embed_texts is not None
    np.testing.assert_allclose(scorer.embed_texts(texts), words.numpy(), rtol=1e-4, atol=1e-6)


def test_a_missing_clip_is_an_error(pool: DetectionDataset) -> None:
    with pytest.raises(ConfigError, match="clip 'nowhere/nothing' can't be loaded"):
        load_pretrained_clip(
            PretrainedClip(kind="pretrained", model="nowhere/nothing"), pool.class_names
        )
