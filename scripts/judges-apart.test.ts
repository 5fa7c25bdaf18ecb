import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** The project's own files that are loaded with `entry`, in part or whole: types are gone by then. */
function listLoaded(entry: string): string[] {
  const seen = new Set<string>();
  const waiting = [join(root, entry)];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const statements = readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\b(?! type)[^;]*?\bfrom "([^"]+)";|\bimport\("([^"]+)"\)/gm,
    );
    for (const [, named, dynamic] of statements) {
      const module = named ?? dynamic ?? "";
      const [, name, path] = /^@goldenpath\/([a-z-]+)\/(.+)$/.exec(module) ?? [];
      if (module.startsWith(".")) waiting.push(resolve(dirname(file), module));
      else if (name !== undefined) waiting.push(join(root, "packages", name, "src", `${path}.ts`));
    }
  }
  return [...seen].map((file) => relative(root, file));
}

/**
 * What decides of a strategy is beside its table, and knows applications' files by their names; where an image goes and
 * which digests make an index is decided apart, and so is whether a cache counts, which the job that attests tells of.
 * What builds is in a folder of the strategy's, in `runners.ts`, or elsewhere in `build/`.
 */
const decides =
  /^packages\/core\/src\/build\/(?:strategies\/(?!runners\.ts)[a-z-]+|cache\/(?:cache|entry|judge-entry|key|pinned|writer)|survey\/(?:ecosystems|markers)|pinned|plan-target|platforms\/merge)\.ts$/;
const listBuilding = (entry: string): string[] =>
  listLoaded(entry).filter((file) => file.startsWith("packages/core/src/build/") && !decides.test(file));

describe("who judges an image has no code that could make one", () => {
  test("which the action that builds has", () => {
    expect(listBuilding("actions/detect-and-build/src/index.ts")).toEqual(
      expect.arrayContaining([
        "packages/core/src/build/strategies/runners.ts",
        "packages/core/src/build/strategies/buildpacks/run.ts",
      ]),
    );
  });

  test.each(["enforce-golden-base", "scan", "sign", "attest", "verify", "promote", "report", "rebase"])(
    "%s",
    (action) => {
      const loaded = listLoaded(`actions/${action}/src/index.ts`);
      expect(loaded).toContain("packages/core/src/build/strategies/strategies.ts");
      expect(listBuilding(`actions/${action}/src/index.ts`)).toEqual([]);
    },
  );
});

/**
 * What signs of a scheme is in a folder of the scheme's, in `openers.ts`, or reads private keys; and what attaches a
 * signature, or says which policy is in force.
 */
const signs =
  /^packages\/core\/src\/(?:signing\/(?:schemes\/(?:openers|[a-z-]+(?:\/[a-z0-9-]+)+)|keys|cosign-key|attach|attach-legacy)|policy\/write-pointer)\.ts$/;
const listSigning = (entry: string): string[] => listLoaded(entry).filter((file) => signs.test(file));

describe("who signs nothing has no code that could", () => {
  test.each(["sign", "attest", "promote"])("which %s has", (action) => {
    const wanted = [
      "openers",
      "key/open",
      "key/sign",
      "keyless/open",
      "keyless/services",
      "kms/open",
      "kms/providers/pkcs11",
      "notation/open",
      "notation/sign",
    ].map((name) => `packages/core/src/signing/schemes/${name}.ts`);
    expect(listSigning(`actions/${action}/src/index.ts`)).toEqual(expect.arrayContaining(wanted));
  });

  test.each(["detect-and-build", "enforce-golden-base", "scan", "verify", "report", "rebase"])("%s", (action) => {
    expect(listLoaded(`actions/${action}/src/index.ts`)).toContain("packages/core/src/signing/schemes/schemes.ts");
    expect(listSigning(`actions/${action}/src/index.ts`)).toEqual([]);
  });
});

const listTools = (entry: string): string[] =>
  listLoaded(entry).filter((file) => file.startsWith("packages/core/src/tools/"));

describe("who runs no tool has no code that could get one", () => {
  test.each(["detect-and-build", "scan", "attest"])("which %s has", (action) => {
    expect(listTools(`actions/${action}/src/index.ts`)).toEqual(
      expect.arrayContaining(["packages/core/src/tools/private.ts", "packages/core/src/tools/find.ts"]),
    );
  });

  test.each(["enforce-golden-base", "sign", "verify", "promote", "report", "rebase"])("%s", (action) => {
    expect(listTools(`actions/${action}/src/index.ts`)).toEqual([]);
  });
});
