// The bytes of one call in two protocols beside each other. Without this script they stand below
// each other, folded away.

for (const root of document.querySelectorAll(".rc-two")) {
  const form = root.querySelector("form");
  const [left, right] = form.querySelectorAll("select");
  const place = root.querySelector(".rc-two-panels");
  const panels = [...place.children];
  const panelOf = (select) => panels.find((panel) => panel.id === `bytes-${select.value}`);
  const nameOf = (select) => select.selectedOptions[0].textContent.replace(/^\d+: /, "");

  const show = () => {
    // The others leave the page: thousands of bytes that nobody sees cost time all the same.
    place.replaceChildren(panelOf(left), panelOf(right));
    for (const panel of place.children) panel.open = true;
    const total = (select) => Number(panelOf(select).dataset.out) + Number(panelOf(select).dataset.back);
    const counts = [left, right].map((select) => `${nameOf(select)}: ${total(select).toLocaleString("en")} bytes`);
    const ratio = total(right) / total(left);
    const more = ratio >= 1 ? `${ratio.toFixed(1)} times as many` : `${(1 / ratio).toFixed(1)} times fewer`;
    form.querySelector("output").textContent = `${counts.join("; ")}: ${more} on the right.`;
  };

  // Two different protocols are shown: whoever chooses the other one swaps them.
  let before = [left.value, right.value];
  form.addEventListener("change", (event) => {
    if (left.value === right.value) {
      if (event.target === left) right.value = before[0];
      else left.value = before[1];
    }
    before = [left.value, right.value];
    show();
  });

  // A link to the bytes of one protocol puts them on the left.
  const follow = () => {
    const wanted = panels.find((panel) => `#${panel.id}` === location.hash);
    if (!wanted) return;
    left.value = wanted.id.replace("bytes-", "");
    if (left.value === right.value) right.value = before[0];
    before = [left.value, right.value];
    show();
    root.scrollIntoView();
  };

  form.hidden = false;
  show();
  follow();
  window.addEventListener("hashchange", follow);
}
