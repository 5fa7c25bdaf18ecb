import { once } from "node:events";
import { parseArgs } from "node:util";
import { UserError } from "@goldenpath/foundation/errors";
import { startRegistry } from "@goldenpath/registry-server/server";
import { exitCodes, type Output } from "../output.ts";
import { abortOnInterrupt } from "./context.ts";

/** `goldenpath registry serve` and `goldenpath registry probe`, whose options are their own. */
export async function runRegistryCommand(args: readonly string[], output: Output): Promise<number> {
  if (args[0] === "probe") return (await import("./registry-probe.ts")).runRegistryProbe(args.slice(1), output);
  return serveRegistry(args, output);
}

/**
 * `goldenpath registry serve [--port N] [--dir DIR] [--log]`: the embedded OCI registry on localhost, until it is
 * interrupted.
 */
async function serveRegistry(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { port: { type: "string", default: "5000" }, dir: { type: "string" }, log: { type: "boolean" } },
    allowPositionals: true,
  });
  if (positionals[0] !== "serve")
    throw new UserError(`goldenpath registry: '${positionals[0] ?? ""}' is not known; expected serve or probe`, {
      code: "arguments-invalid",
    });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UserError(`option --port is '${values.port}': expected a whole number from 0 to 65535`, {
      code: "arguments-invalid",
    });
  }
  const server = await startRegistry({
    port,
    // It may serve for days: what was asked is only kept for tests.
    record: false,
    ...(values.dir === undefined ? {} : { directory: values.dir }),
    ...(values.log === true ? { log: (line: string) => output.err(`${line}\n`) } : {}),
  });
  output.out(`${server.host}\n`);
  output.err(
    `OCI registry on ${server.url}, ${values.dir === undefined ? "in memory" : `in ${values.dir}`}; Ctrl-C stops it\n`,
  );
  const signal = abortOnInterrupt();
  if (!signal.aborted) await once(signal, "abort");
  await server.close();
  return exitCodes.pass;
}
