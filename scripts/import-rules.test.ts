import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

const refused: [path: string, module: string][] = [
  ["packages/core/src/scan/scanners/grype.ts", "@actions/core"],
  ["packages/core/src/scan/scanners/grype.ts", "@goldenpath/runner/ports"],
  ["packages/core/src/scan/scanners/grype.ts", "node:child_process"],
  ["packages/registry-client/src/auth.ts", "node:child_process"],
  ["packages/registry-client/src/copy.ts", "@goldenpath/core/gate/decide"],
  ["packages/foundation/src/errors.ts", "@goldenpath/registry-client/oci/digest"],
  ["packages/core/src/scan/scanners/grype.ts", "@goldenpath/testing/chain"],
  ["packages/core/src/scan/scanners/grype.ts", "@goldenpath/registry-server/server"],
  ["packages/registry-client/src/oci/digest.ts", "../client.ts"],
  ["packages/core/src/gate/decide.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/gate/decide.ts", "@goldenpath/registry-client/probe/probe"],
  ["packages/core/src/gate/decide.ts", "node:fs/promises"],
  ["packages/core/src/gate/judge-build.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/gate/match-source.ts", "@goldenpath/foundation/exec/run"],
  // The rule is by folder: a file that is split off, whatever its name, is covered before anybody thinks of it.
  ["packages/core/src/gate/not-yet-written.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/base/not-yet-written.ts", "node:fs"],
  ["packages/core/src/scan/not-yet-written.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/policy/not-yet-written.ts", "undici"],
  ["packages/core/src/promote/not-yet-written.ts", "@goldenpath/registry-client/copy"],
  ["packages/core/src/report/not-yet-written.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/promote/server-side/plan.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/build/strategies/not-yet-written/judge.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/build/strategies/not-yet-written.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/build/strategies/not-yet-written.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/signing/schemes/not-yet-written.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/signing/schemes/not-yet-written.ts", "node:fs/promises"],
  ["packages/core/src/base/identify.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/base/decide.ts", "undici"],
  ["packages/core/src/scan/gate.ts", "../tools/finder.ts"],
  ["packages/core/src/promote/plan.ts", "@goldenpath/registry-client/copy"],
  ["packages/runner/src/ports.ts", "node:child_process"],
  ["actions/scan/src/index.ts", "../../../actions/sign/src/index.ts"],
  ["actions/scan/src/index.ts", "@goldenpath/action-sign"],
];
const allowed: [path: string, module: string][] = [
  ["packages/foundation/src/exec/run.ts", "node:child_process"],
  ["packages/core/src/scan/scanners/grype.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/gate/decide.ts", "@goldenpath/registry-client/oci/digest"],
  ["packages/registry-client/src/copy.ts", "./oci/digest.ts"],
  ["packages/core/src/gate/decide.ts", "../signing/types.ts"],
  ["packages/core/src/gate/verify.ts", "@goldenpath/registry-client/client"],
  ["packages/core/src/scan/scanners/not-yet-written.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/build/strategies/not-yet-written/run.ts", "@goldenpath/foundation/exec/run"],
  ["packages/core/src/signing/schemes/not-yet-written/open.ts", "node:fs/promises"],
  ["packages/runner/src/ports.ts", "@actions/core"],
  ["actions/scan/src/index.ts", "@goldenpath/core/verbs/scan"],
];

/** `path: module` of the imports that the project's lint refuses: one run for all, which is what takes the time. */
function lintImports(cases: readonly [path: string, module: string][]): Set<string> {
  // Biome lints files, not standard input: a small tree of its own, under the project's rules, stands for the real one.
  const tree = mkdtempSync(join(tmpdir(), "goldenpath-import-rules-"));
  try {
    const rules = JSON.parse(readFileSync(join(root, "biome.json"), "utf8"));
    writeFileSync(join(tree, "biome.json"), JSON.stringify({ ...rules, $schema: undefined, vcs: { enabled: false } }));
    const modules = Map.groupBy(cases, ([path]) => path);
    for (const [path, lines] of modules) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), lines.map(([, module]) => `export * from "${module}";\n`).join(""));
    }
    const args = ["lint", "--only=style/noRestrictedImports", "--reporter=json", "--max-diagnostics=none", "."];
    const run = spawnSync(join(root, "node_modules/.bin/biome"), args, { cwd: tree, encoding: "utf8" });
    const { diagnostics, summary } = JSON.parse(run.stdout) as BiomeReport;
    // A file that was not read would refuse nothing.
    expect(summary.unchanged + summary.changed, run.stderr).toBe(modules.size + 1);
    return new Set(
      diagnostics
        .filter(({ category }) => category === "lint/style/noRestrictedImports")
        .map(({ location: { path, start } }) => `${path}: ${modules.get(path)?.[start.line - 1]?.[1]}`),
    );
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

interface BiomeReport {
  diagnostics: { category: string; location: { path: string; start: { line: number } } }[];
  summary: { changed: number; unchanged: number };
}

describe("imports point one way", () => {
  let found: Set<string>;
  beforeAll(() => {
    found = lintImports([...refused, ...allowed]);
  });

  test.each(refused)("%s may not import %s", (path, module) => expect(found).toContain(`${path}: ${module}`));

  test.each(allowed)("%s may import %s", (path, module) => expect(found).not.toContain(`${path}: ${module}`));
});

/** A built-in module that is loaded when it is needed is no import, which is all that the lint looks at. */
const loadedLate = [
  "packages/foundation/src/exec/run.ts: node:child_process",
  "packages/registry-client/src/garbage.ts: node:v8",
  "packages/registry-client/src/garbage.ts: node:v8",
  "packages/registry-client/src/garbage.ts: node:vm",
];

test("built-in modules are loaded past the rules nowhere else", () => {
  const found = ["packages", "actions"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => /^[^/]+\/(?:src|bin)\/.*\.m?[jt]s$/.test(file) && !file.endsWith(".test.ts"))
      .flatMap((file) =>
        [...readFileSync(join(root, folder, file), "utf8").matchAll(/getBuiltinModule\b(?:\("([^"]*)"\))?/g)].map(
          ([, module]) => `${folder}/${file}: ${module}`,
        ),
      ),
  );
  expect(found.sort()).toEqual(loadedLate);
});

test("each package declares what its sources import", () => {
  for (const name of readdirSync(join(root, "packages"))) {
    const folder = join(root, "packages", name);
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const { references } = JSON.parse(readFileSync(join(folder, "tsconfig.json"), "utf8")) as {
      references: { path: string }[];
    };
    const imported = { source: new Set<string>(), test: new Set<string>() };
    for (const file of readdirSync(join(folder, "src"), { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      const text = readFileSync(join(folder, "src", file), "utf8");
      const modules = [
        ...text.matchAll(/^(?:import|export) [^;"]*?from "([^."][^"]*)";$|^import "([^."][^"]*)";$/gms),
      ].map((match) => match[1] ?? match[2] ?? "");
      for (const module of modules.filter((each) => !each.startsWith("node:"))) {
        const [first = "", second = ""] = module.split("/");
        imported[file.endsWith(".test.ts") ? "test" : "source"].add(
          first.startsWith("@") ? `${first}/${second}` : first,
        );
      }
    }
    const own = (names: Iterable<string>): string[] =>
      [...names].filter((each) => each.startsWith("@goldenpath/")).sort();
    expect(
      [...imported.source].filter(
        (each) => !(each in dependencies) && !(name === "testing" && each in devDependencies),
      ),
      name,
    ).toEqual([]);
    expect(own(imported.source), `${name}: the dependencies that are declared are used`).toEqual(
      own(Object.keys(dependencies)),
    );
    expect(
      references.map(({ path }) => `@goldenpath/${path.slice("../".length)}`).sort(),
      `${name}/tsconfig.json`,
    ).toEqual(own(Object.keys(dependencies)));
    expect(
      own(imported.test).filter(
        (each) => each !== `@goldenpath/${name}` && !(each in dependencies) && !(each in devDependencies),
      ),
      `${name}'s tests`,
    ).toEqual([]);
  }
});

test("no file imports itself through others, for types either", () => {
  const files = ["packages", "actions", "scripts", "test", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !/(?:^|\/)(?:node_modules|out|dist)\//.test(file))
      .map((file) => join(root, folder, file)),
  );
  const imports = new Map(files.map((file) => [file, listImports(file)]));
  const done = new Set<string>();
  const findCircle = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file].map((each) => relative(root, each));
    if (done.has(file)) return undefined;
    for (const next of imports.get(file) ?? []) {
      const circle = findCircle(next, [...path, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of files) expect(findCircle(file, [])).toBeUndefined();
  // The search finds one where there is one.
  imports.set("a", ["b"]).set("b", ["a"]);
  expect(findCircle("a", [])).toHaveLength(3);
});

test("no action but scan, the one that mirrors its data, and the one that scans a base has a scanner in it", () => {
  const isScanner = (file: string): boolean => file.startsWith(join(root, "packages/core/src/scan/scanners/"));
  const withScanners = readdirSync(join(root, "actions")).filter((action) => {
    const reached = new Set([join(root, "actions", action, "src/index.ts")]);
    for (const file of reached) for (const next of listImports(file)) reached.add(next);
    return [...reached].some(isScanner);
  });
  expect(withScanners).toEqual(["approve-base", "mirror-data", "scan"]);
});

/** The project's own files that one imports, by relative name or by package. */
function listImports(file: string): string[] {
  const modules = [...readFileSync(file, "utf8").matchAll(/\bfrom "([^"]+)";|^import "([^"]+)";/gm)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
  return modules.flatMap((module) => {
    if (module.startsWith(".")) return [resolve(dirname(file), module)];
    const [, name, path] = /^@goldenpath\/([a-z-]+)\/(.+)$/.exec(module) ?? [];
    return name === undefined || path === undefined ? [] : [join(root, "packages", name, "src", `${path}.ts`)];
  });
}
