import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from finished_run import HOSTILE_CLASSES, FinishedRun
from lxml import html

from synthdata.report.fidelity import Cell, fidelity_tables


@pytest.fixture(scope="module")
def page(report_dir: Path) -> html.HtmlElement:
    return html.fromstring((report_dir / "report.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_runs_nothing(page: html.HtmlElement) -> None:
    addresses = [
        *page.xpath("//@src"),
        *page.xpath("//@href"),
        *page.xpath("//@*[name()='xlink:href']"),
    ]
    assert len(addresses) > 10
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert page.xpath("//script | //iframe | //object | //link[@rel='stylesheet']") == []
    assert not any(name.startswith("on") for element in page.iter() for name in element.attrib)
    style = "".join(page.xpath("//style/text()"))
    assert len(style) > 1000
    assert "url(" not in style
    assert "@import" not in style


def test_class_names_arrive_as_text(page: html.HtmlElement) -> None:
    head = [cell.text_content() for cell in page.xpath("//section[@id='arms']//thead//th")]
    assert [f"AP {name}" for name in HOSTILE_CLASSES] == head[4:7]
    alts = page.xpath("//section[@id='images']//img/@alt")
    assert any(HOSTILE_CLASSES[1] in alt for alt in alts)


def test_the_verdict_comes_first(page: html.HtmlElement, metrics: dict[str, Any]) -> None:
    main = page.xpath("//main")[0]
    assert main.xpath("(.//h1 | .//h2)[1]")[0].text_content() == metrics["advice"]["sentence"]
    assert main.xpath(".//p[@class='claim']")[0].text_content() == metrics["headline"]["claim"]
    sections = main.xpath("./section/@id")
    assert sections == [
        "arms", "images", "layout", "fidelity", "filter", "training", "time", "data", "config",
        "environment",
    ]  # fmt: skip
    notes = [dd.text_content() for dd in main.xpath(".//dl[@class='notes']//dd")]
    assert notes == [note["text"] for note in metrics["notes"]]


def test_fidelity_stands_beside_that_of_real_halves(page: html.HtmlElement) -> None:
    section = page.xpath("//section[@id='fidelity']")[0]
    assert [h.text_content() for h in section.xpath("./h3")] == [
        "Whole images, efficientnet-lite0", "Crops of objects, efficientnet-lite0", "Boxes",
    ]  # fmt: skip
    crops = section.xpath(".//table")[1]
    head = [cell.text_content() for cell in crops.xpath("./thead//th")]
    assert head == ["Metric", *HOSTILE_CLASSES]
    frechet, kernel = crops.xpath("./tbody/tr")
    assert frechet.xpath("./th")[0].text_content() == "Fréchet distance", "FID is Inception's"
    assert frechet.xpath("./td")[0].text_content() == "too few6 a half"
    reasons = [item.text_content() for item in section.xpath(".//details//li")]
    assert reasons[1] == f"Fréchet distance of {HOSTILE_CLASSES[0]}: 12 of 1281 items."
    minus = "\N{MINUS SIGN}"
    shown = kernel.xpath("./td")[0].text_content()
    assert shown == f"{minus}0.0123 ({minus}0.200 to 0.100)real 0.00300, differs"


def test_a_run_that_measured_no_fidelity_has_no_such_section() -> None:
    assert fidelity_tables(None) == []


def test_in_inceptions_features_the_distances_have_their_own_names() -> None:
    row = {
        "of": "images", "class": None, "encoder": "inception-v3", "metric": "fid",
        "value": 1234.5, "low": 12.0, "high": 2000.0, "halves": 0.5, "differs": False, "num": 9,
        "reason": "",
    }  # fmt: skip
    (table,) = fidelity_tables({"rows": [row]})
    assert table.rows == (("FID", (Cell("1234", "12.0 to 2000", "real 0.500", differs=False),)),)


def test_the_table_shows_each_arms_numbers(page: html.HtmlElement, metrics: dict[str, Any]) -> None:
    rows = page.xpath("//section[@id='arms']//tbody/tr")
    assert len(rows) == len(metrics["arms"])
    for row, arm in zip(rows, metrics["arms"].values(), strict=True):
        cells = [cell.text_content().strip() for cell in row.xpath("./th | ./td")]
        assert cells[0] == arm["title"]
        assert cells[2] == f"{arm['map50_95']:.3f}"
        assert cells[-1] == str(arm["seeds"])
        if arm["difference"] is not None:
            assert cells[7] == f"{arm['difference']:+.3f}".replace("-", "\N{MINUS SIGN}")


def test_contrasts_have_intervals_and_arms_a_dot_per_seed(page: html.HtmlElement) -> None:
    figures = page.xpath("//div[@class='forest']")
    assert len(figures) == 2
    for row in figures[0].xpath("./div[contains(@class, 'row')]"):
        assert len(row.xpath(".//circle[@class='dot']")) == 4
        low, high = (float(row.xpath(f".//line[@class='bar']/@{x}")[0][:-1]) for x in ("x1", "x2"))
        middle = float(row.xpath(".//circle[@class='mean']/@cx")[0][:-1])
        assert 0 <= low < middle < high <= 100
    arms = figures[1].xpath("./div[contains(@class, 'row')]")
    assert len(arms) == 5
    for row in arms:
        assert len(row.xpath(".//circle[@class='dot']")) == 4
        assert row.xpath(".//line[@class='bar']") == [], "an arm that isn't tested has no interval"


def test_the_gallery_shows_real_beside_generated_with_boxes_and_reasons(
    page: html.HtmlElement, finished: FinishedRun
) -> None:
    images = page.xpath("//section[@id='images']//figure")
    wanted = finished.config.report.gallery_images
    assert len(images) == wanted + wanted + 3 + wanted  # real, kept, rejected, copy-paste
    for figure in images:
        drawn = len(figure.xpath(".//rect[@class='over']"))
        alt = figure.xpath(".//img/@alt")[0]
        assert drawn == sum(
            int(n) for n in re.findall(r"(?:: |, )(\d+) \N{MULTIPLICATION SIGN} ", alt)
        )
        width, height = (float(v) for v in figure.xpath(".//img/@width | .//img/@height"))
        for box in figure.xpath(".//rect[@class='over']"):
            x, y, w, h = (float(box.get(name)) for name in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width + 0.1
            assert 0 <= y <= y + h <= height + 0.1
    captions = [c.text_content() for c in page.xpath("//section[@id='images']//figcaption")]
    assert captions == ["detector: 2 of 5 objects found; score 0.400 not among the best"] * 3


def test_every_section_has_content(page: html.HtmlElement, metrics: dict[str, Any]) -> None:
    assert len(page.xpath("//section[@id='filter']//svg[@role='img']")) == 2
    assert len(page.xpath("//section[@id='training']//svg[@role='img']")) == 3 + 1
    assert len(page.xpath("(//section[@id='training']//figure)[last()]//polyline")) == len(
        metrics["arms"]
    )
    layout = page.xpath("//section[@id='layout']")[0]
    score, boxes = layout.xpath(".//table")
    assert score.xpath("(./thead//th)[last()]")[0].text_content() == "By chance"
    rows = [
        [cell.text_content() for cell in row.xpath("./td")] for row in score.xpath(".//tbody/tr")
    ]
    assert rows == [["0.900", "0.600", "0.667", "0.022"]] * (3 + 1)
    assert len(boxes.xpath(".//tbody/tr")) == 2
    assert "0.430 mAP50-95" in layout.text_content(), "without a judge"
    assert page.xpath("count(//section[@id='config']//details)") == 9
    data = page.xpath("//section[@id='data']")[0].text_content()
    assert "Dropped by repair, tiny_box: 2" in data
    assert "Warning, no_labels: 1" in data
    environment = page.xpath("//section[@id='environment']")[0].text_content()
    assert "efficientnet-lite0" in environment
    assert "a CLIP" in environment, "of a single filter too"


def test_the_page_can_be_read_without_seeing_it(page: html.HtmlElement) -> None:
    assert page.get("lang") == "en"
    assert all(alt.strip() for alt in page.xpath("//img/@alt"))
    assert len(page.xpath("//img")) == len(page.xpath("//img/@alt"))
    assert page.xpath("//th[not(@scope)]") == []
    assert page.xpath("//table[not(caption)]") == []
    assert page.xpath("//svg[@role='img'][not(@aria-label)]") == []
    levels = [int(h.tag[1]) for h in page.xpath("//h1 | //h2 | //h3 | //h4")]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.xpath("//a/@href")} <= set(ids)


def test_the_page_names_no_folder_of_this_machine(report_dir: Path, finished: FinishedRun) -> None:
    for name in ("report.html", "verdict.md", "metrics.json"):
        text = (report_dir / name).read_text(encoding="utf-8")
        assert str(finished.root) not in text
        assert str(Path.home()) + "/" not in text
