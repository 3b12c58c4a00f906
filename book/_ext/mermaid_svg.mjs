// Draw one Mermaid text. Standard input: {"text", "palette"}. Standard output: {"svg"} or {"error"},
// a message about the text. Called by mermaid_svg.py.
import { text as read } from "node:stream/consumers";

import { renderMermaidSVG } from "beautiful-mermaid";

const { text, palette } = JSON.parse(await read(process.stdin));
let answer;
try {
  answer = { svg: renderMermaidSVG(text, { ...palette, transparent: true, padding: 12 }) };
} catch (error) {
  answer = { error: error.message };
}
process.stdout.write(JSON.stringify(answer));
