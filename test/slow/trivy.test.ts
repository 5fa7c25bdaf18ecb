import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runTrivy } from "@goldenpath/core/scan/scanners/trivy";
import { silentPorts } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { beforeAll, describe, expect, test } from "vitest";
import { writeOsvData } from "../support/osv-data.ts";
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

// The real trivy, whose build takes minutes, on data in its own format, beside the real grype and osv-scanner on theirs.
useScanWorld("trivy", "osv-scanner");

const fixture = join(import.meta.dirname, "../fixtures/trivy-db");
let database = "";
let image = "";
let descriptor: Descriptor;
beforeAll(async () => {
  database = await mkdtemp(join(root, "data-"));
  await cp(exampleDatabase, database, { recursive: true });
  await cp(join(fixture, "db"), join(database, "db"), { recursive: true });
  const asOf = new Date("2026-11-01T00:00:00Z");
  const lodash = { ecosystem: "npm", package: "lodash", fixed: "4.17.21" };
  const libc = { id: "DEBIAN-CVE-2023-4911", ecosystem: "Debian:12", package: "glibc", upstream: ["CVE-2023-4911"] };
  await writeOsvData(database, [{ id: "GHSA-35jh-r3h4-6jhm", aliases: ["CVE-2021-23337"], ...lodash }, libc], asOf);
  ({ reference: image, descriptor } = await pushImage([
    {
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
    },
    { "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.20" }) },
  ]));
});

const policy = (scanners: string, more = "failOn: high, databaseMaxAge: unlimited") => ({
  policy: { scan: `${more}, scanners: [${scanners}]` },
});
const withData = (scanners: string, inputs: Record<string, string> = {}) =>
  scan(image, { ...policy(scanners), inputs: { database, ...inputs } });
async function changedData(change: (file: string) => Promise<void>): Promise<string> {
  const directory = await mkdtemp(join(root, "changed-"));
  await cp(join(fixture, "db"), join(directory, "db"), { recursive: true });
  await change(join(directory, "db/trivy.db"));
  return directory;
}
const replace = (from: string, to: string) => async (file: string) => {
  const bytes = await readFile(file);
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) bytes.write(to, at);
  await writeFile(file, bytes);
};

describe("what trivy would pass in silence is never a pass", () => {
  test("data without the image's language is an error", async () => {
    const inputs = { database: await changedData(replace("npm::", "pip::")) };
    const outcome = await scan(image, { ...policy("trivy"), inputs });
    expect(tell(outcome)).toMatchObject({ verdict: "error", error: "scanner-failed" });
    expect(outcome.result.error?.message).toContain("has nothing of npm");
  });

  test("data of another version of the distribution is a blind spot", async () => {
    const inputs = { database: await changedData(replace("debian 12", "debian 11")) };
    const { found } = tell(await scan(image, { ...policy("trivy"), inputs }));
    expect(found[0]).toBe(`scan.blind-spot: ${image.split("@")[0]}@${descriptor.digest}: unknown-distribution`);
  });

  test("a distribution that it does not know is a blind spot", async () => {
    const other = await pushImage([
      {
        "etc/os-release": 'ID=plan9\nVERSION_ID="4"\n',
        "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
      },
    ]);
    const outcome = await scan(other.reference, { ...policy("trivy"), inputs: { database } });
    expect(tell(outcome).found).toEqual([expect.stringContaining("unknown-distribution")]);
    expect(outcome.result.notes?.join("\n")).toContain("trivy does not look up 1 package of the image: 1 of type deb");
  });

  test("data that is cut off is an error, and is left as it was given", async () => {
    let given = "";
    const cut = await changedData(async (file) => {
      given = file;
      await writeFile(file, (await readFile(file)).subarray(0, 20_000));
    });
    const outcome = await scan(image, { ...policy("trivy"), inputs: { database: cut } });
    expect(tell(outcome)).toMatchObject({ verdict: "error", error: "scanner-failed" });
    expect((await readFile(given)).length).toBe(20_000);
  });

  test("data is as old as it says", async () => {
    const aged = { ...policy("trivy", "failOn: critical, databaseMaxAge: 5d"), inputs: { database } };
    const dayFive = tell(await scan(image, { ...aged, now: new Date("2026-11-05T23:00:00Z") }));
    expect(dayFive.found.filter((each) => each.includes("database-age"))).toEqual([]);
    const daySix = tell(await scan(image, { ...aged, now: new Date("2026-11-06T01:00:00Z") }));
    expect(daySix.found[0]).toBe("scan.database-age: the vulnerability data");
  });
});

describe("trivy on its own", () => {
  test("finds what its data has, by the source package, and of what nobody rated that it is unknown", async () => {
    const outcome = await withData("trivy");
    expect(tell(outcome)).toEqual({
      verdict: "fail",
      found: [
        "scan.severity: CVE-2023-4911 in libc6 2.36-9+deb12u1",
        "scan.severity: CVE-2021-23337 in lodash 4.17.20",
        "scan.severity: CVE-2099-6 in lodash 4.17.20",
      ],
    });
    expect(parseJson(outcome.outputs["counts"] ?? "")).toEqual({
      ...{ critical: 0, high: 2, unknown: 1, medium: 2, low: 2, negligible: 0 },
    });
  });

  // Its data has each binary package of an rpm distribution by its own name.
  test.each<[what: string, purl: string, system: string, found: string[]]>([
    [
      "one that is older than the fix",
      "pkg:rpm/rocky/curl@7.76.1-23.el9?arch=x86_64&distro=rocky-9.3&upstream=curl-7.76.1-23.el9.src.rpm",
      "rocky",
      ["CVE-2023-38545: 7.76.1-26.el9_3.2"],
    ],
    [
      "the fix itself, backported into the same version",
      "pkg:rpm/rocky/curl@7.76.1-26.el9_3.2?arch=x86_64&distro=rocky-9.3&upstream=curl-7.76.1-26.el9_3.2.src.rpm",
      "rocky",
      [],
    ],
    [
      "one of a later epoch, which is newer than any version without",
      "pkg:rpm/rocky/curl@7.76.1-23.el9?arch=x86_64&distro=rocky-9.3&epoch=1&upstream=curl-7.76.1-23.el9.src.rpm",
      "rocky",
      [],
    ],
    ["of a system that it is not asked about", "pkg:rpm/redhat/curl@7.76.1-23.el9?arch=x86_64", "rhel", []],
  ])("an rpm: %s", async (_what, purl, system, found) => {
    const directory = await mkdtemp(join(root, "rpm-"));
    const version = /@([^?]+)/.exec(purl)?.[1] ?? "";
    const property = (name: string, value: string) => ({ name: `syft:${name}`, value });
    const components = [
      { ...{ type: "library", name: "curl", version, purl }, properties: [property("package:type", "rpm")] },
      {
        ...{ type: "operating-system", name: system, version: "9.3" },
        properties: [property("distro:id", system), property("distro:versionID", "9.3")],
      },
    ];
    const sbom = join(directory, "rpm.cdx.json");
    await writeFile(sbom, JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.6", metadata: {}, components }));
    const { findings, notes } = await runAlone(directory, sbom);
    expect(findings.map(({ id, fixedVersions }) => `${id}: ${fixedVersions}`)).toEqual(found);
    expect(findings.every(({ package: of, advisory }) => of.type === "rpm" && advisory?.isDistributions)).toBe(true);
    // What it is not asked about is said, and is a blind spot where its data does not have the system.
    expect(notes.some((note) => note.includes("does not look up 1 package"))).toBe(system === "rhel");
  });

  test("says what was recorded of it", async () => {
    const { report } = await runAlone(await mkdtemp(join(root, "recorded-")), join(fixture, "sbom.cdx.json"));
    const recorded = parseJson(await readFile(join(fixture, "report.json"), "utf8"));
    const nameless = (value: unknown): unknown =>
      parseJson(JSON.stringify(value).replaceAll(/"[^"]*bom\.cdx\.json/g, '"bom.cdx.json'));
    const { CreatedAt: _time, ...rest } = report as Record<string, unknown>;
    expect(nameless(rest)).toEqual(nameless(recorded));
  });

  test("a configuration and a list of what to ignore in the checkout set nothing aside", async () => {
    const directory = await mkdtemp(join(root, "config-"));
    await writeFile(join(directory, ".trivyignore"), "CVE-2023-4911\nCVE-2021-23337\n");
    await writeFile(join(directory, "trivy.yaml"), "severity: [CRITICAL]\nignorefile: .trivyignore\n");
    const { findings } = await runAlone(directory, join(fixture, "sbom.cdx.json"));
    expect(findings.map(({ id }) => id)).toEqual(expect.arrayContaining(["CVE-2023-4911", "CVE-2021-23337"]));
  });
});

test("grype, osv-scanner and trivy at once: one finding for what all say, with who says what", async () => {
  const outcome = await withData("grype, osv-scanner, trivy");
  const { predicate } = outcome.result as unknown as {
    predicate: {
      scanner: { result: { goldenpath: { others: { uri: string }[]; findings: Record<string, unknown>[] } } };
    };
  };
  const { others, findings } = predicate.scanner.result.goldenpath;
  expect(others.map(({ uri }) => uri)).toEqual([
    expect.stringMatching(/osv-scanner@v2/),
    expect.stringMatching(/trivy@v0\.66/),
  ]);
  const libc = findings.filter(({ id, aliases }) => [id, ...(aliases as string[])].includes("CVE-2023-4911"));
  expect(libc).toMatchObject([
    { saidBy: [{ source: "grype" }, { source: "osv-scanner" }, { source: "trivy", severity: "high" }] },
  ]);
  expect(outcome.result.tools.map(({ name }) => name)).toEqual(["syft", "grype", "osv-scanner", "trivy"]);
});

async function runAlone(directory: string, sbom: string) {
  const temporaryDirectory = await mkdtemp(join(root, "tmp-"));
  const data = await changedData(async () => {});
  return runTrivy(
    sbom,
    { directory: data, update: false },
    {
      ...{ ports: silentPorts(), run: { builderId: "local" }, workingDirectory: directory, temporaryDirectory },
      env: { ...process.env, PATH: dirname(toolPath("trivy")), HOME: directory },
      ...{ signal: new AbortController().signal, now: () => new Date() },
    },
  );
}
