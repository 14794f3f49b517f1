"""Lookups and scatters by position: the axes that positions count along stay whole, all others pass."""

from __future__ import annotations

from engine.graph.channels.axes import Form
from engine.graph.channels.rules.site import Axes, Opaque, Site

_LOOKED_UP = "positions along it are looked up"


def gather_nd(site: Site) -> None:
    """The last axis of the indices counts along the first axes of the data."""
    data, indices = site.axes(0), site.axes(1)
    first = _looked_up(site, data, indices, site.integer("batch_dims", 0))
    site.write([*_fresh(site, len(indices) - 1), *data[first:]])


def scatter_nd(site: Site) -> None:
    """Parts of the data are overwritten where the indices say."""
    data, indices, updates = site.axes(0), site.axes(1), site.axes(2)
    first = _looked_up(site, data, indices, 0)
    for form in updates[: len(indices) - 1]:
        site.fix(form)
    for form, other in zip(data[first:], updates[len(indices) - 1 :], strict=True):
        site.unify(form, other)
    site.write(data)


def along_one_axis(site: Site) -> None:
    """GatherElements and ScatterElements: positions count along one axis, and the others meet one to one."""
    data = site.axes(0)
    axis = site.axis("axis", 0, len(data))
    others = [site.axes(index) for index in range(1, len(site.node.inputs))]
    for place, form in enumerate(data):
        for other in others:
            if place == axis or form.size != other[place].size:
                site.freeze(form, _LOOKED_UP)
                site.freeze(other[place], _LOOKED_UP)
            else:
                site.unify(form, other[place])
    site.write(data if len(others) > 1 else others[0])


def _looked_up(site: Site, data: Axes, indices: Axes, batch_dims: int) -> int:
    """Freeze the axes that positions count along, and the indices; return where the axes that pass begin."""
    count = indices[-1].size if indices else None
    if count is None or batch_dims + count > len(data):
        raise Opaque("the length of its positions is not known")
    for form in data[: batch_dims + count]:
        site.freeze(form, _LOOKED_UP)
    for form in indices:
        site.fix(form)
    return batch_dims + count


def _fresh(site: Site, count: int) -> list[Form]:
    found = list(site.output_axes()[:count])
    for form in found:
        site.fix(form)
    return found
