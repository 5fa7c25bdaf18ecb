import { UserError } from "@goldenpath/core/errors";
import { renderHelp, renderVerbHelp } from "./help.ts";
import { exitCodes, type Output, reportError, terminalOutput } from "./output.ts";

/** Arguments after the program's name → exit code: 0 pass, 1 fail (the policy says no), 2 error. Never throws. */
export async function main(args: readonly string[], output: Output = terminalOutput()): Promise<number> {
  try {
    return await dispatch(args, output);
  } catch (error) {
    return reportError(
      isArgumentError(error)
        ? new UserError(error.message, { code: "arguments-invalid", cause: error, wayOut: "See goldenpath help." })
        : error,
      output,
    );
  }
}

async function dispatch(args: readonly string[], output: Output): Promise<number> {
  const [command = "help", ...rest] = args;
  const { verbLoaders, runVerbCommand } = await import("./commands/verbs.ts");
  const load = Object.hasOwn(verbLoaders, command) ? verbLoaders[command] : undefined;
  if (load !== undefined) {
    const verb = await load();
    if (rest.includes("--help")) {
      output.out(renderVerbHelp(verb));
      return exitCodes.pass;
    }
    return runVerbCommand(verb, rest, output);
  }
  switch (command) {
    case "tools":
      return (await import("./commands/tools.ts")).runToolsCommand(rest, output);
    case "registry":
      return (await import("./commands/registry.ts")).runRegistryCommand(rest, output);
    case "keys":
      return (await import("./commands/keys.ts")).runKeysCommand(rest, output);
    case "policy":
      return (await import("./commands/policy.ts")).runPolicyCommand(rest, output);
    case "help":
    case "--help":
    case "-h":
      output.out(renderHelp());
      return exitCodes.pass;
    default:
      output.err(renderHelp());
      throw new UserError(`goldenpath: '${command}' is not a command`, { code: "arguments-invalid" });
  }
}

/** What node:util's parseArgs throws for an option that it does not know. */
function isArgumentError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("ERR_PARSE_ARGS");
}
