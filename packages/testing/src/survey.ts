import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Explained, explainBuild } from "@goldenpath/core/build/explain-build";
import type { BuildRules, StrategyRequest } from "@goldenpath/core/build/plan-strategy";
import { surveyTree } from "@goldenpath/core/build/survey/gather";
import type { Survey } from "@goldenpath/core/build/survey/survey";

/** An application's folder with these files in it, of which nothing was read but their names. */
export function withFiles(files: readonly string[]): Survey {
  return { path: "", files: [...files].sort(), folders: [], unread: [], remarks: [] };
}

/** Files by their path: what is in them, or where a link leads to. */
export type Shape = Readonly<Record<string, string | { link: string } | { bytes: Uint8Array }>>;

/** A policy's word on building: `buildpacks`, `spring-boot`, `jib` and `dockerfile`, each with a builder, unless it says otherwise. */
export function rulesWith(build: Partial<BuildRules["build"]> = {}): BuildRules {
  return {
    name: "acme",
    build: {
      strategies: ["buildpacks", "spring-boot", "jib", "dockerfile"],
      builders: [
        { name: "packs", runImage: "golden" },
        { kind: "spring-boot", name: "boot", runImage: "golden" },
        { kind: "jib", name: "jib", runImage: "golden" },
        { kind: "dockerfile", name: "files" },
      ],
      ...build,
    },
  };
}

/** What is said of an application of this shape, which lies on the disk for as long as it takes. */
export async function explainShape(
  shape: Shape,
  {
    rules = rulesWith(),
    module,
    strategy = "auto",
    prepare,
  }: {
    rules?: BuildRules;
    module?: string;
    strategy?: StrategyRequest["strategy"];
    prepare?: (folder: string) => void;
  } = {},
): Promise<Explained> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "goldenpath-shape-")));
  try {
    const app = join(folder, "app");
    mkdirSync(app);
    for (const [path, content] of Object.entries(shape)) {
      mkdirSync(dirname(join(app, path)), { recursive: true });
      if (typeof content === "string") writeFileSync(join(app, path), content);
      else if ("link" in content) symlinkSync(content.link, join(app, path));
      else writeFileSync(join(app, path), content.bytes);
    }
    prepare?.(folder);
    const tree = await surveyTree(app);
    return explainBuild(rules, { strategy, builder: undefined, module, tree, context: "." });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
