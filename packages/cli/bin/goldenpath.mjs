#!/usr/bin/env -S node --conditions=goldenpath-source
// Node runs the TypeScript sources as they are; the condition points the workspaces' imports at them.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `goldenpath needs Node 22.18 or later, and this is ${process.versions.node}.\nRun it as npx goldenpath in a checkout after npm ci, which brings its own Node 24.\n`,
  );
  process.exit(2);
}
const { main } = await import("../src/main.ts");
process.exitCode = await main(process.argv.slice(2));
