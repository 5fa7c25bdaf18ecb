import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { generateKeyPair } from "@goldenpath/core/signing/keys";
import { stages } from "@goldenpath/core/stages";
import { UserError } from "@goldenpath/foundation/errors";
import { exitCodes, type Output } from "../output.ts";

/**
 * `goldenpath keys new DIR [NAME…]`: a key pair per stage, `NAME.key` (readable by its owner alone) and `NAME.pub`. It
 * never overwrites a key.
 */
export async function runKeysCommand(args: readonly string[], output: Output): Promise<number> {
  const { positionals } = parseArgs({ args: [...args], options: {}, allowPositionals: true });
  const [action, directory, ...given] = positionals;
  if (action !== "new" || directory === undefined)
    throw new UserError("goldenpath keys: expected new DIR [NAME…]", { code: "arguments-invalid" });
  const names = given.length === 0 ? [...stages] : given;
  await mkdir(directory, { recursive: true });
  for (const name of names) {
    if (!/^[a-z0-9-]+$/.test(name))
      throw new UserError(`'${name}' is not a signer's name: expected lower case letters, digits and hyphens`, {
        code: "arguments-invalid",
      });
    const pair = await generateKeyPair();
    const file = join(directory, `${name}.key`);
    try {
      await writeFile(file, pair.privateKeyPem, { mode: 0o600, flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      throw new UserError(`${file} exists already`, {
        code: "key-exists",
        cause: error,
        wayOut: "Choose another directory, or remove the key if nothing is signed with it.",
      });
    }
    await writeFile(join(directory, `${name}.pub`), pair.publicKeyPem);
    output.out(`${file}\n`);
  }
  output.err("Keep each private key where its stage alone reads it. The .pub files go into the policy's signers.\n");
  return exitCodes.pass;
}
