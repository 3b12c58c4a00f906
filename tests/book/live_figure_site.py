"""A small site of its own for the tests of the live figure: Sphinx, the extension, two pages."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CONFIGURATION = """
project = "Figures"
extensions = ["myst_parser", "live_figure"]
html_theme = "basic"
html_static_path = [{static!r}]
html_css_files = ["remotecalls.css"]
numfig = True
"""

PAGES = {
    "index.md": """
# Figures

See {numref}`luck`.

```{live-figure} framing
:name: luck
:show: framing, gap_us, recv_bytes, smallest_bytes, nagle
:caption: With *luck*, `recv()` returns one message.
```

```{toctree}
deep/second
```
""",
    "deep/second.md": """
# A page in a folder

```{live-figure} framing
:preset: chatty-writer
:seed: 3
```

```{live-figure} framing
:preset: nagle-delayed-ack
```
""",
    "plain.md": """
---
orphan: true
---
# A page without a figure
""",
}


def build(directory: Path, pages: dict[str, str] = PAGES) -> subprocess.CompletedProcess[str]:
    """Build the pages in `directory / "html"`, with warnings as errors; return how it went.

    Sphinx runs in a process of its own: it registers nodes and languages for its whole process.
    """
    source = directory / "source"
    static = str(ROOT / "book" / "_static")
    for name, text in {**pages, "conf.py": CONFIGURATION.format(static=static)}.items():
        path = source / name
        # A file written again counts as changed.
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip(), "utf-8")
    return subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-b", "html"),
            *(source, directory / "html"),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "book" / "_ext"), *sys.path])},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
