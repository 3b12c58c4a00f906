// Runs the book's simulators in a web worker: Python compiled to WebAssembly, and the same modules
// that the labs import. live-figure.js starts it and is the only one that talks to it.
//
// Messages in:  { id, kind: "start", urls: { runtime, models }, lock }
//               { id, kind: "run" | "draw", request }   (see remotecalls/figures/page.py)
// Messages out: { id, answer } or { id, failure }       (failure is a sentence)

const EMPTY_ZIP = "data:application/zip;base64,UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

let page;

const handlers = {
  async start({ urls, lock }) {
    // The downloads run side by side; loadPyodide waits for the memory image where it needs it.
    const memory = bytesOf(`${urls.runtime}snapshot.zip`).then(unzipped);
    const models = bytesOf(urls.models);
    const [{ loadPyodide }] = await Promise.all([
      import(`${urls.runtime}pyodide.mjs`),
      memory,
      models,
    ]);
    const python = await loadPyodide({
      indexURL: urls.runtime,
      packageBaseUrl: urls.runtime, // Nothing is asked of it; the default would be another host.
      lockFileContents: JSON.stringify({ info: lock, packages: {} }),
      stdLibURL: EMPTY_ZIP, // The image holds all of the standard library that models may import.
      _loadSnapshot: memory,
    });
    python.FS.writeFile("/lib/models.zip", new Uint8Array(await models));
    page = python.runPython(`
import sys
sys.path.insert(0, "/lib/models.zip")
from remotecalls.figures.page import Page
Page()
`);
    return null;
  },
  run: ({ request }) => JSON.parse(page.run(JSON.stringify(request))),
  draw: ({ request }) => JSON.parse(page.draw(JSON.stringify(request))),
};

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ id: data.id, answer: await handlers[data.kind](data) });
  } catch (error) {
    self.postMessage({ id: data.id, failure: lastLine(error) });
  }
});

/** A Python error's message is its whole traceback, of which the last line says what happened. */
function lastLine(error) {
  return String(error.message ?? error).trim().split("\n").at(-1);
}

async function bytesOf(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`${new URL(url).pathname} answered ${response.status}`);
  }
  return response.arrayBuffer();
}

/** Return the first file of a zip archive (APPNOTE.TXT 4.3.7, local file header). */
async function unzipped(archive) {
  const header = new DataView(archive);
  if (header.getUint32(0, true) !== 0x04034b50) {
    throw new Error("the memory image is not a zip archive");
  }
  const size = header.getUint32(18, true);
  const start = 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const packed = new Blob([archive.slice(start, start + size)]).stream();
  return new Response(packed.pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer();
}
