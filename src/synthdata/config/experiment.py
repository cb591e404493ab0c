"""The whole config of an experiment."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from synthdata.config.base import NonNegativeInt, Section, StageName
from synthdata.config.filter import FilterConfig
from synthdata.config.fit import FitConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.layout import LayoutConfig
from synthdata.config.prepare import PrepareConfig
from synthdata.config.report import ReportConfig
from synthdata.config.score import ScoreConfig
from synthdata.config.train import TrainConfig
from synthdata.config.version import VersionConfig


class ExperimentConfig(Section):
    """One experiment: a section a stage.

    Attributes:
        name: The run folder is `runs/<name>`.
        seeds: The paired repetitions.
        shared_through: Stages up to this one are computed once, for the first seed, and
            linked for the others; None repeats every stage. The verdict says that it is
            conditional on what was shared.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
    shared_through: StageName | None = None
    prepare: PrepareConfig
    fit: FitConfig
    layout: LayoutConfig
    generate: GenerateConfig
    score: ScoreConfig
    filter: FilterConfig
    version: VersionConfig
    train: TrainConfig
    report: ReportConfig

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds must differ from each other, got {list(seeds)}")
        return seeds

    @field_validator("shared_through")
    @classmethod
    def _training_is_repeated(cls, stage: StageName | None) -> StageName | None:
        if stage in ("train", "report"):
            raise ValueError(f"shared_through must be a stage before train, got {stage!r}")
        return stage

    @model_validator(mode="after")
    def _arms_fit_together(self) -> Self:
        if self.version.list_length % self.train.batch_size:
            raise ValueError(
                f"version.list_length ({self.version.list_length}) must be a multiple of "
                f"train.batch_size ({self.train.batch_size}), so that every step has a full batch"
            )
        if self.report.reference not in self.version.arms:
            raise ValueError(
                f"report.reference is {self.report.reference!r}, which is not among "
                f"version.arms {list(self.version.arms)}"
            )
        if self.report.reference == "oracle":
            raise ValueError("report.reference can't be 'oracle', an upper end; expected real")
        if self.report.headline is not None and (
            not self.report.headline.startswith("synthetic")
            or self.report.headline == self.report.reference
        ):
            raise ValueError(
                "report.headline must be a synthetic arm other than report.reference "
                f"({self.report.reference!r}), got {self.report.headline!r}"
            )
        if self.report.headline not in (None, *self.version.arms):
            raise ValueError(
                f"report.headline is {self.report.headline!r}, which is not among "
                f"version.arms {list(self.version.arms)}"
            )
        pools = set(self.generate.generators)
        if self.filter.pool not in pools:
            raise ValueError(f"filter.pool is {self.filter.pool!r}, there is {sorted(pools)}")
        followers = [
            name for name, one in self.generate.generators.items() if one.kind == "controlnet"
        ]
        if self.score.pool not in followers:
            raise ValueError(
                f"score.pool is {self.score.pool!r}, it must be a generator that follows layouts "
                f"(kind controlnet): {followers}"
            )
        return self

    @model_validator(mode="after")
    def _arms_have_images(self) -> Self:
        pools, kinds = set(self.generate.generators), [one.kind for one in self.filter.filters]
        for arm in self.version.arms:
            if arm == "oracle" and not self._holds_train_images_back():
                raise ValueError(
                    "arm 'oracle' needs real train images beyond the few-shot draw, and "
                    "prepare.train_images takes all; lower it, or leave the arm out"
                )
            if arm in ("real", "oracle"):
                continue
            pool = arm if arm == "copy_paste" else "synthetic"
            if pool not in pools:
                raise ValueError(
                    f"arm {arm!r} needs generate.generators.{pool}, there is {sorted(pools)}"
                )
            kept_by = arm.removeprefix(pool).removeprefix("_")
            if kept_by not in ("", "filtered", "random_drop", *kinds):
                raise ValueError(f"arm {arm!r} needs a filter {kept_by}, there is {kinds}")
        return self

    def _holds_train_images_back(self) -> bool:
        drawn, shown = self.prepare.train_images, self.prepare.oracle_images
        return drawn is not None and (shown is None or shown > drawn)

    @model_validator(mode="after")
    def _clip_is_fitted(self) -> Self:
        users = [("filter.filters", one.model) for one in self.filter.filters if one.kind == "clip"]
        if self.score.fidelity and self.score.fidelity.clip:
            users.append(("score.fidelity.clip", self.score.fidelity.clip))
        for name, model in users:
            if model.kind == "fitted" and self.fit.clip is None:
                raise ValueError(
                    f"{name} uses the CLIP that fit trains, but fit.clip is null; set it, or name "
                    "a pretrained one"
                )
        return self
