// Draw one Mermaid text once per palette. Standard input: {"text", "palettes": {name: colors}}.
// Standard output: {name: svg} or {"error": message}. Called by mermaid_svg.py.
import { text as read } from "node:stream/consumers";

import { renderMermaidSVG } from "beautiful-mermaid";

const { text, palettes } = JSON.parse(await read(process.stdin));
let answer = {};
try {
  for (const [name, colors] of Object.entries(palettes)) {
    answer[name] = renderMermaidSVG(text, { ...colors, transparent: true, padding: 12 });
  }
} catch (error) {
  answer = { error: error.message };
}
process.stdout.write(JSON.stringify(answer));
