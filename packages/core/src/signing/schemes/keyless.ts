import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { findBundleLayer } from "../bundle-layer.ts";
import { type CertifiedStatement, openCertified } from "../certified-bundle.ts";
import { type CertifiedAnswer, findSigners, groupByInstance } from "../certified-signers.ts";
import { cosignCheck } from "../cosign-check.ts";
import { githubCheck } from "../github-check.ts";
import type { SignerMaterial } from "../material.ts";
import { signerTimes } from "../signer-times.ts";
import { readTrust, type SigstoreInstance } from "../sigstore-instance.ts";
import type {
  EvidencePiece,
  EvidenceVerifier,
  HandCheck,
  PolicySections,
  SigningScheme,
  TrustedSigner,
} from "./scheme.ts";

export const githubIssuer = "https://token.actions.githubusercontent.com";

const version = z
  .string()
  .regex(
    /^(?:[0-9a-f]{40}|[0-9a-f]{64}|refs\/tags\/[^\s*?@[\]{}~^:\\]+)$/,
    "expected a full commit (40 or 64 hexadecimal digits) or a tag (refs/tags/v1.2.3); branches move, and a pattern fits commits of forks",
  );

/** Whole components, of which `*` is one. */
const components = (expected: string, prefix: string) =>
  z
    .string()
    .refine(
      (text) => text.startsWith(prefix) && text.split("/").every((part) => part === "*" || !/[*?@\s]/.test(part)),
      expected,
    );

/** A workflow of a policy, whichever form its signatures have. */
export const workflowFields = {
  sigstore: z.string().describe("Whose certificates count: a name of the policy's `sigstore`."),
  issuer: z
    .url("expected the URL of an issuer")
    .default(githubIssuer)
    .describe("Who vouches for runs: the issuer of their tokens, exactly."),
  workflow: z
    .string()
    .regex(
      /^https:\/\/[^/\s@*?]+\/[^/\s@*?]+\/[^/\s@*?]+\/\.github\/workflows\/[^/\s@*?]+\.ya?ml$/,
      "expected https://HOST/OWNER/REPO/.github/workflows/FILE.yml, without a ref and without patterns",
    )
    .describe("The workflow whose job signs: of a reusable one its own file, whoever calls it."),
  at: z
    .array(version)
    .min(1)
    .describe(
      "Which versions of it: full commits, and tags that nobody can move. Never a branch or a pattern: a commit of a fork resolves under the repository's own name.",
    ),
  ownerId: z
    .string()
    .regex(/^[1-9]\d*$/, "expected the number of a GitHub owner, in quotes")
    .describe("The numeric ID of the owner of the repositories that it runs for: names can be taken over."),
  repositories: z
    .array(components("expected https://HOST/OWNER/REPO, where * is one whole component", "https://"))
    .min(1)
    .describe("The repositories that it may run for; * stands for one path component: https://github.com/acme/*"),
  refs: z
    .array(components("expected a ref such as refs/heads/main, where * is one whole component", "refs/"))
    .min(1)
    .optional()
    .describe("The refs of those that it may run on: refs/heads/main, refs/tags/*. Default: any branch or tag."),
  runnerEnvironments: z
    .array(z.enum(["github-hosted", "self-hosted"]))
    .min(1)
    .default(["github-hosted"])
    .describe("On whose runners: on one of its own, whoever calls the workflow can change what it does."),
  environment: z.string().min(1).optional().describe("The environment on GitHub that its job must have."),
  ...signerTimes,
};

const signerSchema = z.strictObject({
  kind: z.literal("keyless").describe("How this signer signs: as a workflow, by a certificate for its run."),
  ...workflowFields,
});
/** A workflow, of either form. */
export type WorkflowFields = Omit<z.infer<typeof signerSchema>, "kind">;

/** As a policy that was read whole has it. */
type CompleteFields = WorkflowFields & { instance?: SigstoreInstance };

/** Runs of workflows, by certificates that are made for one run, and Sigstore bundles. */
export const keyless = {
  kind: "keyless",
  signerSchema,
  evidence: "a Sigstore bundle",
  levels: 1,
  recognises: (manifest) => manifest.artifactType === mediaTypes.sigstoreBundle,
  listedAs: [mediaTypes.sigstoreBundle],
  isCertified: true,
  complete: completeWorkflow,
  identify: identifyWorkflow,
  materialOf: workflowMaterial,
  trust,
  checkByHand: (signer: CompleteFields, piece) => checkByHand(signer, piece),
} as const satisfies SigningScheme<z.infer<typeof signerSchema>>;

/** With the Sigstore that the signer names. */
export function completeWorkflow<Fields extends WorkflowFields>(signer: Fields, { sigstore }: PolicySections): Fields {
  const instance = Object.hasOwn(sigstore, signer.sigstore) ? sigstore[signer.sigstore] : undefined;
  return instance === undefined ? signer : { ...signer, instance };
}

/** Whichever form its signatures have: one workflow is one signer. */
export function identifyWorkflow({ issuer, workflow, environment }: WorkflowFields) {
  const text = JSON.stringify([issuer, workflow, ...(environment === undefined ? [] : [environment])]);
  return { field: "workflow", what: "workflow", text };
}

export function workflowMaterial(signer: CompleteFields): SignerMaterial {
  const { issuer, workflow, at, ownerId, repositories, refs, runnerEnvironments, environment, instance } = signer;
  const rule = { issuer, workflow, at, ownerId, repositories, refs, runnerEnvironments, environment };
  return { kind: "workflow", rule, instance };
}

function checkByHand(signer: CompleteFields, piece: EvidencePiece): HandCheck {
  const opened = openCertified(piece.bytes);
  const check = checkCertified(signer, piece, opened);
  if (signer.instance === undefined) return check;
  const byGithub = githubCheck(signer.instance, piece, opened);
  if (byGithub === undefined) return check;
  return { ...check, other: byGithub.argv, files: { ...check.files, ...byGithub.files } };
}

/**
 * By the workflow at the version that signed, and at the commit that was behind it: the policy has taken that one, and
 * cosign takes no list.
 */
export function checkCertified(
  { instance, issuer }: Pick<CompleteFields, "instance" | "issuer">,
  piece: Pick<EvidencePiece, "signer" | "file" | "subject" | "predicateType">,
  { identity, bundle }: Pick<CertifiedStatement, "identity" | "bundle">,
): HandCheck {
  if ("problem" in identity || instance === undefined) throw new TypeError("evidence that nobody has verified");
  const file = `trust/${piece.signer}.trusted-root.json`;
  const hasTimestamp = (bundle.verificationMaterial.timestampVerificationData?.rfc3161Timestamps.length ?? 0) > 0;
  const proofs = [
    ...(instance.proof === "timestamp" ? ["--insecure-ignore-tlog"] : []),
    ...(readTrust(instance).ctlogs.length === 0 ? ["--insecure-ignore-sct"] : []),
    // cosign wants one then: a root may have authorities, and a bundle the log's time alone.
    ...(hasTimestamp && readTrust(instance).timestampAuthorities.length > 0 ? ["--use-signed-timestamps"] : []),
  ];
  const argv: HandCheck["argv"] = [
    ...cosignCheck(piece),
    ...["--trusted-root", file, "--certificate-oidc-issuer", issuer],
    ...["--certificate-identity", identity.buildSignerUri],
    ...proofs,
  ];
  return { argv, files: { [file]: instance.trustedRoot } };
}

/** Bundles of which it is remembered who signed them. */
const maxRemembered = 10_000;

function trust(signers: readonly TrustedSigner[]): EvidenceVerifier {
  const instances = groupByInstance(signers);
  // By the bundle's digest: the same bytes lie at the source and at the destination, and with each child.
  const known = new Map<Digest, CertifiedAnswer>();
  return {
    async verify({ manifest }, read) {
      const layer = findBundleLayer(manifest);
      if (typeof layer === "string") return { reason: layer };
      const bundle: Descriptor = { mediaType: layer.mediaType, digest: layer.digest, size: layer.size };
      const bytes = await read(bundle);
      try {
        const opened = openCertified(bytes);
        const answer = known.get(bundle.digest) ?? findSigners(opened, instances);
        if (known.size >= maxRemembered) known.clear();
        known.set(bundle.digest, answer);
        return [{ payload: opened.payload, bundle, ...answer }];
      } catch (error) {
        if (error instanceof UserError) return { reason: error.message };
        throw error;
      }
    },
  };
}
