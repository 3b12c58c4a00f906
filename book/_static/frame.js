// The frame's own behavior: color mode, search, contents of the page, scrolling blocks, print.
// Everything a reader needs to read works without it.

const root = document.documentElement;

// ---- Color mode: the system's, light or dark -------------------------------------------------

const MODES = ["auto", "light", "dark"];
const MODE_NAMES = { auto: "system", light: "light", dark: "dark" };
const MODE_ICONS = { auto: "circle-half-stroke", light: "sun", dark: "moon" };
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function showMode(mode) {
  root.dataset.mode = mode;
  root.dataset.theme = mode === "auto" ? (systemIsDark.matches ? "dark" : "light") : mode;
  const button = document.getElementById("color-mode");
  button.querySelector(".rc-icon").className = `rc-icon rc-icon-${MODE_ICONS[mode]}`;
  document.getElementById("color-mode-name").textContent = MODE_NAMES[mode];
}

function keepMode(mode) {
  try {
    localStorage.setItem("mode", mode);
  } catch {
    // A browser that refuses storage still changes the mode of this page.
  }
}

document.getElementById("color-mode").addEventListener("click", () => {
  const mode = MODES[(MODES.indexOf(root.dataset.mode) + 1) % MODES.length];
  showMode(mode);
  keepMode(mode);
});
systemIsDark.addEventListener("change", () => showMode(root.dataset.mode));
showMode(MODES.includes(root.dataset.mode) ? root.dataset.mode : "auto");

// ---- Search: Ctrl+K (Command+K) or "/" --------------------------------------------------------

const dialog = document.getElementById("search-dialog");
const field = document.getElementById("search-field");
const onApple = /Mac|iPhone|iPad/.test(navigator.platform);

function openSearch() {
  if (dialog && !dialog.open) dialog.showModal();
  field.focus();
  field.select();
}

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

document.getElementById("search-open")?.addEventListener("click", openSearch);
document.addEventListener("keydown", (event) => {
  if (event.shiftKey || event.altKey) return;
  const command = onApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !isTyping(event.target);
  if (!slash && !(command && event.key.toLowerCase() === "k")) return;
  event.preventDefault();
  if (dialog?.open) dialog.close();
  else openSearch();
});
dialog?.addEventListener("click", (event) => {
  // A click on the backdrop has the dialog itself as its target.
  if (event.target === dialog) dialog.close();
});
if (onApple) {
  for (const hint of document.querySelectorAll(".rc-shortcut")) hint.textContent = "⌘ K";
}

// ---- Contents of the page: mark the section being read ------------------------------------------

const links = new Map();
for (const link of document.querySelectorAll(".rc-contents a[href^='#']")) {
  const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
  const heading = target?.querySelector("h1, h2, h3, h4") ?? target;
  if (heading) links.set(heading, link);
}
if (links.size > 0) {
  const mark = (link) => {
    for (const other of links.values()) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
  };
  const observer = new IntersectionObserver(
    (entries) => {
      const last = entries.filter((entry) => entry.isIntersecting).pop();
      if (last) mark(links.get(last.target));
    },
    { rootMargin: "0px 0px -70% 0px" },
  );
  for (const heading of links.keys()) observer.observe(heading);
}

// ---- Blocks that scroll sideways can be reached and scrolled with the keyboard --------------------

const SCROLLERS = "main pre, main .pst-scrollable-table-container, main .rc-scroll";

function nameScrollers() {
  let number = 0;
  for (const block of document.querySelectorAll(SCROLLERS)) {
    // Never touch a block that its author has already made a named region.
    if (block.hasAttribute("role") && !block.dataset.rcScrolls) continue;
    if (block.scrollWidth > block.clientWidth + 1) {
      number += 1;
      const kind = block.matches("pre") ? "Code" : block.querySelector("table") ? "Table" : "Block";
      block.dataset.rcScrolls = "true";
      block.tabIndex = 0;
      block.setAttribute("role", "region");
      block.setAttribute("aria-label", `${kind} that scrolls sideways, ${number}`);
    } else if (block.dataset.rcScrolls) {
      delete block.dataset.rcScrolls;
      for (const name of ["tabindex", "role", "aria-label"]) block.removeAttribute(name);
    }
  }
}

// A block changes its size with the window and when a collapsed one opens; the browser says so
// before it paints, so no frame shows a block that scrolls and cannot be reached. What a block
// holds changes with its nodes and with the fonts.
const sizes = new ResizeObserver(nameScrollers);
function watchScrollers() {
  for (const block of document.querySelectorAll(SCROLLERS)) sizes.observe(block);
  nameScrollers();
}
let frame = 0;
function watchScrollersNextFrame() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(watchScrollers);
}
watchScrollers();
document.fonts.addEventListener("loadingdone", nameScrollers);
new MutationObserver(watchScrollersNextFrame).observe(document.getElementById("main-content"), {
  childList: true,
  subtree: true,
});

// ---- On paper every collapsed block is open --------------------------------------------------------

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("main details:not([open])")];
  for (const block of opened) block.open = true;
});
addEventListener("afterprint", () => {
  for (const block of opened) block.open = false;
  opened = [];
});
