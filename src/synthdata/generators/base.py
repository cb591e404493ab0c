"""What an image generator is."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from synthdata.samples import GeneratedSample, GenerationRequest


class ImageGenerator(Protocol):
    """Makes images to order."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order.

        An image depends on its own request, the model and the real train images only: neither
        on the other requests, nor on how many are made at once. A generator that shows another
        layout or prompt than it was asked for says so in the request that it yields.
        """
        ...
