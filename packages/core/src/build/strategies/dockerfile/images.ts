import { type Dockerfile, type Download, type Named, type Needs, readTriggerText, type Stage } from "./stages.ts";
import { DockerfileProblem } from "./words.ts";

/** An image that a build takes something from. */
export interface UsedImage extends Named {
  /** What the result stands on, or what only its making needs. */
  use: "base" | "build";
}

export interface Used {
  images: readonly UsedImage[];
  downloads: readonly Download[];
  /** Whether the result stands on nothing. */
  isOnScratch: boolean;
}

/** Triggers of an image by the name that the file calls it; undefined while nobody has looked at it. */
export type TriggersOf = (name: string) => readonly string[] | undefined;

/**
 * What the target needs, and what its stages need, and no other: BuildKit fetches nothing for the rest. To be asked
 * again when triggers of images are known.
 * @throws DockerfileProblem
 */
export function listUsed({ stages }: Dockerfile, target: string | undefined, triggersOf: TriggersOf): Used {
  const images = new Map<string, UsedImage>();
  const downloads: Download[] = [];
  const seen = new Set<Stage>();
  const queue: Stage[] = [findTarget(stages, target)];
  const use = (name: string, line: number, as: UsedImage["use"]): void => {
    if (name === "scratch" || images.get(name)?.use === "base") return;
    images.set(name, { name, line, use: as });
  };
  const take = (needs: Needs): void => {
    downloads.push(...needs.downloads);
    for (const { name, line } of needs.from) {
      const stage = findStage(stages, name);
      if (stage !== undefined) queue.push(stage);
      else if (/^\d+$/.test(name)) throw new DockerfileProblem(`there is no stage ${name}`, line);
      else use(name, line, "build");
    }
  };
  const root = rootOf(stages, queue[0] as Stage);
  for (let stage = queue.shift(); stage !== undefined; stage = queue.shift()) {
    if (seen.has(stage)) continue;
    seen.add(stage);
    take(stage);
    const below = stageBelow(stages, stage);
    if (below !== undefined) {
      take(below.onBuild);
      queue.push(below);
      continue;
    }
    use(stage.base, stage.line, stage === root ? "base" : "build");
    for (const trigger of triggersOf(stage.base) ?? []) take(readTrigger(trigger, stage));
  }
  return { images: [...images.values()], downloads, isOnScratch: root.base === "scratch" };
}

function readTrigger(text: string, { base, line }: Stage): Needs {
  try {
    return readTriggerText(text, line);
  } catch (error) {
    if (!(error instanceof DockerfileProblem)) throw error;
    throw new DockerfileProblem(`a trigger (ONBUILD) of ${base}: ${error.message}`, line);
  }
}

function findTarget(stages: Dockerfile["stages"], target: string | undefined): Stage {
  const stage = target === undefined ? stages.at(-1) : findStage(stages, target);
  if (stage !== undefined) return stage;
  const names = stages.flatMap(({ name }) => name ?? []).join(", ");
  throw new DockerfileProblem(`there is no stage '${target ?? ""}' (there is: ${names || "none with a name"})`, 0);
}

/** By its name, the last one of several, or its number. */
export function findStage(stages: readonly Stage[], name: string): Stage | undefined {
  return (
    stages.findLast((stage) => stage.name === name.toLowerCase()) ??
    (/^\d+$/.test(name) ? stages[Number(name)] : undefined)
  );
}

/** A stage stands on one above it, never on one below. */
export function stageBelow(stages: readonly Stage[], stage: Stage): Stage | undefined {
  const above = stages.slice(0, stages.indexOf(stage));
  return above.findLast(({ name }) => name === stage.base.toLowerCase());
}

export function rootOf(stages: readonly Stage[], stage: Stage): Stage {
  const below = stageBelow(stages, stage);
  return below === undefined ? stage : rootOf(stages, below);
}

/**
 * The name under which BuildKit looks for a context that stands for an image: Docker Hub's short form, without the tag
 * `latest`.
 */
export function contextName(name: string): string {
  const bare = name.replace(/^(?:index\.)?docker\.io\//, "").replace(/^library\/(?=[^/]+$)/, "");
  return bare.includes("@") ? bare : bare.replace(/:latest$/, "");
}

/**
 * A stage whose name is that of an image in its short form would be taken for the image, with nothing of the stage done.
 * @throws DockerfileProblem
 */
export function requireOwnNames({ stages }: Dockerfile, images: readonly Named[]): void {
  for (const { name } of images) {
    const stage = stages.find((each) => each.name === contextName(name));
    if (stage === undefined) continue;
    throw new DockerfileProblem(
      `stage '${stage.name}' has the name of the image '${name}': name the stage otherwise, or write the image's tag`,
      stage.line,
    );
  }
}
