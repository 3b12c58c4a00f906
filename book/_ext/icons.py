"""Draw the frame's icons as CSS masks, made at build time from Font Awesome's SVG files.

The theme ships Font Awesome as a script of 1.5 MB (543 KB compressed) for a handful of icons. Here
the icons that the frame really uses become one small style sheet: ``<i class="rc-icon
rc-icon-bars" aria-hidden="true"></i>`` shows one in the color of the text around it. An icon never
carries meaning alone: the templates put words beside it, visible or for screen readers.

License of the drawings: Font Awesome Free, CC BY 4.0, named in the style sheet itself.
"""

import re
from pathlib import Path
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

ICONS = (
    "angle-left",
    "angle-right",
    "bars",
    "circle-half-stroke",
    "clock",
    "download",
    "flask",
    "link",
    "magnifying-glass",
    "moon",
    "play",
    "sun",
    "xmark",
)
PACKAGE = Path("book/node_modules/@fortawesome/fontawesome-free")

_HEAD = """\
/* Icons: Font Awesome Free by Fonticons, Inc. (https://fontawesome.com), CC BY 4.0.
   Made by book/_ext/icons.py; do not edit. */
.rc-icon{display:inline-block;width:1em;height:1em;vertical-align:-.125em;background:currentColor;
-webkit-mask:var(--rc-icon) center/contain no-repeat;mask:var(--rc-icon) center/contain no-repeat}
@media (forced-colors:active){.rc-icon{background:CanvasText}}
"""


def icon_styles(package: Path, names: tuple[str, ...] = ICONS) -> str:
    """Return the style sheet for the named icons.

    Args:
        package: the directory of the npm package ``@fortawesome/fontawesome-free``.
        names: file names under ``svgs/solid``, without their ending.

    Raises:
        ExtensionError: an icon's file is not there.
    """
    rules = [_HEAD]
    for name in names:
        source = package / "svgs" / "solid" / f"{name}.svg"
        if not source.is_file():
            raise ExtensionError(f"icon {name!r}: {source} is missing. Run `make node`.")
        drawing = re.sub(r"<!--.*?-->", "", source.read_text("utf-8"), flags=re.DOTALL).strip()
        address = quote(drawing, safe=" /:=<>,.-'()\"").replace('"', "'")
        address = address.replace("<", "%3C").replace(">", "%3E")
        rules.append(f'.rc-icon-{name}{{--rc-icon:url("data:image/svg+xml,{address}")}}\n')
    return "".join(rules)


def _write(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    directory = Path(app.doctreedir).parent / "icons"
    directory.mkdir(parents=True, exist_ok=True)
    styles = icon_styles(Path(app.srcdir) / PACKAGE)
    target = directory / "icons.css"
    if not target.is_file() or target.read_text("utf-8") != styles:
        target.write_text(styles, "utf-8")
    app.config.html_static_path.append(str(directory))
    app.add_css_file("icons.css")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("builder-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
