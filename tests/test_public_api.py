import subprocess
import sys

import pytest

import synthdata


def test_every_public_name_can_be_reached() -> None:
    assert {"advise", "compare_arms"} <= set(synthdata.__all__)
    for name in synthdata.__all__:
        assert getattr(synthdata, name) is not None
        assert name in dir(synthdata)
    with pytest.raises(AttributeError, match="no attribute 'compare_everything'"):
        _ = synthdata.compare_everything  # type: ignore[attr-defined]


def test_the_import_alone_loads_no_library() -> None:
    code = (
        "import sys, synthdata\n"
        "heavy = 'torch', 'diffusers', 'ultralytics', 'prefect', 'pandas', 'scipy', 'numpy'\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "synthdata.compare_arms\n"
        "assert not [name for name in heavy[:4] if name in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
