#!/usr/bin/env node
// The npm package's door: as `goldenpath.mjs` beside it, but to what the sources were bundled to.
// Whole: a name that an older Node.js has not would end it here, before it is told what it needs.
import * as nodeModule from "node:module";
import { join } from "node:path";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`goldenpath needs Node 22.19 or later, and this is ${process.versions.node}.\n`);
  process.exit(2);
}
if (process.platform !== "win32" && !process.env.CI) {
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && join(process.env.HOME, ".cache"));
  if (cache) nodeModule.enableCompileCache(join(cache, "goldenpath", "compiled"));
}
const { runProcess } = await import("../packages/cli/dist/index.js");
await runProcess(process.argv.slice(2));
