"""The quiz directive: what it writes, what it refuses, and how a reader answers in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from building import ROOT, Built, build
from playwright.sync_api import Browser, Page, expect

from conftest import Watched, axe_source, watch
from remotecalls.booksite import serve_book
from remotecalls.notebook import places

QUIZZES = """
one-right:
  question: A client sends `b"a"`. What does `recv(10)` *return*?
  options:
    - text: Ten bytes.
      explanation: "`recv` waits for one byte, not for ten."
    - text: Between one and ten bytes.
      correct: true
      explanation: At least one byte, *at most* ten.
several-right:
  question: Which calls can return early?
  multiple: true
  options:
    - text: "`recv`"
      correct: true
      explanation: It returns what is there.
    - text: "`sendall`"
      explanation: It sends all or raises.
    - text: "`send`"
      correct: true
      explanation: It returns how many bytes it took.
"""
STYLE = ROOT / "book" / "_static"


@pytest.fixture
def quizzes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of quizzes of a lab `trial`, in place of the real ones."""
    path = tmp_path_factory.mktemp("quizzes") / "trial.yml"
    path.write_text(QUIZZES, "utf-8")
    monkeypatch.setattr(places.LabFiles, "quizzes", property(lambda _: path))
    return path


def build_pages(source: Path, text: str, **settings: Any) -> Built:
    pages = {
        "index.md": f"# A page\n\n{text}\n\n```{{toctree}}\nother\n```\n",
        "other.md": "# No\n",
    }
    return build(
        source, pages, ["quiz"], html_static_path=[str(STYLE)], html_theme="basic", **settings
    )


def directive(name: str) -> str:
    return f"```{{quiz}} {name}\n```\n"


def test_without_a_script_each_option_opens_its_explanation(quizzes: Path, tmp_path: Path) -> None:
    built = build_pages(tmp_path, directive("trial/one-right"))
    assert built.warnings == ""
    quiz = built.page().select_one("div.rc-quiz")
    assert quiz is not None
    assert quiz["id"] == "quiz-trial-one-right"
    question = quiz.select_one(".rc-quiz-question")
    assert question.text == 'A client sends b"a". What does recv(10) return?'
    assert [code.text for code in question.select("code")] == ['b"a"', "recv(10)"]
    assert [one.text.strip() for one in quiz.select("ol > li > details > summary")] == [
        "Ten bytes.",
        "Between one and ten bytes.",
    ]
    assert [one.text.strip() for one in quiz.select("details > p")] == [
        "Not this one. recv waits for one byte, not for ten.",
        "Right. At least one byte, at most ten.",
    ]


def test_script_and_style_are_loaded_where_there_is_a_quiz(quizzes: Path, tmp_path: Path) -> None:
    built = build_pages(tmp_path, directive("trial/one-right"))
    for page, expected in (("index", 1), ("other", 0), ("search", 0)):
        assert len(built.page(page).select('script[src*="quiz.js"]')) == expected
        assert len(built.page(page).select('link[href*="quiz.css"]')) == expected


def test_two_builds_write_the_same(quizzes: Path, tmp_path: Path) -> None:
    text = directive("trial/one-right") + directive("trial/several-right")
    first = build_pages(tmp_path / "first", text).page().select("div.rc-quiz")
    second = build_pages(tmp_path / "second", text).page().select("div.rc-quiz")
    assert list(map(str, first)) == list(map(str, second))


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("one-right", "is not LAB/NAME"),
        (
            "trial/wrong-name",
            "trial.yml has no entry 'wrong-name'; it has one-right",
        ),
        ("", "1 argument(s) required"),
    ],
)
def test_a_wrong_name_is_refused(
    quizzes: Path, tmp_path: Path, argument: str, complaint: str
) -> None:
    assert complaint in build_pages(tmp_path, directive(argument)).warnings


def test_a_malformed_file_is_refused(quizzes: Path, tmp_path: Path) -> None:
    quizzes.write_text(QUIZZES.replace("multiple: true", "multiple: false"), "utf-8")
    warnings = build_pages(tmp_path, directive("trial/one-right")).warnings
    assert "trial.yml: entry 'several-right': 2 options are correct" in warnings


# ---------------------------------------------------------------- in a browser


@pytest.fixture
def open_quiz(quizzes: Path, tmp_path: Path, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page with both quizzes."""
    text = directive("trial/one-right") + directive("trial/several-right")
    built = build_pages(tmp_path, text, html_css_files=["remotecalls.css"])
    (built.site / "404.html").touch()
    contexts = []
    opened: list[Watched] = []
    with serve_book(built.site) as url:

        def open_one(**options: Any) -> Page:
            context = browser.new_context(base_url=url, **options)
            contexts.append(context)
            watched = watch(context, url)
            opened.append(watched)
            watched.page.goto("index.html")
            return watched.page

        yield open_one
        for watched in opened:
            watched.check()
        for context in contexts:
            context.close()


def axe_of_quizzes(page: Page) -> list[str]:
    """What axe-core finds in the quizzes, by all its rules; the page around them is not ours."""
    page.evaluate(axe_source())
    found: list[str] = page.evaluate(
        """async () => {
            const rules = Object.fromEntries(
                axe.getRules().map((rule) => [rule.ruleId, { enabled: true }]));
            const { violations } = await axe.run({ include: [".rc-quiz"] }, { rules });
            return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
        }"""
    )
    return found


def test_choosing_an_option_shows_its_explanation(open_quiz: Callable[..., Page]) -> None:
    page = open_quiz()
    quiz = page.locator("#quiz-trial-one-right")
    group = quiz.get_by_role("group", name='A client sends b"a". What does recv(10) return?')
    answer = quiz.get_by_role("status")
    expect(answer).to_be_empty()
    group.get_by_label("Ten bytes.", exact=True).check()
    expect(answer).to_have_text("Not this one. recv waits for one byte, not for ten.")
    group.get_by_text("Between one and ten").click()
    expect(answer).to_have_text("Right. At least one byte, at most ten.")


def test_a_quiz_works_by_keyboard(open_quiz: Callable[..., Page]) -> None:
    page = open_quiz()
    answer = page.locator("#quiz-trial-one-right").get_by_role("status")
    page.locator("#quiz-trial-one-right input").first.focus()
    page.keyboard.press("Space")
    expect(answer).to_contain_text("Not this one.")
    page.keyboard.press("ArrowDown")
    expect(answer).to_contain_text("Right.")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    several = page.locator("#quiz-trial-several-right")
    expect(several.get_by_label("recv", exact=True)).to_be_checked()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(several.get_by_role("status")).to_contain_text("Right so far, and there is more.")


def test_several_options_are_judged_together(open_quiz: Callable[..., Page]) -> None:
    quiz = open_quiz().locator("#quiz-trial-several-right")
    answer, check = quiz.get_by_role("status"), quiz.get_by_role("button", name="Check")
    check.click()
    expect(answer).to_have_text("Choose at least one option.")
    quiz.get_by_label("recv", exact=True).check()
    quiz.get_by_label("sendall", exact=True).check()
    check.click()
    expect(answer).to_contain_text("Not this time.")
    expect(answer).to_contain_text("It sends all or raises.")
    quiz.get_by_label("sendall", exact=True).uncheck()
    quiz.get_by_label("send", exact=True).check()
    check.click()
    expect(answer.locator("p").first).to_have_text("Right.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_before_and_after_answering(
    open_quiz: Callable[..., Page], scheme: str
) -> None:
    page = open_quiz(color_scheme=scheme)
    page.evaluate("scheme => document.documentElement.dataset.theme = scheme", scheme)
    assert axe_of_quizzes(page) == []
    page.get_by_label("Ten bytes.", exact=True).check()
    page.get_by_label("sendall", exact=True).check()
    page.get_by_role("button", name="Check").click()
    assert axe_of_quizzes(page) == []
    page.get_by_label("Between one").check()
    assert axe_of_quizzes(page) == []
    page.add_style_tag(content=".rc-quiz label { color: #999; background: #aaa }")
    assert any("color-contrast" in one for one in axe_of_quizzes(page)), "axe looks at nothing"


def test_without_javascript_the_explanations_are_there(open_quiz: Callable[..., Page]) -> None:
    page = open_quiz(java_script_enabled=False)
    quiz = page.locator("#quiz-trial-one-right")
    explanation = quiz.get_by_text("Not this one.")
    expect(explanation).to_be_hidden()
    quiz.get_by_text("Ten bytes.", exact=True).click()
    expect(explanation).to_be_visible()
    expect(quiz.get_by_role("radio")).to_have_count(0)
