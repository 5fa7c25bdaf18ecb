import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { placeFindings } from "../merge.ts";
import { grypeEnvironment, runGrype } from "./grype.ts";
import { parseGrypeReport, readGrypeFindings, splitGrypeReport } from "./grype-report.ts";

const match = (fields: { vulnerability?: object; artifact?: object; related?: object[] } = {}) => ({
  vulnerability: {
    id: "GHSA-35jh-r3h4-6jhm",
    dataSource: "https://github.com/advisories/GHSA-35jh-r3h4-6jhm",
    severity: "High",
    urls: [],
    description: "about templates",
    cvss: [
      { source: "report@snyk.io", version: "3.1", vector: "CVSS:3.1/AV:N", metrics: { baseScore: 7.2 } },
      { metrics: {} },
      { metrics: { baseScore: 6.1 } },
    ],
    fix: {
      versions: ["4.17.21"],
      state: "fixed",
      available: [{ version: "4.17.21", date: "2021-02-20", kind: "advisory" }],
    },
    namespace: "github:language:javascript",
    ...fields.vulnerability,
  },
  relatedVulnerabilities: fields.related ?? [{ id: "CVE-2021-23337", severity: "High" }],
  matchDetails: [],
  artifact: {
    name: "lodash",
    version: "4.17.20",
    type: "npm",
    purl: "pkg:npm/lodash@4.17.20",
    locations: [{ path: "/workspace/node_modules/lodash/package.json", layerID: "sha256:app" }],
    ...fields.artifact,
  },
});
const descriptor = {
  name: "grype",
  version: "0.121.2",
  db: { status: { schemaVersion: "v6.1.10", built: "2026-05-01T00:00:00Z", valid: true } },
};
const report = (matches: object[], more: object = {}) => JSON.stringify({ matches, descriptor, ...more });

describe("a report of several SBOMs", () => {
  const owners = new Map([
    ["p0", [{ member: 0, ref: "lodash" }, { member: 2 }]],
    ["p1", [{ member: 1, ref: "other" }]],
  ]);
  const merged = { members: [0, 1, 2, 3], owners };
  const told = { ...descriptor, configuration: { "include-matcher-suppressions": true } };
  const together = (matches: object[], ignoredMatches: object[] = []) =>
    parseGrypeReport(report(matches, { descriptor: told, ignoredMatches }));
  const aside = (id: string, rules: object[]) => ({ ...match({ artifact: { id } }), appliedIgnoreRules: rules });
  const configured = { namespace: "", package: { name: "linux-libc-dev" }, "match-type": "exact-indirect-match" };
  const falsePositive = { vulnerability: "CVE-2023-45853", namespace: "", package: { name: "zlib1g", type: "deb" } };
  const byAnother = { vulnerability: "CVE-2021-1", reason: "UnaffectedPackageEntry", package: { name: "lodash" } };

  test.each([
    ["that does not say so", {}],
    ["that was told not to", { configuration: { "include-matcher-suppressions": false } }],
  ])("one %s, which matches it set aside, is an error", (_what, more) => {
    const silent = parseGrypeReport(report([], { descriptor: { ...descriptor, ...more } }));
    expect(() => splitGrypeReport(silent, merged)).toThrow("does not tell which matches it set aside");
  });

  test.each([
    ["alone", [byAnother]],
    ["with another rule", [configured, byAnother]],
  ])("who had a match set aside by what another package may have brought is not judged by it (%s)", (_what, rules) => {
    const { own, again } = splitGrypeReport(together([], [aside("p0", rules), aside("p1", [configured])]), merged);
    expect(again).toEqual([0, 2]);
    expect([...own.keys()]).toEqual([1, 3]);
  });

  test("what a list of false positives drops is told by no run of one image", () => {
    const { own, again } = splitGrypeReport(together([], [aside("p0", [falsePositive]), aside("p1", [])]), merged);
    expect(again).toEqual([]);
    expect([...own.values()].filter((each) => "ignoredMatches" in each)).toEqual([]);
  });

  test("where a package lies is each image's own", () => {
    const owners = new Map([
      [
        "p0",
        [
          { member: 0, location: { path: "/a", layerID: "sha256:1" } },
          { member: 1, location: { path: "/b" } },
          { member: 2 },
        ],
      ],
    ]);
    const { own } = splitGrypeReport(together([match({ artifact: { id: "p0", locations: null } })]), {
      members: [0, 1, 2],
      owners,
    });
    expect([...own.values()].map(({ matches }) => matches[0]?.artifact.locations)).toEqual([
      [{ path: "/a", layerID: "sha256:1", accessPath: "" }],
      [{ path: "/b", accessPath: "" }],
      null,
    ]);
  });

  test("a match in a package that nobody has is an error", () => {
    for (const id of ["p2", "", undefined]) {
      const strange = together([match({ artifact: { id } })]);
      expect(() => splitGrypeReport(strange, merged)).toThrow(
        expect.objectContaining({ code: "scanner-report-invalid" }),
      );
      const ignored = together([], [match({ artifact: { id } })]);
      expect(() => splitGrypeReport(ignored, merged)).toThrow("that it was not given");
    }
  });

  test("is each one's own, by the references of its own SBOM", () => {
    const whole = together(
      [match({ artifact: { id: "p0" } }), match({ artifact: { id: "p1", name: "other" } })],
      [aside("p0", [configured])],
    );
    const { own: split } = splitGrypeReport(whole, merged);
    const own = [...split].map(([member, { matches, ignoredMatches }]) => [
      member,
      matches.map(({ artifact }) => [artifact.name, artifact.id]),
      ignoredMatches?.length,
    ]);
    expect(own).toEqual([
      [0, [["lodash", "lodash"]], 1],
      [1, [["other", "other"]], undefined],
      [2, [["lodash", undefined]], 1],
      [3, [], undefined],
    ]);
    expect(split.get(3)).toMatchObject({ descriptor });
  });
});

describe("a report that can't be read is an error and not a pass", () => {
  const whole = report([match()]);
  const cases: [string, string, RegExp][] = [
    ["empty", "", /it is empty/],
    ["white space", " \n", /it is empty/],
    ["cut in half", whole.slice(0, whole.length / 2), /it ends in the middle/],
    ["text", "no vulnerabilities found", /it ends in the middle/],
    ["braces and no JSON", "{matches}", /it is not JSON/],
    ["null", "null", /Invalid input/],
    ["an empty object", "{}", /matches/],
    ["without matches", JSON.stringify({ descriptor }), /matches/],
    ["matches null", JSON.stringify({ matches: null, descriptor }), /matches/],
    ["of another tool", JSON.stringify({ matches: [], descriptor: { ...descriptor, name: "trivy" } }), /grype/],
    ["without its tool", JSON.stringify({ matches: [] }), /descriptor/],
    ["a match without an id", report([match({ vulnerability: { id: "" } })]), /matches\[0\]\.vulnerability\.id/],
    ["a match without a package", report([{ vulnerability: { id: "CVE-1" } }]), /matches\[0\]\.artifact/],
    [
      "its database not valid",
      JSON.stringify({
        matches: [],
        descriptor: { ...descriptor, db: { status: { valid: false, error: "checksum" } } },
      }),
      /database is not valid \(checksum\)/,
    ],
  ];
  test.each(cases)("%s", (_name, text, message) => {
    expect(() => parseGrypeReport(text)).toThrow(
      expect.objectContaining({ code: "scanner-report-invalid", name: "InfrastructureError" }),
    );
    expect(() => parseGrypeReport(text)).toThrow(message);
  });
});

describe("findings", () => {
  const read = (matches: object[], base?: string[]) =>
    placeFindings([{ source: "grype", findings: readGrypeFindings(parseGrypeReport(report(matches))) }], base);

  test("in the one model", () => {
    expect(
      read(
        [
          match({
            vulnerability: { epss: [{ epss: 0.02 }, { epss: 0.5 }], knownExploited: [{ cve: "CVE-2021-23337" }] },
          }),
        ],
        ["sha256:base"],
      ),
    ).toEqual([
      {
        id: "GHSA-35jh-r3h4-6jhm",
        aliases: ["CVE-2021-23337"],
        severity: "high",
        package: { name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" },
        fixedVersions: ["4.17.21"],
        fixState: "fixed",
        layers: ["sha256:app"],
        paths: ["/workspace/node_modules/lodash/package.json"],
        origin: "application",
        urls: ["https://github.com/advisories/GHSA-35jh-r3h4-6jhm"],
        description: "about templates",
        cvss: 7.2,
        epss: 0.5,
        kev: true,
        scores: [
          { version: "3.1", vector: "CVSS:3.1/AV:N", score: 7.2, by: "report@snyk.io" },
          { version: "" },
          { version: "", score: 6.1 },
        ],
        fixReleases: [{ version: "4.17.21", on: "2021-02-20" }],
        advisory: { by: "github:language:javascript" },
        saidBy: [
          {
            source: "grype",
            id: "GHSA-35jh-r3h4-6jhm",
            severity: "high",
            cvss: 7.2,
            fixState: "fixed",
            fixedVersions: ["4.17.21"],
            paths: ["/workspace/node_modules/lodash/package.json"],
            advisory: { by: "github:language:javascript" },
          },
        ],
      },
    ]);
  });

  test.each([
    ["Critical", "critical"],
    ["HIGH", "high"],
    ["Medium", "medium"],
    ["low", "low"],
    ["Negligible", "negligible"],
    ["Unknown", "unknown"],
    ["", "unknown"],
    [null, "unknown"],
    [undefined, "unknown"],
    ["Catastrophic", "unknown"],
  ])("severity %s is %s", (severity, expected) => {
    expect(read([match({ vulnerability: { severity } })])[0]?.severity).toBe(expected);
  });

  test("what the data was not made of is unknown, and what it was made of is none", () => {
    const data = (providers: object) => ({ descriptor: { ...descriptor, db: { ...descriptor.db, providers } } });
    const of = (more: object) => readGrypeFindings(parseGrypeReport(report([match()], more)))[0];
    expect(of({})).not.toHaveProperty("kev");
    expect(of({})).not.toHaveProperty("epss");
    expect(of(data({ nvd: {} }))).not.toHaveProperty("kev");
    expect(of(data({ epss: {}, kev: {} }))).toMatchObject({ epss: "none", kev: false });
  });

  test("an advisory of several vulnerabilities is a name of none of them", () => {
    const related = [{ id: "CVE-2023-1" }, { id: "CVE-2023-2" }];
    const namespace = "redhat:distro:redhat:9";
    expect(read([match({ vulnerability: { id: "RHSA-2023:1", namespace }, related })])).toMatchObject([
      { aliases: [], covers: ["CVE-2023-1", "CVE-2023-2"], advisory: { by: namespace, isDistributions: true } },
    ]);
  });

  test("a fix that nobody describes is unknown, and empty versions are none", () => {
    expect(read([match({ vulnerability: { fix: { versions: [""], state: "maybe" } } })])).toMatchObject([
      { fixedVersions: [], fixState: "unknown" },
    ]);
    expect(read([match({ vulnerability: { fix: null } })])).toMatchObject([{ fixedVersions: [], fixState: "unknown" }]);
  });

  test("one package in two places is one finding, and the application's where one place is", () => {
    const twice = [
      match({ artifact: { locations: [{ path: "/a", layerID: "sha256:base" }] } }),
      match({ artifact: { locations: [{ path: "/b", layerID: "sha256:app" }] } }),
    ];
    expect(read(twice, ["sha256:base"])).toMatchObject([
      { paths: ["/a", "/b"], layers: ["sha256:base", "sha256:app"], origin: "application" },
    ]);
    expect(read(twice.slice(0, 1), ["sha256:base"])).toMatchObject([{ origin: "base" }]);
    expect(read(twice.slice(0, 1))).toMatchObject([{ origin: "unknown" }]);
  });

  test("of several fixed versions the recommended one is named", () => {
    const several = { ...match({ vulnerability: { fix: { versions: ["3.0.0", "4.17.21"], state: "fixed" } } }) };
    const details = [{ type: "exact-direct-match" }, { fix: { suggestedVersion: "4.17.21" } }];
    expect(read([{ ...several, matchDetails: details }])).toMatchObject([
      { fixedVersions: ["3.0.0", "4.17.21"], suggestedVersion: "4.17.21" },
    ]);
    expect(read([several])[0]).not.toHaveProperty("suggestedVersion");
  });

  test("two versions of a package are two findings", () => {
    expect(read([match(), match({ artifact: { version: "4.17.19" } })])).toHaveLength(2);
  });

  test("a source that is no address gives no link", () => {
    expect(read([match({ vulnerability: { dataSource: "nvd", urls: ["javascript:alert(1)"] } })])[0]?.urls).toEqual([]);
  });
});

describe("what grype gets to see", () => {
  const env = {
    HOME: "/home/runner",
    GRYPE_IGNORE: "x",
    GRYPE_ONLY_FIXED: "true",
    GRYPE_CONFIG: "/evil.yaml",
    GITHUB_TOKEN: "t",
    PATH: "/bin",
  };

  test("nothing of the environment that could change or leak a thing", () => {
    const seen = grypeEnvironment({ ...env, HTTPS_PROXY: "http://proxy.test:3128" }, "/private", {
      directory: "/private/db",
      update: true,
    });
    expect(Object.keys(seen).filter((name) => seen[name] !== undefined && name in env)).toEqual(["HOME"]);
    expect(seen).toMatchObject({
      HOME: "/private",
      XDG_CONFIG_HOME: "/private",
      HTTPS_PROXY: "http://proxy.test:3128",
    });
  });

  test.each([
    [true, "true"],
    [false, "false"],
  ])("the database's place as it was chosen, whatever the environment says (update: %s)", (update, said) => {
    const seen = grypeEnvironment(
      { ...env, GRYPE_DB_CACHE_DIR: "/cache", GRYPE_DB_AUTO_UPDATE: "maybe", XDG_CACHE_HOME: "/xdg" },
      "/private",
      { directory: "/chosen", update },
    );
    expect(seen).toMatchObject({
      GRYPE_DB_CACHE_DIR: "/chosen",
      GRYPE_DB_AUTO_UPDATE: said,
      GRYPE_DB_VALIDATE_AGE: "false",
    });
    expect(seen).not.toHaveProperty("XDG_CACHE_HOME");
  });
});

// A stand-in for grype, since the real one does not cut its report off when asked to.
describe("a scanner that fails", () => {
  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "goldenpath-grype-"));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  async function run(body: string): Promise<unknown> {
    const bin = await mkdtemp(join(root, "bin-"));
    const path = join(bin, "grype");
    await writeFile(path, `#!/bin/sh\n${body}\n`);
    await chmod(path, 0o755);
    const context: Context = {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: root,
      temporaryDirectory: bin,
      env: { PATH: bin, HOME: root },
      signal: new AbortController().signal,
      now: () => new Date(),
    };
    // Handed over: what is in PATH has to be the lock's to the byte.
    const tool = { name: "grype", version: "0.121.2", path, source: "given" as const };
    return runGrype("/sbom.json", context, { directory: join(root, "db"), update: false }, tool);
  }

  test.each([
    ["exits with 1", `echo 'failed to load vulnerability db' >&2; exit 1`, "scanner-failed"],
    ["exits with 1 after a whole report", `echo '${report([])}'; exit 1`, "scanner-failed"],
    [
      "exits with 2, as for findings above a threshold that nobody set",
      `echo '${report([])}'; exit 2`,
      "scanner-failed",
    ],
    ["writes nothing and exits with 0", "exit 0", "scanner-report-invalid"],
    [
      "cuts its report off and exits with 0",
      `printf '%s' '${report([match()]).slice(0, 200)}'`,
      "scanner-report-invalid",
    ],
    ["is killed", "kill -9 $$", "process-killed"],
  ])("%s", async (_name, body, code) => {
    await expect(run(body)).rejects.toMatchObject({ name: "InfrastructureError", code });
  });

  test("the stand-in works when it does nothing wrong", async () => {
    await expect(run(`echo '${report([])}'`)).resolves.toMatchObject({
      database: { built: new Date("2026-05-01T00:00:00Z"), schema: "v6.1.10" },
      tool: { name: "grype", version: "0.121.2" },
    });
  });

  test("it runs in a directory of its own, away from configuration in the checkout", async () => {
    await run(`pwd > ${root}/where; echo "$HOME" >> ${root}/where; echo '${report([])}'`);
    const [where, home] = (await readFile(join(root, "where"), "utf8")).split("\n");
    expect(where).toBe(home);
    expect(where).toMatch(/grype-home$/);
  });
});
