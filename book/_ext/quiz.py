"""A quiz in a page: the same one that the lab asks, from the same file.

.. code-block:: markdown

    ```{quiz} sockets/what-recv-returns
    ```

The argument is the name of a lab, a slash, and the name of a quiz in
``src/remotecalls/notebook/quizzes/LAB.yml``. Without JavaScript and on paper, each option is a
``details`` element whose summary is the option and whose content is its explanation. ``quiz.js``
turns them into radio buttons, or into check boxes where more than one option is right.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

from remotecalls.notebook.places import LabFiles, PlaceError
from remotecalls.notebook.quiz import Option, Quiz, QuizError, load_quizzes


class quiz(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes this way
    """A quiz; its children are a question and options."""


class quiz_question(nodes.General, nodes.TextElement):  # noqa: N801
    """The question."""


class quiz_option(nodes.General, nodes.Element):  # noqa: N801
    """One option; its children are its text and its explanation."""


class quiz_option_text(nodes.General, nodes.TextElement):  # noqa: N801
    """What a reader can choose."""


class quiz_explanation(nodes.General, nodes.TextElement):  # noqa: N801
    """Why it is right or wrong."""


class QuizDirective(SphinxDirective):
    """The directive ``quiz``; its argument is ``LAB/NAME``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Load the quiz and build its nodes."""
        lab, _, name = self.arguments[0].rpartition("/")
        found = self._load(lab, name)
        node = quiz(multiple=found.multiple)
        self.set_source_info(node)
        node["ids"].append(f"quiz-{lab.replace('/', '-')}-{name}")
        node += self._inline(quiz_question, found.question)
        options = zip(found.letters, found.options, strict=True)
        node += [self._option(letter, option) for letter, option in options]
        return [node]

    def _load(self, lab: str, name: str) -> Quiz:
        try:
            path = LabFiles(lab).quizzes
        except PlaceError:
            raise self.error(
                f"quiz: {self.arguments[0]!r} is not LAB/NAME, such as sockets/what-recv-returns"
            ) from None
        self.env.note_dependency(str(path))
        try:
            quizzes = load_quizzes(path)
        except QuizError as error:
            raise self.error(f"quiz: {error}") from error
        if name not in quizzes:
            known = ", ".join(quizzes) or "no quiz"
            raise self.error(f"quiz: {path.name} has no entry {name!r}; it has {known}")
        return quizzes[name]

    def _option(self, letter: str, option: Option) -> nodes.Element:
        node = quiz_option(letter=letter, correct=option.correct)
        node += self._inline(quiz_option_text, option.text)
        node += self._inline(quiz_explanation, option.explanation)
        return node

    def _inline(self, kind: type[nodes.TextElement], markdown: str) -> nodes.TextElement:
        content, messages = self.state.inline_text(markdown, self.lineno)
        return kind(markdown, "", *content, *messages)


# ---------------------------------------------------------------- HTML


def visit_quiz(translator: HTML5Translator, node: quiz) -> None:
    """Open the box."""
    multiple = str(node["multiple"]).lower()
    translator.body.append(
        f'<div class="rc-quiz" id="{node["ids"][0]}" data-multiple="{multiple}">\n'
    )
    translator.body.append('<p class="rc-quiz-kind">Check yourself</p>\n')


def depart_quiz(translator: HTML5Translator, node: quiz) -> None:
    """Close the list of options and the box."""
    translator.body.append("</ol>\n</div>\n")


def visit_question(translator: HTML5Translator, node: quiz_question) -> None:
    """Open the question."""
    translator.body.append('<p class="rc-quiz-question">')


def depart_question(translator: HTML5Translator, node: quiz_question) -> None:
    """Close the question; the options follow."""
    translator.body.append('</p>\n<ol class="rc-quiz-options" type="a">\n')


def visit_option(translator: HTML5Translator, node: quiz_option) -> None:
    """Open an option."""
    correct = str(node["correct"]).lower()
    translator.body.append(f'<li data-letter="{node["letter"]}" data-correct="{correct}"><details>')


def depart_option(translator: HTML5Translator, node: quiz_option) -> None:
    """Close an option."""
    translator.body.append("</details></li>\n")


def visit_option_text(translator: HTML5Translator, node: quiz_option_text) -> None:
    """Open what a reader sees of a closed option."""
    translator.body.append("<summary>")


def depart_option_text(translator: HTML5Translator, node: quiz_option_text) -> None:
    """Close it."""
    translator.body.append("</summary>\n")


def visit_explanation(translator: HTML5Translator, node: quiz_explanation) -> None:
    """Open an explanation with the verdict."""
    option = node.parent
    verdict = "Right." if isinstance(option, quiz_option) and option["correct"] else "Not this one."
    translator.body.append(f'<p class="rc-quiz-explanation"><strong>{verdict}</strong> ')


def depart_explanation(translator: HTML5Translator, node: quiz_explanation) -> None:
    """Close it."""
    translator.body.append("</p>\n")


def add_files(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Load script and style on pages that have a quiz, and on no other."""
    # Pages that Sphinx makes itself, such as the search, have no document.
    if isinstance(doctree, nodes.document) and next(doctree.findall(quiz), None) is not None:
        app.add_css_file("quiz.css")
        app.add_js_file("quiz.js", type="module")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive and its writer."""
    app.add_node(quiz, html=(visit_quiz, depart_quiz))
    app.add_node(quiz_question, html=(visit_question, depart_question))
    app.add_node(quiz_option, html=(visit_option, depart_option))
    app.add_node(quiz_option_text, html=(visit_option_text, depart_option_text))
    app.add_node(quiz_explanation, html=(visit_explanation, depart_explanation))
    app.add_directive("quiz", QuizDirective)
    app.connect("html-page-context", add_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
