"""Guidance that ends before the last step, which saves time, or keeps the contrast of images."""

from typing import Any, Final

import torch
from diffusers.callbacks import PipelineCallback
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from synthdata.errors import GenerationError

# What a pipeline holds twice while it guides: for the unconditional branch first.
_HELD_TWICE: Final = ("prompt_embeds", "add_text_embeds", "add_time_ids", "image", "control_image")


def guidance_cutoff(guidance_end: float, pipeline: Any) -> "GuidanceCutoff | None":  # noqa: ANN401
    """Return the callback that ends a pipeline's guidance; None where it never ends.

    Raises:
        GenerationError: If the pipeline doesn't guide by two branches.
    """
    if guidance_end == 1:
        return None
    _check_branches(pipeline, f"guidance_end is {guidance_end}", harmless=1)
    return GuidanceCutoff(guidance_end, pipeline)


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
    _check_branches(pipeline, f"guidance_rescale is {guidance_rescale}", harmless=0)
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


def _check_branches(pipeline: Any, stated: str, *, harmless: int) -> None:  # noqa: ANN401
    if not hasattr(type(pipeline), "do_classifier_free_guidance"):
        raise GenerationError(
            f"{stated}, but {type(pipeline).__name__} is told its guidance and has no second "
            f"branch; set it to {harmless}"
        )


class GuidanceCutoff(PipelineCallback):  # type: ignore[misc]
    """Ends classifier-free guidance after a share of a pipeline's steps.

    Guidance matters while the image takes its shape, hardly in the last steps (Kynkäänniemi et
    al. 2024, "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in
    Diffusion Models"). diffusers' own callbacks of that purpose take one image a call; this one
    takes batches.

    Args:
        guidance_end: Share of the steps that are guided, in (0, 1]; at least one is.
        pipeline: What will call it.
    """

    def __init__(self, guidance_end: float, pipeline: Any) -> None:  # noqa: ANN401
        super().__init__(cutoff_step_ratio=guidance_end)
        self._tensors = [name for name in _HELD_TWICE if name in pipeline._callback_tensor_inputs]

    @property
    def tensor_inputs(self) -> list[str]:
        """What the pipeline is to hand over."""
        return self._tensors

    def callback_fn(
        self,
        pipeline: Any,  # noqa: ANN401
        step_index: int,
        timesteps: int,  # noqa: ARG002
        callback_kwargs: dict[str, Any],
    ) -> dict[str, Any]:
        """Return the conditional branch's tensors alone once the last guided step is done."""
        guided = max(1, round(pipeline.num_timesteps * self.config.cutoff_step_ratio))
        if step_index + 1 != guided or not pipeline.do_classifier_free_guidance:
            return callback_kwargs
        pipeline._guidance_scale = 1.0  # no guidance; the next call sets its own
        return {name: both.chunk(2)[1] for name, both in callback_kwargs.items()}
