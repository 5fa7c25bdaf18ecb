import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { openIdentities } from "../identities/open.ts";
import { loadPolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { kev } from "../scan/data/kev.ts";
import { type MirroredArtifact, type MirrorRequest, mirrorData } from "../scan/data/mirror.ts";
import type { PublishedData } from "../scan/scanners/scanner.ts";
import { scanners as allScanners } from "../scan/scanners/table.ts";
import { identityInput } from "./identity-input.ts";
import { withClient } from "./open.ts";
import { openSigner, signerInputs } from "./signer-inputs.ts";
import { commonInputs, keyValues, lines, optionalText } from "./verb.ts";

const { legacy: _, ...signing } = signerInputs;

/** What both doors take to mirror scanners' data: no stage of the path, and so no verb. */
export const mirrorInputs = z.object({
  policy: commonInputs.policy,
  "policy-signer": commonInputs["policy-signer"],
  to: optionalText(),
  scanners: lines(),
  ecosystems: lines(),
  sources: keyValues(),
  keep: z
    .string()
    .default("14")
    .transform((text) => (text.trim() === "" ? "14" : text.trim()))
    .pipe(z.string().regex(/^[1-9]\d{0,3}$/, "expected a whole number from 1 to 9999"))
    .transform(Number),
  ...signing,
  ...identityInput,
});

/**
 * Puts the newest data of scanners into a registry, signed, as the policy's `scan.data` wants it.
 * @throws UserError `input-invalid`, `signer-unknown`, the policy's and the key's; as `mirrorData`
 */
export async function mirrorScannerData(
  given: z.infer<typeof mirrorInputs>,
  context: Omit<Context, "run">,
): Promise<MirroredArtifact[]> {
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const { policy } = loaded;
  const { data } = policy.scan;
  if (data === undefined) {
    throw new UserError(`policy ${loaded.uri} has no scan.data: nobody would take what is mirrored`, {
      code: "input-invalid",
      wayOut: "Have it say where scans take their data from and who signs that: scan.data (docs/policy.md).",
    });
  }
  const request: Omit<MirrorRequest, "signer"> = {
    repository: given.to === undefined ? parseRepository(data.repository) : parsePlace(given.to),
    policy: { signers: policy.signers, scan: { data } },
    scanners: chooseScanners(given.scanners, policy),
    sources: readSources(given.sources),
    parts: given.ecosystems,
    keep: given.keep,
  };
  const identities = given["registry-identities"];
  const own =
    identities.length === 0
      ? context
      : { ...context, identities: openIdentities(identities, context, { isSealed: false }) };
  const signer = await openSigner(given, { ...own, run: { builderId: "local" } }, loaded);
  return withClient(own, loaded, (client) => mirrorData(client, { ...request, signer }, own));
}

function parsePlace(to: string): Repository {
  return parseRepository(to.replace(/^oci:\/\//, ""), "input 'to'");
}

function chooseScanners(given: readonly string[], policy: Policy): PublishedData[] {
  const all: readonly Partial<PublishedData>[] = [...allScanners, kev];
  const asked = [...policy.scan.scanners, ...(policy.scan.data?.kev === true ? [kev.name] : [])];
  const names = given.length === 0 ? asked : given;
  return [...new Set(names)].map((name) => {
    const { data } = all.find((each) => each.name === name) ?? {};
    if (data !== undefined) return { name, data };
    const known = all.filter((each) => each.data !== undefined).map((each) => each.name);
    throw new UserError(`'${name}' is nothing whose data can be mirrored: there is ${known.join(", ")}`, {
      code: "input-invalid",
    });
  });
}

/** Over https, or from this machine: nothing else says that what comes is what was asked for. */
function readSources(sources: Readonly<Record<string, string>>): Record<string, string> {
  for (const [scanner, source] of Object.entries(sources)) {
    const url = URL.parse(source);
    const isLocal = url !== null && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
    // A registry is asked over https by the client itself.
    if (url !== null && (["https:", "oci:"].includes(url.protocol) || (url.protocol === "http:" && isLocal))) continue;
    throw new UserError(
      `input 'sources' has '${source}' for ${scanner}: expected an https URL, or oci://HOST/NAME:TAG`,
      {
        code: "input-invalid",
      },
    );
  }
  return sources;
}

/** One line for a log. */
export function describeMirrored({
  scanner,
  reference,
  tag,
  built,
  size,
  isSameData,
  removed,
}: MirroredArtifact): string {
  const what = isSameData ? "the same data, signed again" : `${size} bytes`;
  const gone = removed.length === 0 ? "" : `; took away ${removed.join(", ")}`;
  return `${scanner}: data of ${built.toISOString()} is oci://${reference} (${tag}): ${what}${gone}`;
}
