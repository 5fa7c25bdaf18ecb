import { cleanLine } from "@goldenpath/foundation/text/clean";
import { formatPath } from "../../layers/tar.ts";
import { type FileTree, findNode, resolvePath } from "../../layers/tree.ts";
import { findOwnDay, type OwnDay } from "../../policy/enforcement.ts";
import { type Antipattern, nameThing, type RequiredThing } from "../../policy/images-section.ts";
import type { Violation } from "../../result.ts";
import { type InstalledPackage, readPackages } from "../packages.ts";
import { findCommitted, findSecretVariables, findStartUser, type ImageHabits } from "./config.ts";
import type { Leftover } from "./leftovers.ts";

/** What is looked at of one image, whatever it stands on. */
export interface HabitFacts {
  habits: ImageHabits;
  labels: Readonly<Record<string, string>>;
  /** How many layers lie above its base. */
  ownLayers: number;
  /** In these. */
  leftovers: readonly Leftover[];
  /** All of its layers put together, where it stands on an approved base. */
  image?: FileTree;
}

export interface HabitRules {
  refuse: readonly Antipattern[];
  mustHave: readonly RequiredThing[];
}

/** `own`: its own day; `file`: where alone it was found. */
type Found = Pick<Violation, "rule" | "problem" | "wayOut"> & { own?: OwnDay; file?: string };

/**
 * Does an image look as the policy has it? Rules: `base.root-user`, `base.secret`, `base.credential`, `base.package-cache`,
 * `base.committed`, `base.missing`. What nobody can tell is refused.
 */
export function judgeHabits(facts: HabitFacts, { refuse, mustHave }: HabitRules): Found[] {
  return [...new Set(refuse)].flatMap((kind) => findAntipattern(kind, facts)).concat(judgeRequired(facts, mustHave));
}

const judges: Record<Antipattern, (given: HabitFacts) => Found[]> = {
  "root-user": judgeUser,
  secrets: judgeSecrets,
  credentials: judgeCredentials,
  "package-caches": judgeCaches,
  committed: judgeCommitted,
};

/** What of one kind an image has, whoever asks for it. */
export function findAntipattern(kind: Antipattern, facts: HabitFacts): Found[] {
  return judges[kind](facts);
}

/** The image's own list of users, by which a name has a number; undefined where there is none. */
export function readUsers(image: FileTree): Uint8Array | undefined {
  const place = resolvePath(image, "etc/passwd");
  return place === undefined ? undefined : findNode(image, place)?.file.content;
}

function judgeUser({ habits, image }: HabitFacts): Found[] {
  const user = habits.config?.User ?? "";
  const found = findStartUser(user, image === undefined ? undefined : readUsers(image));
  if (found === "other") return [];
  const named = user === "" ? "no user" : `the user '${cleanLine(user, maxShown)}'`;
  const problem =
    found === "root"
      ? `it starts as root: its config names ${named}`
      : `nobody can tell whether it starts as root: its config names ${named}, which is not in its /etc/passwd`;
  return [
    {
      rule: "base.root-user",
      problem,
      wayOut: "Set a user by number, such as USER 1000:1000; with buildpacks, the run image's config has it.",
    },
  ];
}

const maxShown = 60;
/** More of them tell nobody more. */
const maxTold = 25;

function judgeSecrets({ habits, leftovers }: HabitFacts): Found[] {
  const wayOut =
    "Treat it as known to everybody who could pull the image: revoke it. Give it to the build as a secret (RUN --mount=type=secret) or to the container when it starts; a later layer that removes it does not help.";
  const files = leftovers
    .filter(({ kind }) => kind === "secret")
    .map(({ layer, path, what }) => `layer ${layer + 1} has ${what} at ${formatPath(path)}`);
  const variables = findSecretVariables(habits).map(
    ({ name, where }) => `its config has a value that is secret by its name: ${where} ${cleanLine(name, maxShown)}`,
  );
  return tell([...files, ...variables], { rule: "base.secret", wayOut });
}

/** One for each file, for which alone there may be an exception. The hash tells whether two are the same one, and nobody which. */
function judgeCredentials({ leftovers }: HabitFacts): Found[] {
  const files = new Map<string, { layer: number; path: string; told: string[] }>();
  for (const { layer, path, what, at } of leftovers) {
    if (at === undefined) continue;
    const key = `${layer} ${path}`;
    const known = files.get(key) ?? { layer, path, told: [] };
    known.told.push(`${what} in line ${at.line} (sha256 ${at.hash}…)`);
    files.set(key, known);
  }
  const found = [...files.values()].map(({ layer, path, told }) => {
    const file = formatPath(path);
    const shown = told.slice(0, maxTold);
    if (told.length > maxTold) shown.push(`${told.length - maxTold} more`);
    return { file, problem: `layer ${layer + 1} has at ${file}: ${shown.join(", ")}` };
  });
  const rest = found.splice(maxFiles).length;
  const wayOut =
    "Revoke it: who could pull the image has it, also where a later layer removes the file. Give it to the build as a secret (RUN --mount=type=secret) or to the container when it starts. What opens nothing, such as a test's key, keep out of the image, or have an exception granted for the file.";
  const all = rest === 0 ? found : [...found, { problem: `${rest} more files have some` }];
  return all.map((each) => ({ rule: "base.credential", wayOut, ...each }));
}

/** With credentials: an image that has more has no exception for each. */
const maxFiles = 500;

function judgeCaches({ leftovers }: HabitFacts): Found[] {
  const problems = leftovers
    .filter(({ kind }) => kind === "package-cache")
    .map(
      ({ layer, path, what, size }) =>
        `layer ${layer + 1} has ${what} at ${formatPath(path)}, ${(size / 1e6).toFixed(1)} MB`,
    );
  return tell(problems, {
    rule: "base.package-cache",
    wayOut:
      "Keep it out of the layer: RUN --mount=type=cache, the package manager's option for it (apk add --no-cache, pip --no-cache-dir), or removing it in the same RUN.",
  });
}

/** The command may have anything in it: its first word tells enough. */
function judgeCommitted({ habits, ownLayers }: HabitFacts): Found[] {
  const programs = findCommitted(habits, ownLayers).map((command) =>
    cleanLine(command.trim().split(/\s/)[0] ?? "", maxShown),
  );
  return tell(
    programs.map(
      (program) =>
        `by its history a layer was made of a running container (of '${program}'), and not by a build file's instruction`,
    ),
    {
      rule: "base.committed",
      wayOut: "Write what was done in it into a Dockerfile, or a buildpack, and build the image from that.",
    },
  );
}

/** Which of the things that every image has to have it has not. Rule: `base.missing`. */
export function judgeRequired(facts: HabitFacts, mustHave: readonly RequiredThing[]): Found[] {
  if (mustHave.length === 0) return [];
  const { image, labels } = facts;
  const files = image === undefined ? undefined : { image, packages: [...readPackages(image).values()] };
  const missing = mustHave.flatMap((thing) => {
    const problem = explainMissing(thing, labels, files);
    const own = findOwnDay(nameThing(thing), thing);
    return problem === undefined ? [] : [{ problem, own }];
  });
  // Those that wait are told apart, each with its day.
  return [...Map.groupBy(missing, ({ own }) => JSON.stringify(own)).values()].flatMap((each) => {
    const own = each[0]?.own;
    return tell(
      each.map(({ problem }) => problem),
      {
        rule: "base.missing",
        wayOut:
          "Take it into the image, or build on a base that has it; the policy's images.mustHave lists what every image has.",
        ...(own === undefined ? {} : { own }),
      },
    );
  });
}

function explainMissing(
  thing: RequiredThing,
  labels: HabitFacts["labels"],
  files: { image: FileTree; packages: readonly InstalledPackage[] } | undefined,
): string | undefined {
  if ("label" in thing) {
    const { label, value } = thing;
    const has = Object.hasOwn(labels, label) ? labels[label] : undefined;
    if (value === undefined ? has !== undefined && has !== "" : has === value) return undefined;
    return `it has no label ${label}${value === undefined ? "" : ` of the value '${value}'`}`;
  }
  const named = "file" in thing ? thing.file : `package ${thing.package}`;
  if (files === undefined) return `nobody can tell whether it has ${named}: it stands on no approved base`;
  if ("file" in thing)
    return hasFile(files.image, Buffer.from(thing.file, "utf8").toString("latin1"))
      ? undefined
      : `it has nothing at ${named}`;
  const isThere = files.packages.some(({ name }) => (name.split(":")[0] ?? name) === thing.package);
  return isThere ? undefined : `it has no ${named}`;
}

/** Links are followed, also that which a path itself is. */
function hasFile(image: FileTree, path: string): boolean {
  let at = resolvePath(image, path);
  for (let links = 0; at !== undefined && links <= maxLinks; links += 1) {
    const node = findNode(image, at);
    if (node?.file.kind !== "symlink") return node !== undefined;
    const { target } = node.file;
    at = resolvePath(image, target.startsWith("/") ? target : `${at.slice(0, at.lastIndexOf("/") + 1)}${target}`);
  }
  return false;
}

const maxLinks = 40;

function tell(problems: readonly string[], what: Omit<Found, "problem">): Found[] {
  const shown = problems.slice(0, maxTold);
  if (problems.length > maxTold) shown.push(`${problems.length - maxTold} more of the same`);
  return shown.map((problem) => ({ ...what, problem }));
}
