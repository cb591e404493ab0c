"""New layouts: where the objects of an image that doesn't exist yet shall be."""

from synthdata.layout.run import (
    load_layout_sets,
    make_balanced_layouts,
    make_layouts,
    sample_layouts,
)

__all__ = ["load_layout_sets", "make_balanced_layouts", "make_layouts", "sample_layouts"]
