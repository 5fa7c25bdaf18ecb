// Gets every tool that the tests use before they start, one after another, so that no test's time is spent on a compiler. What can't be had is said here;
// whether that is a failure is decided where a test asks for it.

import { findTool } from "@goldenpath/core/tools/find";
import { describeError } from "@goldenpath/foundation/errors";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";
import { allTools } from "./tools.ts";

const ports = createTerminalPorts({ out: process.stderr });
for (const { name, version } of allTools) {
  try {
    const found = await findTool(name, { ports, env: process.env, lock: allTools });
    console.log(`${name.padEnd(11)} ${version.padEnd(9)} ${found.source}`);
  } catch (error) {
    console.log(`${name.padEnd(11)} ${version.padEnd(9)} not to be had: ${describeError(error)}`);
    if (process.env["GOLDENPATH_REQUIRE_TOOLS"] === "1") process.exitCode = 1;
  }
}
