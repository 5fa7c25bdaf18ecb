import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import {
  formatReference,
  formatRepository,
  isSameRepository,
  parseReference,
  parseRepository,
} from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { approveImage, findHabits } from "../base/approval/execute-approve.ts";
import { type BuiltWith, listBuiltWith } from "../base/approval/execute-built-with.ts";
import { listFloating, type MovedTag, moveTag, type TaggedImages } from "../base/approval/execute-tag.ts";
import { listBehind } from "../base/approval/execute-take-back.ts";
import { type BaseRole, baseRoles } from "../base/approval/predicate.ts";
import type { Standings } from "../base/gather-standings.ts";
import { judgeDemands, proveScore } from "../base/score/demands.ts";
import { gatherScores } from "../base/score/gather.ts";
import type { ScoredImage } from "../base/score/render.ts";
import { listBuildImages } from "../build/strategies/find.ts";
import { gatherRepositories } from "../fleet/gather-fleet.ts";
import { openIdentities } from "../identities/open.ts";
import { loadPolicy } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { day, duration } from "../policy/schema-text.ts";
import type { Verdict } from "../result.ts";
import { parseSbom, type Sbom } from "../scan/catalog.ts";
import type { Signer } from "../signing/types.ts";
import { demandInputs } from "./demand-inputs.ts";
import { executeVerb, type Surroundings } from "./execute.ts";
import { identityInput } from "./identity-input.ts";
import { withClient } from "./open.ts";
import { scanVerb } from "./scan.ts";
import { openSignerOf, signerInputs } from "./signer-inputs.ts";
import { commonInputs, flag, lines, optionalText, requiredText, type Verb } from "./verb.ts";

const { legacy: _, ...signing } = signerInputs;

/** In `images`: wherever the registries' catalogues list repositories of the policy's environments. */
export const catalogue = "catalogue";

const roleText = requiredText().transform((text, context): BaseRole => {
  const role = baseRoles.find((each) => each === text);
  if (role !== undefined) return role;
  context.addIssue({ code: "custom", message: `expected ${baseRoles.join(", ")}` });
  return z.NEVER;
});

/** What both doors take to approve a base or an image to build in: no stage of the path, and so no verb. */
export const approveInputs = z.object({
  policy: commonInputs.policy,
  "policy-signer": commonInputs["policy-signer"],
  image: requiredText(),
  "end-of-life": requiredText().refine(
    (text) => day.safeParse(text).success || duration.safeParse(text).success,
    "expected the last day, YYYY-MM-DD, or how long from today, such as 90d",
  ),
  role: roleText,
  notes: optionalText(),
  ...demandInputs,
  database: optionalText(),
  tag: flag(false),
  images: lines(),
  ...signing,
  ...identityInput,
});
type Inputs = z.infer<typeof approveInputs>;

/** What came of it. */
export interface ApprovedOutcome {
  /** HOST/NAME@sha256:… */
  image: string;
  verdict: Verdict;
  scores: ScoredImage[];
  scan: { verdict: Verdict; counts: string };
  /** What is against it; none where it is approved. */
  refused: string[];
  approval?: { isNew: boolean; role: BaseRole; endOfLife: string };
  /** Where the floating tag is, of each base that is kept in the image's repository and has one. */
  tags: MovedTag[];
  /** What stands on an older version of those bases, where that was asked. */
  behind?: Standings;
  /** Of an image to build in: what was built with another version of it, where that was asked. */
  builtBefore?: { images: BuiltWith[]; unread: Standings["unread"] };
  /** What could not be done once it was approved, which it is all the same. */
  failures: unknown[];
}

/**
 * Scans and scores an image, looks for what the policy's `images` refuses, and signs that it is approved where nothing is
 * against it. Then, and only then, the floating tag of its base goes to the newest approved version, and what is behind
 * is listed, where those are asked for. The same again adds nothing.
 * @throws UserError `input-invalid`, `approval-signer`, the policy's and the key's; the client's. What goes wrong after the
 *   approval is signed is among the `failures`, and makes the verdict an error
 */
export async function approveBaseImage(given: Inputs, around: Surroundings): Promise<ApprovedOutcome> {
  const directory = await mkdtemp(join(around.temporaryRoot, "goldenpath-approve-"));
  try {
    const context: Context = { ...around, temporaryDirectory: directory, now: around.now ?? (() => new Date()) };
    const identities = given["registry-identities"];
    const own =
      identities.length === 0
        ? context
        : { ...context, identities: openIdentities(identities, context, { isSealed: false }) };
    const readPolicy = () => loadPolicy(given.policy, own, given["policy-signer"]);
    const policy = await readPolicy();
    const reference = parseReference(given.image, "input 'image'");
    const isHere = ({ image }: { image: string }): boolean => isSameRepository(parseRepository(image), reference);
    const tagged = listFloating(policy.policy).filter(isHere);
    requireTag(given, tagged);
    const signer = await openSignerOf(given, own, policy);
    return await withClient(own, policy, async (client) => {
      const image = await fetchImageFacts(client, reference);
      const subject = { client, image, policy, signer };
      const outcome = await judgeAndApprove(subject, given, { ...around, temporaryRoot: directory }, context.now());
      if (outcome.approval === undefined) return outcome;
      return followApproval(client, outcome, given, { tagged, isHere, readPolicy, now: context.now() });
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Following {
  tagged: readonly TaggedImages[];
  isHere: (each: { image: string }) => boolean;
  readPolicy: () => Promise<LoadedPolicy>;
  now: Date;
}

/** What is asked for once an image is approved: its base's tag, and the list of what is behind now. */
async function followApproval(
  client: RegistryClient,
  outcome: ApprovedOutcome,
  given: Inputs,
  { tagged, isHere, readPolicy, now }: Following,
): Promise<ApprovedOutcome> {
  const done = { ...outcome };
  try {
    for (const each of given.tag ? tagged : [])
      done.tags = [...done.tags, await moveTag(client, each, readPolicy, { now })];
    if (given.images.length > 0) {
      const policy = await readPolicy();
      const named = given.images.includes(catalogue) ? [] : given.images;
      const repositories = await gatherRepositories(client, policy.policy, { named });
      const bases = policy.policy.bases.filter(isHere);
      if (bases.length > 0) done.behind = await listBehind(client, bases, repositories, policy, now);
      const older = listBuildImages(policy.policy.build.builders)
        .filter(isHere)
        .flatMap(({ digests }) => digests.filter((digest) => !outcome.image.endsWith(`@${digest}`)));
      if (older.length > 0) done.builtBefore = await listBuiltWith({ client, policy, now }, older, repositories);
    }
  } catch (error) {
    done.failures = [error];
  }
  const unread = [...(done.behind?.unread ?? []), ...(done.builtBefore?.unread ?? [])];
  const isWhole = done.failures.length === 0 && unread.length === 0;
  return { ...done, verdict: isWhole ? "pass" : "error" };
}

function requireTag({ tag, image }: Inputs, tagged: readonly TaggedImages[]): void {
  if (!tag || tagged.length > 0) return;
  throw new UserError(
    `input 'tag' is true, and neither a base nor a builder of the policy that is kept where ${image} is has a floating tag`,
    {
      code: "input-invalid",
      wayOut: "Give it an approval.tag in the policy (docs/policy.md), or leave `tag` out.",
    },
  );
}

interface Subject {
  client: RegistryClient;
  image: ImageFacts;
  policy: LoadedPolicy;
  signer: Signer;
}

async function judgeAndApprove(
  { client, image, policy, signer }: Subject,
  given: Inputs,
  around: Surroundings,
  now: Date,
): Promise<ApprovedOutcome> {
  const reference = { ...image.reference, tag: undefined };
  const pinned = formatReference(reference);
  const scores = await gatherScores(reference, { client, policy: policy.policy, now, signal: around.signal });
  const habits = await findHabits(client, image, policy.policy, around.signal);
  const scan = await scanImage(pinned, given, around);
  const demands = { minimum: given.minimum, required: given.require };
  const refused = [
    ...scores.flatMap((each) => judgeDemands(each, demands, policy.policy.bases, formatRepository(reference))),
    ...habits,
    ...scan.refused,
  ];
  const { verdict, counts } = scan;
  const found = { image: pinned, scores, scan: { verdict, counts }, refused, tags: [], failures: [] };
  if (refused.length > 0) return { ...found, verdict: verdict === "error" ? "error" : "fail" };
  const examined = {
    scan: found.scan,
    score: scores.map(({ platform, score }) => ({ platform, points: score.points, proven: proveScore(score) })),
    images: "pass",
  };
  const endOfLife = readEndOfLife(given["end-of-life"], now);
  const sboms = image.children.map(({ digest, descriptor }, at) => {
    const sbom = scan.sboms[at];
    if (sbom === undefined) throw new TypeError(`the scan has no SBOM of ${digest}`);
    return { child: descriptor, sbom };
  });
  const request = { endOfLife, role: given.role, notes: given.notes, examined, sboms };
  const isNew = await approveImage(client, image, request, { policy, signer, now });
  return { ...found, verdict: "pass", approval: { isNew, role: given.role, endOfLife } };
}

/** A day as it is; how long from now → the day (UTC) on which that is over. */
function readEndOfLife(text: string, now: Date): string {
  const length = duration.safeParse(text);
  return length.success ? new Date(now.getTime() + length.data).toISOString().slice(0, 10) : text;
}

/** The scan stage's own judgement, by the policy's `scan`, with the SBOM of each platform that it went by. */
async function scanImage(
  image: string,
  given: Inputs,
  around: Surroundings,
): Promise<{ verdict: Verdict; refused: string[]; counts: string; sboms: Sbom[] }> {
  const { policy, database, "policy-signer": policySigner } = given;
  const identities = given["registry-identities"];
  const raw = {
    ...{ image, policy, "policy-signer": policySigner, database },
    // A list in JSON is one in YAML.
    ...(identities.length === 0 ? {} : { "registry-identities": JSON.stringify(identities) }),
  };
  const { outcome } = await executeVerb(scanVerb as Verb, raw, {
    ...around,
    defaultResultDirectory: around.temporaryRoot,
  });
  const { verdict, result, outputs } = outcome;
  const open = result.violations.filter(({ exception }) => exception === undefined);
  const refused = open.map(({ rule, thing, problem }) => `${rule}: ${thing}: ${problem}`);
  if (result.error !== undefined) refused.push(`the scan failed: ${result.error.message}`);
  const files = (outputs["sbom"] ?? "").split("\n").filter((file) => file !== "");
  return {
    verdict,
    refused: verdict === "pass" ? [] : refused.length > 0 ? refused : ["the scan says so"],
    counts: outputs["counts"] ?? "",
    sboms: await Promise.all(files.map(async (file) => parseSbom(await readFile(file, "utf8"), "the scan's SBOM"))),
  };
}
