import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import type { Sbom } from "@goldenpath/core/scan/catalog";
import type { DatabasePlace } from "@goldenpath/core/scan/database";
import { scanTogether } from "@goldenpath/core/scan/scan-together";
import { grype } from "@goldenpath/core/scan/scanners/grype";
import { mergeSboms } from "@goldenpath/core/scan/scanners/merge-sboms";
import type { ScannerRun } from "@goldenpath/core/scan/scanners/scanner";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { beforeAll, describe, expect, test } from "vitest";
import { makePackageDatabase } from "../support/changed-database.ts";
import {
  debianRelease,
  dpkgStanza,
  exampleDatabase,
  grypePath,
  libcVersions,
  pushImage,
  root,
  scan,
  useScanWorld,
} from "../support/scan-world.ts";

// Many images' SBOMs in one run of the real grype say of each what a run of its own says: real syft's SBOMs, and SBOMs
// that try to speak for others.

useScanWorld();

const npm = (name: string, version: string) => ({
  [`app/node_modules/${name}/package.json`]: JSON.stringify({ name, version }),
});
const debian = (version: string) => ({
  "etc/os-release": debianRelease,
  "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", version, "glibc"),
});

async function openContext(): Promise<Context> {
  const temporaryDirectory = await mkdtemp(join(root, "together-"));
  return {
    ...{ ports: silentPorts(), run: { builderId: "local" }, signal: new AbortController().signal },
    ...{ workingDirectory: temporaryDirectory, temporaryDirectory, now: () => new Date() },
    env: { PATH: [dirname(grypePath()), process.env["PATH"]].join(delimiter), HOME: temporaryDirectory },
  };
}

/** All that a run says, in an order of its own: grype writes equal matches in the order of its goroutines. */
function sayings({ findings, report, ...run }: ScannerRun): object {
  const sorted = (values: readonly unknown[]) => values.map((each) => JSON.stringify(each)).toSorted();
  const { matches, ignoredMatches } = report as { matches: object[]; ignoredMatches?: object[] };
  return { ...run, findings: sorted(findings), matches: sorted(matches), aside: sorted(ignoredMatches ?? []) };
}

const places = { directory: exampleDatabase, update: false };

async function catalog(layers: readonly Readonly<Record<string, string>>[]): Promise<string> {
  const { reference } = await pushImage(layers);
  const { outputs } = await scan(reference);
  return outputs["sbom"] ?? "";
}

test("each as if it had been scanned alone", async () => {
  const { vulnerable, mended } = libcVersions;
  const files = [
    await catalog([debian(vulnerable), npm("lodash", "4.17.20")]),
    await catalog([debian(vulnerable), npm("lodash", "4.17.21")]),
    await catalog([debian(mended), npm("lodash", "4.17.20")]),
    await catalog([npm("lodash", "4.17.20")]),
  ];
  const context = await openContext();
  const write = async (name: string, sbom: Sbom): Promise<number> => {
    const file = join(context.temporaryDirectory, name);
    await writeFile(file, JSON.stringify(sbom));
    return files.push(file);
  };
  const honest = JSON.parse(await readFile(files[0] ?? "", "utf8")) as Sbom & { components: Record<string, unknown>[] };
  const lodash = honest.components.find(({ name }) => name === "lodash") ?? {};
  // The names that packages have in the merged document.
  const thieves = ["p0", "p1", "p2"].map((ref, at) => ({ ...lodash, "bom-ref": ref, version: `4.17.${at}` }));
  await write("thief.json", { ...honest, components: [...honest.components, ...thieves] });
  // Another system than the image has, below its own; and a package inside of another one.
  const other = { type: "operating-system", name: "alpine", version: "3.19", "bom-ref": "second" };
  const nest = {
    type: "library",
    name: "outer",
    version: "1",
    "bom-ref": "n",
    components: [{ ...lodash, "bom-ref": "i" }],
  };
  await write("nested.json", { ...honest, components: [...honest.components, other, nest] });
  await write("empty.json", { ...honest, components: [] });

  const together = await grype.scanTogether?.(files, places, context);
  const alone: ScannerRun[] = [];
  for (const file of files) alone.push(await grype.scan(file, places, context));
  expect(together?.map(sayings)).toEqual(alone.map(sayings));
  const severe = alone.map(({ findings }) =>
    findings
      .filter(({ severity }) => severity === "high")
      .map(({ package: { name, version } }) => `${name} ${version}`),
  );
  const [libc, old] = [`libc6 ${vulnerable}`, "lodash 4.17.20"];
  expect(severe.map((names) => [...new Set(names)].toSorted())).toEqual([
    [libc, old],
    [libc],
    [old],
    [old],
    [libc, "lodash 4.17.0", "lodash 4.17.1", "lodash 4.17.2", old],
    [libc, old],
    [],
  ]);
});

describe("by a database that knows of more than the examples'", () => {
  const system = (name: string, version: string, more: object = {}) => ({
    ...{ type: "operating-system", name, version, "bom-ref": "os", ...more },
    properties: [
      { name: "syft:distro:id", value: name },
      { name: "syft:distro:versionID", value: version },
    ],
  });
  const library = (type: string, name: string, version: string, purl: string, more: object = {}) => ({
    ...{ type: "library", name, version, "bom-ref": `at ${purl}`, purl, ...more },
    properties: [
      { name: "syft:package:type", value: type },
      { name: "syft:location:0:path", value: `/where/${name}` },
      { name: "syft:location:0:layerID", value: `sha256:of ${version}` },
    ],
  });
  const jar = (group: string, more: object = {}) =>
    library("java-archive", "core", "1.0", `pkg:maven/${group}/core@1.0`, more);
  const lodash = (more: object = {}) => library("npm", "lodash", "4.17.20", "pkg:npm/lodash@4.17.20", more);
  const musl = library("apk", "musl", "1.2", "pkg:apk/alpine/musl@1.2?arch=x86_64&distro=alpine-3.19.1");
  const libc = (query: string) => library("deb", "libc6", "1.0", `pkg:deb/debian/libc6@1.0?arch=amd64${query}`);
  const headers = library("deb", "linux-libc-dev", "1.0", "pkg:deb/debian/linux-libc-dev@1.0?upstream=linux");
  const sbom = (components: object[], more: object = {}): Sbom => ({
    ...{ bomFormat: "CycloneDX", specVersion: "1.6", version: 1 },
    ...{ metadata: { component: { type: "container", name: "image" } }, components, ...more },
  });

  let context: Context;
  let places: DatabasePlace;
  beforeAll(async () => {
    context = await openContext();
    const directory = await makePackageDatabase(join(context.temporaryDirectory, "database"), [
      { ecosystem: "java-archive", name: "com.bad:core", vulnerability: 1, isAffected: true },
      { ecosystem: "java-archive", name: "com.good:core", vulnerability: 1, isAffected: false },
      {
        ecosystem: "apk",
        name: "musl",
        vulnerability: 2,
        isAffected: true,
        system: { name: "alpine", major: "3", minor: "19" },
      },
      { ecosystem: "deb", name: "linux", vulnerability: 3, isAffected: true, system: 1 },
      { ecosystem: "deb", name: "libc6", vulnerability: 4, isAffected: true, system: 1 },
    ]);
    places = { directory, update: false };
  });

  const write = async (name: string, document: Sbom): Promise<string> => {
    const file = join(context.temporaryDirectory, name);
    await writeFile(file, JSON.stringify(document));
    return file;
  };

  /** What each of them is said to have: together, and alone. */
  async function scanBoth(sboms: readonly Sbom[]): Promise<{ together: ScannerRun[]; alone: ScannerRun[] }> {
    const files = await Promise.all(sboms.map((each, at) => write(`${at}.json`, each)));
    const together = (await grype.scanTogether?.(files, places, context)) ?? [];
    const alone: ScannerRun[] = [];
    for (const file of files) alone.push(await grype.scan(file, places, context));
    return { together, alone };
  }
  const listFound = (runs: readonly ScannerRun[]): string[][] =>
    runs.map(({ findings }) => [...new Set(findings.map(({ id, package: of }) => `${id} ${of.purl}`))].toSorted());
  const [bad, good] = [sbom([jar("com.bad")]), sbom([jar("com.good")])];
  const found = "GHSA-35jh-r3h4-6jhm pkg:maven/com.bad/core@1.0";

  test("what one image's package is known not to be affected by is not set aside of another's", async () => {
    // What grype does with both in one document, so that there is something to be kept apart.
    const [merged] = mergeSboms([bad, good]).together;
    const mixed = await grype.scan(await write("mixed.json", merged?.document ?? {}), places, context);
    expect(mixed.findings).toEqual([]);
    const { together, alone } = await scanBoth([bad, good, bad]);
    expect(listFound(together)).toEqual([[found], [], [found]]);
    expect(together.map(sayings)).toEqual(alone.map(sayings));
  });

  test("distributions, ecosystems, and who tries to be another's", async () => {
    const [debian, alpine] = [system("debian", "12"), system("alpine", "3.19.1")];
    const deb = libc("&distro=debian-12");
    const { together, alone } = await scanBoth([
      sbom([debian, deb, headers, lodash()]),
      sbom([alpine, musl, lodash()]),
      sbom([debian, lodash(), jar("com.bad"), deb]),
      sbom([alpine, lodash({ version: "4.17.21", purl: "pkg:npm/lodash@4.17.21" }), musl]),
      // No operating system: grype takes the one that all package URLs agree on, and here two images would not.
      sbom([deb, libc("")]),
      sbom([libc("")]),
      sbom([musl, library("apk", "musl", "1.2", "pkg:apk/alpine/musl@1.2")]),
      // By Go's reading of names these are packages, one of them by the name that another image's has in one document.
      sbom([debian, lodash({ version: "5", purl: "pkg:npm/lodash@5", "Bom-Ref": "p0" })]),
      sbom([debian], { metadata: { component: lodash() } }),
      sbom([{ ...debian, components: [lodash()] }]),
      sbom([debian, { type: "library", name: "lodash", version: "4.17.20", "bom-ref": "pkg:npm/lodash@4.17.20" }]),
      sbom([debian, lodash({ properties: [] })]),
    ]);
    expect(together.map(sayings)).toEqual(alone.map(sayings));
    const names = listFound(together).map((each) => each.map((text) => text.replace(/^\S+ pkg:|@.*$/g, "")));
    const [js, glibc, apk] = ["npm/lodash", "deb/debian/libc6", "apk/alpine/musl"];
    expect(names.map((each) => [...new Set(each)].toSorted())).toEqual([
      ...[[glibc, js], [apk, js], [glibc, "maven/com.bad/core", js], [apk]],
      ...[[glibc], [], [apk], [], [js], [js], [js], [js]],
    ]);
    // Kernel headers: set aside by a rule of grype's own, of this image as if it were alone.
    expect(together.map(({ notes }) => notes.length)).toEqual([1, ...together.slice(1).map(() => 0)]);
  });

  test("one that breaks grype is its own error", async () => {
    const broken = sbom([lodash({ licenses: "none" })]);
    const files = await Promise.all([bad, broken, good].map((each, at) => write(`broken-${at}.json`, each)));
    const [prepared] = scanTogether([{ scanner: grype, database: places }]);
    const answers = await Promise.allSettled(files.map((file) => prepared?.scanner.scan(file, places, context)));
    expect(answers).toMatchObject([
      { status: "fulfilled", value: { findings: [{ id: "GHSA-35jh-r3h4-6jhm" }] } },
      { status: "rejected", reason: { code: "scanner-failed" } },
      { status: "fulfilled", value: { findings: [] } },
    ]);
  });

  test("one that calls two packages by one name is an error before anything is matched", async () => {
    const twice = sbom([lodash({ "bom-ref": "a" }), jar("com.bad", { "bom-ref": "a" })]);
    const files = [await write("first.json", bad), await write("twice.json", twice)];
    await expect(grype.scanTogether?.(files, places, context)).rejects.toMatchObject({
      ...{ code: "sbom-invalid", message: expect.stringContaining("two components have one bom-ref") },
    });
  });
});

test("an SBOM that can't be read is an error of the whole run, before anything is matched", async () => {
  const context = await openContext();
  const file = join(context.temporaryDirectory, "broken.json");
  await writeFile(file, '{"bomFormat":"CycloneDX"');
  await expect(grype.scanTogether?.([file, file], places, context)).rejects.toMatchObject({ code: "sbom-invalid" });
});
