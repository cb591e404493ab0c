"""Seeds that depend on names, never on order, batch size or the number of workers."""

import hashlib


def derive_seed(base_seed: int, *keys: str | int) -> int:
    """Return a seed for the purpose that `keys` name.

    The same arguments give the same seed on every machine and in every process, and
    different keys give unrelated seeds, so that adding an image never changes another.

    Args:
        base_seed: The run's seed.
        keys: What the seed is for, such as a stage and a sample id.

    Returns:
        An integer in [0, 2**63), as torch and NumPy accept.
    """
    text = "\x1f".join([str(base_seed), *(f"{type(key).__name__}:{key}" for key in keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
