"""Guidance in some of the steps only, which saves time, or that keeps the contrast of images."""

from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from synthdata.errors import GenerationError


def limit_guidance(start: float, end: float, pipeline: Any) -> None:  # noqa: ANN401
    """Make a pipeline guide in an interval of its steps; the others take half the time.

    Guidance does harm while all is noise, matters while the image takes its shape, and hardly
    does in the last steps (Kynkäänniemi et al. 2024, "Applying Guidance in a Limited Interval
    Improves Sample and Distribution Quality in Diffusion Models"). diffusers' own callbacks end
    guidance only, and take one image a call. Here an unguided step computes the conditional
    branch and gives it for both, which a pipeline's guidance leaves as it is.

    Args:
        start: Share of the steps before the first guided one.
        end: Share of the steps up to the last guided one, above `start`; at least one is guided.
        pipeline: Its ControlNet and UNet are changed in place.

    Raises:
        GenerationError: If the pipeline doesn't guide by two branches.
    """
    if (start, end) == (0, 1):
        return
    _check_branches(pipeline, f"guidance_start is {start}, guidance_end {end}", "them to 0 and 1")
    embed, predict = pipeline.controlnet.forward, pipeline.unet.forward

    def guided(timestep: torch.Tensor) -> bool:
        if not pipeline.do_classifier_free_guidance:
            return True  # one branch as it is
        steps = pipeline.num_timesteps
        first = min(round(start * steps), steps - 1)
        last = max(round(end * steps), first + 1)
        # By their noise: some schedulers have a timestep twice.
        return bool((pipeline.scheduler.timesteps[-steps:][first:last] == timestep).any())

    def embed_conditional(
        noisy: torch.Tensor,
        timestep: torch.Tensor,
        **others: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if guided(timestep):
            return embed(noisy, timestep, **others)
        return embed(_second_half(noisy, len(noisy)), timestep, **_second_half(others, len(noisy)))

    def predict_conditional(
        noisy: torch.Tensor,
        timestep: torch.Tensor,
        **others: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, ...]:
        result: tuple[torch.Tensor, ...]
        if guided(timestep):
            result = predict(noisy, timestep, **others)
            return result
        # The ControlNet's residuals are of the conditional branch already.
        result = predict(
            _second_half(noisy, len(noisy)), timestep, **_second_half(others, len(noisy))
        )
        return torch.cat([result[0], result[0]]), *result[1:]

    pipeline.controlnet.forward, pipeline.unet.forward = embed_conditional, predict_conditional


def _second_half(value: Any, batch: int) -> Any:  # noqa: ANN401
    """Return the conditional branch of all tensors that hold both, `batch` in the first place."""
    if isinstance(value, dict):
        return {name: _second_half(one, batch) for name, one in value.items()}
    if isinstance(value, torch.Tensor) and value.ndim and len(value) == batch:
        return value.chunk(2)[1]
    return value


def rescale_guidance(guidance_rescale: float, pipeline: Any) -> None:  # noqa: ANN401
    """Make a pipeline's guidance keep the contrast of what it guides, in part or whole.

    Guidance raises contrast and shifts colours, the more the noisier the image (Lin et al. 2024,
    "Common Diffusion Noise Schedules and Sample Steps are Flawed", section 3.4). diffusers'
    ControlNet pipelines have no such argument: here both branches come to them as one, guided
    and rescaled, which their own guidance then leaves as it is.

    Args:
        guidance_rescale: 0 changes nothing; 1 gives each image the deviation of the conditional
            branch.
        pipeline: Its UNet is changed in place.

    Raises:
        GenerationError: If the pipeline doesn't guide by two branches.
    """
    if guidance_rescale == 0:
        return
    _check_branches(pipeline, f"guidance_rescale is {guidance_rescale}", "it to 0")
    forward = pipeline.unet.forward

    def rescaled(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:  # noqa: ANN401
        prediction, *others = forward(*args, **kwargs)
        if pipeline.do_classifier_free_guidance:
            unconditional, conditional = prediction.chunk(2)
            guided = unconditional + pipeline.guidance_scale * (conditional - unconditional)
            guided = rescale_noise_cfg(guided, conditional, guidance_rescale)
            prediction = torch.cat([guided, guided])
        return prediction, *others

    pipeline.unet.forward = rescaled


def _check_branches(pipeline: Any, stated: str, harmless: str) -> None:  # noqa: ANN401
    if not hasattr(type(pipeline), "do_classifier_free_guidance"):
        raise GenerationError(
            f"{stated}, but {type(pipeline).__name__} is told its guidance and has no second "
            f"branch; set {harmless}"
        )
