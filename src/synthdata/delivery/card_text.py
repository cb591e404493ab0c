"""A model card as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from synthdata.formats.markdown import escape
from synthdata.report import numerals

Card = Mapping[str, Any]
# What a place of the output holds, where the model has non-maximum suppression's part or hasn't.
_ROWS: Final = {
    False: "centre x, centre y, width, height, then a score a class; before non-maximum "
    "suppression",
    True: "x, y of two corners, score, class id; no non-maximum suppression is needed",
}


def render_card(card: Card) -> str:
    """Return a model card for people; the settings in full stay in the JSON form."""
    model = card["model"]
    lines = [
        f"# Model card: {escape(model['title'])}, run `{model['run']}`, seed {model['seed']}",
        "",
        *_verdict(card),
        *_scores(card),
        *_section("Never tested on", map(escape, card["not_tested"])),
        *_section("Data", _data(card)),
        *_section("Recipe", map(escape, card["recipe"]["words"])),
        *_section("Detector", _detector(card)),
        *_section("Licences", _licences(card)),
        *_section("Files", _files(card)),
    ]
    return "\n".join(lines)


def _section(title: str, points: Iterator[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield from (f"- {point}" for point in points)
    yield ""


def _verdict(card: Card) -> Iterator[str]:
    verdict = card["verdict"]
    yield from (f"**{escape(sentence)}**\n" for sentence in verdict["sentences"])
    yield (
        f"The verdict is about the recipe, over seeds {', '.join(map(str, verdict['seeds']))}; "
        f"these weights are those of seed {card['model']['seed']}."
    )
    yield ""
    yield from (f"- {escape(one['topic'])}: {escape(one['text'])}" for one in verdict["conditions"])
    yield ""


def _scores(card: Card) -> Iterator[str]:
    names = card["model"]["classes"]
    of_classes = (f"AP {escape(name)}" for name in names)
    cells = ["set", "images", "mAP50-95", "mAP50", *of_classes, "these weights"]
    yield "## Scores"
    yield ""
    yield "Means over the seeds; the last column is these weights' own mAP50-95."
    yield ""
    yield _line(cells)
    yield _line(["---"] * len(cells))
    for name, row in card["scores"].items():
        mean = row["mean"]
        values = [mean["map50_95"], mean["map50"], *(mean["per_class"][n] for n in names)]
        scores = map(numerals.score, [*values, row["map50_95"]])
        yield _line([escape(name), str(row["num_images"]), *scores])
    yield ""


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _data(card: Card) -> Iterator[str]:
    data, recipe = card["data"], card["recipe"]
    yield f"Real data: {escape(data['dataset'])}; config `{data['config']}`."
    yield f"Version: `{data['version']}`, key `{data['version_key']}`."
    if data["dvc"]:
        yield f"In DVC: `{data['dvc']['dvc_file']}`, md5 `{data['dvc']['md5']}`."
    origins = ", ".join(f"{n} {origin}" for origin, n in recipe["images_by_origin"].items())
    yield f"Training images: {origins}; more in `{data['data_card']}`."
    for name, row in card["scores"].items():
        objects = ", ".join(f"{escape(c)} {n}" for c, n in row["objects_per_class"].items())
        yield (
            f"Scored on {escape(name)}: {', '.join(row['image_sizes'])} pixels; objects: "
            f"{objects}; images' digest `{row['digest']}`."
        )


def _detector(card: Card) -> Iterator[str]:
    training = card["training"]
    settings = {**training["detector"], "batch_size": training["batch_size"]}
    yield (
        f"{training['num_parameters']} parameters, {training['steps']} optimizer steps, seed "
        f"{training['seed']}."
    )
    yield ", ".join(f"{name} {escape(str(value))}" for name, value in settings.items()) + "."
    yield ", ".join(f"{name} {version}" for name, version in training["versions"].items()) + "."


def _licences(card: Card) -> Iterator[str]:
    for what, licence in card["licences"].items():
        yield f"{what.replace('_', ' ').capitalize()}: {escape(licence)}."


def _files(card: Card) -> Iterator[str]:
    model, exported = card["model"], card["exported"]
    recorded = (
        "as the run recorded" if model["weights_sha256_recorded"] else "not recorded by the run"
    )
    yield f"Weights: `{model['weights']}`, sha256 `{model['weights_sha256']}`, {recorded}."
    if exported:
        yield (
            f"`{exported['file']}`: {exported['format'].upper()}, opset {exported['opset']}, "
            f"sha256 `{exported['sha256']}`; raw outputs differ from torch's by "
            f"{exported['largest_difference']:.1g} at most."
        )
        yield (
            f"Input `{exported['input']}`: RGB from 0 to 1, (batch, 3, height, width); the longer "
            f"side {exported['image_size']} pixels, both padded on both sides with grey (114) to "
            f"multiples of {exported['stride']}. Output `{exported['output']}`, in pixels of the "
            f"input: {_ROWS[exported['end2end']]}."
        )
