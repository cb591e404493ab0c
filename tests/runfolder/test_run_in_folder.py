import logging
from pathlib import Path

import pytest
import yaml

from synthdata.config.fit import FitConfig
from synthdata.config.layout import LayoutConfig
from synthdata.config.score import ScoreConfig
from synthdata.errors import RunError
from synthdata.runfolder import complete_key, run_in_folder

SECTION = LayoutConfig(num_layouts=3)


def run(out_dir: Path, section: LayoutConfig = SECTION, **changes: object) -> tuple[bool, int]:
    """Run a stage that counts how many files it finds; return (reused, found)."""

    def work() -> dict[str, object]:
        found = len(list(out_dir.glob("shard-*")))
        (out_dir / f"shard-{found}").touch()
        if "fail" in changes:
            raise RuntimeError("killed")
        return {"found": found}

    inputs = changes.get("inputs", {})
    assert isinstance(inputs, dict)
    result = run_in_folder(
        "layout",
        section,
        inputs=inputs,
        out_dir=out_dir,
        work=work,
        fingerprint=str(changes.get("fingerprint", "")),
    )
    return result.reused, int(result.metrics["found"])


def test_a_complete_folder_is_reused(tmp_path: Path) -> None:
    assert run(tmp_path / "layout") == (False, 0)
    assert run(tmp_path / "layout") == (True, 0)
    written = yaml.safe_load((tmp_path / "layout" / "config.yaml").read_text())
    assert written["section"]["num_layouts"] == 3


def test_a_failed_stage_is_incomplete_and_resumes(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "layout", fail=True)
    assert complete_key(tmp_path / "layout") is None
    assert run(tmp_path / "layout") == (False, 1)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"section": LayoutConfig(num_layouts=4)}, id="config"),
        pytest.param({"fingerprint": "other data"}, id="fingerprint"),
    ],
)
def test_a_change_makes_the_folder_stale(
    tmp_path: Path, change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "layout")
    with caplog.at_level(logging.WARNING):
        assert run(tmp_path / "layout", **change) == (False, 0)  # type: ignore[arg-type]
    assert "computing" in caplog.text
    assert "afresh" in caplog.text


def test_a_change_keeps_trainings_which_have_keys_of_their_own(tmp_path: Path) -> None:
    judge = {"detector": {"kind": "ultralytics", "model": "yolo11p.yaml"}}
    out_dir = tmp_path / "score"

    def score(num_images: int) -> list[str]:
        section = ScoreConfig.model_validate({"judge": judge, "num_images": num_images})

        def work() -> dict[str, object]:
            found = sorted(path.name for path in out_dir.iterdir() if path.name[0] != ".")
            for name in ("judge", "alone", "images"):
                (out_dir / name).mkdir(exist_ok=True)
                (out_dir / name / f"{num_images}.txt").write_text(name)
            return {"found": found}

        metrics = run_in_folder("score", section, inputs={}, out_dir=out_dir, work=work).metrics
        return list(metrics["found"])

    assert score(2) == []
    assert score(3) == ["alone", "images", "judge"]
    (kept,) = (tmp_path / ".stale").iterdir()
    for folder in (out_dir, kept):
        assert (folder / "judge" / "2.txt").read_text() == "judge"
    assert not (kept / "judge" / "3.txt").exists()


def test_what_a_killed_write_left_is_removed_before_a_stage_goes_on(tmp_path: Path) -> None:
    out_dir = tmp_path / "layout"
    with pytest.raises(RuntimeError, match="killed"):
        run(out_dir, fail=True)
    (out_dir / "images").mkdir()
    (out_dir / "images" / ".tmp-abc.png").write_bytes(b"half")
    (out_dir / ".tmp-pipeline-abc" / ".tmp-unet").mkdir(parents=True)

    assert run(out_dir) == (False, 1)

    assert not list(out_dir.rglob(".tmp-*"))


def test_weights_that_change_in_place_make_the_folder_stale(tmp_path: Path) -> None:
    weights = tmp_path / "base" / "unet" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"first")
    model = {"kind": "pretrained", "model": str(tmp_path / "base"), "controlnet": "org/on-the-hub"}
    section = FitConfig.model_validate({"model": model})

    def fit() -> bool:
        out_dir = tmp_path / "fit"
        return run_in_folder("fit", section, inputs={}, out_dir=out_dir, work=dict).reused

    assert [fit(), fit()] == [False, True]
    weights.write_bytes(b"other weights")
    assert [fit(), fit()] == [False, True]


def test_a_changed_input_makes_what_follows_stale(tmp_path: Path) -> None:
    run(tmp_path / "first")
    inputs = {"prepare": tmp_path / "first"}
    assert run(tmp_path / "second", inputs=inputs) == (False, 0)
    assert run(tmp_path / "second", inputs=inputs) == (True, 0)
    run(tmp_path / "first", LayoutConfig(num_layouts=9))
    assert run(tmp_path / "second", inputs=inputs) == (False, 0)


def test_an_unfinished_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="needs prepare at .*isn't finished"):
        run(tmp_path / "layout", inputs={"prepare": tmp_path / "nowhere"})
