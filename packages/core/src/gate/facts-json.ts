import { UserError } from "@goldenpath/foundation/errors";
import { describeIssues, stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { descriptorSchema, imageConfigSchema, imageManifestSchema } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import type { LoadedPolicy } from "../policy/schema.ts";
import { parseStrictJson } from "../signing/strict-json.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import type { WorkflowIdentity } from "../signing/workflow-identity.ts";
import type { GateFacts } from "./facts.ts";
import { findEnvironment } from "./find-environment.ts";
import type { LineageChild, LineageImage } from "./lineage.ts";

/** Of an index of many images, each with an SBOM in a statement. Bytes. */
const maxFactsBytes = 64 * 1024 * 1024;

const digest = z.custom<Digest>(isDigest, "expected a sha256 or sha512 digest");
const text = z.string().min(1);
const time = z.iso.datetime().transform((value) => new Date(value));
const repository = z.strictObject({ registry: text, name: text });

const identity = z.strictObject({
  issuer: z.string(),
  buildSignerUri: z.string(),
  buildSignerDigest: z.string(),
  runnerEnvironment: z.string(),
  sourceRepository: z.string(),
  sourceOwnerId: z.string(),
  sourceRef: z.string(),
  sourceDigest: z.string(),
  buildConfigUri: z.string(),
  buildTrigger: z.string(),
  environment: z.string().optional(),
} satisfies Record<keyof WorkflowIdentity, z.ZodType>);

const statement = z.strictObject({
  subject: digest,
  signers: z.array(text).min(1),
  statement: z.strictObject({
    _type: z.enum(["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"]),
    subject: z.array(z.strictObject({ name: z.string(), digest: z.record(z.string(), z.string()) })),
    predicateType: text,
    predicate: z.record(z.string(), z.unknown()),
  }),
  time: time.optional(),
  identity: identity.optional(),
  bundle: descriptorSchema,
  referrer: descriptorSchema,
  tag: text.optional(),
  below: z.array(z.strictObject({ subject: digest, descriptor: descriptorSchema })).optional(),
  isInSignedManifest: z.literal(true).optional(),
} satisfies Record<keyof VerifiedStatement, z.ZodType>);

const rejected = z.strictObject({
  subject: digest,
  referrer: digest,
  tag: text.optional(),
  reason: z.string(),
  isByNobody: z.literal(true).optional(),
  claimedPredicateType: z.string().optional(),
  claimedVerifierId: z.string().optional(),
} satisfies Record<keyof CollectedEvidence["rejected"][number], z.ZodType>);

const collected = z.array(
  z.strictObject({
    digest,
    statements: z.array(statement),
    lapsed: z.array(statement),
    rejected: z.array(rejected),
  }),
);

const child = z.strictObject({
  digest,
  manifest: imageManifestSchema,
  config: imageConfigSchema,
} satisfies Record<keyof LineageChild, z.ZodType>);

const lineage = z.array(
  z.strictObject({
    digest,
    // Exactly one of both: what was seen of it, or why nothing was.
    problem: text.optional(),
    seen: z
      .strictObject({
        repository,
        children: z.array(child),
        evidence: collected,
        bases: z.array(z.strictObject({ repository, digest, child })),
      })
      .optional(),
  }),
);

const schema = z.strictObject({
  schemaVersion: z.literal("1.0"),
  environment: text,
  policy: z.strictObject({ uri: z.string(), digest, serial: z.number().int().positive() }),
  now: time,
  place: z.enum(["from", "to"]),
  destination: repository.optional(),
  image: z.strictObject({
    repository,
    digest,
    children: z.array(digest),
    layers: z.array(z.strictObject({ digest, diffIds: z.array(digest) })),
    platforms: z.array(z.strictObject({ digest, platform: z.string() })).optional(),
  }),
  evidence: collected,
  lineage: lineage.optional(),
});
type FactsDocument = z.input<typeof schema>;
type Parsed = z.output<typeof schema>;

/**
 * What the gate decides on, as JSON, so that whoever gathers and whoever decides need not be one process. The policy is
 * not in it, only which one it was: who decides has it from its owners, and not from who gathers.
 */
export function formatGateFacts(facts: GateFacts): string {
  const { image, policy } = facts;
  const document: FactsDocument = {
    schemaVersion: "1.0",
    environment: facts.environmentName,
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    now: facts.now.toISOString(),
    place: facts.place,
    ...(facts.destination === undefined ? {} : { destination: pickRepository(facts.destination) }),
    image: {
      repository: pickRepository(image.repository),
      digest: image.digest,
      children: [...image.children],
      layers: [...image.layers].map(([of, diffIds]) => ({ digest: of, diffIds: [...diffIds] })),
      ...(image.platforms === undefined
        ? {}
        : { platforms: [...image.platforms].map(([of, platform]) => ({ digest: of, platform })) }),
    },
    evidence: formatEvidence(facts.evidence),
    ...(facts.lineage === undefined ? {} : { lineage: [...facts.lineage].map(formatLineage) }),
  };
  return stringifyJson(document);
}

type FormattedStatement = FactsDocument["evidence"][number]["statements"][number];

const formatStatement = ({ time: signedAt, below, ...rest }: VerifiedStatement): FormattedStatement => ({
  ...rest,
  ...(signedAt === undefined ? {} : { time: signedAt.toISOString() }),
  ...(below === undefined ? {} : { below: [...below] }),
});

const formatEvidence = (evidence: GateFacts["evidence"]): FactsDocument["evidence"] =>
  [...evidence].map(([of, { statements, lapsed, rejected: refused }]) => ({
    digest: of,
    statements: statements.map(formatStatement),
    lapsed: lapsed.map(formatStatement),
    rejected: refused,
  }));

function formatLineage([of, told]: [Digest, LineageImage | { problem: string }]) {
  if ("problem" in told) return { digest: of, problem: told.problem };
  const seen = {
    repository: pickRepository(told.repository),
    children: told.children.map(pickChild),
    evidence: formatEvidence(told.evidence),
    bases: told.bases.map((base) => ({
      repository: pickRepository(base.repository),
      digest: base.digest,
      child: pickChild(base.child),
    })),
  };
  return { digest: of, seen };
}

const pickChild = ({ digest: of, manifest, config }: LineageChild) => ({ digest: of, manifest, config });

const pickRepository = ({ registry, name }: GateFacts["image"]["repository"]) => ({ registry, name });

/**
 * The facts that {@link formatGateFacts} wrote, for a decision by this policy. They are as good as who wrote them, since
 * nobody verifies a signature again, and of the time that is in them: it was asked then whose word counts.
 * @throws UserError `facts-invalid` where they are malformed, too large, say a thing twice or are of another policy;
 *   `environment-unknown`
 */
export function parseGateFacts(bytes: Uint8Array, policy: LoadedPolicy): GateFacts {
  if (bytes.byteLength > maxFactsBytes)
    throw invalid(`they have ${bytes.byteLength} bytes, and ${maxFactsBytes} are read`);
  const json = parseStrictJson(bytes);
  if ("problem" in json) throw invalid(json.problem);
  const parsed = schema.safeParse(json.value);
  if (!parsed.success) throw invalid(describeIssues(parsed.error));
  const { environment, policy: of, now, place, destination, image, evidence, lineage: told } = parsed.data;
  if (of.digest !== policy.digest)
    throw invalid(`they were gathered under the policy ${of.digest}, and this one is ${policy.digest}`);
  return {
    environmentName: environment,
    environment: findEnvironment(policy, environment),
    policy,
    now,
    place,
    ...(destination === undefined ? {} : { destination }),
    image: {
      ...{ repository: image.repository, digest: image.digest, children: image.children },
      layers: mapOnce(image.layers, ({ diffIds }) => diffIds),
      ...(image.platforms === undefined ? {} : { platforms: mapOnce(image.platforms, ({ platform }) => platform) }),
    },
    evidence: readEvidence(evidence),
    ...(told === undefined ? {} : { lineage: mapOnce(told, readLineage) }),
  };
}

const readEvidence = (evidence: Parsed["evidence"]): GateFacts["evidence"] =>
  mapOnce(evidence, ({ statements, lapsed, rejected: refused }) => ({
    statements: statements as VerifiedStatement[],
    lapsed: lapsed as VerifiedStatement[],
    rejected: refused as CollectedEvidence["rejected"],
  }));

function readLineage({ digest: of, problem, seen }: NonNullable<Parsed["lineage"]>[number]) {
  if (problem !== undefined && seen === undefined) return { problem };
  if (problem === undefined && seen !== undefined)
    return { ...seen, digest: of, evidence: readEvidence(seen.evidence) };
  throw invalid(`they do not say of ${of} either what was seen of it or why nothing was`);
}

function mapOnce<Entry extends { digest: Digest }, Value>(
  entries: readonly Entry[],
  read: (entry: Entry) => Value,
): Map<Digest, Value> {
  const map = new Map(entries.map((entry) => [entry.digest, read(entry)]));
  if (map.size === entries.length) return map;
  throw invalid("they say a thing of one digest twice");
}

function invalid(why: string): UserError {
  return new UserError(`the gate's facts can't be taken: ${why}`, {
    code: "facts-invalid",
    wayOut: "Gather them anew, by the version of goldenpath and the policy that decide on them.",
  });
}
