import type { Exception } from "@goldenpath/core/policy/schema";
import type { ComparisonReport, ListedViolation, StageResult, Verdict } from "@goldenpath/core/result";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { manyFindings, type ShownFinding, scanPredicate } from "./shown-findings.ts";

/** A result, and the job that it is of; as the report reads them. */
export interface ShownResult {
  from: string;
  result: StageResult;
}

/** A path as people meet it in a pull request. */
export interface ShownChain {
  /** Its folder in test/fixtures/shown-chains. */
  name: string;
  /** What a reader of the first lines has to know: each of these words has to be there. */
  says: readonly string[];
  /** Of each job its results. */
  jobs: readonly (readonly ShownResult[])[];
  /** Told from a fork's run. */
  claimed?: true;
  /** Of the policy. */
  exceptions?: readonly Exception[];
}

export const shownLayers = ["base-1", "base-2", "base-3", "launcher", "runtime", "modules", "app"].map((name) =>
  digestOf(name),
);
const baseLayers = 3;

export function shownResult(
  stage: StageResult["stage"],
  changes: Partial<StageResult> & { violations?: ListedViolation[] } = {},
  image = "shop",
): StageResult {
  const violations = changes.violations ?? [];
  const verdict: Verdict = violations.some(({ exception }) => exception === undefined) ? "fail" : "pass";
  const digest = digestOf(image);
  return {
    schemaVersion: "1.0",
    stage,
    verdict,
    subject: {
      repository: `registry.acme.example/quarantine/${image}`,
      digest,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      children: [{ digest, mediaType: "application/vnd.oci.image.manifest.v1+json", verdict }],
    },
    violations,
    policy: { uri: "acme/platform//policy.yaml@9f2c", digest: digestOf("policy"), serial: 41 },
    run: { builderId: "https://github.com/acme/platform/.github/workflows/golden-path.yml" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00Z",
    finishedAt: "2026-11-23T10:00:04Z",
    ...changes,
  };
}

const baseType = "https://github.com/goldenpath-ci/goldenpath/predicates/base/v1";
const scanType = "https://cosign.sigstore.dev/attestation/vuln/v1";

const build = (image?: string): StageResult => shownResult("build", {}, image);

export function baseResult(image = "shop", violations: ListedViolation[] = []): StageResult {
  const isApproved = violations.length === 0;
  const predicate = {
    children: [
      {
        digest: digestOf(image),
        platform: { os: "linux", architecture: "amd64" },
        base: isApproved
          ? { name: "golden", image: "registry.acme.example/bases/golden", digest: digestOf("golden") }
          : null,
        matchedLayers: isApproved ? baseLayers : 0,
        totalLayers: shownLayers.length,
        layers: shownLayers,
      },
    ],
  };
  return shownResult("base", { violations, predicateType: baseType, predicate }, image);
}

export function scanResult(
  findings: readonly ShownFinding[],
  violations: ListedViolation[] = [],
  image = "shop",
  notes: string[] = [],
): StageResult {
  const changes = { violations, notes, predicateType: scanType, predicate: scanPredicate(findings) };
  return shownResult("scan", changes, image);
}

const [layerOfBase, , , , , modules] = shownLayers;
const lodash: ShownFinding = {
  ...{ id: "GHSA-35jh-r3h4-6jhm", severity: "High", name: "lodash", version: "4.17.20", type: "npm" },
  ...{ fixed: "4.17.21", cvss: 7.2, epss: 0.012, layer: modules ?? "" },
  description: "Command injection in lodash by its template function.",
};
const openssl: ShownFinding = {
  ...{ id: "CVE-2026-31337", severity: "Critical", name: "libssl3", version: "3.0.15-1~deb12u1", type: "deb" },
  ...{ fixed: "3.0.17-1~deb12u2", cvss: 9.8, epss: 0.871, kev: true, origin: "base", layer: layerOfBase ?? "" },
  ...{ path: "/var/lib/dpkg/status.d/libssl3", description: "A crafted certificate writes past a buffer." },
};
const minimist: ShownFinding = {
  ...{ id: "CVE-2021-44906", severity: "Medium", name: "minimist", version: "1.2.5", type: "npm" },
  ...{ fixed: "1.2.6", cvss: 5.6, epss: 0.009, layer: modules ?? "" },
};
const tar: ShownFinding = {
  ...{ id: "CVE-2025-45582", severity: "Medium", name: "tar", version: "1.34+dfsg-1.2", type: "deb" },
  ...{ cvss: 4.1, epss: 0.0004, origin: "base", layer: layerOfBase ?? "", path: "/var/lib/dpkg/status.d/tar" },
};

export function refusal(finding: ShownFinding, exception?: ListedViolation["exception"]): ListedViolation {
  const exploited = finding.kev === true ? " It is known to be exploited." : "";
  const fix = finding.fixed ?? "";
  const wayOut =
    finding.type === "deb"
      ? `It comes with the base image golden, of which there is a newer version (since 2026-11-20): build on its newest one. It needs ${finding.name} ${fix}; where that lacks it, whoever keeps the base has to bring it.`
      : `Update ${finding.name} to ${fix} (${finding.type}).`;
  return {
    rule: "scan.severity",
    thing: `${finding.id} in ${finding.name} ${finding.version}`,
    problem: `It is a vulnerability of severity ${finding.severity.toLowerCase()}; the policy refuses high and above.${exploited}`,
    wayOut,
    ...(finding.type === "npm" ? { place: { file: "package-lock.json", line: 214 } } : {}),
    ...(exception === undefined ? {} : { exception }),
  };
}

/** The image that a pull request's is compared with. */
const merged = `registry.acme.example/vetted/shop@${digestOf("merged")}`;

const compared = (finding: ShownFinding, change: "new" | "worse" | "fixed"): ComparisonReport["new"][number] => ({
  ...{ id: finding.id, package: finding.name, version: finding.version, severity: finding.severity.toLowerCase() },
  ...{ change, fixedVersions: finding.fixed === undefined ? [] : [finding.fixed] },
  origin: finding.origin === "base" ? "base" : "application",
  ...(finding.type === "npm" && finding.origin !== "base" && change !== "fixed"
    ? { place: { file: "package-lock.json", line: 214 } }
    : {}),
});

/** The scan's result, compared with the image of the branch that it goes to. */
function comparing(
  scan: StageResult,
  added: readonly ComparisonReport["new"][number][],
  { fixed = [], unchanged = 1, as = merged }: { fixed?: readonly ShownFinding[]; unchanged?: number; as?: string } = {},
): StageResult {
  const count = (change: string): number => added.filter((each) => each.change === change).length;
  const counts = { new: count("new"), worse: count("worse"), fixed: fixed.length, unchanged };
  const gone = fixed.map((each) => compared(each, "fixed"));
  return { ...scan, comparison: { with: as, gates: false, counts, new: [...added], fixed: gone } };
}

const job = (...results: StageResult[]): ShownResult[] => results.map((result) => ({ from: "", result }));

const foreignBase: ListedViolation = {
  rule: "base.approved",
  thing: "registry.acme.example/quarantine/shop",
  problem:
    "Its lowest layers are not those of any approved base for linux/amd64 (the first 2 of the 3 layers of 'golden' are there, the others are not).",
  wayOut: "Build on one of the policy's bases: golden (registry.acme.example/bases/golden).",
};

const forbiddenBuild: ListedViolation = {
  rule: "build.strategy",
  thing: "strategy dockerfile",
  problem: "The policy allows buildpacks and jib.",
  wayOut: "Remove the Dockerfile, or ask the platform team to allow the strategy dockerfile.",
  place: { file: "Dockerfile", line: 1 },
};

const unsigned: ListedViolation = {
  rule: "gate.missing",
  thing: "stage scan",
  problem: "No statement of the scan stage that counts is attached to the image.",
  wayOut: "Run scan again and sign its result.",
};

const until = (day: string, reason: string) => ({ expires: day, owner: "security@acme.example", reason });

const opensslUntil = until("2026-12-01", "The base's next version is built on Monday.");
const lodashUntil = until("2026-12-15", "Its template function is not called.");
const minimistUntil = until("2026-12-01", "Only the build's own scripts have it.");
const exceptionFor = ({ id }: ShownFinding, granted: ReturnType<typeof until>): Exception => ({
  ...{ rule: "scan.severity", vulnerability: id },
  ...granted,
});
/** The policy's: three that are needed, two of which end on one day, one that nothing needs, and one that is over. */
const granted: readonly Exception[] = [
  exceptionFor(openssl, opensslUntil),
  exceptionFor(lodash, lodashUntil),
  exceptionFor(minimist, minimistUntil),
  {
    ...{ rule: "scan.severity", vulnerability: "CVE-2024-0001", package: "left-pad", owner: "team-till@acme.example" },
    ...{ reason: "Waits for its maintainer.", expires: "2027-03-01" },
  },
  {
    ...{ rule: "scan.severity", vulnerability: "CVE-2023-0002", owner: "team-till@acme.example" },
    ...{ reason: "Was a false alarm.", expires: "2026-10-31" },
  },
];
/** As a stage tells the one that it applied. */
const appliedTo = ({ id }: ShownFinding, granted: ReturnType<typeof until>) => ({ ...granted, thing: id });

function withoutImage(result: StageResult): StageResult {
  const { subject: _subject, predicate: _predicate, predicateType: _type, ...rest } = result;
  return rest;
}

const failedScan = withoutImage(
  shownResult("scan", {
    verdict: "error",
    error: {
      code: "scanner-failed",
      message: "grype ended with 1: the vulnerability database could not be fetched: 429 Too Many Requests",
      wayOut: "Run the job again, or give the database as an artifact in the input 'database'.",
    },
  }),
);

/** New ones by the hundred: what a careless update brings. */
function threeHundred(): StageResult {
  const findings = manyFindings(300, shownLayers).map((finding) => ({ ...finding, severity: "High", type: "npm" }));
  const refused = findings.map((each) => refusal({ ...each, fixed: each.fixed ?? "a fixed version" }));
  return comparing(
    scanResult(findings, refused),
    findings.map((each) => compared(each, "new")),
  );
}

/** Two of the services are of one library's new version, which one of them refuses; one is new itself. */
function scanOf(name: string): StageResult {
  const as = `registry.acme.example/vetted/${name}@${digestOf(`merged ${name}`)}`;
  if (name === "checkout")
    return comparing(scanResult([lodash, tar], [refusal(lodash)], name), [compared(lodash, "new")], { as });
  if (name === "cart") return comparing(scanResult([minimist, tar], [], name), [compared(minimist, "new")], { as });
  if (name === "catalogue")
    return comparing(scanResult([minimist, tar], [], name), [compared(minimist, "new")], { as });
  if (name === "mail") return { ...scanResult([tar], [], name), comparison: firstRun(`vetted/${name}:main`) };
  return comparing(scanResult([tar], [], name), [], { as, fixed: [minimist] });
}

/** As a scan tells that there is nothing to compare with. */
const firstRun = (name: string): ComparisonReport => ({
  ...{ gates: false, new: [], fixed: [] },
  note: `registry.acme.example/${name} does not exist yet: all that is found counts as new`,
});

const services = ["cart", "catalogue", "checkout", "mail", "search"];

/** The chains that people review, and README's pictures are made of. */
export const shownChains: readonly ShownChain[] = [
  { name: "all-green", says: ["pass", "Nothing to do"], jobs: [job(build(), baseResult(), scanResult([tar]))] },
  {
    name: "build-refused",
    says: ["fail", "build", "Remove the Dockerfile"],
    jobs: [job(withoutImage(shownResult("build", { violations: [forbiddenBuild] })))],
  },
  {
    name: "base-refused",
    says: ["fail", "base", "Build on one of the policy", "golden"],
    jobs: [job(build(), baseResult("shop", [foreignBase]), scanResult([tar]))],
  },
  {
    name: "scan-refused",
    says: ["fail", "scan", "build on its newest one", "libssl3"],
    jobs: [
      job(
        build(),
        baseResult(),
        comparing(
          scanResult([openssl, lodash, tar], [refusal(openssl), refusal(lodash)]),
          [compared(openssl, "worse"), compared(lodash, "new")],
          { fixed: [minimist] },
        ),
      ),
    ],
  },
  {
    name: "promote-refused",
    says: ["fail", "promote", "Run scan again"],
    jobs: [job(build(), baseResult(), scanResult([tar]), shownResult("promote", { violations: [unsigned] }))],
  },
  {
    name: "error",
    says: ["error", "scan", "Run the job again"],
    jobs: [job(build(), baseResult(), failedScan)],
  },
  {
    name: "matrix-of-five",
    says: ["fail", "1 of 5 images", "Update lodash to 4.17.21", "checkout"],
    jobs: services.map((name) => job(build(name), baseResult(name), scanOf(name))),
  },
  {
    name: "first-run",
    says: ["pass", "Nothing to do"],
    jobs: [job(build(), baseResult(), { ...scanResult([]), comparison: firstRun("vetted/shop:main") })],
  },
  {
    name: "fork",
    says: ["fail", "build", "Remove the Dockerfile"],
    claimed: true,
    jobs: [
      [{ from: "goldenpath-results", result: withoutImage(shownResult("build", { violations: [forbiddenBuild] })) }],
    ],
  },
  { name: "300-new-findings", says: ["fail", "scan", "Update"], jobs: [job(build(), baseResult(), threeHundred())] },
  {
    name: "only-exceptions",
    says: ["pass", "Nothing to do", "3 findings are excepted", "2026-12-01, in 8 days"],
    exceptions: granted,
    jobs: [
      job(
        build(),
        baseResult(),
        scanResult(
          [openssl, lodash, minimist],
          [
            refusal(openssl, appliedTo(openssl, opensslUntil)),
            refusal(lodash, appliedTo(lodash, lodashUntil)),
            refusal(minimist, appliedTo(minimist, minimistUntil)),
          ],
        ),
      ),
    ],
  },
  {
    name: "refused-twice",
    says: ["fail", "base", "scan", "Build on one of the policy"],
    jobs: [job(build(), baseResult("shop", [foreignBase]), scanResult([lodash, tar], [refusal(lodash)]))],
  },
];
