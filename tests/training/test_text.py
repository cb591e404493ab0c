import hashlib
import json
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from synthdata.errors import ConfigError
from synthdata.training.text import build_text_encoder, build_tokenizer, encode_prompts

TEMPLATE = "a blood smear with {objects}"
NAMES = ("RBC", "WBC", "Platelets")


def vocabulary_digest(names: tuple[str, ...]) -> str:
    vocabulary = build_tokenizer(TEMPLATE, names).get_vocab()
    return hashlib.sha256(json.dumps(sorted(vocabulary.items())).encode()).hexdigest()


def test_each_word_is_one_token_and_numbers_are_spelt_in_digits() -> None:
    tokenizer = build_tokenizer(TEMPLATE, NAMES)

    tokens = tokenizer.tokenize("a blood smear with 12 RBC, 1 WBC and 2 Platelets")

    assert tokens == [
        "a</w>", "blood</w>", "smear</w>", "with</w>", "1</w>", "2</w>", "rbc</w>", ",</w>",
        "1</w>", "wbc</w>", "and</w>", "2</w>", "platelets</w>",
    ]  # fmt: skip
    assert tokenizer.tokenize("a blood smear with no objects")[-2:] == ["no</w>", "objects</w>"]


def test_ids_depend_on_the_words_only() -> None:
    assert vocabulary_digest(NAMES) == vocabulary_digest(NAMES[::-1])
    assert vocabulary_digest(NAMES) != vocabulary_digest(("RBC", "WBC", "Cells"))


def test_other_text_falls_back_to_bytes_and_the_longest_prompt_fits(tmp_path: Path) -> None:
    names = ("zell-typ_2", "Größe", "Platelets")
    tokenizer = build_tokenizer(TEMPLATE, names)
    longest = TEMPLATE.replace("{objects}", "999 zell-typ_2, 999 Größe and 999 Platelets")

    ids = encode_prompts(tokenizer, ["", longest])

    assert ids.shape == (2, tokenizer.model_max_length)
    assert ids[1, -1] == tokenizer.eos_token_id
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    assert loaded(longest).input_ids == tokenizer(longest).input_ids
    assert loaded.model_max_length == tokenizer.model_max_length


def test_words_of_other_scripts_are_one_token_too() -> None:
    tokenizer = build_tokenizer(TEMPLATE, ["Эритроциты", "红细胞", "Größe"])

    assert len(tokenizer.tokenize("1 Эритроциты, 2 红细胞 and 3 Größe")) == 8
    assert tokenizer.decode(tokenizer("3 größe").input_ids[1:-1]) == "3 größe"


def test_a_prompt_may_be_longer_than_stable_diffusions() -> None:
    tokenizer = build_tokenizer(TEMPLATE, [f"kind{i}" for i in range(40)])
    encoder = build_text_encoder(tokenizer, 16)

    embedded = encoder(encode_prompts(tokenizer, ["a blood smear with 1 kind39"]))[0]

    assert embedded.shape == (1, tokenizer.model_max_length, 16)
    assert tokenizer.model_max_length > 77


def test_too_many_classes_for_a_prompt_are_an_error() -> None:
    with pytest.raises(ConfigError, match="at most 512 are possible; shorten"):
        build_tokenizer(TEMPLATE, [f"kind{i}" for i in range(100)])


def test_the_encoder_knows_every_token() -> None:
    tokenizer = build_tokenizer(TEMPLATE, NAMES)
    encoder = build_text_encoder(tokenizer, 16)

    hidden = encoder(encode_prompts(tokenizer, ["", "3 WBC"]))[0]

    assert hidden.shape == (2, tokenizer.model_max_length, 16)
    assert bool((hidden[0] != hidden[1]).any())
