import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Policy } from "../../policy/schema.ts";
import { completeSigners } from "../schemes/find.ts";
import {
  findRootProblem,
  listInstances,
  type SigstoreInstance,
  type SigstoreSection,
  type TrustFile,
  type TufSource,
} from "../sigstore-instance.ts";

/** A file that lies with the policy, by its path there; whether it is the one that is meant is looked at here. */
export type ReadBeside = (file: TrustFile) => Promise<Uint8Array>;

type Surroundings = Pick<Context, "ports" | "env" | "signal" | "workingDirectory"> &
  Partial<Pick<Context, "temporaryDirectory">>;

/**
 * A policy with the trusted roots that it names: of each Sigstore that a signer names, whose root is in a file beside
 * the policy or in a repository by The Update Framework. Nothing is read or asked for where there is none.
 * @throws UserError `trusted-root-missing`, `trusted-root-mismatch`, `trusted-root-invalid`; InfrastructureError
 *   `trusted-root-unavailable`, `trusted-root-expired`, `trusted-root-rejected`
 */
export async function resolveTrustRoots(policy: Policy, read: ReadBeside, surroundings: Surroundings): Promise<Policy> {
  const used = new Set(
    Object.values(policy.signers).flatMap((signer) => ("sigstore" in signer ? signer.sigstore : [])),
  );
  const sections = Object.entries(policy.sigstore).filter(
    ([name, { file, tuf }]) => used.has(name) && (file !== undefined || tuf !== undefined),
  );
  if (sections.length === 0) return policy;
  const resolved = await Promise.all(
    sections.map(async ([name, section]): Promise<[string, SigstoreInstance]> => {
      const trustedRoot = await readRoot(section, read, surroundings);
      assertTrustedRoot(name, trustedRoot);
      return [name, { ...section, trustedRoot }];
    }),
  );
  const sigstore = { ...listInstances(policy.sigstore), ...Object.fromEntries(resolved) };
  const signers = completeSigners(policy.signers, { sigstore, trustStores: policy.trustStores });
  return { ...policy, signers: Object.assign(Object.create(null) as Policy["signers"], signers) };
}

/** @throws UserError `trusted-root-invalid` */
function assertTrustedRoot(name: string, text: string): void {
  const problem = findRootProblem(text);
  if (problem === undefined) return;
  throw new UserError(`what sigstore.${name} of the policy trusts ${problem}`, {
    code: "trusted-root-invalid",
    wayOut:
      "Name a trusted root in Sigstore's own format, as `cosign trusted-root create` and TUF repositories have it.",
  });
}

async function readRoot({ file, tuf }: SigstoreSection, read: ReadBeside, surroundings: Surroundings): Promise<string> {
  if (file !== undefined) return new TextDecoder().decode(await readVerified(file, read));
  if (tuf === undefined) throw new TypeError("a trusted root that is at hand");
  // Few policies need it, and it takes as long to load as all else that verifies.
  const { fetchTufTarget, fetchTufRoot } = await import(/* webpackMode: "eager" */ "./tuf.ts");
  const root = await readTufRoot(tuf, read, () => fetchTufRoot(tuf, surroundings));
  return fetchTufTarget(tuf, root, surroundings);
}

async function readTufRoot(
  { mirror, root: { digest, path, version } }: TufSource,
  read: ReadBeside,
  ask: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (path !== undefined) return readVerified({ path, digest }, read);
  const bytes = await ask();
  assertDigest(bytes, digest, `${version}.root.json of ${mirror}`);
  return bytes;
}

/** Of a file beside the policy the bytes that the policy means. @throws UserError `trusted-root-mismatch` */
async function readVerified(file: TrustFile, read: ReadBeside): Promise<Uint8Array> {
  const bytes = await read(file);
  assertDigest(bytes, file.digest, `${file.path}, beside the policy,`);
  return bytes;
}

function assertDigest(bytes: Uint8Array, digest: string, what: string): void {
  const found = digestOf(bytes);
  if (found === digest) return;
  throw new UserError(`${what} is ${found}, and the policy names ${digest}`, {
    code: "trusted-root-mismatch",
    wayOut: "Put the file back that was reviewed; or review this one, and name its digest in the policy.",
  });
}

/** Of a policy that was loaded, the Sigstores that its signers name, with what each trusts. */
export function listUsedInstances({ signers }: Pick<Policy, "signers">): Map<string, SigstoreInstance> {
  const used = Object.values(signers).flatMap((signer) => {
    const { sigstore, instance } = signer as { sigstore?: string; instance?: SigstoreInstance };
    return sigstore === undefined || instance === undefined ? [] : [[sigstore, instance] as const];
  });
  return new Map(used);
}

/**
 * Each file that lies with a policy, as the policy means it and fit for what it is named for: they go where the policy is
 * published, so that nobody finds out there that it can't be read.
 * @throws UserError `trusted-root-mismatch`, `trusted-root-invalid`, and as `read`
 */
export async function readTrustFiles({ sigstore }: Pick<Policy, "sigstore">, read: ReadBeside): Promise<Uint8Array[]> {
  const files = new Map<string, Uint8Array>();
  for (const [name, { file, tuf }] of Object.entries(sigstore)) {
    if (file !== undefined) {
      const bytes = await readVerified(file, read);
      assertTrustedRoot(name, new TextDecoder().decode(bytes));
      files.set(file.digest, bytes);
    } else if (tuf?.root.path !== undefined) {
      const { path, digest } = tuf.root;
      files.set(digest, await readVerified({ path, digest }, read));
    }
  }
  return [...files.values()];
}
