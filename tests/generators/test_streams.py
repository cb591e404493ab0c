from pathlib import Path
from threading import Barrier
from time import sleep

import pytest
import torch

from generators.test_controlnet import Fitted
from generators.test_pools import bytes_of, make, section
from synthdata.files import read_json
from synthdata.generators.streams import map_streams


def test_workers_are_busy_at_once_with_a_thread_each_and_results_stay_in_order() -> None:
    both = Barrier(2, timeout=30)
    busy: set[str] = set()

    def work(worker: str, item: int) -> tuple[int, int]:
        assert worker not in busy
        busy.add(worker)
        both.wait()
        busy.remove(worker)
        return item, torch.get_num_threads()

    before = torch.get_num_threads()
    assert list(map_streams(work, ["a", "b"], range(6))) == [(i, 1) for i in range(6)]
    assert torch.get_num_threads() == before


def test_an_error_ends_the_streams_and_gives_the_threads_back() -> None:
    done: list[int] = []

    def work(_: str, item: int) -> None:
        if item == 1:
            raise ValueError("a shard that fails")
        sleep(0.01)
        done.append(item)

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="a shard that fails"):
        list(map_streams(work, ["a"], range(200)))
    assert len(done) < 199, "what hadn't begun was left"
    assert torch.get_num_threads() == before


def test_images_do_not_depend_on_the_number_of_cores(fitted: Fitted, tmp_path: Path) -> None:
    config = section(shard_size=2, num_inference_steps=4)
    before = torch.get_num_threads()
    elapsed_s, summed_s = {}, {}
    try:
        for cores in (1, 3):
            torch.set_num_threads(cores)
            metrics = make(fitted, config, 7, tmp_path / str(cores))
            assert torch.get_num_threads() == cores
            records = (tmp_path / str(cores) / "shards").glob("synthetic-*.json")
            spans = [read_json(record) for record in records]
            elapsed_s[cores] = metrics["pools"]["synthetic"]["elapsed_s"]
            summed_s[cores] = sum(span["ended"] - span["began"] for span in spans)
    finally:
        torch.set_num_threads(before)
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "3")
    assert elapsed_s[1] == pytest.approx(summed_s[1], abs=0.01)
    assert elapsed_s[3] < summed_s[3], "time in which several were being made counts once"
