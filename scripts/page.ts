// The page's own script and style, as the file that core writes into each page: packages/core/page → assets.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";

const root = join(import.meta.dirname, "..");
const sources = join(root, "packages/core/page");

/** Path from the root of what is written. */
export const pageAssets = "packages/core/src/report/page/assets.json";

/** The content of {@link pageAssets}: the same sources give the same bytes. */
export async function renderPageAssets(): Promise<string> {
  const bundle = await rolldown({ input: join(sources, "main.ts"), platform: "browser", tsconfig: false });
  const { output } = await bundle.generate({ format: "iife", minify: true });
  await bundle.close();
  const [{ code }, ...others] = output;
  if (others.length > 0) throw new Error("the page's script is more than one file");
  // In a script element such a text would end it, or begin a comment.
  if (/<\/script|<!--/i.test(code)) throw new Error("the page's script has text in it that HTML reads");
  return `${JSON.stringify({ script: code.trim(), style: renderStyle() }, null, 2)}\n`;
}

function renderStyle(): string {
  const lines = readFileSync(join(sources, "page.css"), "utf8").split("\n");
  return lines.map((line) => line.trim().replaceAll(": ", ":").replaceAll(" {", "{")).join("");
}
