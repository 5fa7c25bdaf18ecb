import { execFile } from "node:child_process";
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RunnerTestSuite } from "vitest";
import { giveUp, requireCommand } from "./tools.ts";

const run = promisify(execFile);

/** Where Debian's and Fedora's packages have it. */
const modules = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];

/** A token of SoftHSM in a folder of its own. */
export interface SoftToken {
  module: string;
  label: string;
  pin: string;
  /** What a program needs in its environment to see it. */
  env: Readonly<Record<string, string>>;
  /** A key pair that never leaves the token; of P-256 its public half in PEM. `id`: hexadecimal. */
  makeKey(id: string, label: string, type?: string): Promise<string>;
  uri(id: string): string;
}

/** Ends the running suite where SoftHSM or OpenSC is not on the machine, as with any tool. */
export async function makeSoftToken(directory: string, suite: Readonly<RunnerTestSuite>): Promise<SoftToken> {
  const util = await requireCommand("softhsm2-util", suite);
  const tool = await requireCommand("pkcs11-tool", suite);
  const openssl = await requireCommand("openssl", suite);
  const present = await Promise.all(
    modules.map((path) =>
      access(path).then(
        () => path,
        () => undefined,
      ),
    ),
  );
  const module = present.find((path) => path !== undefined);
  if (module === undefined) giveUp("SoftHSM has no module: apt-get install softhsm2", suite);
  await mkdir(join(directory, "tokens"), { recursive: true });
  const config = join(directory, "softhsm2.conf");
  await writeFile(config, `directories.tokendir = ${join(directory, "tokens")}\nobjectstore.backend = file\n`);
  const [label, pin] = ["acme", "4321-user"];
  const env = { PATH: process.env["PATH"] ?? "", SOFTHSM2_CONF: config };
  await run(util, ["--init-token", "--free", "--label", label, "--so-pin", "8765-owner", "--pin", pin], { env });
  const token = ["--module", module, "--token-label", label, "--login", "--pin", pin];
  return {
    module,
    label,
    pin,
    env,
    async makeKey(id, name, type = "EC:prime256v1") {
      await run(tool, [...token, "--keypairgen", "--key-type", type, "--id", id, "--label", name], { env });
      // Of other curves OpenSC 0.23 can't write the public half.
      if (type !== "EC:prime256v1") return "";
      const der = join(directory, `${id}.der`);
      await run(tool, [...token, "--read-object", "--type", "pubkey", "--id", id, "--output-file", der], { env });
      return (await run(openssl, ["pkey", "-pubin", "-inform", "der", "-in", der])).stdout;
    },
    uri: (id) => `pkcs11:token=${label};id=${id.replaceAll(/../g, "%$&")}?module-path=${module}`,
  };
}
