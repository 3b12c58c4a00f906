import ast
from pathlib import Path

import pytest
import yaml
from building import build

from claims_page import ARTICLES, Claim, ClaimsError, load, summary
from conftest import ROOT

FILE = ROOT / "book" / "claims.yml"
GOOD = {
    "id": "S10-05",
    "article": ARTICLES[9],
    "section": "Sun RPC and XDR",
    "chapter": "sockets",
    "kind": "behavior",
    "claim": "Byte order breaks an exchange.",
    "status": "measured",
    "measured_by": "tests/test_x.py::test_y",
    "measured": "42 becomes 704,643,072 with `<i`.",
    "why": "Agrees.",
}
OPEN = {key: value for key, value in GOOD.items() if key not in {"measured_by", "measured"}}
OTHER = {**OPEN, "id": "S02-12", "article": ARTICLES[1], "chapter": "rest", "status": "open"}


def _write(directory: Path, entries: object) -> Path:
    path = directory / "book" / "claims.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries), "utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": "10-5"}, "id: String should match pattern"),
        ({"id": "S09-05"}, "the id S09-05 is not of the article"),
        ({"article": "Another"}, "there is no article 'Another'"),
        ({"status": "true"}, "status: Input should be 'measured', 'opinion' or 'open'"),
        ({"status": "open"}, "has nothing measured"),
        ({"measured": None}, "a measured claim needs 'measured'"),
        ({"measured_by": "by hand"}, "measured_by: String should match pattern"),
        ({"claim": " "}, "claim: String should have at least 1 character"),
        ({"page": 3}, "page: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_entry_is_named_with_its_line(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    path = _write(tmp_path, [OTHER, {**GOOD, **change}])
    line = [n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith("- ")]
    with pytest.raises(ClaimsError) as caught:
        load(path)
    assert complaint in str(caught.value)
    assert f"line {line[1]}, claim {change.get('id', 'S10-05')}" in str(caught.value)


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="claim S10-05: this id stands twice"):
        load(_write(tmp_path, [GOOD, GOOD]))


def test_an_opinion_says_why(tmp_path: Path) -> None:
    opinion = {key: value for key, value in OPEN.items() if key != "why"} | {"status": "opinion"}
    with pytest.raises(ClaimsError, match="an opinion needs 'why'"):
        load(_write(tmp_path, [opinion]))


@pytest.mark.parametrize("text", ["a: b", "- [", "just words"])
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ClaimsError, match=r"claims\.yml is not"):
        load(_write(tmp_path, text))


def test_the_page_groups_by_article_and_chapter(tmp_path: Path) -> None:
    _write(tmp_path, [GOOD, OTHER])
    text = "# Claims\n\n```{claims}\n```\n"
    built = build(tmp_path, {"index.md": text}, ["claims_page"])
    assert built.warnings == ""
    page = built.page()
    assert [title.contents[0] for title in page.select("h2")] == [ARTICLES[1], ARTICLES[9]]
    head = [cell.text.strip() for cell in page.select("table")[0].select("th")]
    assert head == ["Claimed", "Measured here", "Why they differ, or agree"]
    row = page.select_one("tr#claim-s10-05")
    assert row is not None
    assert row.select("code")[0].text == "<i"
    assert "tests/test_x.py::test_y" in row.text
    assert "Not measured yet." in page.select_one("tr#claim-s02-12").text


def test_a_chapter_shows_its_own_claims(tmp_path: Path) -> None:
    _write(tmp_path, [GOOD, OTHER])
    text = "# Page\n\n```{claims}\n:chapter: rest\n```\n"
    page = build(tmp_path, {"index.md": text}, ["claims_page"]).page()
    assert [row["id"] for row in page.select("tbody tr")] == ["claim-s02-12"]


@pytest.mark.parametrize(
    ("entries", "option", "complaint"),
    [
        ([GOOD], ":chapter: socket\n", "holds no claim of the chapter 'socket'"),
        ([{**GOOD, "status": "sure"}], "", "line 1, claim S10-05"),
    ],
)
def test_a_mistake_stops_the_build(
    tmp_path: Path, entries: object, option: str, complaint: str
) -> None:
    _write(tmp_path, entries)
    built = build(tmp_path, {"index.md": f"# P\n\n```{{claims}}\n{option}```\n"}, ["claims_page"])
    assert complaint in built.warnings
    assert "index.md:3" in built.warnings


def test_the_sentence_above_counts() -> None:
    claims = [Claim.model_validate(GOOD), Claim.model_validate(OTHER)]
    assert summary(claims) == "2 claims: 1 measured, 0 opinions, 1 not measured yet."


@pytest.mark.parametrize("claim", load(FILE), ids=lambda claim: claim.id)
def test_what_a_claim_names_as_its_measure_exists(claim: Claim) -> None:
    if claim.measured_by is None:
        return
    if claim.measured_by.startswith("benchmark "):
        name = claim.measured_by.removeprefix("benchmark ")
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()
        return
    path, *names = claim.measured_by.split("[")[0].split("::")
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text("utf-8")).body
    for name in names:
        found = [node for node in body if getattr(node, "name", None) == name]
        assert found, f"{path} has no {name}"
        body = getattr(found[0], "body", [])
