import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";

/**
 * A certificate that signs itself, for a server that lives as long as one build, by the machine's openssl. PEM.
 * @param parent a folder of ours
 * @throws InfrastructureError where there is no openssl, or none that can
 */
export async function makeCertificate(parent: string, host: string): Promise<{ cert: string; key: string }> {
  const directory = await mkdtemp(join(parent, "certificate-"));
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const names = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`];
  try {
    await runChecked("openssl", ["req", "-x509", ...kind, ...names, "-keyout", key, "-out", cert], {
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      timeoutMs: 60_000,
    });
    return { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
