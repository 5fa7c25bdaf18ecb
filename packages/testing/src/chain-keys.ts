import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateKeyPair, loadSigner } from "@goldenpath/core/signing/keys";
import type { KeySigner } from "@goldenpath/core/signing/schemes/key/sign";
import { type Stage, stages } from "@goldenpath/core/stages";
import { silentPorts } from "@goldenpath/foundation/ports";

/**
 * Whoever may sign in a test: the stages, the platform's signer, who puts policies in force, and somebody whom nobody
 * knows.
 */
export type KeyName = Stage | "platform" | "stranger";
export interface TestKey {
  /** A private key in PEM, as `key` takes it. */
  file: string;
  publicKey: string;
  publicKeyFile: string;
  signer: KeySigner;
}
export type TestKeys = Readonly<Record<KeyName, TestKey>>;

/** New keys, their private halves as files in `directory`. */
export async function makeKeys(directory: string): Promise<TestKeys> {
  const made = [...stages, "platform" as const, "stranger" as const].map(async (name) => {
    const { privateKeyPem, publicKeyPem } = generateKeyPair();
    const [file, publicKeyFile] = [join(directory, `${name}.key`), join(directory, `${name}.pub`)];
    await writeFile(publicKeyFile, publicKeyPem);
    await writeFile(file, privateKeyPem, { mode: 0o600 });
    const signer = await loadSigner(
      { key: privateKeyPem },
      { ports: silentPorts(), env: {}, workingDirectory: directory },
    );
    return [name, { file, publicKey: publicKeyPem, publicKeyFile, signer }] as const;
  });
  return Object.fromEntries(await Promise.all(made)) as Record<KeyName, TestKey>;
}
