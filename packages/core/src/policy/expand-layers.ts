import { UserError } from "@goldenpath/foundation/errors";
import { type PinnedReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchPolicyArtifact } from "./artifact.ts";
import { type PolicyContext, type PolicySource, readerBeside, withClient } from "./beside.ts";

/**
 * The bytes of a policy: a team's file put together with the organisation's policy that it `extends`, and any other as
 * it is. What comes out is a policy like any other, with a digest and a serial of its own.
 * @throws UserError `policy-invalid` with each widening at its place, and as the place of the organisation's policy
 */
export async function expandLayers(
  bytes: Uint8Array,
  source: Exclude<PolicySource, { kind: "in-force" }>,
  uri: string,
  context: PolicyContext,
): Promise<Uint8Array> {
  if (!mayExtend(bytes)) return bytes;
  // Most policies are one file, and what compares two is as much to load as what reads one.
  const { composeLayers, readExtends } = await import(/* webpackMode: "eager" */ "./layers.ts");
  const team = { bytes, where: uri };
  const said = readExtends(team);
  if (said === undefined) return bytes;
  const { policy, digest } = said;
  const organisation = policy.startsWith("oci://")
    ? await withClient(context, (client) => fetchPolicyArtifact(client, parsePinned(policy, uri)))
    : await readerBeside(source, uri, context)({ path: policy, digest });
  return new TextEncoder().encode(composeLayers({ bytes: organisation, where: policy }, team).text);
}

/** Whether it is worth a look: written otherwise it is an unknown key, and few policies need be read twice. */
export function mayExtend(bytes: Uint8Array): boolean {
  return /^extends:/m.test(new TextDecoder().decode(bytes));
}

function parsePinned(policy: string, uri: string): PinnedReference {
  const { registry, name, digest } = parseReference(policy.slice("oci://".length), "extends.policy");
  if (digest !== undefined) return { registry, name, digest };
  throw new UserError(`policy ${uri} extends ${policy}, which names no digest`, {
    code: "policy-not-pinned",
    wayOut: "Write oci://HOST/NAME@sha256:DIGEST, or a file that lies with it.",
  });
}
