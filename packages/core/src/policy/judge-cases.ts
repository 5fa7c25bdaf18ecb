import { UserError } from "@goldenpath/foundation/errors";
import type { Rule } from "@goldenpath/foundation/rules";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { ApprovalState } from "../base/approval/judge.ts";
import { type BaseFacts, decideBase } from "../base/decide.ts";
import { tellForbidden } from "../base/forbidden.ts";
import type { ApprovedBase } from "../base/identify.ts";
import { listBuildImages } from "../build/strategies/find.ts";
import { judgeSource } from "../gate/binding.ts";
import type { Violation } from "../result.ts";
import type { Finding } from "../scan/finding.ts";
import { judgeDatabase, judgeFindings } from "../scan/gate.ts";
import { openFinding } from "../scan/merge.ts";
import { judgePackages } from "../scan/package-gates.ts";
import type { CaseFacts, CaseProblem } from "./case-facts.ts";
import type { PolicyCase } from "./cases.ts";
import { judgeCaseEnvironment } from "./judge-case-environment.ts";
import { judgeCaseBaseRules, judgeCaseScanRules } from "./judge-case-rules.ts";
import { tellCaseApproval, withCaseExceptions } from "./judge-case-signed.ts";
import type { LoadedPolicy, PolicyBase } from "./schema.ts";
import type { PolicySection } from "./sections.ts";

/** One expectation of a case. */
export interface CaseAnswer {
  /** `scan`, `base`, `build` or `environments.NAME`. */
  of: string;
  expected: readonly Rule[];
  /** Each rule once, in the alphabet's order. */
  found: readonly Rule[];
  /** What only warns on that day, each with the day from which it refuses: `scan.severity 2027-03-01`. */
  warned: readonly string[];
  problems: readonly CaseProblem[];
  holds: boolean;
}

/**
 * What the policy says to a case, by the same judges as the stages: of each expectation which rules count.
 * @param now of a case that names no day
 * @throws UserError `policy-incomplete` where the policy lacks the section that would judge; `input-invalid` where it has
 *   no such environment
 */
export function judgeCase(what: PolicyCase, given: LoadedPolicy, now: Date): CaseAnswer[] {
  // Any time of that day would do: what ends with a day holds to its end.
  const time = what.on === undefined ? now : new Date(`${what.on}T12:00:00Z`);
  demandSigners(what, given);
  const loaded = withCaseExceptions(what, given, time);
  const facts: CaseFacts = { what, loaded, now: time, findings: (what.findings ?? []).map(makeFinding) };
  const { expect } = what;
  demandSections(what, loaded);
  const scan = judgeScan(facts);
  const base = what.base === undefined ? undefined : judgeBase(facts, what.base);
  const answers: CaseAnswer[] = [];
  if (expect.scan !== undefined) answers.push(answer("scan", expect.scan, scan));
  if (expect.base !== undefined) answers.push(answer("base", expect.base, base ?? []));
  if (expect.build !== undefined) answers.push(answer("build", expect.build, judgeBuild(facts)));
  for (const [environmentName, rules] of Object.entries(expect.environments)) {
    const found = judgeCaseEnvironment(facts, environmentName, {
      ...{ scan, base: base ?? [], build: judgeBuild(facts) },
    });
    answers.push(answer(`environments.${environmentName}`, rules, found));
  }
  return answers;
}

function tell({ rule, problem, enforcedFrom }: Violation): CaseProblem {
  return { rule, problem, ...(enforcedFrom === undefined ? {} : { from: enforcedFrom }) };
}

/** A section that is left out allows nothing, and its judge is never asked. */
function demandSections({ name, expect, base, findings }: PolicyCase, { policy, uri }: LoadedPolicy): void {
  const needs: readonly (readonly [PolicySection, boolean])[] = [
    ["scan", expect.scan !== undefined || findings !== undefined],
    ["bases", base !== undefined],
    ["build", expect.build !== undefined],
    ["environments", Object.keys(expect.environments).length > 0],
  ];
  for (const [section, isNeeded] of needs) {
    if (!isNeeded || policy.absent?.includes(section) !== true) continue;
    throw new UserError(
      `case '${name}' asks for what section \`${section}\` decides, which policy ${uri} does not have`,
      {
        code: "policy-incomplete",
        wayOut: "Add the section, or take the expectation out.",
      },
    );
  }
}

/** A slip of the hand would be a signer whose word counts for nothing, which is what some cases expect. */
function demandSigners(
  { name, evidence, approval, exceptions = [] }: PolicyCase,
  { policy: { signers } }: LoadedPolicy,
): void {
  const unknown = [...Object.values(evidence), ...(approval === undefined ? [] : [approval]), ...exceptions]
    .flatMap(({ by }) => by ?? [])
    .find((each) => !Object.hasOwn(signers, each));
  if (unknown === undefined) return;
  throw new UserError(`case '${name}' has something by '${unknown}', who is no signer of the policy`, {
    code: "input-invalid",
    wayOut: `Name one of ${Object.keys(signers).join(", ") || "the policy's signers, of which there are none"}.`,
  });
}

function answer(of: string, expected: readonly Rule[], problems: readonly CaseProblem[]): CaseAnswer {
  const found = [...new Set(problems.filter(({ from }) => from === undefined).map(({ rule }) => rule))].toSorted();
  const warned = [...new Set(problems.flatMap(({ rule, from }) => (from === undefined ? [] : [`${rule} ${from}`])))];
  const wanted = [...new Set(expected)].toSorted();
  const holds = found.length === wanted.length && found.every((rule, index) => rule === wanted[index]);
  return { of, expected: wanted, found, warned, problems, holds };
}

function makeFinding({ origin, package: of, ...said }: NonNullable<PolicyCase["findings"]>[number]): Finding {
  const { purl, scope, ...named } = of;
  const { fixReleases, cvss, epss, kev, malicious, ...plain } = said;
  const opened = openFinding(
    {
      ...plain,
      package: { ...named, ...withoutUnsaid({ purl, scope }) },
      ...withoutUnsaid({ fixReleases, cvss, epss, kev, malicious }),
      fixState: said.fixedVersions.length > 0 ? "fixed" : "not-fixed",
      layers: [],
      paths: [],
      urls: [],
    },
    "case",
  );
  return { ...opened, origin };
}

function withoutUnsaid<T extends object>(said: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as never;
}

function judgeScan(facts: CaseFacts): CaseProblem[] {
  const { what, loaded, now, findings } = facts;
  const { policy } = loaded;
  const { scan, exceptions, enforceFrom } = policy;
  const { packages, databaseAge } = what;
  const refused = judgeFindings({ findings, policy: scan, exceptions, enforceFrom, now }).map(
    ({ violation }) => violation,
  );
  const ofPackages =
    packages === undefined
      ? []
      : judgePackages({
          sbom: makeSbom(packages, now),
          policy: withoutQuality(scan),
          exceptions,
          enforceFrom,
          now,
          image: "the image",
        });
  const ofData =
    databaseAge === undefined
      ? []
      : judgeDatabase({ built: new Date(now.getTime() - databaseAge) }, scan.databaseMaxAge, now);
  const isScanned = what.findings !== undefined || packages !== undefined;
  return [
    ...[...refused, ...ofPackages, ...ofData].filter(({ exception }) => exception === undefined).map(tell),
    ...(isScanned ? judgeCaseScanRules(facts, makeSbom(packages ?? [], now)) : []),
  ];
}

/** A case lists the packages that matter to it: of how many something is said, it can't tell. */
function withoutQuality({ packages, licenses }: LoadedPolicy["policy"]["scan"]) {
  return { packages, licenses };
}

function makeSbom(packages: NonNullable<PolicyCase["packages"]>, now: Date): Record<string, unknown> {
  return {
    bomFormat: "CycloneDX",
    metadata: { timestamp: now.toISOString() },
    components: packages.map(({ license, ...each }) => ({
      type: "library",
      ...each,
      licenses: license === undefined ? [] : [{ expression: license }],
    })),
  };
}

/** Of what an image stands on, only that it stands there: layers are told apart by the base's digest. */
function judgeBase(given: CaseFacts, base: Digest): CaseProblem[] {
  const { what, loaded, now } = given;
  const { policy } = loaded;
  const platform = { os: "linux", architecture: "amd64" };
  const approve = (of: {
    name: string;
    image: string;
    digests: readonly Digest[];
    until?: string | undefined;
    state?: ApprovalState | undefined;
  }) =>
    of.digests.map(
      (digest): ApprovedBase => ({
        ...{ name: of.name, image: of.image, digest, child: digest, platform },
        ...{ diffIds: [digest], layers: [digest] },
        ...(of.until === undefined ? {} : { until: of.until }),
        ...(of.state === undefined ? {} : { approval: of.state }),
      }),
    );
  const layers = [base, digestOf("what the application adds")];
  const facts: BaseFacts = {
    repository: parseRepository(what.image ?? ""),
    isIndex: false,
    children: [
      {
        ...{ digest: digestOf("the image"), platform, diffIds: layers, layers, annotations: {} },
        ...{ labels: {}, habits: {}, leftovers: [], blobs: [] },
      },
    ],
    // A case has no files and no config that these could look at.
    rules: { refuse: [], mustHave: [] },
    // They are asked by themselves, of what the case tells.
    customRules: [],
    approved: [
      ...policy.bases.flatMap((each) => approveVersion(what, each, base).flatMap(approve)),
      ...policy.forbiddenBases.flatMap((entry) =>
        approve({ ...entry, digests: entry.digests ?? [] }).map((each) => ({
          ...each,
          forbidden: tellForbidden(entry, policy, now),
        })),
      ),
    ],
    buildImages: listBuildImages(policy.build.builders).flatMap(approve),
    exceptions: policy.exceptions,
    enforceFrom: policy.enforceFrom,
    now,
  };
  const refused = decideBase(facts)
    .violations.filter(({ exception }) => exception === undefined)
    .map(tell);
  return [...refused, ...judgeCaseBaseRules(given, base)];
}

/** A base without a list of versions has that of which the case says what is signed. */
function approveVersion(what: PolicyCase, base: PolicyBase, version: Digest) {
  const state = tellCaseApproval(what, base);
  const digests = base.digests.length === 0 && state !== undefined ? [version] : base.digests;
  return [{ ...base, digests, state }];
}

function judgeBuild({ what: { build, to }, loaded }: CaseFacts): CaseProblem[] {
  if (build === undefined) return [];
  const { repository, ref, event, workflow, caller } = build;
  return judgeSource(
    loaded.policy,
    {
      ...{ sourceRepository: repository, sourceRef: ref, event, callerId: caller },
      // What attests always says who it is; a case that does not care names nobody.
      builderId: workflow ?? "",
    },
    to === undefined ? undefined : parseRepository(to),
  );
}
