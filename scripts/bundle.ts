import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { minifySync } from "rolldown/utils";
import { compileAllAtOnce, compileAtOnce } from "./eager.ts";
import { bin, root } from "./steps.ts";

/** tsc's JavaScript through ncc into a folder: minified, without source maps, and the same bytes wherever it is made. */
export function bundle(entry: string, dist: string, { inPieces = false } = {}): void {
  const args = ["build", entry, "--out", dist, "--minify", "--no-cache"];
  execFileSync(bin("ncc"), [...args, "--license", "licenses.txt", "--target", "es2022"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  // An action that is one in spite of that has taken in what it doesn't need, and has the licences of one piece alone.
  const pieces = readdirSync(dist).filter((name) => name.endsWith(".js") && name !== "index.js");
  if (pieces.length > 0 && !inPieces) throw new Error(`${entry} is not one bundle: ${pieces.join(", ")} lie beside it`);
  for (const name of pieces) rewrite(join(dist, name), (code) => compileAllAtOnce(shorten(name, code)));
  rewrite(join(dist, "index.js"), inPieces ? compileAllAtOnce : compileAtOnce);
  // ncc's ESM output is a module only by the package.json beside it.
  writeFileSync(join(dist, "package.json"), '{ "type": "module" }\n');
  // A licence's line ends are those of its author's machine.
  const licenses = join(dist, "licenses.txt");
  writeFileSync(licenses, readFileSync(licenses, "utf8").replaceAll("\r\n", "\n"));
}

function rewrite(file: string, change: (code: string) => string): void {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

/** ncc shortens the first piece alone. */
function shorten(name: string, piece: string): string {
  const { code, errors } = minifySync(name, piece, { module: true, compress: { target: "es2022" } });
  if (errors.length > 0)
    throw new Error(`${name} can't be shortened: ${errors.map(({ message }) => message).join("; ")}`);
  return code;
}
