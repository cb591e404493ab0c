"""New layouts: where the objects of an image that doesn't exist yet shall be."""

from synthdata.layout.run import make_layouts, sample_layouts
from synthdata.layout.sets import load_layout_sets, make_layout_sets

__all__ = ["load_layout_sets", "make_layout_sets", "make_layouts", "sample_layouts"]
