import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";

/** Certificates for tests, made by openssl when a test asks for them: no private key is ever kept. PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

export interface Authority extends KeyPair {
  /**
   * `names` as in a subject alternative name: `DNS:registry.test`, `IP:127.0.0.1`; without any, a client's certificate.
   * Negative days: expired.
   */
  issue(names: readonly string[], days?: number): Promise<KeyPair>;
}

/** An authority of the test's own. */
export async function makeAuthority(name: string): Promise<Authority> {
  const root = await withFiles({}, async (directory, openssl) => {
    await openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      ...["-keyout", "key", "-out", "cert"],
    );
    return readPair(directory);
  });
  return {
    ...root,
    issue: (names, days = 2) =>
      withFiles(
        { "ca.cert": root.cert, "ca.key": root.key, extensions: describeUse(names) },
        async (directory, openssl) => {
          await openssl(
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=test",
            ...["-keyout", "key", "-out", "request"],
          );
          await openssl(
            "x509",
            "-req",
            "-in",
            "request",
            "-CA",
            "ca.cert",
            "-CAkey",
            "ca.key",
            "-days",
            String(days),
            "-extfile",
            "extensions",
            ...["-out", "cert"],
          );
          return readPair(directory);
        },
      ),
  };
}

function describeUse(names: readonly string[]): string {
  return names.length === 0
    ? "extendedKeyUsage=clientAuth\n"
    : `subjectAltName=${names.join(",")}\nextendedKeyUsage=serverAuth\n`;
}

async function readPair(directory: string): Promise<KeyPair> {
  return { cert: await readFile(join(directory, "cert"), "utf8"), key: await readFile(join(directory, "key"), "utf8") };
}

async function withFiles<T>(
  files: Readonly<Record<string, string>>,
  body: (directory: string, openssl: (...args: string[]) => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-tls-"));
  try {
    for (const [name, content] of Object.entries(files))
      await writeFile(join(directory, name), content, { mode: 0o600 });
    return await body(directory, (...args) =>
      runChecked("openssl", args, { cwd: directory, env: { PATH: process.env["PATH"] } }),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
