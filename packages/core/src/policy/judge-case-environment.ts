import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { GateFacts, Problem, StageScope } from "../gate/facts.ts";
import { type AcceptedEvidence, askEnvironment, type BuildSource, listGateFacts } from "../gate/judge-own-rules.ts";
import { decideVerdictStage } from "../gate/judge-verdict.ts";
import { explainAbsence, isByAllowedSigner, judgeTimes } from "../gate/problems.ts";
import { tellFindings } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { buildStatement, buildSubjects } from "../signing/statement.ts";
import type { Statement, VerifiedStatement } from "../signing/types.ts";
import { buildVerificationSummary } from "../signing/verification-summary.ts";
import type { Stage } from "../stages.ts";
import type { CaseFacts, CaseProblem } from "./case-facts.ts";
import { listAskable } from "./custom-rules/askable.ts";
import { deferViolation } from "./enforcement.ts";
import type { PolicyEnvironment } from "./schema.ts";

type Requirement = PolicyEnvironment["requires"][number];
/** What the case's facts gave, by the stages that judge them. */
type Given = Readonly<Record<"scan" | "base" | "build", readonly CaseProblem[]>>;

const image = digestOf("the image");
const layers = [digestOf("a layer")];

/**
 * What an environment's gate says to a case: where it comes from and goes to, and each stage that is required, by
 * evidence as the case tells it. What the case does not tell is as the environment asks for it: by the first signer,
 * of now, and with the verdict that the case's own facts give. Of a build's provenance, only who signed it and when.
 */
export function judgeCaseEnvironment(facts: CaseFacts, environmentName: string, given: Given): CaseProblem[] {
  const { what, loaded, now } = facts;
  const environments = loaded.policy.environments;
  const environment = Object.hasOwn(environments, environmentName) ? environments[environmentName] : undefined;
  if (environment === undefined) {
    const known = Object.keys(environments).join(", ") || "none";
    throw new UserError(
      `case '${what.name}' expects something of environment '${environmentName}', and the policy has: ${known}`,
      { code: "input-invalid", wayOut: "Name one of those, or take the expectation out." },
    );
  }
  const from = parseRepository(what.image ?? `${environment.from[0]}/case`);
  const gate: GateFacts = {
    ...{ environmentName, environment, policy: loaded, now, place: "from" },
    image: { repository: from, digest: image, children: [image], layers: new Map([[image, layers]]) },
    evidence: new Map(),
  };
  const stages = environment.requires.map((requirement) => judgeStage(facts, gate, requirement, given));
  return [
    ...judgePlace("from", what.image, environment),
    ...judgePlace("to", what.to, environment),
    ...stages.flatMap(({ problems }) => problems),
    ...judgeRules(
      facts,
      gate,
      stages.flatMap(({ accepted }) => accepted),
    ),
  ];
}

/** The policy's own rules of stage gate: the image is on its own, of linux/amd64. */
function judgeRules(facts: CaseFacts, gate: GateFacts, accepted: readonly AcceptedEvidence[]): CaseProblem[] {
  const { build } = facts.what;
  const source: BuildSource | undefined =
    build === undefined
      ? undefined
      : {
          sourceRepository: build.repository,
          ...(build.ref === undefined ? {} : { sourceRef: build.ref }),
          ...(build.event === undefined ? {} : { event: build.event }),
          ...(build.workflow === undefined ? {} : { builderId: build.workflow }),
        };
  const named = { repository: formatRepository(gate.image.repository), digest: image, platform: "linux/amd64" };
  const values = listGateFacts({
    ...{ image: named, environment: gate.environmentName, accepted, now: facts.now },
    source: accepted.some(({ stage }) => stage === "build") ? source : undefined,
  });
  return askEnvironment(listAskable(facts.loaded.policy.rules, values), gate.environmentName, values).map((each) =>
    deferred(each, facts),
  );
}

interface CaseStage {
  problems: CaseProblem[];
  accepted: AcceptedEvidence[];
}

function judgePlace(
  place: "from" | "to",
  repository: string | undefined,
  environment: PolicyEnvironment,
): CaseProblem[] {
  if (repository === undefined) return [];
  const parsed = parseRepository(repository);
  if (environment[place].some((prefix) => isWithin(parsed, prefix))) return [];
  const problem = `\`${place}\` has ${environment[place].join(", ")}, and not ${formatRepository(parsed)}`;
  return [{ rule: "gate.origin", problem }];
}

function judgeStage(facts: CaseFacts, gate: GateFacts, requirement: Requirement, given: Given): CaseStage {
  const { stage } = requirement;
  const accept = (accepted: readonly VerifiedStatement[]): AcceptedEvidence[] =>
    accepted.map((signed) => ({ stage, signed }));
  // What a build is of is judged with its provenance, where that is asked for.
  const ofSource = stage === "build" ? given.build : [];
  const told = facts.what.evidence[stage] ?? {};
  const signers = told.by ?? requirement.signers.slice(0, 1);
  const time = new Date(facts.now.getTime() - (told.age ?? 0));
  const sign = (statement: Statement): VerifiedStatement => sealed(statement, signers);
  const statements = told.missing === true ? [] : makeEvidence();
  const scope: StageScope = {
    ...{ facts: gate, digest: image, stage, requirement },
    evidence: { statements, lapsed: [], rejected: [] },
  };
  if (stage !== "build") {
    const decision = decideVerdictStage(scope);
    return {
      problems: decision.problems.map((each) => deferred(each, facts)),
      accepted: accept(decision.accepted),
    };
  }
  const what = "the provenance of build";
  const [provenance] = statements;
  if (provenance === undefined || !isByAllowedSigner(scope, provenance))
    return { problems: [explainAbsence(scope, what, statements, () => false, "gate.missing")], accepted: [] };
  return {
    problems: [...judgeTimes(scope, what, time, undefined).map((each) => deferred(each, facts)), ...ofSource],
    accepted: accept([provenance]),
  };

  function makeEvidence(): VerifiedStatement[] {
    const finding = sign(
      buildStatement(buildSubjects(gate.image.repository, [image]), ...makeFinding(stage, facts, time)),
    );
    if (stage === "build") return [finding];
    const verdict = told.verdict ?? (stage !== "promote" && counted(given[stage]).length > 0 ? "fail" : "pass");
    const { uri, digest, policy } = facts.loaded;
    const environment = told.environment ?? requirement.environment;
    const summary = buildVerificationSummary({
      stage,
      image: { repository: gate.image.repository, digest: image, children: [] },
      policy: { uri, digest, serial: policy.serial },
      passed: verdict === "pass",
      violations: verdict === "pass" ? 0 : Math.max(1, stage === "promote" ? 1 : counted(given[stage]).length),
      excepted: 0,
      ...(environment === undefined ? {} : { environment }),
      timeVerified: time,
      inputs: [{ digest: finding.bundle.digest, uri: "case:finding" }],
      tools: [],
    });
    return [finding, sign(summary)];
  }
}

/** What a stage found, as far as the gate reads it. */
function makeFinding(
  stage: Stage,
  { findings }: CaseFacts,
  time: Date,
): [type: string, predicate: Record<string, unknown>] {
  if (stage === "base") return [predicateTypes.base, { children: [{ digest: image, layers }] }];
  if (stage !== "scan") return [predicateTypes.provenance, {}];
  const goldenpath = tellFindings([{ digest: image, platform: "linux/amd64", findings, isExcepted: () => false }]);
  return [
    predicateTypes.vulnerabilities,
    { scanner: { result: { goldenpath } }, metadata: { scanFinishedOn: time.toISOString() } },
  ];
}

function deferred({ own, ...problem }: Problem, { loaded, now }: CaseFacts): CaseProblem {
  const days = { enforceFrom: loaded.policy.enforceFrom, now };
  const { enforcedFrom } = deferViolation({ ...problem, thing: "" }, days, own);
  return {
    ...{ rule: problem.rule, problem: problem.problem },
    ...(enforcedFrom === undefined ? {} : { from: enforcedFrom }),
  };
}

/** Those that refuse on the case's day. */
function counted(problems: readonly CaseProblem[]): CaseProblem[] {
  return problems.filter(({ from }) => from === undefined);
}

/** A statement as it is where the signatures were asked about. */
export function sealed(statement: Statement, signers: readonly string[], subject: Digest = image): VerifiedStatement {
  const descriptor = {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    digest: digestOf(JSON.stringify(statement)),
    size: 1,
  };
  return { subject, signers: [...signers], statement, bundle: descriptor, referrer: descriptor };
}
