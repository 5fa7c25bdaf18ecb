import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { Finding } from "../../scan/finding.ts";
import { judgeFindings } from "../../scan/gate.ts";
import { judgePackages, readSbomPackages } from "../../scan/package-gates.ts";
import { listScanFacts } from "../../scan/rule-facts.ts";
import { readToldScan, type ToldFinding } from "../../scan/told-findings.ts";
import { namesSubject } from "../../signing/statement.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { type AgainFacts, type JudgedAgain, listExceptions, listRepositories, withoutExcepted } from "./facts.ts";
import { judgeRulesAgain } from "./rules.ts";

/** What a policy says of what a scan found and signed: by its gates, and by rules of its own. */
export function judgeScanAgain(
  { statement }: VerifiedStatement,
  sboms: readonly VerifiedStatement[],
  facts: AgainFacts,
): JudgedAgain[] {
  const { policy, now } = facts;
  if (policy.absent?.includes("scan") === true)
    return [{ rule: "scan.severity", thing: "the scan", problem: "the policy has no section scan: no scan passes" }];
  const told = readToldScan(statement.predicate);
  if ("problem" in told)
    return [{ rule: "gate.finding", thing: "the scan", problem: `what it found can't be read: ${told.problem}` }];
  const signers: readonly string[] = policy.scan.vex?.signers ?? [];
  const open = told.findings.filter(({ vex }) => vex === undefined || !signers.includes(vex.by));
  const refused = judgeFindings({
    findings: open.map(asFinding),
    policy: policy.scan,
    exceptions: listExceptions(facts, statement),
    enforceFrom: policy.enforceFrom,
    now,
  });
  return [
    ...withoutExcepted(refused.map(({ violation }) => violation)),
    ...judgeOwn(statement, told.findings, sboms, facts),
  ];
}

/** Of each image that runs: a rule that it breaks by one of several SBOMs is broken. */
function judgeOwn(
  statement: VerifiedStatement["statement"],
  findings: readonly ToldFinding[],
  sboms: readonly VerifiedStatement[],
  facts: AgainFacts,
): JudgedAgain[] {
  const [repository = ""] = listRepositories(statement);
  const children = facts.children ?? [];
  const known = new Set<string | undefined>(children.map(({ digest }) => digest));
  return children.flatMap(({ digest, platform }) => {
    // What is of none of them may be of any.
    const isOwn = ({ child }: ToldFinding): boolean => child === digest || !known.has(child);
    const own = findings.filter(isOwn).map(asFinding);
    const about = sboms.filter((each) => namesSubject(each.statement, digest));
    const readable = about.flatMap(({ statement: { predicate } }) =>
      readSbomPackages(predicate) === undefined ? [] : [predicate],
    );
    const isWhole = readable.length > 0 && readable.length === about.length;
    const isKnown = (fact: string): boolean =>
      fact === "components" ? isWhole : fact === "image" ? repository !== "" : true;
    const image = { repository, digest, platform: formatPlatform(platform) };
    return (isWhole ? readable : [{}]).flatMap((sbom) =>
      judgeRulesAgain(
        {
          ...{ stage: "scan", statement, repository, image: `${repository}@${digest}`, isKnown },
          values: listScanFacts({ image, findings: own, sbom, now: facts.now }),
        },
        facts,
      ),
    );
  });
}

/** A finding as told has all that gates and rules ask for; where it was seen decides nothing. */
function asFinding({ child: _child, platform: _platform, vex: _vex, excepted: _excepted, ...told }: ToldFinding) {
  return { ...told, layers: [], paths: [], urls: [], saidBy: [] } as Finding;
}

export function judgeSbomAgain({ statement }: VerifiedStatement, facts: AgainFacts): JudgedAgain[] {
  const { policy, now } = facts;
  const { packages, licenses, sbom } = policy.scan;
  const [image = "the image"] = listRepositories(statement);
  return withoutExcepted(
    judgePackages({
      ...{ sbom: statement.predicate, policy: { packages, licenses, sbom } },
      ...{ exceptions: listExceptions(facts, statement), enforceFrom: policy.enforceFrom, now, image },
    }),
  );
}
