// Turns the quizzes of a page (made by book/_ext/quiz.py) from options with hidden explanations
// into radio buttons, or check boxes where more than one option is right. The explanation of what
// was chosen appears in a live region, so that a screen reader reads it out.

const BEGINNINGS = {
  right: "Right.",
  more: "Right so far, and there is more.",
  wrong: "Not this time.",
};

for (const quiz of document.querySelectorAll(".rc-quiz")) enhance(quiz);

function enhance(quiz) {
  const multiple = quiz.dataset.multiple === "true";
  const list = quiz.querySelector(".rc-quiz-options");
  const options = [...list.children].map(readOption);

  const fields = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.append(...quiz.querySelector(".rc-quiz-question").childNodes);
  fields.append(legend);
  for (const option of options) fields.append(choice(option, quiz.id, multiple));

  const answer = document.createElement("div");
  answer.className = "rc-quiz-answer";
  answer.setAttribute("role", "status");

  quiz.querySelector(".rc-quiz-question").remove();
  list.replaceWith(fields, answer);
  if (multiple) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "rc-quiz-check";
    button.textContent = "Check";
    button.addEventListener("click", () => showMany(options, answer));
    answer.before(button);
  } else {
    fields.addEventListener("change", () => showOne(options, answer));
  }
}

function readOption(item) {
  return {
    letter: item.dataset.letter,
    correct: item.dataset.correct === "true",
    text: [...item.querySelector("summary").childNodes],
    explanation: item.querySelector(".rc-quiz-explanation"),
  };
}

function choice(option, name, multiple) {
  const label = document.createElement("label");
  option.input = document.createElement("input");
  option.input.type = multiple ? "checkbox" : "radio";
  option.input.name = name;
  option.input.value = option.letter;
  option.input.autocomplete = "off"; // A reloaded page must not show a choice without its answer.
  const text = document.createElement("span");
  text.append(...option.text);
  label.append(option.input, text);
  option.label = label;
  return label;
}

function showOne(options, answer) {
  const chosen = options.find((option) => option.input.checked);
  mark(options);
  answer.replaceChildren(chosen.explanation.cloneNode(true));
  answer.dataset.verdict = chosen.correct ? "right" : "wrong";
}

function showMany(options, answer) {
  const chosen = options.filter((option) => option.input.checked);
  mark(options);
  if (chosen.length === 0) {
    answer.replaceChildren(paragraph("Choose at least one option."));
    delete answer.dataset.verdict;
    return;
  }
  const verdict = judge(options, chosen);
  answer.replaceChildren(
    paragraph(BEGINNINGS[verdict]),
    ...chosen.map((option) => option.explanation.cloneNode(true)),
  );
  answer.dataset.verdict = verdict;
}

function judge(options, chosen) {
  if (chosen.some((option) => !option.correct)) return "wrong";
  return options.every((option) => option.correct === option.input.checked) ? "right" : "more";
}

function mark(options) {
  for (const option of options) {
    if (option.input.checked) option.label.dataset.verdict = option.correct ? "right" : "wrong";
    else delete option.label.dataset.verdict;
  }
}

function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}
