import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";

export interface Distribution {
  /** `debian` or `ubuntu`. */
  id: string;
  /** `12`, `24.04`. */
  version: string;
  /** `bookworm`, `noble`. */
  codename: string;
  prettyName: string;
}

/** One stanza of apt's lists, as far as it is needed. */
export interface PackageRecord {
  name: string;
  version: string;
  /** The names that this package depends on; of alternatives, all. */
  dependencies: string[][];
}

export interface Apt {
  /** What the lists say of these names. A name that no archive of the distribution has is left out. */
  describe(names: readonly string[]): Promise<Map<string, PackageRecord>>;
  /** Downloads exactly these versions, each checked by apt against the signed lists. Returns the packages' files. */
  download(packages: readonly PackageRecord[], directory: string): Promise<string[]>;
}

interface AptOptions {
  distribution: Distribution;
  /** A new, empty directory; apt keeps everything in it. */
  directory: string;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
}

const origins: Readonly<Record<string, string>> = { debian: "Debian", ubuntu: "Ubuntu" };

/**
 * Reads /etc/os-release.
 * @throws UserError `distribution-unsupported`
 */
export function parseDistribution(osRelease: string): Distribution {
  const fields = new Map<string, string>();
  for (const line of osRelease.split("\n")) {
    const match = /^([A-Z_]+)=(?:"([^"]*)"|'([^']*)'|(.*))$/.exec(line);
    if (match?.[1] !== undefined) fields.set(match[1], match[2] ?? match[3] ?? match[4] ?? "");
  }
  const [id, version, codename] = [fields.get("ID"), fields.get("VERSION_ID"), fields.get("VERSION_CODENAME")];
  if (id === undefined || origins[id] === undefined || version === undefined || codename === undefined) {
    throw new UserError(
      `this machine's distribution is '${fields.get("PRETTY_NAME") ?? id ?? "unknown"}', and a base is made on Debian or Ubuntu releases only`,
      {
        code: "distribution-unsupported",
        wayOut: elsewhere,
      },
    );
  }
  return { id, version, codename, prettyName: fields.get("PRETTY_NAME") ?? `${id} ${version}` };
}

/** What to do where the base can't be made. */
export const elsewhere =
  "Run this on Debian or Ubuntu (a container of either will do; neither root nor Docker is needed), or name a run image that exists already, by digest, in the policy.";

/**
 * An apt of one's own: the machine's sources, keys and proxies, but lists, cache and status in `directory`, so that no
 * right of root is needed and nothing of the machine changes. Only archives that call themselves the distribution's
 * count: another vendor's source on this machine puts no package into a base.
 */
export async function openApt(options: AptOptions): Promise<Apt> {
  const { directory, distribution } = options;
  const at = (name: string): string => join(directory, name);
  await mkdir(at("lists/partial"), { recursive: true });
  await mkdir(at("archives/partial"), { recursive: true });
  await writeFile(at("status"), "");
  await writeFile(at("preferences"), renderPreferences(distribution));
  const settings = [
    `Dir::State=${directory}`,
    `Dir::State::Lists=${at("lists")}`,
    `Dir::State::status=${at("status")}`,
    `Dir::Cache=${directory}`,
    `Dir::Etc::preferences=${at("preferences")}`,
    "Dir::Etc::preferencesparts=/dev/null",
    "Debug::NoLocking=1",
    // For root alone: apt would download as `_apt`, who can't enter a directory under /root or a private temporary one.
    "APT::Sandbox::User=root",
    // An archive that doesn't answer is an error: without it an older, vulnerable package could take a newer one's
    // place in silence.
    "APT::Update::Error-Mode=any",
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    "Acquire::Retries=3",
  ].flatMap((setting) => ["-o", setting]);
  const names = [
    "PATH",
    "HOME",
    "TMPDIR",
    "APT_CONFIG",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
  ];
  const env = { ...Object.fromEntries(names.map((name) => [name, options.env[name]])), LC_ALL: "C" };
  const run = async (tool: string, args: readonly string[], cwd = directory): Promise<string> => {
    const result = await runProcess(tool, [...settings, ...args], {
      env,
      cwd,
      timeoutMs: 300_000,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).catch(explainMissingTool);
    if (result.exitCode === 0) return result.stdout;
    const problems = result.stderr.split("\n").filter((line) => /^[EW]:/.test(line));
    throw new InfrastructureError(
      `${tool} ${args[0]} ended with code ${result.exitCode}:\n${problems.slice(0, 8).join("\n") || result.stderr.slice(-800)}`,
      {
        code: "apt-failed",
        wayOut:
          "Make `apt-get update` work on this machine (its sources, proxy and keys are what is used here), then run again.",
      },
    );
  };
  await run("apt-get", ["update"]);
  return {
    describe: async (wanted) =>
      wanted.length === 0
        ? new Map()
        : parseRecords(await run("apt-cache", ["--no-all-versions", "--quiet=2", "show", ...wanted])),
    download: async (packages, target) => {
      await mkdir(target, { recursive: true });
      await run(
        "apt-get",
        ["--quiet=2", "download", ...packages.map((item) => `${item.name}=${item.version}`)],
        target,
      );
      const files = (await readdir(target)).filter((name) => name.endsWith(".deb")).sort();
      if (files.length !== packages.length)
        throw new InfrastructureError(`apt-get downloaded ${files.length} packages of ${packages.length}`, {
          code: "apt-failed",
        });
      return files.map((name) => join(target, name));
    },
  };
}

/** A program that isn't there is not a passing trouble: it tells the reader where to go instead. */
export function explainMissingTool(error: unknown): never {
  if (error instanceof InfrastructureError && error.code === "tool-missing")
    throw new UserError(`${error.message}, and a base is made with apt and dpkg-deb`, {
      code: "tool-missing",
      wayOut: elsewhere,
      cause: error,
    });
  throw error;
}

/**
 * Pins by apt_preferences(5): the first stanza that fits a version gives its priority; a negative one keeps it out. The
 * last one has to be `origin *`: `release o=*` does not fit an archive without a Release file.
 */
function renderPreferences(distribution: Distribution): string {
  const pin = (what: string, priority: number): string => `Package: *\nPin: ${what}\nPin-Priority: ${priority}\n`;
  return [
    pin("release a=*-backports", -1),
    pin(`release o=${origins[distribution.id]}, n=${distribution.codename}*`, 500),
    pin("origin *", -1),
  ].join("\n");
}

/** Stanzas of apt-cache(8). Versions in dependencies are left out: one archive's newest versions fit each other. */
export function parseRecords(text: string): Map<string, PackageRecord> {
  const records = new Map<string, PackageRecord>();
  for (const stanza of text.split(/\n\n+/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1];
    const [name, version] = [field("Package"), field("Version")];
    if (name === undefined || version === undefined) continue;
    const dependencies = [field("Pre-Depends"), field("Depends")]
      .flatMap((list) => list?.split(",") ?? [])
      .map((item) => item.split("|").map((alternative) => alternative.trim().replace(/[ :(].*$/, "")));
    if (!records.has(name)) records.set(name, { name, version, dependencies });
  }
  return records;
}
