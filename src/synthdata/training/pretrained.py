"""Loading pretrained parts from a folder or the hub: safetensors only, pickles are refused."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import SafetensorError

from synthdata.errors import GenerationError
from synthdata.training.families import Family, family_of

_PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
_LIBRARY_LOGS = (diffusers.logging, transformers.logging)
_INDEX = "model_index.json"
# A part of Stable Diffusion that is never loaded.
_UNUSED = "safety_checker"


def load_family(model: str, revision: str | None) -> Family:
    """Return the family of a base pipeline.

    Raises:
        GenerationError: If there is no pipeline.
        ConfigError: If it is of no known family.
    """
    with loading(model):
        config = diffusers.DiffusionPipeline.load_config(model, revision=revision)
    return family_of(str(config["_class_name"]))


def load_encoders(family: Family, model: str, revision: str | None, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """Return the base's pipeline with all parts but the denoiser, which take less memory."""
    # SDXL's autoencoder overflows in float16.
    dtypes = {"default": dtype, "vae": torch.float32}
    without = {family.denoiser: None, "controlnet": None}
    return load_pipeline(family, model, revision, dtype=dtypes, **without)


def load_denoiser(family: Family, model: str, revision: str | None, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """Return the base's UNet or transformer.

    Raises:
        GenerationError: If it can't be loaded, or weights are missing.
    """
    with loading(model):
        loaded = family.denoiser_class.from_pretrained(
            model, subfolder=family.denoiser, revision=revision, dtype=dtype,
            use_safetensors=True, output_loading_info=True,
        )  # fmt: skip
    return _complete(loaded, f"{family.denoiser} of {model}")


def load_scheduler(family: Family, model: str, revision: str | None) -> Any:  # noqa: ANN401
    """Return the base's noise schedule, for training."""
    with loading(model):
        return family.scheduler_class.from_pretrained(
            model, subfolder="scheduler", revision=revision
        )


def load_controlnet(
    family: Family, controlnet: str | Path, revision: str | None, dtype: torch.dtype
) -> Any:  # noqa: ANN401
    """Return a ControlNet of the family.

    Raises:
        GenerationError: If it can't be loaded, or weights are missing.
        ConfigError: If it takes something else than a picture.
    """
    with loading(controlnet):
        loaded = family.controlnet_class.from_pretrained(
            controlnet, revision=revision, dtype=dtype, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
    model = _complete(loaded, str(controlnet))
    family.check_controlnet(model)
    return model


def _complete(loaded: tuple[Any, Mapping[str, Any]], source: str) -> Any:  # noqa: ANN401
    """Return a loaded model; the libraries only warn of weights that are missing."""
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise GenerationError(
            f"{source} lacks {len(missing)} of the weights that its config.json asks for, such as "
            f"{missing[0]}; save or download it again"
        )
    return model


def load_pipeline(
    family: Family,
    model: str,
    revision: str | None,
    *,
    dtype: Mapping[str, torch.dtype],
    **parts: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Return the base's pipeline.

    Args:
        family: Of the base.
        model: Folder or hub id.
        revision: Of a hub id.
        dtype: Of its models by name, of the others by `default`.
        parts: Its `controlnet`, and what of it not to load.

    Raises:
        GenerationError: If it can't be loaded, or weights of a model are missing.
    """
    parts = {**family.options, **parts}
    with loading(model):
        index = family.pipeline.load_config(model, revision=revision)
    for name, kind in _model_classes(index).items():
        if name in parts:
            continue
        # Each by itself: a pipeline doesn't tell which weights were missing.
        with loading(model):
            loaded = kind.from_pretrained(
                model, subfolder=name, revision=revision, use_safetensors=True,
                dtype=dtype.get(name, dtype["default"]), output_loading_info=True,
            )  # fmt: skip
        parts[name] = _complete(loaded, f"{name} of {model}")
    with loading(model):
        return family.pipeline.from_pretrained(
            model, revision=revision, use_safetensors=True, **parts
        )


def _model_classes(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return the classes of the models that a `model_index.json` names."""
    found = {}
    for name, stated in index.items():
        if isinstance(stated, list | tuple) and stated[0] in ("diffusers", "transformers"):
            # Old pipelines name feature extractors that transformers has no longer.
            kind = getattr(import_module(stated[0]), stated[1], object)
            if issubclass(kind, diffusers.ModelMixin | transformers.PreTrainedModel):
                found[name] = kind
    return found


@contextmanager
def loading(source: str | Path) -> Iterator[None]:
    """Turn what goes wrong while `source` is loaded into an error that says what to do.

    Raises:
        GenerationError: If it can't be loaded, or its weights are pickles: those can run code.
    """
    _refuse_pickles(Path(source))
    try:
        with quiet_diffusers():
            yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise GenerationError(
            f"{str(source)!r} can't be loaded; it must be a folder or hub id in diffusers' format "
            f"with safetensors weights: {error}"
        ) from error


def _refuse_pickles(source: Path) -> None:
    if source.is_file():
        raise GenerationError(
            f"{source} is a file; expected a folder or hub id in diffusers' format with "
            "safetensors weights; convert it with diffusers' from_single_file and save_pretrained"
        )
    # Only what the pipeline names is loaded: folders often hold copies for other programs.
    index = source / _INDEX
    folders = [source]
    if index.is_file():
        named = json.loads(index.read_text(encoding="utf-8"))
        folders = [source / name for name in named if name != _UNUSED]
    for folder in folders:
        suffixes: Mapping[str, str] = {path.suffix: path.name for path in folder.glob("*.*")}
        pickles = sorted(name for suffix, name in suffixes.items() if suffix in _PICKLES)
        if pickles and ".safetensors" not in suffixes:
            raise GenerationError(
                f"{folder} holds pickled weights ({pickles[0]}), which can run code when they are "
                "read; expected safetensors: save the model again with save_pretrained"
            )


@contextmanager
def quiet_diffusers() -> Iterator[None]:
    """Hide bars, and remarks about parts that a pipeline doesn't expect or has moved."""
    verbosity = diffusers.logging.get_verbosity()
    with_bars = [log for log in _LIBRARY_LOGS if log.is_progress_bar_enabled()]
    diffusers.logging.set_verbosity_error()
    for log in with_bars:
        log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # diffusers' own Flux ControlNet still uses the old place.
            warnings.filterwarnings("ignore", "`FluxPosEmbed` is deprecated", FutureWarning)
            yield
    finally:
        diffusers.logging.set_verbosity(verbosity)
        for log in with_bars:
            log.enable_progress_bar()
