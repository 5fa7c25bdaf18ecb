import { type Digest, shortDigest } from "@goldenpath/registry-client/oci/digest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { isCounted, nameResultFile, tellDay } from "../result.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { readProvenance } from "../signing/provenance.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { readVerificationSummary, summaryVerifierId } from "../signing/verification-summary.ts";
import { rowOfStage, type Stage, stageEvidence, stageVerifierId } from "../stages.ts";
import { type GateDecision, type GateFacts, platformToTell } from "./facts.ts";

/** One required stage, about the image and whatever is in it. */
export interface ExplainedStage {
  stage: Stage;
  isMet: boolean;
  /** One about each digest that is told apart from the others. */
  sentences: string[];
  /** What leaves that evidence, on a command line; empty where it is there. Text in capitals is to be filled in. */
  commands: string[];
}

export interface GateExplanation {
  image: string;
  environment: string;
  isMet: boolean;
  stages: ExplainedStage[];
  /** What is wrong with the image as a whole, whatever its evidence is. */
  besides: string[];
  /** What only warns until a day. */
  later: string[];
}

/** What an image has of what an environment requires, and what it would still need: the gate's decision, told. */
export function explainGate(facts: GateFacts, decision: GateDecision): GateExplanation {
  const { image, environment } = facts;
  const stages = environment.requires.map((requirement): ExplainedStage => {
    const { stage } = requirement;
    const missing = decision.missing.filter((each) => each.stage === stage);
    const digests = [...new Set([image.digest, ...image.children])];
    const sentences = digests.map((digest) => {
      const lacks = missing.find((each) => each.digest === digest);
      const name = describeSubject(facts, digest);
      if (lacks !== undefined) return `${name}: ${lacks.problem}.`;
      return `${name}: ${describeAccepted(stage, digest, decision, requirement.maxAge)}.`;
    });
    const isMet = missing.length === 0;
    return { stage, isMet, sentences, commands: isMet ? [] : listCommands(facts, stage) };
  });
  const told = new Set(decision.missing.map(({ stage, digest }) => `${stage} of ${digest}`));
  return {
    image: formatReference({ ...image.repository, digest: image.digest }),
    environment: facts.environmentName,
    isMet: decision.verdict === "pass",
    stages,
    besides: decision.violations
      .filter((each) => isCounted(each) && !told.has(each.thing))
      .map(({ problem, wayOut }) => `${problem}. ${wayOut}`),
    later: decision.violations.flatMap(({ rule, thing, problem, enforcedFrom }) =>
      enforcedFrom === undefined ? [] : [`${tellDay(enforcedFrom)}: ${rule}: ${thing}: ${problem}`],
    ),
  };
}

function describeSubject({ image }: GateFacts, digest: Digest): string {
  const platform = platformToTell(image, digest);
  if (image.children.includes(digest)) return platform ?? shortDigest(digest);
  return "the index";
}

/** Whose word it is, of when, and until when it counts. */
function describeAccepted(
  stage: Stage,
  digest: Digest,
  { accepted }: GateDecision,
  maxAge: number | undefined,
): string {
  const own = accepted.filter((each) => each.subject === digest && isOfStage(each, stage));
  const signers = [...new Set(own.flatMap((each) => each.signers))].map((name) => `'${name}'`).join(" and ");
  const times = own.map(readTime).filter((time) => time !== undefined);
  const newest = times.length === 0 ? undefined : Math.max(...times.map((time) => time.getTime()));
  const when = newest === undefined ? "" : ` of ${new Date(newest).toISOString()}`;
  const until =
    newest === undefined || maxAge === undefined ? "" : `, counts until ${new Date(newest + maxAge).toISOString()}`;
  return `there, by ${signers || "its signer"}${when}${until}`;
}

function isOfStage({ statement }: VerifiedStatement, stage: Stage): boolean {
  const { judge, findings } = stageEvidence(stage);
  const verifier = summaryVerifierId(statement);
  if (verifier !== undefined) return judge === "itself" && verifier === stageVerifierId(stage);
  return (findings as readonly string[]).includes(statement.predicateType);
}

/** When the stage did its work, as it says. */
function readTime({ statement }: VerifiedStatement): Date | undefined {
  if (statement.predicateType === predicateTypes.provenance) {
    const provenance = readProvenance(statement);
    return "problem" in provenance ? undefined : provenance.finishedOn;
  }
  if (statement.predicateType !== predicateTypes.verificationSummary) return undefined;
  const summary = readVerificationSummary(statement);
  return "problem" in summary ? undefined : summary.timeVerified;
}

/** Of a stage whose result is signed: its verb, and then the signature. */
function listCommands({ image, policy }: GateFacts, stage: Stage): string[] {
  const { signedBy } = stageEvidence(stage);
  const about = `--image ${formatReference({ ...image.repository, digest: image.digest })} --policy ${policy.uri}`;
  if (signedBy === "promote") return [`goldenpath promote ${about} --environment ENVIRONMENT --to IMAGE --key KEY`];
  if (signedBy === "attest") return [`goldenpath attest ${about} --key KEY`];
  return [
    `goldenpath ${rowOfStage(stage).command} ${about}`,
    `goldenpath sign ${about} --results ./goldenpath-results/${nameResultFile(stage, image.digest)} --key KEY`,
  ];
}

export function renderGateExplanation({
  image,
  environment,
  isMet,
  stages,
  besides,
  later,
}: GateExplanation): string[] {
  return [
    `${image} ${isMet ? "has all" : "does not have all"} that environment '${environment}' requires.`,
    ...stages.flatMap(({ stage, isMet: isThere, sentences, commands }) => [
      `${isThere ? "✓" : "✗"} ${stage}`,
      ...sentences.map((sentence) => `    ${sentence}`),
      ...(commands.length === 0
        ? []
        : ["    To get it, run its job again, or:", ...commands.map((line) => `      ${line}`)]),
    ]),
    ...besides.map((sentence) => `✗ ${sentence}`),
    ...later.map((sentence) => `! ${sentence}`),
  ];
}
