"""What an image generator is."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from synthdata.samples import GeneratedSample, GenerationRequest


class ImageGenerator(Protocol):
    """Makes images to order."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedSample]:
        """Yield one image a request, in order.

        An image depends on its own request and the model only: neither on the other
        requests, nor on how many are made at once.
        """
        ...
