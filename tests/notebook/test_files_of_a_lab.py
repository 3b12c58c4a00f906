"""Names, quizzes, solutions and log lines: what an author writes, and the errors an author sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from remotecalls.notebook.exercises import load_exercises
from remotecalls.notebook.logs import normalized
from remotecalls.notebook.places import LabFiles, PlaceError, project_root
from remotecalls.notebook.quiz import QuizError, judge, load_quizzes, plain
from remotecalls.notebook.solutions import count_code_lines, load_solutions

# ------------------------------------------------------------------ places


def test_all_files_follow_from_the_name() -> None:
    files = LabFiles("patterns/01-logits-masking")
    root = project_root()
    assert files.notebook == root / "labs" / "patterns" / "01-logits-masking.ipynb"
    assert files.solutions == root / "solutions" / "patterns" / "01_logits_masking.py"
    assert files.exercises_module.endswith("exercises.patterns.01_logits_masking")
    assert files.quizzes.parts[-3:] == ("quizzes", "patterns", "01-logits-masking.yml")
    assert LabFiles.of_notebook(files.notebook) == files


@pytest.mark.parametrize("name", ["", "Sockets", "a_b", "../secrets", "a//b", "-a", "a-"])
def test_names_that_are_no_path_below_labs_are_refused(name: str) -> None:
    with pytest.raises(PlaceError, match="is no name of a lab"):
        LabFiles(name)


def test_a_notebook_elsewhere_has_no_lab(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="does not lie below labs/"):
        LabFiles.of_notebook(tmp_path / "x.ipynb")


# ------------------------------------------------------------------ quizzes

GOOD = """
first:
  question: Which?
  options:
    - text: This.
      correct: true
      explanation: Because.
    - text: That.
      explanation: Because not.
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trial.yml"
    path.write_text(text, "utf-8")
    return path


def test_a_quiz_is_read(tmp_path: Path) -> None:
    quiz = load_quizzes(write(tmp_path, GOOD))["first"]
    assert quiz.letters == "ab"
    assert quiz.right == {"a"}
    assert load_quizzes(tmp_path / "absent.yml") == {}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("correct: true", "correct: false", "entry 'first': no option is correct"),
        (
            "explanation: Because not.",
            "explanation: B.\n      correct: true",
            "entry 'first': 2 options are correct: set 'multiple: true', or mark one",
        ),
        (
            "      explanation: Because not.\n",
            "",
            "entry 'first', field options.1.explanation: Field required",
        ),
        ("explanation: Because not.", "explanation: ''", "field options.1.explanation: String"),
        (
            "explanation: Because not.",
            "explanation: a <b>x</b>",
            "the HTML <b> would show in pages",
        ),
        ("text: That.", "text: This.", "entry 'first': two options have the same text"),
        ("question: Which?", "question: Which?\n  hint: x", "field hint: Extra inputs"),
        ("first:", "First One:", "entry 'First One'"),
        ("first:", "first: [", "trial.yml: not YAML"),
        (GOOD, "- a list", "entry '(whole file)'"),
    ],
)
def test_a_malformed_quiz_names_file_entry_and_field(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(QuizError) as caught:
        load_quizzes(write(tmp_path, GOOD.replace(old, new)))
    assert complaint in str(caught.value)
    assert "trial.yml" in str(caught.value)


def test_several_right_options_are_judged_together(tmp_path: Path) -> None:
    text = GOOD.replace("Which?", "Which?\n  multiple: true") + (
        "    - text: Both.\n      correct: true\n      explanation: Yes.\n"
    )
    quiz = load_quizzes(write(tmp_path, text))["first"]
    assert judge(quiz, ["c", "a"]).headline == "Right."
    assert judge(quiz, ["a"]).headline == "Right so far, and there is more."
    assert judge(quiz, ["a", "b", "c"]).headline == "Not this time."
    assert [letter for letter, _ in judge(quiz, ["c", "a", "c"]).explanations] == ["a", "c"]


def test_markdown_becomes_plain_text() -> None:
    assert plain("`recv(4)` *may* return [less](https://example.org)\nthan 4") == (
        "recv(4) may return less than 4"
    )


# ------------------------------------------------------------------ exercises and solutions


def test_a_lab_without_exercises_has_none() -> None:
    assert load_exercises(LabFiles("nowhere")) == {}
    assert load_exercises(LabFiles("patterns/99-nowhere")) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("SOLUTIONS = []\nWRONG = []\n", "must declare SOLUTIONS"), ("SOLUTIONS = {}\n", "WRONG")],
)
def test_a_malformed_file_of_solutions_is_refused(root: Path, text: str, complaint: str) -> None:
    (root / "solutions" / "trial.py").write_text(text)
    with pytest.raises(TypeError, match=complaint):
        load_solutions(LabFiles("trial"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py is missing"):
        load_solutions(LabFiles("nowhere"))


def test_the_source_of_classes_values_and_functions(root: Path) -> None:
    (root / "solutions" / "trial.py").write_text(
        "class Framed:\n    '''Doc.'''\n\n    def send(self):\n        return 1  # why\n\n\n"
        "SOLUTIONS = {'framed': Framed, 'predict': [1, 2]}\nWRONG = []\n"
    )
    solutions = load_solutions(LabFiles("trial"))
    assert solutions.source("framed").startswith("class Framed:")
    assert solutions.lines("framed") == 3
    assert solutions.source("predict") == "[1, 2]\n"
    assert solutions.lines("predict") == 1


def test_lines_of_code_are_counted() -> None:
    source = '''
def f(
    a,
):
    """Documentation,

    of three lines."""
    # a comment

    text = """a
    b"""
    return a  # why
'''
    assert count_code_lines(source) == 6


# ------------------------------------------------------------------ log lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-01-02 03:04:05,678 GET 42", "TIME GET 42"),
        ("2026-01-02T03:04:05.678Z GET", "TIME GET"),
        ("12:00:01 127.0.0.1:4711 get_customer 3 ms", "TIME 127.0.0.1:PORT get_customer N ms"),
        ("peer ('127.0.0.1', 51234) left", "peer ('127.0.0.1', PORT) left"),
        ("pid 1234, port=8080, took 0.25 s", "pid PID, port=PORT, took N s"),
        ("<Task at 0x7f00deadbeef> in /tmp/remotecalls-x/log", "<Task at ADDRESS> in PATH"),
        ("customer 42 owes 12.30, order 7", "customer 42 owes 12.30, order 7"),
        ("read 0x2a of 4096 bytes", "read 0x2a of 4096 bytes"),
    ],
)
def test_log_lines_become_comparable(line: str, expected: str) -> None:
    assert normalized(line) == expected
