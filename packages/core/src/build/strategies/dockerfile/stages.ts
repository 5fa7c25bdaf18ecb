import { type Instruction, listArguments, readInstructions } from "./instructions.ts";
import { DockerfileProblem, expandWord, splitWords } from "./words.ts";

/** A name in a file, and where it is. */
export interface Named {
  name: string;
  line: number;
}

/** What a build fetches by itself. */
export interface Download {
  url: string;
  checksum: string | undefined;
  line: number;
}

/** What an instruction takes from elsewhere: `COPY --from`, `RUN --mount=from`, `ADD` of a URL. */
export interface Needs {
  from: readonly Named[];
  downloads: readonly Download[];
}

export interface Stage extends Needs {
  /** In lower case; stages without one are told by their number. */
  name: string | undefined;
  /** What it stands on, with its variables filled in: a stage above, an image, or `scratch`. */
  base: string;
  line: number;
  /** Its triggers, which are run where something stands on it. */
  onBuild: Needs;
}

export interface Dockerfile {
  stages: readonly [Stage, ...Stage[]];
  syntax: Named | undefined;
}

export interface DockerfileFacts {
  buildArgs: Readonly<Record<string, string>>;
  /** `linux/amd64`: the one that is built for, on a machine of which it is. */
  platform: { os: string; architecture: string };
  target: string | undefined;
}

/** More than anybody writes, and few enough to follow each to what it stands on. */
const maxStages = 500;

/**
 * A Dockerfile's text → its stages, and all that each takes from elsewhere.
 * @throws DockerfileProblem
 */
export function readDockerfile(text: string, facts: DockerfileFacts): Dockerfile {
  const { instructions, escapedBy, syntax } = readInstructions(text);
  const first = instructions.findIndex(({ name }) => name === "from");
  const above = first === -1 ? instructions : instructions.slice(0, first);
  const values = readGlobalArguments(above, escapedBy, {
    ...facts,
    target: facts.target ?? lastName(instructions, escapedBy),
  });
  const stages: { -readonly [Key in keyof Stage]: Stage[Key] }[] = [];
  for (const instruction of first === -1 ? [] : instructions.slice(first)) {
    if (instruction.name === "from") {
      if (stages.length >= maxStages)
        throw new DockerfileProblem(`it has more than ${maxStages} stages`, instruction.line);
      stages.push({ ...readFrom(instruction, values, escapedBy, facts), from: [], downloads: [], onBuild: nothing });
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) continue;
    if (instruction.name === "onbuild") stage.onBuild = join(stage.onBuild, readTrigger(instruction, escapedBy));
    else Object.assign(stage, join(stage, readNeeds(instruction, escapedBy)));
  }
  const [head, ...others] = stages;
  if (head === undefined) throw new DockerfileProblem("it has no FROM", 0);
  return {
    stages: [head, ...others],
    syntax: syntax === undefined ? undefined : { name: syntax.image, line: syntax.line },
  };
}

export const nothing: Needs = { from: [], downloads: [] };

function join(one: Needs, other: Needs): Needs {
  return { from: [...one.from, ...other.from], downloads: [...one.downloads, ...other.downloads] };
}

/** The name of the last stage: `TARGETSTAGE`. */
function lastName(instructions: readonly Instruction[], escapedBy: string): string | undefined {
  const last = instructions.findLast(({ name }) => name === "from");
  return last === undefined ? undefined : splitWords(last.rest, escapedBy)[2]?.toLowerCase();
}

/** Arguments above the first FROM, which alone a FROM can name, and BuildKit's own. */
function readGlobalArguments(
  above: readonly Instruction[],
  escapedBy: string,
  { buildArgs, platform, target }: DockerfileFacts,
): Map<string, string> {
  const { os, architecture } = platform;
  const values = new Map<string, string>();
  for (const side of ["BUILD", "TARGET"]) {
    const own = { PLATFORM: `${os}/${architecture}`, OS: os, ARCH: architecture, VARIANT: "", OSVERSION: "" };
    for (const [name, value] of Object.entries(own)) values.set(side + name, buildArgs[side + name] ?? value);
  }
  values.set("TARGETSTAGE", buildArgs["TARGETSTAGE"] ?? target ?? "default");
  for (const { name, rest, line } of above) {
    if (name !== "arg") throw new DockerfileProblem(`${name.toUpperCase()} stands above the first FROM`, line);
    for (const word of splitWords(rest, escapedBy)) {
      const at = word.indexOf("=");
      const key = expandWord(at === -1 ? word : word.slice(0, at), new Map(), escapedBy, line);
      const given = Object.hasOwn(buildArgs, key) ? buildArgs[key] : undefined;
      const value = given ?? (at === -1 ? undefined : expandWord(word.slice(at + 1), values, escapedBy, line));
      if (value !== undefined) values.set(key, value);
      else values.delete(key);
    }
  }
  return values;
}

function readFrom(
  { flags, rest, line }: Instruction,
  values: ReadonlyMap<string, string>,
  escapedBy: string,
  { platform }: DockerfileFacts,
): Pick<Stage, "name" | "base" | "line"> {
  for (const flag of flags) {
    const [, asked = ""] = /^--platform=(.*)$/s.exec(flag) ?? [];
    if (asked === "") throw new DockerfileProblem(`FROM has no flag '${flag}'`, line);
    const wanted = expandWord(asked, values, escapedBy, line);
    const own = `${platform.os}/${platform.architecture}`;
    if (wanted !== own && wanted !== platform.os && wanted !== platform.architecture)
      throw new DockerfileProblem(`FROM asks for platform '${wanted}', and this machine builds for ${own}`, line);
  }
  const words = rest.split(/[\t\v\f\r ]+/);
  const [given = "", as, name] = words;
  if (given === "" || words.length === 2 || words.length > 3 || (words.length === 3 && as?.toLowerCase() !== "as"))
    throw new DockerfileProblem("FROM is followed by an image, and at most by AS and a name", line);
  if (name !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(name.toLowerCase()))
    throw new DockerfileProblem(`'${name}' is no name for a stage`, line);
  const base = expandWord(given, values, escapedBy, line);
  if (base === "")
    throw new DockerfileProblem(`'${given}' can't be resolved: it is empty without a build argument`, line);
  return { name: name?.toLowerCase(), base, line };
}

function readTrigger({ rest, line }: Instruction, escapedBy: string): Needs {
  return readTriggerText(rest, line, escapedBy);
}

/** The text of an ONBUILD, as it also stands in an image's config; `line` is that of what stands on it. */
export function readTriggerText(text: string, line: number, escapedBy = "\\"): Needs {
  // A trigger's heredoc follows it in the text; in a file it has been read already.
  const [first = ""] = text.split("\n");
  const { instructions } = readInstructions(text.includes("\n") ? text : first.replace(/<</g, "< <"));
  return instructions.map((each) => readNeeds({ ...each, line }, escapedBy)).reduce(join, nothing);
}

function readNeeds(instruction: Instruction, escapedBy: string): Needs {
  const { name, flags, line } = instruction;
  if (name === "copy")
    return { from: readFlags(flags, "from").map((each) => plain(each, "--from", line)), downloads: [] };
  if (name === "run")
    return { from: readFlags(flags, "mount").flatMap((each) => readMount(each, line)), downloads: [] };
  if (name === "add") return { from: [], downloads: readDownloads(instruction, escapedBy) };
  return nothing;
}

function readFlags(flags: readonly string[], name: string): string[] {
  return flags.flatMap((flag) => (flag.startsWith(`--${name}=`) ? [flag.slice(name.length + 3)] : []));
}

/** BuildKit fills in no variables here, and takes digits for a stage's number. */
function plain(name: string, where: string, line: number): Named {
  if (/[$'"\\]/.test(name) || name === "")
    throw new DockerfileProblem(`${where}=${name} can't be resolved: name a stage, or an image as it is`, line);
  return { name, line };
}

/** Comma separated values, of which a quoted one may have commas in it. */
function readMount(text: string, line: number): Named[] {
  const fields = text.match(/(?:"(?:[^"]|"")*"|[^,"]+)/g) ?? [];
  return fields.flatMap((field) => {
    const [, value] = /^from=(.*)$/is.exec(field.replace(/^"(.*)"$/s, "$1").replaceAll('""', '"')) ?? [];
    return value === undefined ? [] : [plain(value, "--mount=from", line)];
  });
}

/** Of an ADD's sources those that a build would fetch, as far as they are written out. */
function readDownloads(instruction: Instruction, escapedBy: string): Download[] {
  const checksum = readFlags(instruction.flags, "checksum").at(-1);
  return listArguments(instruction, escapedBy)
    .slice(0, -1)
    .map((source) => source.replace(/^(["'])(.*)\1$/s, "$2"))
    .filter((source) => /^(?:https?|git|ssh):\/\/|^[\w.-]+@[\w.-]+:/i.test(source))
    .map((url) => ({ url, checksum, line: instruction.line }));
}
