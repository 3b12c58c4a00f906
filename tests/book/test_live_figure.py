"""The directive and its files, as they stand on disk after a build."""

import html
import json
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from live_figure_site import ROOT, build

from remotecalls import figures
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.parameters import controls, to_json


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("figures")
    done = build(directory)
    assert done.returncode == 0, done.stderr
    return directory / "html"


def page(site: Path, name: str) -> str:
    return (site / name).read_text("utf-8")


def configurations(text: str) -> list[dict[str, Any]]:
    return [json.loads(html.unescape(each)) for each in re.findall(r'data-config="([^"]*)"', text)]


def test_the_page_holds_the_python_model_s_own_picture(site: Path) -> None:
    preset = SIMULATORS["framing"].presets[0]
    result = SIMULATORS["framing"].run(preset.parameters, preset.seed)
    text = page(site, "index.html")
    for width in (figures.NARROW, figures.WIDE):
        assert figures.draw("framing", result, result.end_us, width) in text
    assert html.escape(figures.describe_result("framing", result)) in text
    for table in figures.tables("framing", result):
        assert table.to_html() in text


def test_the_seed_of_the_directive_replaces_the_preset_s(site: Path) -> None:
    simulator = SIMULATORS["framing"]
    preset = simulator.preset("chatty-writer")
    result = simulator.run(preset.parameters, 3)
    text = page(site, "deep/second.html")
    assert figures.draw("framing", result, result.end_us) in text
    assert [each["seed"] for each in configurations(text)] == [3, 1]
    assert [each["figure"] for each in configurations(text)] == ["live-figure-1", "live-figure-2"]


def test_every_parameter_has_a_control_with_a_label_and_help(site: Path) -> None:
    text = page(site, "index.html")
    form = text[text.index("<form") : text.index("</form>")]
    for name, control in controls(SIMULATORS["framing"].parameters).items():
        own_id = f"live-figure-1-{name}"
        assert f'<label for="{own_id}">{html.escape(control.label)}</label>' in form
        assert f'<small id="{own_id}-help">{html.escape(control.help)}</small>' in form
        assert form.count(f'id="{own_id}"') == 1
    shown, hidden = form.split("More settings")
    assert 'data-parameter="gap_us"' in shown
    assert 'data-parameter="processing_us"' in hidden
    assert form.count("<fieldset disabled>") == 1


def test_the_caption_is_numbered_and_can_be_referred_to(site: Path) -> None:
    text = page(site, "index.html")
    assert re.search(r"<figcaption>.*Fig\. 1 .*<em>luck</em>.*</figcaption>", text, re.DOTALL)
    assert re.search(r'href="#luck"><span class="std std-numref">Fig\. 1</span>', text)
    assert 'id="luck"' in text
    sentence = SIMULATORS["framing"].preset("chatty-writer").sentence
    assert html.escape(sentence) in page(site, "deep/second.html")


def test_presets_reach_the_page_whole(site: Path) -> None:
    [config] = configurations(page(site, "index.html"))
    for preset in SIMULATORS["framing"].presets:
        assert config["presets"][preset.name] == {
            "sentence": preset.sentence,
            "seed": preset.seed,
            "values": to_json(preset.parameters),
        }


def test_script_and_style_come_with_figures_only(site: Path) -> None:
    for name in ("index.html", "deep/second.html"):
        assert page(site, name).count('type="module"') == 1
        assert "live-figure.css" in page(site, name)
    assert "live-figure" not in page(site, "plain.html")


@pytest.mark.parametrize("name", ["index.html", "deep/second.html"])
def test_what_start_loads_is_where_the_page_says(site: Path, name: str) -> None:
    for config in configurations(page(site, name)):
        here = (site / name).parent
        runtime = here / config["runtime"]["runtime"]
        for file in ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "snapshot.zip"):
            assert (runtime / file).is_file()
        assert (here / config["runtime"]["models"]).is_file()
        assert (here / config["runtime"]["worker"].split("?")[0]).is_file()
        for path in config["runtime"].values():
            assert "://" not in str(path)


def test_a_megabyte_count_is_stated_and_true(site: Path) -> None:
    stated = int(re.search(r"browser \(about (\d+) MB\)", page(site, "index.html"))[1])  # type: ignore[index]
    [runtime] = [each for each in (site / "_static" / "pyodide").iterdir() if each.is_dir()]
    size = sum(
        (runtime / name).stat().st_size
        for name in ("pyodide.mjs.gz", "pyodide.asm.mjs.gz", "pyodide.asm.wasm.gz", "snapshot.zip")
    )
    assert size <= stated * 1_000_000 <= size + 1_000_000 + 200_000


def test_the_models_zip_holds_exactly_the_source(site: Path) -> None:
    [models] = (site / "_static" / "pyodide").glob("models-*.zip")
    with zipfile.ZipFile(models) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    source = ROOT / "src" / "remotecalls"
    expected = {
        f"remotecalls/{path.relative_to(source).as_posix()}": path.read_bytes()
        for package in ("simulators", "figures")
        for path in (source / package).rglob("*.py")
    }
    assert packed == expected


def test_compressed_copies_are_current_for_the_book_s_server(site: Path) -> None:
    from remotecalls.booksite import compress

    names = [path.name for path in compress(site)]
    assert not any(name.startswith("pyodide") or name == "snapshot.zip" for name in names)


def test_an_unchanged_build_makes_nothing_again(tmp_path: Path) -> None:
    assert build(tmp_path).returncode == 0
    files = sorted((tmp_path / "html" / "_static" / "pyodide").rglob("*"))
    before = [(path, path.stat().st_mtime_ns) for path in files]
    stale = tmp_path / "html" / "_static" / "pyodide" / "models-0123456789ab.zip"
    stale.write_bytes(b"")
    again = build(tmp_path)
    assert again.returncode == 0
    assert "0 added, 0 changed, 0 removed" in again.stdout
    assert "no targets are out of date" in again.stdout
    after = sorted((tmp_path / "html" / "_static" / "pyodide").rglob("*"))
    assert [(path, path.stat().st_mtime_ns) for path in after] == before


def test_a_mistake_in_the_directive_stops_the_build_and_says_what_to_use(tmp_path: Path) -> None:
    mistakes = {
        "simulator.md": ("{live-figure} weather\n", "'weather' is unknown; use framing"),
        "preset.md": (
            "{live-figure} framing\n:preset: sunny\n",
            "'sunny', which is unknown. Use lucky",
        ),
        "show.md": (
            "{live-figure} framing\n:show: gap_us, lid\n",
            "no parameter 'lid'; use framing",
        ),
        "seed.md": ("{live-figure} framing\n:seed: 10000\n", "seed 10000 is above 9999"),
    }
    pages = {
        name: f"---\norphan: true\n---\n# Page\n\n```{directive}```\n"
        for name, (directive, _) in mistakes.items()
    }
    done = build(tmp_path, {"index.md": "# Index\n", **pages})
    assert done.returncode != 0
    for name, (_, message) in mistakes.items():
        [line] = [line for line in done.stderr.splitlines() if f"{name}:" in line]
        assert message in line


def test_a_missing_runtime_is_named_with_its_cure(tmp_path: Path) -> None:
    import live_figure_assets

    with pytest.raises(RuntimeError, match=r"lacks pyodide\. Run `make node`"):
        live_figure_assets.locate(tmp_path)


def test_a_browser_gets_the_modules_that_simulators_import(site: Path) -> None:
    """The page has no standard library but the snapshot's, so an import beyond it would fail."""
    import live_figure_assets

    allowed = {name.strip() for name in live_figure_assets.MODULES.split(",")}
    for package in live_figure_assets.PACKAGES:
        for path in (ROOT / "src" / "remotecalls" / package).rglob("*.py"):
            for line in re.findall(r"^(?:from|import) ([\w.]+)", path.read_text("utf-8"), re.M):
                if line != "__future__" and not line.startswith("remotecalls."):
                    assert line in allowed, f"{path.name} imports {line}"


def test_drawings_are_well_formed(site: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page(site, "deep/second.html"), re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).get("role") == "img"
