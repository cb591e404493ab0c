"""A small CLIP text encoder and tokenizer for the prompts of one data set.

The vocabulary is the alphabet's bytes and the words of the template and the class names,
each one token, so that ids are the same on every machine and in every order of the words.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from synthdata.conditioning import NO_OBJECTS
from synthdata.errors import ConfigError

# Beyond, reading the prompt would cost more than the image. Counts have at most three digits here.
_MAX_LENGTH = 512
_LARGEST_COUNT = "999"
_SPELLING = ByteLevel(add_prefix_space=False, use_regex=False)  # in an alphabet of bytes
_START, _END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(template: str, class_names: Sequence[str]) -> Any:  # noqa: ANN401
    """Return a `CLIPTokenizer` whose words are those of the prompts.

    Numbers are spelt in digits, as CLIP does; other text falls back to bytes. Prompts may be
    longer than Stable Diffusion's 77 tokens, since its text encoder isn't used.

    Raises:
        ConfigError: If the longest prompt has more than 512 tokens.
    """
    objects = ", ".join(f"{_LARGEST_COUNT} {name}" for name in class_names)
    longest = template.replace("{objects}", f"{objects} and {NO_OBJECTS}")
    words = re.findall(r"[^\W\d_]+", longest.lower())
    vocab, merges = _word_complete_bpe(_SPELLING.pre_tokenize_str(word)[0][0] for word in words)
    length = len(CLIPTokenizer(vocab=vocab, merges=merges)(longest).input_ids)
    if length > _MAX_LENGTH:
        raise ConfigError(
            f"the prompt of all {len(class_names)} classes would have {length} tokens, at most "
            f"{_MAX_LENGTH} are possible; shorten fit.prompt_template or the class names, or train "
            "on fewer classes"
        )
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=min(_MAX_LENGTH, length + 1))


def _word_complete_bpe(words: Iterable[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return a byte-pair vocabulary and merges in which each word becomes one token.

    The most frequent pair is merged first and ties go by the alphabet: a trainer's own
    tie-breaking would give other ids on every call.
    """
    alphabet = sorted(ByteLevel.alphabet())
    spelt = [[*word[:-1], word[-1] + "</w>"] for word in sorted(set(words))]
    merges: list[tuple[str, str]] = []
    while any(len(parts) > 1 for parts in spelt):
        pairs = Counter(pair for parts in spelt for pair in pairwise(parts))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelt = [_merge(parts, best) for parts in spelt]
    tokens = [*alphabet, *(char + "</w>" for char in alphabet), *("".join(m) for m in merges)]
    tokens = [*dict.fromkeys(tokens), _START, _END]
    return {token: i for i, token in enumerate(tokens)}, merges


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    i = 0
    while i < len(parts):
        if tuple(parts[i : i + 2]) == pair:
            merged.append("".join(pair))
            i += 2
        else:
            merged.append(parts[i])
            i += 1
    return merged


def build_text_encoder(tokenizer: Any, width: int) -> Any:  # noqa: ANN401
    """Return an untrained two-layer `CLIPTextModel` for the tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            projection_dim=width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def encode_prompts(tokenizer: Any, prompts: Sequence[str]) -> Any:  # noqa: ANN401
    """Return `(N, L)` token ids, padded to the model's length as the pipeline pads them."""
    return tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
