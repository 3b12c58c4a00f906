// A click on a byte of a hex view chooses its field; Escape chooses none.
// Without this script the views can be read, pointed at and walked through with the keyboard.

document.addEventListener("click", (event) => {
  const bytes = event.target.closest?.(".rc-wire table [class^='f']");
  if (!bytes) return;
  const number = bytes.className.split(" ")[0];
  const field = bytes.closest(".rc-wire").querySelector(`li.${number} input`);
  field.checked = true;
  field.focus({ preventScroll: true });
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const chosen = event.target.closest?.(".rc-wire")?.querySelector("input:checked");
  if (!chosen) return;
  chosen.checked = false;
  chosen.blur();
});
