// Bundles every action: tsc's JavaScript through ncc, minified, without source maps. The same sources give the same
// bytes, wherever the checkout is.
import { execFileSync } from "node:child_process";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.ts";
import { bin, root } from "./steps.ts";

execFileSync(bin("tsc"), ["--build"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
const wanted = process.argv.slice(2);
for (const action of readdirSync(join(root, "actions")).sort()) {
  if (wanted.length > 0 && !wanted.includes(action)) continue;
  const dist = join(root, "actions", action, "dist");
  rmSync(dist, { recursive: true, force: true });
  bundle(join("actions", action, "out", "index.js"), dist);
  console.log(`${action.padEnd(22)} ${(statSync(join(dist, "index.js")).size / 1e6).toFixed(2)} MB`);
}
