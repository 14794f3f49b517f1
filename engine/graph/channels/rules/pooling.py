"""Pools and resampling: channels pass, rows and columns of the image do not."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from engine.graph.channels.axes import ONE, Atom, Form, multiply
from engine.graph.channels.rules.site import Edit, Opaque, Site
from engine.graph.channels.rules.told import Source, elements


def pool(site: Site) -> None:
    """MaxPool, AveragePool and LpPool; what MaxPool says of positions counts through all channels."""
    if site.has_output(1):
        raise Opaque("its second output tells positions in the whole image")
    axes = site.axes(0)
    pixels = site.output_axes(rank=len(axes))[2:]
    for form in (*axes[2:], *pixels):
        site.fix(form)
    site.write([*axes[:2], *pixels])
    if len(site.node.outputs) > 1 and site.node.outputs[1].name:
        site.fix_output(1)


def global_pool(site: Site) -> None:
    axes = site.axes(0)
    for form in axes[2:]:
        site.fix(form)
    site.write([*axes[:2], *[ONE] * len(axes[2:])])


def sample(site: Site) -> None:
    """GridSample: pixels are read where a second input says."""
    image, grid = site.axes(0), site.axes(1)
    site.unify(image[0], grid[0])
    for form in (*image[2:], *grid[1:]):
        site.fix(form)
    site.write([*image[:2], *grid[1:-1]])


def regions(site: Site) -> None:
    """RoiAlign: one crop for each region of interest."""
    image = site.axes(0)
    for form in (image[0], *image[2:], *(form for index in (1, 2) for form in site.axes(index))):
        site.fix(form)
    found = list(site.output_axes())
    for form in (found[0], *found[2:]):
        site.fix(form)
    site.write([found[0], image[1], *found[2:]])


def depth_to_space(site: Site) -> None:
    """Blocks of pixels are kept in the channels: outermost in mode DCR, innermost in CRD."""
    image = site.axes(0)
    area = site.integer("blocksize", 1) ** 2
    if len(image) != 4 or image[1].size is None or image[1].size % area:
        raise Opaque(f"{image[1].size} channels do not make blocks of {area}")
    block, channels = Atom(area), Atom(image[1].size // area)
    site.freeze(block, "a pixel of each block")
    innermost = site.string("mode", "DCR") == "CRD"
    site.unify(image[1], multiply([channels, block] if innermost else [block, channels]))
    _write_blocks(site, channels)


def space_to_depth(site: Site) -> None:
    """Pixels of a block become the outer digit of the channels."""
    image = site.axes(0)
    block = Atom(site.integer("blocksize", 1) ** 2)
    site.freeze(block, "a pixel of each block")
    _write_blocks(site, multiply([block, image[1]]))


def resize(site: Site) -> None:
    """Axes whose scale is 1 pass; the sizes that it asks for are rewritten where these shrink."""
    axes = site.axes(0)
    fresh, order = site.output_axes(rank=len(axes)), _order(site.node, len(axes))
    if site.string("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise Opaque("it crops")
    kept = (set(range(len(axes))) - set(order)) | _kept(site, order)
    for axis, form in enumerate(axes):
        if axis not in kept:
            site.fix(form)
            site.fix(fresh[axis])
    sizes = site.numbers(3) if site.has(3) else None

    def edit(edit: Edit) -> None:
        if sizes and edit.changes(*axes):
            edit.set_numbers(3, [edit.count(axes[axis]) if axis in kept else sizes[i] for i, axis in enumerate(order)])

    site.on_cut(edit)
    site.write([form if axis in kept else fresh[axis] for axis, form in enumerate(axes)])


def is_kept(node: ir.Node, place: int, element: Source) -> bool:
    """Tell whether this size that Resize asks for is the one that the axis has anyhow, as Shape tells."""
    read = node.inputs[0]
    assert read is not None
    order = _order(node, len(read.shape or ()))
    stretches = node.attributes.get_string("keep_aspect_ratio_policy", "stretch") == "stretch"
    return stretches and read is element[0] and place < len(order) and order[place] == element[1]


def _order(node: ir.Node, rank: int) -> list[int]:
    """Return the axes that scales and sizes are for."""
    named = node.attributes.get("axes")
    return list(range(rank)) if named is None else [int(axis) % rank for axis in named.as_ints()]


def _kept(site: Site, order: Sequence[int]) -> set[int]:
    """Return the axes that are known to keep their size, given by scales or by sizes."""
    axes = site.axes(0)
    if site.string("keep_aspect_ratio_policy", "stretch") != "stretch":
        return set()
    if site.has(3) and not _is_empty(site, 3):
        asked = list(enumerate(elements(site.value(3)) or ()))
        told = {order[i] for i, size in asked if isinstance(size, tuple) and is_kept(site.node, i, size)}
        return told | {order[i] for i, size in asked if isinstance(size, int) and axes[order[i]].size == size}
    if not site.has(2) or not site.is_constant(2):
        return set()
    tensor = site.value(2).const_value
    assert tensor is not None
    return {order[i] for i, scale in enumerate(tensor.numpy().reshape(-1)) if scale == 1}


def _is_empty(site: Site, index: int) -> bool:
    shape = site.value(index).shape
    return shape is not None and len(shape) == 1 and shape[0] == 0


def _write_blocks(site: Site, channels: Form) -> None:
    image = site.axes(0)
    pixels = site.output_axes(rank=len(image))[2:]
    for form in (*image[2:], *pixels):
        site.fix(form)
    site.write([image[0], channels, *pixels])
