from pathlib import Path

import pytest
from building import build

from execution_cache import STAMP, code_hash, empty_if_stale


def _project(root: Path) -> Path:
    (root / "src").mkdir()
    (root / "src" / "shop.py").write_text("PRICE = 1\n")
    (root / "requirements.txt").write_text("simpy==4.1.2\n")
    (root / "benchmarks" / "results").mkdir(parents=True)
    (root / "benchmarks" / "results" / "shop.json").write_text("{}\n")
    return root


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/shop.py", "PRICE = 2\n"),
        ("src/other.py", ""),
        ("requirements.txt", "simpy==4.1.3\n"),
        ("benchmarks/results/shop.json", "[]\n"),
    ],
)
def test_the_hash_follows_code_and_lock(tmp_path: Path, name: str, text: str) -> None:
    root = _project(tmp_path)
    before = code_hash(root)
    assert code_hash(root) == before
    (root / name).write_text(text)
    assert code_hash(root) != before


def test_without_a_lock_there_is_no_hash(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(FileNotFoundError, match=r"requirements\.txt is missing"):
        code_hash(tmp_path)


def test_outputs_go_when_the_code_changes_and_stay_otherwise(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert empty_if_stale(cache, "one")
    output = cache / "executed" / "base.ipynb"
    output.parent.mkdir()
    output.write_text("{}")
    assert not empty_if_stale(cache, "one")
    assert output.is_file()
    assert empty_if_stale(cache, "two")
    assert [path.name for path in cache.iterdir()] == [STAMP]


PAGE = """---
file_format: mystnb
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Page

```{code-cell} python3
import sys

sys.path.insert(0, "src")
import shop

print("the price is", shop.PRICE)
```
"""


def test_a_page_runs_again_when_the_code_changes_and_not_otherwise(tmp_path: Path) -> None:
    root = _project(tmp_path)

    def price() -> str:
        settings = {"nb_execution_mode": "cache", "exclude_patterns": ["_build"]}
        built = build(root, {}, ["execution_cache"], parser="myst_nb", **settings)
        assert built.warnings == ""
        return built.page().select_one("div.cell_output").text.strip()

    (root / "index.md").write_text(PAGE)
    assert price() == "the price is 1"
    written = (root / "_build" / "html" / "index.html").stat().st_mtime_ns
    assert price() == "the price is 1"
    assert (root / "_build" / "html" / "index.html").stat().st_mtime_ns == written
    (root / "src" / "shop.py").write_text("PRICE = 2\n")
    assert price() == "the price is 2"
