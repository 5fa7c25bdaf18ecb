import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { strategyNames } from "../build/strategies/find.ts";
import { loadPolicy } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { renderResultMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import { catalogImage } from "../scan/catalog.ts";
import { type AttachTarget, attachStatement } from "../signing/attach.ts";
import { describeBuild } from "../signing/build-facts.ts";
import { gatherBases } from "../signing/gather-bases.ts";
import { loadSigner } from "../signing/keys.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { type BuildEnvironment, buildEnvironments, buildProvenance } from "../signing/provenance.ts";
import { buildFindingStatement, buildVerdictStatement, checkSignable, type SignedImage } from "../signing/result-statements.ts";
import { buildStatement, buildSubjects } from "../signing/statement.ts";
import type { Signer, Statement } from "../signing/types.ts";
import { createPolicyClient } from "./client.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { readStageResult } from "./results.ts";
import { choice, commonInputs, lines, optionalText, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  image: requiredText(),
  results: lines(),
  stage: choice(["", "build"], ""),
  "build-environment": choice(buildEnvironments, "host"),
  strategy: choice(["auto", ...strategyNames], "auto"),
  signer: choice(["key"], "key"),
  key: requiredText(),
  "key-passphrase": optionalText(),
});
type Inputs = z.infer<typeof inputs>;

/** Signs what stages found and their verdicts, failures included, or attests a build; and attaches it all to the image and to its children. */
export const signVerb: Verb<typeof inputs> = { name: "sign", command: "sign", inputs, outputs: ["attestations"], run: runSign };

/** One entry of the output `attestations`. */
interface Attested {
  predicateType: string;
  /** Digests: of the bundle, of the referrer that carries it, and of the manifest that it is attached to. */
  bundle: Digest;
  referrer: Digest;
  subject: Digest;
}

/** What the steps of one run share. */
interface Work {
  client: RegistryClient;
  image: ImageFacts;
  policy: LoadedPolicy;
  signer: Signer;
  context: Context;
  attested: Attested[];
}

async function runSign(given: Inputs, context: Context): Promise<VerbOutcome> {
  if ((given.stage === "build") === given.results.length > 0) {
    throw new UserError("input 'results', or input 'stage' with 'build', is required; one of them and not both", {
      code: "input-invalid",
      wayOut: "Give the result files of this job to sign them, or stage: build to attest a build.",
    });
  }
  const startedAt = context.now();
  const policy = await loadPolicy(given.policy, context, given["policy-signer"]);
  // The key is read before anything is asked of a registry: a wrong one is found out at once, and masked from here on.
  const signer = await loadSigner({ key: given.key, passphrase: given["key-passphrase"] }, context);
  const client = createPolicyClient(context, policy);
  try {
    const image = await fetchImageFacts(client, parseReference(given.image));
    const work: Work = { client, image, policy, signer, context, attested: [] };
    context.ports.log.info(`signing ${formatRepository(image.reference)}@${image.reference.digest}`);
    const tools = given.stage === "build" ? await attestBuild(work, given, startedAt) : await signResults(work, given.results);
    const result = buildResult(context, {
      stage: "sign",
      startedAt,
      subject: resultSubject(image, () => "pass"),
      violations: [],
      policy,
      tools,
      notes: work.attested.map((each) => `${each.predicateType} on ${each.subject}`),
    });
    return {
      verdict: result.verdict,
      result,
      outputs: { attestations: stringifyJson(work.attested) },
      summary: renderResultMarkdown(result),
    };
  } finally {
    await client.close();
  }
}

/** Each result is read and held to the image and the policy before the first one is signed: all of them, or nothing. */
async function signResults(work: Work, files: readonly string[]): Promise<StageResult["tools"]> {
  const { image, policy, context } = work;
  const signed = signedImage(image);
  const signables = [];
  for (const file of files) {
    signables.push(checkSignable(await readStageResult(file, context.workingDirectory), file, signed, policy));
  }
  for (const signable of signables) {
    const finding = await attach(work, wholeImage(image), buildFindingStatement(signable, signed));
    await attach(work, wholeImage(image), buildVerdictStatement(signable, signed, policy, finding));
  }
  return [];
}

/** Provenance, and an SBOM per child, which is attached to that child and to the index. */
async function attestBuild(work: Work, given: Inputs, startedAt: Date): Promise<StageResult["tools"]> {
  const { client, image, policy, context } = work;
  const facts = describeBuild(signedImage(image), policy, context.run, await gatherBases(client, image, policy), {
    strategy: given.strategy === "auto" ? undefined : given.strategy,
    configs: image.children.map((child) => child.config),
  });
  const sboms = [];
  for (const child of image.children) sboms.push({ child, ...(await catalogImage(client, image, context, child)) });
  await attach(
    work,
    wholeImage(image),
    buildProvenance({
      ...facts,
      buildEnvironment: sayEnvironment(given["build-environment"], policy),
      startedOn: startedAt,
      finishedOn: context.now(),
    }),
  );
  for (const { child, sbom } of sboms) {
    const target = { ...wholeImage(image), children: [child.descriptor] };
    const subjects = buildSubjects(target.repository, [image.reference.digest, child.digest]);
    await attach(work, target, buildStatement(subjects, predicateTypes.cyclonedx, sbom), formatPlatform(child.platform));
  }
  return [...new Map(sboms.map(({ tool }) => [`${tool.name} ${tool.version}`, tool])).values()];
}

/** Where nothing had to keep a build apart, this job can't tell whether something did: then it says the least of it. */
function sayEnvironment(given: BuildEnvironment, { policy }: LoadedPolicy): BuildEnvironment {
  return given === "host" && policy.build.environments.includes("host-unisolated") ? "host-unisolated" : given;
}

async function attach(
  work: Work,
  target: AttachTarget,
  statement: Statement,
  detail?: string,
): Promise<{ bundle: Digest; referrer: Digest }> {
  const { client, signer, context, attested } = work;
  const attachment = await attachStatement(client, target, statement, signer, context.now());
  const { predicateType } = statement;
  const entry = (referrer: Descriptor, subject: Digest): Attested => {
    return { predicateType, bundle: attachment.bundle.digest, referrer: referrer.digest, subject };
  };
  attested.push(entry(attachment.referrer, target.image.digest));
  attachment.childReferrers.forEach(({ referrer, subject }) => {
    attested.push(entry(referrer, subject));
  });
  const what = detail === undefined ? predicateType : `${predicateType} (${detail})`;
  context.ports.log.info(`${attachment.existed ? "already attached" : "attached"}: ${what} as ${attachment.referrer.digest}`);
  return { bundle: attachment.bundle.digest, referrer: attachment.referrer.digest };
}

function signedImage(image: ImageFacts): SignedImage {
  return { repository: repositoryOf(image), digest: image.reference.digest, children: image.children.map((child) => child.digest) };
}

function wholeImage(image: ImageFacts): AttachTarget {
  return {
    repository: repositoryOf(image),
    image: { mediaType: image.mediaType, digest: image.reference.digest, size: image.size },
    children: image.children.map((child) => child.descriptor),
  };
}

function repositoryOf({ reference }: ImageFacts): Repository {
  return { registry: reference.registry, name: reference.name };
}
