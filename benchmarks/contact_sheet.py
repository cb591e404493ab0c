"""Real train images beside generated ones, as one picture.

python benchmarks/contact_sheet.py runs/bccd-24/seed-0 docs/images/bccd-24.jpg --pool synthetic
"""

import argparse
from pathlib import Path

from PIL import Image

from synthdata.manifest import load_dataset
from synthdata.samples import DetectionDataset

_COLUMNS = 4
_GAP_PX = 12


def main() -> None:
    """Write the first images of each side, in the order of their names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repetition", type=Path, help="runs/<name>/seed-<s>, stage generate done")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--num-images", type=int, default=24, help="of each side")
    arguments = parser.parse_args()
    real = load_dataset(arguments.repetition / "prepare").split("train")
    generated = load_dataset(arguments.repetition / "generate").where(pool=arguments.pool)
    width, height = real.samples[0].width, real.samples[0].height
    rows = -(-arguments.num_images // _COLUMNS)
    sheet = Image.new("RGB", (2 * _COLUMNS * width + _GAP_PX, rows * height), "white")
    _paste(sheet, real, num=arguments.num_images, left=0)
    _paste(sheet, generated, num=arguments.num_images, left=_COLUMNS * width + _GAP_PX)
    sheet.save(arguments.picture, quality=82)


def _paste(sheet: Image.Image, dataset: DetectionDataset, *, num: int, left: int) -> None:
    for index, sample in enumerate(dataset.samples[:num]):
        row, column = divmod(index, _COLUMNS)
        with Image.open(dataset.image_path(sample)) as image:
            sheet.paste(image, (left + column * sample.width, row * sample.height))


if __name__ == "__main__":
    main()
