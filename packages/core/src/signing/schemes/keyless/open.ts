import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { isSameMaterial, type SignerMaterial } from "../../material.ts";
import { sealBundle } from "../../seal-bundle.ts";
import { encodeStatement } from "../../statement.ts";
import type { Signer } from "../../types.ts";
import { describeWorkflow, judgeWorkflow } from "../../workflow-identity.ts";
import { allSchemes, kindOf } from "../find.ts";
import { keyless } from "../keyless.ts";
import type { SchemeOpener, SigningPolicy } from "../opener.ts";
import { audienceOf } from "./audience.ts";
import { type Certified, requestCertificate, type SigningInstance, signPayload } from "./services.ts";
import { fetchJobToken, type JobToken } from "./token.ts";

type WorkflowMaterial = Extract<SignerMaterial, { kind: "workflow" }>;

/**
 * Signs as the job that this is: with a certificate for its run, of the Sigstore that the policy names for its signer.
 * A job that is no signer of the policy asks nobody for anything: what it signed would count for nothing, and its name
 * would stand in a log.
 */
export const keylessOpener = {
  needs: [],
  async open(_inputs, context, policy) {
    const known = listWorkflows(policy);
    // Most policies have one authority: its token says as well which signer this job is.
    const guess = known.flatMap(({ material }) => material.instance?.fulcio ?? []).at(0);
    const asked = guess === undefined ? nobody : audienceOf(guess, context.env);
    const first = await fetchJobToken(asked, context);
    const { material, instance } = chooseSigner(known, first);
    const audience = audienceOf(instance.fulcio, context.env);
    const token = audience === asked ? first : await fetchJobToken(audience, context);
    if (!token.isPublic && !instance.privateNames) {
      throw new UserError(
        `${token.identity.sourceRepository} is not public, and certificates and entries of ${instance.fulcio} would name it`,
        {
          code: "repository-not-public",
          wayOut: "Sign with an instance of your own, or have the policy's owners set `privateNames` for this one.",
        },
      );
    }
    const log = instance.rekor === undefined ? "" : `, written to the log ${instance.rekor}`;
    context.ports.log.info(`this job signs as ${describeWorkflow(token.identity)}`);
    context.ports.log.info(`with a certificate of ${instance.fulcio}${log}`);
    return createKeylessSigner(token, material, instance, context);
  },
} as const satisfies SchemeOpener;

/** No service's: a token by which nothing but this job learns who it is. */
const nobody = "goldenpath";

interface KnownWorkflow {
  /** The signer's. */
  name: string;
  material: WorkflowMaterial;
}

function listWorkflows({ signers }: SigningPolicy): KnownWorkflow[] {
  const scheme = allSchemes.find(({ kind }) => kind === keyless.kind);
  return Object.entries(signers).flatMap(([name, signer]) => {
    const material = kindOf(signer) === keyless.kind ? scheme?.materialOf(signer, name) : undefined;
    return material?.kind === "workflow" ? [{ name, material }] : [];
  });
}

/** The policy's signer that this job is a run of. @throws UserError `signer-unknown`, `sigstore-missing` */
function chooseSigner(
  known: readonly KnownWorkflow[],
  { identity }: JobToken,
): { material: WorkflowMaterial; instance: SigningInstance } {
  const found = known.find(({ material }) => isSameMaterial(material, { kind: "workflow-run", identity }));
  if (found === undefined) {
    const judged = known.map(({ name, material }) => ({ name, objections: judgeWorkflow(material.rule, identity) }));
    const [nearest] = judged.toSorted((a, b) => a.objections.length - b.objections.length);
    const why =
      nearest === undefined
        ? "it has none of kind keyless"
        : `'${nearest.name}' is not: ${nearest.objections.join("; ")}`;
    throw new UserError(`this job is no signer of the policy: ${why}`, {
      code: "signer-unknown",
      wayOut: `Run the stage's own workflow as the policy names it. This job is ${describeWorkflow(identity)}.`,
    });
  }
  const { name, material } = found;
  const { instance } = material;
  if (instance?.fulcio !== undefined) return { material, instance: { ...instance, fulcio: instance.fulcio } };
  throw new UserError(`signer '${name}' of the policy has a Sigstore without \`fulcio\`: nobody signs with it`, {
    code: "sigstore-missing",
    wayOut: "Have the policy's owners say where its certificates are asked for.",
  });
}

/** Before the end of a certificate or token a new one is asked for. Milliseconds. */
const reserve = 60_000;

function createKeylessSigner(
  first: JobToken,
  material: WorkflowMaterial,
  instance: SigningInstance,
  context: Pick<Context, "env" | "ports" | "signal" | "now">,
): Signer {
  let token = first;
  let certified: Promise<Certified> | undefined;
  const isOver = (expires: Date): boolean => expires.getTime() - context.now().getTime() < reserve;
  const renew = async (): Promise<Certified> => {
    if (isOver(token.expires)) {
      const audience = audienceOf(instance.fulcio, context.env);
      token = { ...(await fetchJobToken(audience, context)), identity: first.identity };
    }
    return requestCertificate(instance, token, context);
  };
  /** One for all statements of the job, as long as it holds; asked for when there is something to sign. */
  const certify = async (): Promise<Certified> => {
    const current = certified === undefined ? undefined : await certified;
    if (current !== undefined && !isOver(current.expires)) return current;
    certified = renew();
    return certified;
  };
  return {
    kind: keyless.kind,
    material: { kind: "workflow-run", identity: first.identity },
    trusted: material,
    async seal(statement, existing) {
      if (existing !== undefined) return sealBundle(statement, await existing.read(existing.bundle));
      return sealBundle(statement, await signPayload(encodeStatement(statement), await certify(), instance, context));
    },
  };
}
