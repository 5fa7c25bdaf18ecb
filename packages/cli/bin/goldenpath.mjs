#!/usr/bin/env -S node --conditions=goldenpath-source
// Whole: a name that an older Node.js has not would end it here, before it is told what it needs.
import * as nodeModule from "node:module";
import { join } from "node:path";

// Node runs the TypeScript sources as they are; the condition points the workspaces' imports at them.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `goldenpath needs Node 22.18 or later, and this is ${process.versions.node}.\nRun it as npx goldenpath in a checkout after npm ci, which brings its own Node 24.\n`,
  );
  process.exit(2);
}
// The sources are compiled once; a start takes half as long after that. Where only this user writes, and not in CI:
// what is in there is run unchecked, and on a runner that is kept, an application's build may have been there before.
if (process.platform !== "win32" && !process.env.CI) {
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && join(process.env.HOME, ".cache"));
  if (cache) nodeModule.enableCompileCache(join(cache, "goldenpath", "compiled"));
}
const { runProcess } = await import("../src/process.ts");
await runProcess(process.argv.slice(2));
