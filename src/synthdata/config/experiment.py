"""The whole config of an experiment."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from synthdata.config.arms import (
    KEEP_FILTERED,
    KEEP_RANDOM,
    MAX_CONTRASTS,
    ArmConfig,
    ArmName,
    Contrast,
    resolve_arm,
)
from synthdata.config.base import NonNegativeInt, Section, StageName
from synthdata.config.evaluation import EvaluationConfig
from synthdata.config.filter import FilterConfig
from synthdata.config.fit import FitConfig
from synthdata.config.generate import GenerateConfig
from synthdata.config.generator import ControlNetConfig
from synthdata.config.layout import LayoutConfig
from synthdata.config.pools import REAL, GeneratorPool, PoolConfig, pool_order, uses_generator
from synthdata.config.prepare import PrepareConfig
from synthdata.config.report import ReportConfig
from synthdata.config.score import ScoreConfig
from synthdata.config.search import SearchConfig
from synthdata.config.train import TrainConfig
from synthdata.config.version import VersionConfig

PoolName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
# Settings of sections that follow from the top level.
_SET_BY_PLAN = {
    "layout": ("balances",),
    "generate": ("pools",),
    "filter": ("pools",),
    "version": ("arms", "batch_size", "shifted"),
    "report": ("arms", "contrasts"),
}


class ExperimentConfig(Section):
    """One experiment: a section per stage, and the recipes that are compared.

    Attributes:
        name: The run folder is `runs/<name>`.
        seeds: The paired repetitions.
        shared_through: Stages up to this one are computed once, for the first seed, and
            linked for the others; None repeats every stage. The verdict says that it is
            conditional on what was shared.
        evaluation: What detectors are scored on beside val and test.
        pools: Sets of extra images by name. One that no arm uses isn't made.
        arms: The training sets by name; exactly one has the role `reference`.
        contrasts: Pairs of arms that are tested against each other, named before the run: one Holm
            family. The headline speaks of the first.
        search: Which recipes `synthdata search` tries; no other command reads it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
    shared_through: StageName | None = None
    prepare: PrepareConfig
    fit: FitConfig | None = None
    layout: LayoutConfig = LayoutConfig()
    generate: GenerateConfig = GenerateConfig()
    score: ScoreConfig | None = None
    filter: FilterConfig | None = None
    version: VersionConfig = VersionConfig()
    train: TrainConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    report: ReportConfig = ReportConfig()
    pools: dict[PoolName, PoolConfig] = Field(default_factory=dict)
    arms: Annotated[dict[ArmName, ArmConfig], Field(min_length=1)]
    contrasts: Annotated[tuple[Contrast, ...], Field(max_length=MAX_CONTRASTS)] = ()
    search: SearchConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _plan_sets_the_rest(cls, values: Any) -> Any:  # noqa: ANN401  # any YAML value
        for section, names in _SET_BY_PLAN.items():
            given = values.get(section) if isinstance(values, dict) else None
            stated = [name for name in names if isinstance(given, dict) and name in given]
            if stated:
                raise ValueError(
                    f"{section}.{stated[0]} follows from the rest; state `pools`, `arms` and "
                    "`contrasts` at the top level, evaluation.shifted and train.batch_size"
                )
        return values

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
    def _no_claim_is_searched_for(self) -> Self:
        shared = sorted({*self.seeds} & {*(self.search.seeds if self.search else ())})
        if shared:
            raise ValueError(
                f"search.seeds and seeds share {shared}; recipes are chosen on other draws than "
                "those of the claim"
            )
        return self

    @model_validator(mode="after")
    def _pools_fit_together(self) -> Self:
        if REAL in self.pools:
            raise ValueError(f"no pool can be called {REAL!r}, as the real train images are")
        pool_order(self.pools, set(self.pools))
        used = {pool for arm in self.arms.values() for pool in arm.pools}
        unknown = sorted(used - set(self.pools))
        if unknown:
            raise ValueError(f"an arm names pool {unknown[0]!r}, there is {sorted(self.pools)}")
        made = {name: p for name, p in self.pools.items() if isinstance(p, GeneratorPool)}
        balanced = [name for name, pool in made.items() if pool.balance]
        if balanced and self.layout.kind != "sampled":
            raise ValueError(
                f"pools.{balanced[0]}.balance needs layout.kind sampled, got {self.layout.kind}"
            )
        return self

    @model_validator(mode="after")
    def _arms_fit_together(self) -> Self:
        arms = self.resolved_arms()
        references = [name for name, arm in arms.items() if arm.role == "reference"]
        if len(references) != 1:
            raise ValueError(
                "exactly one arm must have `role: reference`, which the others are compared with, "
                f"got {references or 'none'}"
            )
        for name, arm in arms.items():
            if arm.twin is not None and (arm.twin == name or arm.twin not in arms):
                raise ValueError(f"arm {name!r} has the twin {arm.twin!r}, which is no other arm")
            if arm.role == "ceiling" and not self._holds_train_images_back():
                raise ValueError(
                    f"arm {name!r} needs real train images beyond the few-shot draw, and "
                    "prepare.train_images takes all; lower it, or leave the arm out"
                )
            rounded = [round(phase.steps * self.train.epochs) for phase in arm.phases]
            if arm.phases and min(rounded) < 1:
                raise ValueError(
                    f"arm {name!r} has a phase of less than one of the {self.train.epochs} epochs; "
                    "raise its steps, or train.epochs"
                )
        length = self.version.list_length
        if isinstance(length, int) and length % self.train.batch_size:
            raise ValueError(
                f"version.list_length ({length}) must be a multiple of train.batch_size "
                f"({self.train.batch_size}), so that every step has a full batch"
            )
        return self

    @model_validator(mode="after")
    def _contrasts_fit(self) -> Self:
        arms = self.resolved_arms()
        for arm, against in self.contrasts:
            for name in (arm, against):
                if name not in arms:
                    raise ValueError(f"contrasts name arm {name!r}, there is {sorted(arms)}")
                if arms[name].role == "ceiling":
                    raise ValueError(
                        f"contrasts name {name!r}, a ceiling: it sees real images that the others "
                        "must do without, so that it is shown and never tested"
                    )
            if arm == against:
                raise ValueError(f"contrasts compare arm {arm!r} with itself")
        pairs = [frozenset(pair) for pair in self.contrasts]
        if len(set(pairs)) != len(pairs):
            raise ValueError(f"contrasts must differ from each other, got {list(self.contrasts)}")
        return self

    @model_validator(mode="after")
    def _selection_fits(self) -> Self:
        chosen_by = self.report.selection
        if not chosen_by:
            return self
        unknown = sorted(set(chosen_by) - set(self.arms))
        if unknown:
            raise ValueError(
                f"report.selection names arm {unknown[0]!r}, there is {sorted(self.arms)}"
            )
        for name, arm in self.resolved_arms().items():
            if arm.role == "reference" and name not in chosen_by:
                raise ValueError(f"report.selection lacks the reference {name!r}")
        shared = sorted({seed for of in chosen_by.values() for seed in of} & set(self.seeds))
        if shared:
            raise ValueError(
                f"report.selection has scores of seeds {shared}, which are the run's own; a search "
                "takes development seeds, 100 and up"
            )
        return self

    @model_validator(mode="after")
    def _what_arms_ask_for_is_there(self) -> Self:
        kinds = [one.kind for one in self.filter.filters] if self.filter else []
        for name, arm in self.arms.items():
            for pool, part in arm.extras():
                known = (KEEP_FILTERED, KEEP_RANDOM, *kinds) if self.filter else ()
                if part.keep is not None and part.keep not in known:
                    raise ValueError(
                        f"arm {name!r} takes what {part.keep!r} keeps of pool {pool!r}, there is "
                        f"{list(known) or 'no section filter'}"
                    )
        if self.fit is None and self.needs_fit:
            raise ValueError(
                "an arm's pool needs the model that stage fit makes or names; add a section fit"
            )
        if self.score is not None and self.score.pool is not None:
            followers = self._layout_followers(set(self.pools))
            if self.score.pool not in followers:
                raise ValueError(
                    f"score.pool is {self.score.pool!r}, it must be a pool whose generator follows "
                    f"layouts (kind controlnet): {followers}"
                )
        return self

    @model_validator(mode="after")
    def _clip_is_fitted(self) -> Self:
        filters = self.filter.filters if self.filter and self.filtered_pools else ()
        users = [("filter.filters", one.model) for one in filters if one.kind == "clip"]
        if self.scored_pool and self.score and self.score.fidelity and self.score.fidelity.clip:
            users.append(("score.fidelity.clip", self.score.fidelity.clip))
        for name, model in users:
            if model.kind == "fitted" and (self.fit is None or self.fit.clip is None):
                raise ValueError(
                    f"{name} uses the CLIP that fit trains, but fit.clip is null; set it, or name "
                    "a pretrained one"
                )
        return self

    def resolved_arms(self) -> dict[str, ArmConfig]:
        """Return the arms with roles and titles filled in."""
        return {name: resolve_arm(name, arm, self.pools) for name, arm in self.arms.items()}

    @property
    def used_pools(self) -> list[str]:
        """Pools that arms use, and those that these build on, each after what it builds on."""
        return pool_order(self.pools, {pool for arm in self.arms.values() for pool in arm.pools})

    @property
    def filtered_pools(self) -> list[str]:
        """Pools of which an arm takes what a filter, or chance, keeps."""
        parts = [use for arm in self.arms.values() for use in arm.extras()]
        return sorted({pool for pool, part in parts if part.keep is not None})

    @property
    def scored_pool(self) -> str | None:
        """The pool that stage score looks at; None where there is none to look at."""
        if self.score is None:
            return None
        followers = self._layout_followers(set(self.used_pools))
        chosen = self.score.pool or next(iter(followers), None)
        return chosen if chosen in followers else None

    @property
    def needs_fit(self) -> bool:
        """Whether a pool, or a filter, uses what stage fit makes."""
        filters = self.filter.filters if self.filter and self.filtered_pools else ()
        has_clip = any(one.kind == "clip" and one.model.kind == "fitted" for one in filters)
        return has_clip or uses_generator(self.pools, set(self.used_pools))

    def _layout_followers(self, among: set[str]) -> list[str]:
        return [
            name
            for name, pool in self.pools.items()
            if name in among
            and isinstance(pool, GeneratorPool)
            and isinstance(pool.generator, ControlNetConfig)
        ]

    def _holds_train_images_back(self) -> bool:
        drawn, shown = self.prepare.train_images, self.prepare.ceiling_images
        return drawn is not None and (shown is None or shown > drawn)
