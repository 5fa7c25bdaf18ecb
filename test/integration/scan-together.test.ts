import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import type { Sbom } from "@goldenpath/core/scan/catalog";
import { grype } from "@goldenpath/core/scan/scanners/grype";
import type { ScannerRun } from "@goldenpath/core/scan/scanners/scanner";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { expect, test } from "vitest";
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

test("where one SBOM calls two packages by one name, neither is lost", async () => {
  const context = await openContext();
  const honest = JSON.parse(await readFile(await catalog([npm("lodash", "4.17.21")]), "utf8")) as Sbom & {
    components: Record<string, unknown>[];
  };
  const [lodash = {}] = honest.components.filter(({ name }) => name === "lodash");
  const old = { ...lodash, version: "4.17.20", purl: "pkg:npm/lodash@4.17.20" };
  const files = await Promise.all(
    [honest, { ...honest, components: [...honest.components, old] }].map(async (sbom, at) => {
      const file = join(context.temporaryDirectory, `${at}.json`);
      await writeFile(file, JSON.stringify(sbom));
      return file;
    }),
  );
  const runs = await grype.scanTogether?.(files, places, context);
  expect(runs?.map(({ findings }) => new Set(findings.map(({ package: { version } }) => version)))).toEqual([
    new Set(),
    new Set(["4.17.20"]),
  ]);
});

test("an SBOM that can't be read is an error of the whole run, before anything is matched", async () => {
  const context = await openContext();
  const file = join(context.temporaryDirectory, "broken.json");
  await writeFile(file, '{"bomFormat":"CycloneDX"');
  await expect(grype.scanTogether?.([file, file], places, context)).rejects.toMatchObject({ code: "sbom-invalid" });
});
