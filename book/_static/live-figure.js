// <rc-live-figure>: a static figure that becomes a running model when the reader asks for it.
//
// The page's own markup (made by book/_ext/live_figure.py) is complete without this script. Start
// loads Python into a worker; from then on each change of a setting runs the model there. At most
// one request is under way: changes that arrive meanwhile are folded into one, and only the newest
// settings are run.
//
// For tests and other scripts: the element has `state` ("static", "starting", "running",
// "failed"), `result` (the model's result as JSON text), and dispatches "live-figure-shown" with
// { kind, milliseconds } after each picture, where milliseconds count from the reader's action.

const START_DEADLINE_MS = 60_000;
const PLAY_MS = 8_000;
const QUIET_MS = 600; // How long settings must rest before the summary is read out.
const NARROW_BELOW = 560;
const STICKY_SHARE = 0.7; // A drawing taller than this part of the window does not stay in view.

/** One worker for all figures of a page. */
class Runtime {
  static #current = null;

  #worker;
  #waiting = new Map();
  #count = 0;

  static start(config, deadlineMs) {
    Runtime.#current ??= new Runtime(config).#ready(config, deadlineMs);
    return Runtime.#current;
  }

  constructor(config) {
    const url = new URL(config.worker, document.baseURI);
    this.#worker = new Worker(url, { type: "module" });
    this.#worker.addEventListener("message", ({ data }) => {
      const { resolve, reject } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.failure === undefined) resolve(data.answer);
      else reject(new Error(data.failure));
    });
    this.#worker.addEventListener("error", (event) => {
      this.#stop(new Error(event.message || "the worker's script did not load"));
    });
  }

  ask(kind, message) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, kind, ...message });
    });
  }

  async #ready(config, deadlineMs) {
    const seconds = Math.round(deadlineMs / 1000);
    const timer = setTimeout(() => {
      this.#stop(new Error(`it did not start within ${seconds} seconds`));
    }, deadlineMs);
    const absolute = (url) => new URL(url, document.baseURI).href;
    const urls = { runtime: absolute(config.runtime), models: absolute(config.models) };
    try {
      await this.ask("start", { urls, lock: config.lock });
    } catch (error) {
      this.#stop(error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return this;
  }

  #stop(error) {
    this.#worker.terminate();
    Runtime.#current = null; // The next Start tries anew.
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

class LiveFigure extends HTMLElement {
  state = "static";
  result = null;

  #config;
  #runtime = null;
  #events = [0];
  #endUs = 0;
  #atUs = 0;
  #busy = false;
  #wanted = null; // { run: boolean, since: ms } of the newest request that is not under way yet.
  #playing = false;
  #summaryTimer = 0;
  #narrow = false;

  connectedCallback() {
    if (this.#config) return; // Moved within the page, not new.
    this.#config = JSON.parse(this.dataset.config);
    const time = this.#one("[data-time]");
    this.#endUs = this.#atUs = Number(time.max);
    this.#one(".rc-live-start").hidden = false;
    this.addEventListener("click", (event) => this.#clicked(event));
    this.addEventListener("input", (event) => this.#changed(event));
    this.#one("form").addEventListener("submit", (event) => event.preventDefault());
    this.#settingsFromLink();
  }

  // ---------------------------------------------------------------- start

  async #start() {
    const button = this.#one('[data-action="start"]');
    const since = performance.now();
    this.state = "starting";
    button.disabled = true;
    this.#say("Loading Python and the model.");
    this.#complain("");
    try {
      const deadlineMs = Number(this.dataset.startDeadlineMs ?? START_DEADLINE_MS);
      this.#runtime = await Runtime.start(this.#config.runtime, deadlineMs);
    } catch (error) {
      this.state = "failed";
      this.#say("");
      this.#complain(`The model could not be started: ${error.message}.`);
      button.textContent = "Try again";
      button.disabled = false;
      button.focus();
      return;
    }
    this.state = "running";
    this.#say("The model runs in your browser. Every change of a setting runs it again.");
    const hadFocus = document.activeElement === button || document.activeElement === document.body;
    this.#one(".rc-live-start").hidden = true;
    this.#one("fieldset").disabled = false;
    if (hadFocus) this.#one(".rc-live-time button:not([hidden])").focus({ preventScroll: true });
    this.#takeOverDrawing();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!calm) this.#atUs = 0;
    await this.#want(true, since);
    if (!calm) this.#play();
  }

  /** Replace the two static drawings by one, of the width that fits now. */
  #takeOverDrawing() {
    const drawing = document.createElement("div");
    drawing.className = "rc-live-now";
    this.#one(".rc-live-wide").replaceWith(drawing);
    this.#one(".rc-live-narrow").remove();
    this.#narrow = this.clientWidth < NARROW_BELOW;
    new ResizeObserver(() => {
      const narrow = this.clientWidth < NARROW_BELOW;
      if (narrow !== this.#narrow) {
        this.#narrow = narrow;
        this.#want(false, performance.now());
      }
    }).observe(this);
  }

  // ---------------------------------------------------------------- what the reader does

  #clicked(event) {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (action === "start") this.#start();
    if (action === "play") this.#playing ? this.#pause() : this.#play();
    if (action === "step") this.#step();
    if (action === "reset") this.#reset();
    if (action === "link") this.#copyLink();
  }

  #changed(event) {
    const input = event.target;
    if (input.matches("[data-time]")) {
      this.#pause();
      this.#moveTo(Number(input.value), event.timeStamp);
      return;
    }
    if (input.matches("[data-preset]")) {
      this.#apply(input.value);
    } else if (input.matches("[data-parameter], [data-seed]")) {
      this.#one("[data-preset]").value = "";
      this.#one("[data-sentence]").textContent = "";
    } else {
      return;
    }
    this.#readOut();
    this.#want(true, event.timeStamp);
  }

  #step() {
    this.#pause();
    const next = this.#events.find((time) => time > this.#atUs);
    this.#moveTo(next ?? 0, performance.now());
  }

  #reset() {
    this.#pause();
    this.#apply(this.#config.preset);
    this.#one("[data-seed]").value = this.#config.seed;
    this.#readOut();
    this.#atUs = Infinity;
    this.#want(true, performance.now());
  }

  #apply(presetName) {
    const preset = this.#config.presets[presetName];
    this.#one("[data-preset]").value = presetName;
    this.#one("[data-sentence]").textContent = preset.sentence;
    this.#one("[data-seed]").value = preset.seed;
    for (const input of this.#inputs()) write(input, preset.values[input.dataset.parameter]);
  }

  // ---------------------------------------------------------------- simulated time

  #play() {
    this.#playing = true;
    this.#showPlaying();
    if (this.#atUs >= this.#endUs) this.#atUs = 0;
    let before = performance.now();
    const tick = (now) => {
      if (!this.#playing) return;
      const step = ((now - before) * this.#endUs) / PLAY_MS;
      before = now;
      this.#moveTo(Math.round(Math.min(this.#atUs + step, this.#endUs)), now);
      if (this.#atUs >= this.#endUs) this.#pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  #pause() {
    this.#playing = false;
    this.#showPlaying();
  }

  #showPlaying() {
    const button = this.#one('[data-action="play"]');
    button.textContent = this.#playing ? "Pause" : "Play";
  }

  #moveTo(us, since) {
    this.#atUs = us;
    this.#showTime();
    this.#want(false, since);
  }

  #showTime() {
    const input = this.#one("[data-time]");
    input.max = this.#endUs;
    input.value = Math.min(this.#atUs, this.#endUs);
    const words = formatQuantity(Number(input.value), "µs");
    input.setAttribute("aria-valuetext", words);
    input.nextElementSibling.textContent = words;
  }

  // ---------------------------------------------------------------- asking the model

  /** Note that the picture is out of date, and work until it is not. */
  async #want(run, since) {
    if (!this.#runtime) return;
    this.#wanted = { run: run || (this.#wanted?.run ?? false), since };
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#wanted) {
        const wanted = this.#wanted;
        this.#wanted = null;
        await (wanted.run ? this.#run(wanted.since) : this.#draw(wanted.since));
      }
    } catch (error) {
      this.#pause();
      this.#complain(`The model failed: ${error.message}. Reset the settings and try again.`);
    } finally {
      this.#busy = false;
    }
  }

  async #run(since) {
    const seed = this.#one("[data-seed]");
    if (!seed.checkValidity() || seed.value === "") {
      this.#complain(`The seed is a whole number from ${seed.min} to ${seed.max}.`, seed);
      return;
    }
    const atEnd = this.#atUs >= this.#endUs;
    const answer = await this.#runtime.ask("run", {
      request: {
        figure: this.#config.figure,
        simulator: this.#config.simulator,
        values: this.#values(),
        seed: Number(seed.value),
        at_us: atEnd ? null : this.#atUs,
        width: this.#width(),
      },
    });
    if (answer.error !== undefined) {
      this.#pause();
      const named = `[data-parameter="${answer.parameter}"]`;
      this.#complain(answer.error, this.querySelector(named));
      return;
    }
    this.#complain("");
    this.#endUs = answer.end_us;
    this.#events = answer.events;
    // While the reader moved on in time, the newer time stands; its drawing is under way.
    if (!this.#wanted) this.#atUs = answer.at_us;
    this.result = answer.result;
    this.#showTime();
    this.#one(".rc-live-tables > div").innerHTML = answer.tables;
    this.#summarize(answer.summary);
    this.#show("run", answer.svg, since);
  }

  async #draw(since) {
    const answer = await this.#runtime.ask("draw", {
      request: {
        figure: this.#config.figure,
        at_us: Math.min(this.#atUs, this.#endUs),
        width: this.#width(),
      },
    });
    this.#show("draw", answer.svg, since);
  }

  #show(kind, svg, since) {
    this.#one(".rc-live-now").innerHTML = svg;
    const height = this.#one("figure").offsetHeight;
    this.classList.toggle("rc-live-sticky", height < STICKY_SHARE * innerHeight);
    this.style.setProperty("--rc-live-height", `${height}px`);
    const detail = { kind, milliseconds: performance.now() - since };
    this.dispatchEvent(new CustomEvent("live-figure-shown", { detail, bubbles: true }));
  }

  #width() {
    const { narrow, wide } = this.#config.widths;
    return this.#narrow ? narrow : wide;
  }

  // ---------------------------------------------------------------- words

  /** The summary is a live region: let the settings come to rest before it changes. */
  #summarize(sentences) {
    clearTimeout(this.#summaryTimer);
    const summary = this.#one(".rc-live-summary");
    this.#summaryTimer = setTimeout(() => {
      if (summary.textContent !== sentences) summary.textContent = sentences;
    }, QUIET_MS);
  }

  #say(sentence) {
    this.#one(".rc-live-status").textContent = sentence;
  }

  #complain(sentence, input = null) {
    const place = this.#one(".rc-live-error");
    if (place.textContent !== sentence) place.textContent = sentence;
    this.classList.toggle("rc-live-outdated", sentence !== "" && this.state === "running");
    for (const marked of this.querySelectorAll("[aria-invalid]")) {
      marked.removeAttribute("aria-invalid");
    }
    input?.setAttribute("aria-invalid", "true");
  }

  // ---------------------------------------------------------------- settings

  #inputs() {
    return this.querySelectorAll("[data-parameter]");
  }

  #values() {
    return Object.fromEntries([...this.#inputs()].map((each) => [each.dataset.parameter, read(each)]));
  }

  /** Write beside each slider what it stands at. */
  #readOut() {
    for (const input of this.querySelectorAll('[data-kind="integer"]')) {
      const words = formatQuantity(Number(input.value), input.dataset.unit);
      input.setAttribute("aria-valuetext", words);
      input.nextElementSibling.textContent = words;
    }
  }

  /** A link holds the figure, the seed, and the settings that differ from the figure's own. */
  async #copyLink() {
    const own = this.#config.presets[this.#config.preset].values;
    const link = new URLSearchParams({ seed: this.#one("[data-seed]").value });
    for (const [name, value] of Object.entries(this.#values())) {
      if (value !== own[name]) link.set(name, String(value));
    }
    const url = new URL(location.href);
    url.hash = `${this.id}:${link}`;
    history.replaceState(null, "", url);
    try {
      await navigator.clipboard.writeText(url.href);
      this.#say("The link to these settings is in the clipboard.");
    } catch (error) {
      this.#say(`The link to these settings is in the address bar (${error.message}).`);
    }
  }

  #settingsFromLink() {
    const [id, settings] = decodeURIComponent(location.hash.slice(1)).split(":", 2);
    if (id !== this.id || settings === undefined) return;
    const link = new URLSearchParams(settings);
    for (const input of this.#inputs()) {
      const value = link.get(input.dataset.parameter);
      if (value === null) continue;
      if (input.type === "checkbox") input.checked = value === "true";
      else if (input.tagName !== "SELECT" || [...input.options].some((o) => o.value === value)) {
        input.value = value;
      }
    }
    if (link.has("seed")) this.#one("[data-seed]").value = link.get("seed");
    this.#one("[data-preset]").value = "";
    this.#one("[data-sentence]").textContent = "";
    this.#readOut();
    this.#say("Your link's settings stand below; run the model to see them.");
    this.scrollIntoView();
  }

  #one(selector) {
    return this.querySelector(selector);
  }
}

function read(input) {
  if (input.type === "checkbox") return input.checked;
  return input.dataset.kind === "integer" ? Number(input.value) : input.value;
}

function write(input, value) {
  if (input.type === "checkbox") input.checked = value;
  else input.value = value;
}

/** As format_quantity in remotecalls/simulators/parameters.py; a test compares the two. */
export function formatQuantity(value, unit) {
  if (unit === "µs" && value >= 1_000_000) return `${scaled(value, 1_000_000)} s`;
  if (unit === "µs" && value >= 1_000) return `${scaled(value, 1_000)} ms`;
  if (unit === "kbit/s" && value >= 1_000) return `${scaled(value, 1_000)} Mbit/s`;
  const one = value === 1 && /^[a-z]+s$/.test(unit) ? unit.slice(0, -1) : unit;
  return `${value.toLocaleString("en-US")} ${one}`.trim();
}

function scaled(value, divisor) {
  const places = String(divisor).length - 1;
  return (value / divisor).toLocaleString("en-US", { maximumFractionDigits: places });
}

customElements.define("rc-live-figure", LiveFigure);
