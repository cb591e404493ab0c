"""New layouts: where the objects of an image that doesn't exist yet shall be."""

from synthdata.layout.run import (
    balance_dir,
    make_balanced_layouts,
    make_layouts,
    sample_layouts,
)

__all__ = ["balance_dir", "make_balanced_layouts", "make_layouts", "sample_layouts"]
