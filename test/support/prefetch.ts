// Gets every tool that the tests use before they start, one after another, so that no test's time is spent on a
// compiler. What can't be had is said here; whether that is a failure is decided where a test asks for it. With a
// folder, only the tools that its tests name; what those ask for by way of others comes as they do. Without one, all but those that only the slow tests ask for.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findTool } from "@goldenpath/core/tools/find";
import { describeError } from "@goldenpath/foundation/errors";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";
import { admissionEngines } from "./admission-engines.ts";
import { allTools } from "./tools.ts";

const ports = createTerminalPorts({ out: process.stderr });
const [folder] = process.argv.slice(2);
const files =
  folder === undefined
    ? []
    : readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const texts = files.map((file) => readFileSync(join(folder ?? "", file), "utf8"));
const wanted =
  folder === undefined
    ? allTools.filter((tool) => !admissionEngines.includes(tool) && tool.name !== "trivy")
    : allTools.filter(({ name }) => texts.some((text) => text.includes(`"${name}"`)));
for (const { name, version } of wanted) {
  try {
    const found = await findTool(name, { ports, env: process.env, lock: allTools });
    console.log(`${name.padEnd(11)} ${version.padEnd(9)} ${found.source}`);
  } catch (error) {
    console.log(`${name.padEnd(11)} ${version.padEnd(9)} not to be had: ${describeError(error)}`);
    if (process.env["GOLDENPATH_REQUIRE_TOOLS"] === "1") process.exitCode = 1;
  }
}
