// Start Pyodide once, at build time, and write the memory of the started interpreter to a file.
// A page that begins from this image starts in about a fifth of the time of a page that boots.
//
//   node live_figure_snapshot.mjs PYODIDE_DIRECTORY SIMPY_ZIP MODULES OUTPUT
//
// MODULES is a comma-separated list of what is imported into the image. The page loads no standard
// library beside it, so a simulator can import these modules and no others.

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [directory, simpyZip, modules, output] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(directory, "pyodide.mjs")).href);

const python = await loadPyodide({ indexURL: resolve(directory), _makeSnapshot: true });
python.FS.writeFile("/tmp/simpy.zip", new Uint8Array(readFileSync(simpyZip)));
python.runPython(`
import gc, sys
sys.path.append("/tmp/simpy.zip")
import ${modules}
# What is found through a zip file would be looked for in that file again; neither is there later.
sys.path.remove("/tmp/simpy.zip")
sys.path_importer_cache.clear()
gc.collect()
`);
writeFileSync(output, python.makeMemorySnapshot());
