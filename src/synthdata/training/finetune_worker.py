"""One process of a fine-tuning on several devices; `torchrun` starts it with a job file."""

import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import record

from synthdata.config.fit import FitConfig, PretrainedModel
from synthdata.errors import ConfigError
from synthdata.files import read_json
from synthdata.lifeline import end_with_parent
from synthdata.training.finetune import train
from synthdata.training.hardware import choose_hardware
from synthdata.training.processes import joined


@record  # torchrun then ends its log with the first error
def main(job_path: Path) -> None:
    """Train as the job says, together with the other processes."""
    job = read_json(job_path)
    section = FitConfig.model_validate(job["section"])
    if not isinstance(section.model, PretrainedModel):
        raise ConfigError(f"the job's model is {section.model.kind}, expected a pretrained one")
    with joined(choose_hardware(section.device).device.type) as processes:
        train(section, section.model, Path(job["out_dir"]), processes=processes)


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
