"""Write SVG elements whose every attribute and text is escaped. Knows no charts."""

from __future__ import annotations

from markupsafe import Markup, escape

Attribute = str | float | int


def tag(name: str, *children: str | Markup, **attributes: Attribute) -> Markup:
    """Return one element; `class_` is the class, other underscores are dashes; plain strings are escaped."""
    inside = Markup("").join(escape(child) for child in children)
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _written(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, inside)


def picture(label: str, height: int, *children: Markup) -> Markup:
    """Return a picture as wide as its place; children use per cent across and pixels down, so text never shrinks."""
    return tag("svg", tag("title", label), *children, class_="chart", role="img", width="100%", height=height)


def across(share: float) -> str:
    """Return a place across the picture, 0 to 1, as per cent."""
    return f"{100 * share:.3f}%"


def _written(value: Attribute) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
