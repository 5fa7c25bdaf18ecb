import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { runGrype } from "@goldenpath/core/scan/scanners/grype";
import { silentPorts } from "@goldenpath/foundation/ports";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

const data = join(import.meta.dirname, "../../examples/vulnerability-data");
let root = "";

const tools = useTools("grype");

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-data-"));
});
afterAll(async () => {
  if (root !== "") await rm(root, { recursive: true, force: true });
});

interface Advisories {
  asOf: string;
  advisories: {
    id: string;
    severity: string;
    packages: { ecosystem: string; name: string; ranges: { affected: string; fixed?: string; state?: string }[] }[];
  }[];
}

/** The lowest version in a constraint of the kinds that the file has. */
function affectedVersion(constraint: string): string {
  return /^>=([^,]+)/.exec(constraint)?.[1] ?? /^<=([^,]+)/.exec(constraint)?.[1] ?? "0.0.1";
}

test("the committed database says what advisories.json says", async () => {
  const { asOf, advisories } = JSON.parse(await readFile(join(data, "advisories.json"), "utf8")) as Advisories;
  const expected = advisories.flatMap(({ id, severity, packages }) =>
    packages.flatMap(({ ecosystem, name, ranges }) =>
      ranges.map(({ affected, fixed, state }) => ({
        id,
        severity,
        ecosystem,
        name,
        version: affectedVersion(affected),
        fixed,
        state,
      })),
    ),
  );
  const components = expected.map(({ ecosystem, name, version }) => ({
    type: "library",
    name,
    version,
    purl: ecosystem === "deb" ? `pkg:deb/debian/${name}@${version}?distro=debian-12` : `pkg:npm/${name}@${version}`,
  }));
  const unique = [...new Map(components.map((component) => [component.purl, component])).values()];
  const system = { type: "operating-system", name: "debian", version: "12", "bom-ref": "os" };
  const sbomFile = join(root, "all.cdx.json");
  await writeFile(
    sbomFile,
    JSON.stringify({
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
      metadata: {},
      components: [...unique, system],
    }),
  );
  const context = {
    ports: silentPorts(),
    run: { builderId: "local" },
    workingDirectory: root,
    temporaryDirectory: root,
    env: { ...process.env, PATH: [dirname(tools.grype), process.env["PATH"]].join(delimiter) },
    signal: new AbortController().signal,
    now: () => new Date(),
  };
  const { findings: found, database } = await runGrype(sbomFile, context, {
    directory: join(data, "grype-db"),
    update: false,
  });
  expect(database.built).toEqual(new Date(`${asOf}T00:00:00Z`));
  expect(database.digest).toMatch(/^xxh64:/);
  const lines = found.map(({ id, severity, package: pkg, fixState, suggestedVersion }) =>
    [id, pkg.name, pkg.version, severity, fixState, suggestedVersion ?? ""].join(" "),
  );
  for (const { id, severity, name, version, fixed, state } of expected) {
    expect(lines).toContain([id, name, version, severity, state ?? "fixed", fixed ?? ""].join(" "));
  }
});
