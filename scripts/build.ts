// Bundles every action: tsc's JavaScript through ncc, minified, without source maps. The same sources give the same
// bytes, wherever the checkout is.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const bin = (name: string): string => join(root, "node_modules", ".bin", name);
const run = (file: string, args: string[], quiet = false): void =>
  void execFileSync(file, args, { cwd: root, stdio: ["ignore", quiet ? "ignore" : "inherit", "inherit"] });

run(bin("tsc"), ["--build"]);
const wanted = process.argv.slice(2);
for (const action of readdirSync(join(root, "actions")).sort()) {
  if (wanted.length > 0 && !wanted.includes(action)) continue;
  const dist = join(root, "actions", action, "dist");
  rmSync(dist, { recursive: true, force: true });
  run(
    bin("ncc"),
    [
      "build",
      join("actions", action, "out", "index.js"),
      "--out",
      dist,
      "--minify",
      "--no-cache",
      "--license",
      "licenses.txt",
      "--target",
      "es2022",
    ],
    true,
  );
  // ncc's ESM output is a module only by the package.json beside it.
  writeFileSync(join(dist, "package.json"), '{ "type": "module" }\n');
  const licenses = join(dist, "licenses.txt");
  writeFileSync(licenses, readFileSync(licenses, "utf8").replaceAll("\r\n", "\n"));
  console.log(`${action.padEnd(22)} ${(statSync(join(dist, "index.js")).size / 1e6).toFixed(2)} MB`);
}
