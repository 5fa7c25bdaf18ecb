import type { Policy } from "../policy/schema.ts";

/** Every way of making an image that a checkout can ask for. */
type DetectedStrategy = "buildpacks" | "dockerfile";
export type BuildStrategy = Policy["build"]["strategies"][number];

interface StrategyCandidate {
  strategy: DetectedStrategy;
  /** What speaks for it, one clause each: `package.json (Node.js) with package-lock.json`. */
  reasons: string[];
}

export interface StrategyChoice {
  strategy: BuildStrategy;
  /** One sentence: why this one. */
  reason: string;
  /** What the application's files also ask for, and why it isn't taken. */
  notTaken: string[];
}

/** A file that names an ecosystem, and the lock files that pin what it installs. */
const ecosystems: readonly { file: RegExp; name: string; locks: readonly string[] }[] = [
  {
    file: /^package\.json$/,
    name: "Node.js",
    locks: ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"],
  },
  { file: /^pom\.xml$/, name: "Java with Maven", locks: [] },
  { file: /^build\.gradle(?:\.kts)?$/, name: "Java with Gradle", locks: ["gradle.lockfile"] },
  { file: /^go\.mod$/, name: "Go", locks: ["go.sum"] },
  { file: /^(?:pyproject\.toml|requirements\.txt|setup\.py|Pipfile)$/, name: "Python", locks: ["uv.lock", "poetry.lock", "Pipfile.lock"] },
  { file: /^Cargo\.toml$/, name: "Rust", locks: ["Cargo.lock"] },
  { file: /^Gemfile$/, name: "Ruby", locks: ["Gemfile.lock"] },
  { file: /^composer\.json$/, name: "PHP", locks: ["composer.lock"] },
  { file: /\.(?:cs|fs|vb)proj$|\.sln$/, name: ".NET", locks: ["packages.lock.json"] },
];

const dockerfile = /^(?:Dockerfile|Containerfile)(?:\..+)?$|\.Dockerfile$/;

/** The names of an application's top folder → the strategies that its files speak for, buildpacks first. */
export function detectStrategies(names: readonly string[]): StrategyCandidate[] {
  const sorted = [...names].sort();
  const has = new Set(sorted);
  const buildpacks: string[] = [];
  if (has.has("project.toml")) buildpacks.push("project.toml");
  for (const { file, name, locks } of ecosystems) {
    const marker = sorted.find((each) => file.test(each));
    if (marker === undefined) continue;
    const lock = locks.find((each) => has.has(each));
    buildpacks.push(`${marker} (${name})${lock === undefined ? "" : ` with ${lock}`}`);
  }
  const dockerfiles = sorted.filter((name) => dockerfile.test(name));
  return [
    ...(buildpacks.length === 0 ? [] : [{ strategy: "buildpacks" as const, reasons: buildpacks }]),
    ...(dockerfiles.length === 0 ? [] : [{ strategy: "dockerfile" as const, reasons: dockerfiles }]),
  ];
}

/**
 * Which strategy builds the application. Nothing standard says which wins where several fit (some platforms prefer a Dockerfile, some buildpacks), so the
 * policy's order decides and the reason is said. A strategy for which no file speaks can still be taken: the buildpacks' own detection has the last word.
 * @returns undefined where the policy does not allow the strategy that is asked for
 */
export function chooseStrategy(
  asked: "auto" | BuildStrategy,
  allowed: readonly BuildStrategy[],
  candidates: readonly StrategyCandidate[],
): StrategyChoice | undefined {
  const reasonsFor = (strategy: DetectedStrategy): string[] => candidates.find((each) => each.strategy === strategy)?.reasons ?? [];
  const preferred = allowed.find((strategy) => reasonsFor(strategy).length > 0) ?? allowed[0];
  const strategy = asked === "auto" ? preferred : allowed.find((each) => each === asked);
  if (strategy === undefined) return undefined;
  const reasons = reasonsFor(strategy);
  const found = reasons.length === 0 ? "no file of the application speaks for a strategy" : `there is ${reasons.join(", ")}`;
  const notTaken = candidates
    .filter((candidate) => candidate.strategy !== strategy)
    .map((candidate) => {
      const why = (allowed as readonly string[]).includes(candidate.strategy)
        ? `the policy prefers ${strategy}`
        : `the policy does not allow the strategy ${candidate.strategy}`;
      return `${candidate.reasons.join(", ")}: not used, ${why}`;
    });
  const reason = asked === "auto" ? `${found}, and the policy allows ${allowed.join(", ")}` : `asked for by the input 'strategy'; ${found}`;
  return { strategy, reason, notTaken };
}
