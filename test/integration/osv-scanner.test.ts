import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runOsvScanner } from "@goldenpath/core/scan/scanners/osv-scanner";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { beforeAll, describe, expect, test } from "vitest";
import { type OsvEntry, writeOsvData } from "../support/osv-data.ts";
import {
  debianRelease,
  dpkgStanza,
  exampleDatabase,
  libcVersions,
  pushImage,
  root,
  scan,
  tell,
  toolPath,
  useScanWorld,
} from "../support/scan-world.ts";

// The real osv-scanner on OSV's data in its own format, beside the real grype on its own.
useScanWorld("osv-scanner");

const asOf = new Date("2026-11-01T00:00:00Z");
const entries: readonly OsvEntry[] = [
  // As grype's data has it, under the same names and rated lower.
  {
    ...{ id: "GHSA-35jh-r3h4-6jhm", ecosystem: "npm", package: "lodash", fixed: "4.17.21" },
    ...{ aliases: ["CVE-2021-23337"], severity: "LOW" },
  },
  // As grype's data has it, under a name that only the alias leads to.
  { id: "OSV-2020-1", ecosystem: "npm", package: "lodash", fixed: "4.17.21", aliases: ["CVE-2020-28500"] },
  // What grype's data does not have.
  { id: "GHSA-only-here", ecosystem: "npm", package: "lodash", fixed: "4.17.30", severity: "CRITICAL" },
  {
    id: "GHSA-taken-back",
    ecosystem: "npm",
    package: "lodash",
    severity: "CRITICAL",
    withdrawn: "2026-02-01T00:00:00Z",
  },
  { id: "MAL-2026-1", ecosystem: "npm", package: "lodahs" },
  // By the source package, as Debian names them; grype's data says high.
  {
    ...{ id: "DEBIAN-CVE-2023-4911", ecosystem: "Debian:12", package: "glibc", fixed: "2.36-9+deb12u3" },
    ...{ upstream: ["CVE-2023-4911"], urgency: "not yet assigned" },
  },
  { id: "DEBIAN-CVE-2099-1", ecosystem: "Debian:12", package: "glibc", urgency: "unimportant" },
];

let database = "";
let image = "";
let descriptor: Descriptor;
beforeAll(async () => {
  database = await mkdtemp(join(root, "data-"));
  await cp(exampleDatabase, database, { recursive: true });
  await writeOsvData(database, entries, asOf);
  ({ reference: image, descriptor } = await pushImage([
    {
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
    },
    {
      "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.20" }),
      "workspace/node_modules/lodahs/package.json": JSON.stringify({ name: "lodahs", version: "1.0.0" }),
    },
  ]));
});

const policy = (scanners: string) => ({
  policy: { scan: `failOn: high, databaseMaxAge: unlimited, scanners: [${scanners}]` },
});
const withData = (scanners: string, inputs: Record<string, string> = {}) =>
  scan(image, { ...policy(scanners), inputs: { database, ...inputs } });

describe("which scanners are asked is the policy's to say", () => {
  test.each([
    ["grype, osv-scanner", "grype"],
    ["grype", "osv-scanner"],
    ["grype", "trove"],
  ])("under [%s] the input '%s' is an error", async (required, scanner) => {
    expect(tell(await withData(required, { scanner }))).toEqual({
      verdict: "error",
      found: [],
      error: "input-invalid",
    });
  });

  test("a policy that names one which there is not is an error", async () => {
    expect(tell(await withData("trove"))).toMatchObject({ verdict: "error", error: "input-invalid" });
  });

  test("data of one of two is not enough", async () => {
    const outcome = await scan(image, policy("grype, osv-scanner"));
    expect(tell(outcome)).toMatchObject({ verdict: "error", error: "input-invalid" });
    expect(outcome.result.error?.message).toContain("no osv-scanner database");
  });
});

describe("osv-scanner on its own", () => {
  test("finds what OSV has, by its names, and not what was taken back", async () => {
    const outcome = await withData("osv-scanner");
    expect(tell(outcome)).toEqual({
      verdict: "fail",
      found: [
        "scan.severity: GHSA-only-here in lodash 4.17.20",
        "scan.severity: DEBIAN-CVE-2023-4911 in libc6 2.36-9+deb12u1",
        "scan.malicious: MAL-2026-1 in lodahs 1.0.0",
        "scan.severity: OSV-2020-1 in lodash 4.17.20",
      ],
    });
    expect(JSON.parse(outcome.outputs["counts"] ?? "")).toEqual({
      ...{ critical: 1, high: 0, medium: 0, low: 1, negligible: 1, unknown: 3 },
    });
  });

  test("an ecosystem whose data is not there is an error, and nothing is found in none of it", async () => {
    const half = await mkdtemp(join(root, "half-"));
    await writeOsvData(
      half,
      entries.filter(({ ecosystem }) => ecosystem === "npm"),
      asOf,
    );
    const outcome = await scan(image, { ...policy("osv-scanner"), inputs: { database: half } });
    expect(tell(outcome)).toMatchObject({ verdict: "error", error: "scanner-failed" });
  });

  // The program itself says that nothing was found, and ends with 0.
  test("an archive that is cut off is an error", async () => {
    const broken = await mkdtemp(join(root, "broken-"));
    await writeOsvData(broken, entries, asOf);
    const file = join(broken, "osv-scalibr/npm/all.zip");
    await writeFile(file, (await readFile(file)).subarray(0, 100));
    const outcome = await scan(image, { ...policy("osv-scanner"), inputs: { database: broken } });
    expect(tell(outcome)).toMatchObject({ verdict: "error", error: "scanner-report-invalid" });
  });

  test("data of another version of the distribution is a blind spot", async () => {
    const other = await mkdtemp(join(root, "other-"));
    const old = entries.map((entry) => ({ ...entry, ecosystem: entry.ecosystem.replace(":12", ":11") }));
    await writeOsvData(other, old, asOf);
    const outcome = await scan(image, { ...policy("osv-scanner"), inputs: { database: other } });
    expect(tell(outcome).found[0]).toBe(
      `scan.blind-spot: ${image.split("@")[0]}@${descriptor.digest}: unknown-distribution`,
    );
  });

  test("data is as old as its newest record, and too old is a violation", async () => {
    const inputs = { database };
    const aged = { policy: { scan: "failOn: critical, databaseMaxAge: 5d, scanners: [osv-scanner]" }, inputs };
    const dayFive = await scan(image, { ...aged, now: new Date("2026-11-05T23:00:00Z") });
    expect(tell(dayFive).found.filter((each) => each.includes("database-age"))).toEqual([]);
    const daySix = await scan(image, { ...aged, now: new Date("2026-11-06T01:00:00Z") });
    expect(tell(daySix).found[0]).toBe("scan.database-age: the vulnerability data");
  });
});

describe("grype and osv-scanner at once", () => {
  test("one finding for what both say, the worst of it, and the distribution's word for its package", async () => {
    const outcome = await withData("grype, osv-scanner");
    const { found } = tell(outcome);
    expect(found).toEqual([
      "scan.severity: GHSA-only-here in lodash 4.17.20",
      "scan.severity: CVE-2023-4911 in libc6 2.36-9+deb12u1",
      "scan.malicious: MAL-2026-1 in lodahs 1.0.0",
      "scan.severity: GHSA-29mw-wpgm-hmr9 in lodash 4.17.20",
      "scan.severity: GHSA-35jh-r3h4-6jhm in lodash 4.17.20",
    ]);
    const { predicate } = outcome.result as unknown as {
      predicate: { scanner: { uri: string; result: { goldenpath: Record<string, unknown> } } };
    };
    expect(predicate.scanner.uri).toMatch(/grype@/);
    expect(predicate.scanner.result.goldenpath).toMatchObject({
      counts: JSON.parse(outcome.outputs["counts"] ?? ""),
      others: [{ uri: expect.stringMatching(/osv-scanner@v2/), db: { lastUpdate: asOf.toISOString() } }],
    });
    expect(outcome.result.tools.map(({ name }) => name)).toEqual(["syft", "grype", "osv-scanner"]);
  });

  test("a caller may add one to the policy's", async () => {
    const alone = await withData("grype");
    const added = await withData("grype", { scanner: "grype,osv-scanner" });
    expect(tell(added).found).toEqual(expect.arrayContaining(tell(alone).found));
    expect(tell(added).found.length).toBeGreaterThan(tell(alone).found.length);
  });
});

test("a configuration beside the SBOM sets nothing aside", async () => {
  const directory = await mkdtemp(join(root, "config-"));
  const ignored = entries.map(({ id }) => `[[IgnoredVulns]]\nid = "${id}"\nreason = "none"\n`).join("\n");
  await writeFile(join(directory, "osv-scanner.toml"), ignored);
  const sbom = join(directory, "bom.cdx.json");
  const lodash = { type: "library", name: "lodash", version: "4.17.20", purl: "pkg:npm/lodash@4.17.20" };
  const document = { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, metadata: {}, components: [lodash] };
  await writeFile(sbom, JSON.stringify(document));
  const temporaryDirectory = await mkdtemp(join(root, "tmp-"));
  const { findings } = await runOsvScanner(
    sbom,
    { directory: database, update: false },
    {
      ...{ ports: silentPorts(), run: { builderId: "local" }, workingDirectory: directory, temporaryDirectory },
      env: { ...process.env, PATH: dirname(toolPath("osv-scanner")), HOME: directory },
      ...{ signal: new AbortController().signal, now: () => new Date() },
    },
  );
  expect(findings.map(({ id }) => id).toSorted()).toEqual(["GHSA-35jh-r3h4-6jhm", "GHSA-only-here", "OSV-2020-1"]);
});
