import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import type { LoadedPolicy } from "../policy/schema.ts";
import { renderResultMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import { type AttachTarget, attachStatements, type Piece } from "../signing/attach.ts";
import type { SignedImage } from "../signing/result-statements.ts";
import type { Signer } from "../signing/types.ts";
import type { ResultStage } from "../stages.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withImage } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { listMissingInputs, openSigner, type SchemeName, type SignerInputs, signerInputs } from "./signer-inputs.ts";
import { commonInputs, requiredText, type VerbOutcome } from "./verb.ts";

/** Inputs of the verbs that sign: those that all of them have, and a verb's own. */
export function signingInputs<Own extends z.ZodRawShape>(own: Own) {
  return (
    z
      .object({ ...commonInputs, ...identityInput, image: requiredText(), ...signerInputs, ...own })
      // Said together with whatever else is missing.
      .refine((given) => !listMissingInputs(given as SignerInputs).includes("key"), {
        path: ["key"],
        message: "is required and was not given",
        when: () => true,
      })
  );
}

interface SigningInputs extends SignerInputs {
  policy: string;
  "policy-signer"?: string | undefined;
  image: string;
  signer: SchemeName;
}

/** One entry of the output `attestations`. */
interface Attested {
  predicateType: string;
  /** Digests: of the bundle, of the referrer that carries it, and of the manifest that it is attached to. */
  bundle: Digest;
  referrer: Digest;
  subject: Digest;
}

/** What the steps of one run share. */
export interface Signing {
  client: RegistryClient;
  image: ImageFacts;
  policy: LoadedPolicy;
  signer: Signer;
  context: Context;
  attested: Attested[];
}

/**
 * The frame of the verbs that sign: `work` attaches statements, and says which tools it used; the outcome lists what
 * was attached, in `attestations` as well. The key is read before anything is asked of a registry: a wrong one is found
 * out at once, and masked from here on.
 * @param bring what the image is called, once it is where it is signed
 */
export async function withSigning(
  stage: ResultStage,
  given: SigningInputs,
  context: Context,
  work: (signing: Signing) => Promise<StageResult["tools"]>,
  bring: (policy: LoadedPolicy) => Promise<string> = () => Promise.resolve(given.image),
): Promise<VerbOutcome> {
  const startedAt = context.now();
  const policy = await openPolicy(given, context, stage);
  const signer = await openSigner(given, context, policy);
  return withImage(await bring(policy), context, policy, async ({ client, image }) => {
    context.ports.log.info(`signing ${formatRepository(image.reference)}@${image.reference.digest}`);
    const attested: Attested[] = [];
    const tools = await work({ client, image, policy, signer, context, attested });
    const result = buildResult(context, {
      stage,
      startedAt,
      subject: resultSubject(image, () => "pass"),
      violations: [],
      policy,
      tools,
      notes: attested.map((each) => `${each.predicateType} on ${each.subject}`),
    });
    return {
      verdict: result.verdict,
      result,
      outputs: { attestations: stringifyJson(attested) },
      summary: renderResultMarkdown(result),
    };
  });
}

/** A statement to be attached with others, and what the log calls it besides its type. */
export interface Attaching extends Pick<Piece, "target" | "statement"> {
  detail?: string | undefined;
}

/** Signs all of them before the first is pushed, and attaches them together. */
export async function attachAll(work: Signing, all: readonly Attaching[]): Promise<void> {
  const { client, image, signer, context, attested } = work;
  const pieces = all.map(({ target, statement }) => ({ target, statement, signer }));
  const attachments = await attachStatements(client, repositoryOf(image), pieces, context.now());
  for (const [index, { target, detail }] of all.entries()) {
    const attachment = attachments[index];
    if (attachment === undefined) throw new TypeError("a statement that was not attached");
    const { bundle, predicateType, referrer, childReferrers, existed } = attachment;
    const entry = (carrier: Descriptor, subject: Digest): Attested => {
      return { predicateType, bundle: bundle.digest, referrer: carrier.digest, subject };
    };
    attested.push(entry(referrer, target.image.digest));
    for (const child of childReferrers) attested.push(entry(child.referrer, child.subject));
    const what = detail === undefined ? predicateType : `${predicateType} (${detail})`;
    context.ports.log.info(`${existed ? "already attached" : "attached"}: ${what} as ${referrer.digest}`);
  }
}

export function signedImage(image: ImageFacts): SignedImage {
  return {
    repository: repositoryOf(image),
    digest: image.reference.digest,
    children: image.children.map((child) => child.digest),
  };
}

export function wholeImage(image: ImageFacts): AttachTarget {
  return {
    repository: repositoryOf(image),
    image: { mediaType: image.mediaType, digest: image.reference.digest, size: image.size },
    children: image.children.map((child) => child.descriptor),
  };
}

function repositoryOf({ reference }: ImageFacts): Repository {
  return { registry: reference.registry, name: reference.name };
}
