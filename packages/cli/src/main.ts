import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suggestWord } from "@goldenpath/core/policy/suggest";
import { UserError } from "@goldenpath/foundation/errors";
import {
  isPlainCommand,
  type PlainCommand,
  plainCommands,
  renderCommandHelp,
  renderHelp,
  renderVerbHelp,
} from "./help.ts";
import { cleanOutput, exitCodes, type Output, reportError, terminalOutput } from "./output.ts";

/** Arguments after the program's name → exit code: 0 pass, 1 fail (the policy says no), 2 error. Never throws. */
export async function main(args: readonly string[], given: Output = terminalOutput()): Promise<number> {
  const output = cleanOutput(given);
  try {
    return await dispatch(args, output);
  } catch (error) {
    return reportError(
      isArgumentError(error)
        ? new UserError(error.message, {
            code: "arguments-invalid",
            cause: error,
            wayOut: `See goldenpath ${args[0] ?? ""} --help.`,
          })
        : error,
      output,
    );
  }
}

async function dispatch([command = "help", ...rest]: readonly string[], output: Output): Promise<number> {
  if (["help", "--help", "-h"].includes(command)) {
    const [about] = rest;
    if (about !== undefined && about !== "help" && !about.startsWith("-")) return dispatch([about, "--help"], output);
    output.out(renderHelp());
    return exitCodes.pass;
  }
  if (command === "--version") {
    output.out(`${readVersion()}\n`);
    return exitCodes.pass;
  }
  const asksForHelp = rest.includes("--help") || rest.includes("-h");
  if (isPlainCommand(command)) {
    if (!asksForHelp) return runPlainCommand(command, rest, output);
    output.out(renderCommandHelp(command));
    return exitCodes.pass;
  }
  const { verbLoaders, runVerbCommand } = await import("./commands/verbs.ts");
  const load = Object.hasOwn(verbLoaders, command) ? verbLoaders[command] : undefined;
  if (load === undefined)
    throw unknownCommand(command, await Promise.all(Object.values(verbLoaders).map((each) => each())));
  const verb = await load();
  if (!asksForHelp) return runVerbCommand(verb, rest, output);
  output.out(renderVerbHelp(verb));
  return exitCodes.pass;
}

/** Each command's code is loaded only when it is called. */
async function runPlainCommand(command: PlainCommand, args: readonly string[], output: Output): Promise<number> {
  switch (command) {
    case "init":
      return (await import("./commands/init.ts")).runInit(args, output);
    case "adopt":
      return (await import("./commands/adopt.ts")).runAdopt(args, output);
    case "base":
      return (await import("./commands/base.ts")).runBaseCommand(args, output);
    case "tools":
      return (await import("./commands/tools.ts")).runToolsCommand(args, output);
    case "registry":
      return (await import("./commands/registry.ts")).runRegistryCommand(args, output);
    case "keys":
      return (await import("./commands/keys.ts")).runKeysCommand(args, output);
    case "data":
      return (await import("./commands/data.ts")).runDataCommand(args, output);
    case "evidence":
      return (await import("./commands/evidence.ts")).runEvidenceCommand(args, output);
    case "import":
      return (await import("./commands/import.ts")).runImportCommand(args, output);
    case "exception":
      return (await import("./commands/exception.ts")).runExceptionCommand(args, output);
    case "fleet":
      return (await import("./commands/fleet.ts")).runFleetCommand(args, output);
    case "withdraw":
      return (await import("./commands/withdraw.ts")).runWithdrawCommand(args, output);
    case "policy":
      return (await import("./commands/policy.ts")).runPolicyCommand(args, output);
  }
}

/** An action's name is the likeliest word for a command that is none; after it, a slip of the hand. */
function unknownCommand(word: string, verbs: readonly { name: string; command: string }[]): UserError {
  const action = verbs.find((verb) => verb.name === word);
  const near = suggestWord(word, [...verbs.flatMap((verb) => [verb.command, verb.name]), ...plainCommands, "help"]);
  const nearCommand = verbs.find((verb) => verb.name === near)?.command ?? near;
  const wayOut =
    action !== undefined
      ? `'${word}' is the action's name; the command is '${action.command}'.`
      : nearCommand !== undefined
        ? `Did you mean '${nearCommand}'?`
        : "goldenpath help lists the commands.";
  return new UserError(`goldenpath: '${word}' is not a command`, { code: "arguments-invalid", wayOut });
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../../package.json"), "utf8")) as {
    version: string;
  };
  return version;
}

/** What node:util's parseArgs throws for an option that it does not know. */
function isArgumentError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    error.code.startsWith("ERR_PARSE_ARGS")
  );
}
