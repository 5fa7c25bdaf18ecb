import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "./process.ts";
import type { BenchImages, BenchWorld } from "./world.ts";

/** What everybody is asked for in one run: these images, by digest, to this repository under their tags. */
export interface Job {
  world: BenchWorld;
  source: BenchImages;
  /** Hosts as they are to be spoken to: the registries themselves, or the proxies before them. */
  from: string;
  to: string;
  /** NAME of the repository that they go to. */
  target: string;
  /** For the lists and configurations that a tool reads. */
  directory: string;
}

export interface Contender {
  name: string;
  ours: boolean;
  /** How it is called, and what it does less or more. */
  note: string;
  /** It carries what refers to the images as well. */
  referrers: boolean;
  command(job: Job): Promise<Command>;
}

/** Programs that there may be. */
export interface Programs {
  crane?: string;
  regctl?: string;
  regsync?: string;
  oras?: string;
  skopeo?: string;
}

/**
 * Processes at a time, where a tool takes one image: two for each of the two cores of the usual runner, which wait for
 * the registry half of the time.
 */
const processes = 4;

/** No login, no configuration of whoever runs this. */
function environment(job: Job): Command["env"] {
  return {
    PATH: process.env["PATH"],
    HOME: job.directory,
    XDG_RUNTIME_DIR: job.directory,
    DOCKER_CONFIG: job.directory,
  };
}

const pairs = (job: Job, scheme = ""): [from: string, to: string][] =>
  job.source.images.map(({ tag, digest }) => [
    `${scheme}${job.from}/${job.source.name}@${digest}`,
    `${scheme}${job.to}/${job.target}:${tag}`,
  ]);

/** One process for one image, and xargs for several. */
async function eachImage(job: Job, program: readonly string[], scheme?: string): Promise<string[]> {
  const all = pairs(job, scheme);
  const [only] = all;
  if (all.length === 1 && only !== undefined) return [...program, ...only];
  const list = join(job.directory, `pairs-${job.target.replaceAll("/", "-")}`);
  await writeFile(list, all.map(([from, to]) => `${from} ${to}\n`).join(""));
  return ["xargs", "-a", list, "-P", String(processes), "-n", "2", ...program];
}

const shell = (words: string): string => `\`${words}\``;

/** What each tool's users would type: for an image, for an image with what refers to it, and for many. */
export function peerContenders(programs: Programs, wanted: { many: boolean; referrers: boolean }): Contender[] {
  const { crane, regctl, regsync, oras, skopeo } = programs;
  const contenders: Contender[] = [];
  const add = (
    program: string | undefined,
    contender: Omit<Contender, "ours" | "command"> & { argv(job: Job, program: string): Promise<string[]> },
  ) => {
    if (program === undefined) return;
    const { argv, ...rest } = contender;
    contenders.push({
      ...rest,
      ours: false,
      command: async (job) => ({ argv: await argv(job, program), env: environment(job) }),
    });
  };
  const times = wanted.many ? `xargs -P${processes} ` : "";
  const tlsOff = (job: Job): string[] =>
    [...new Set([job.from, job.to])].flatMap((host) => ["--host", `reg=${host},tls=disabled`]);
  add(crane, {
    name: "crane copy",
    note: shell(`${times}crane copy`),
    referrers: false,
    argv: (job, program) => eachImage(job, [program, "copy", "--insecure"]),
  });
  if (wanted.many) {
    add(crane, {
      name: "crane --all-tags",
      note: shell(`crane copy --all-tags --jobs ${processes}`),
      referrers: false,
      argv: async (job, program) => {
        const [from, to] = [`${job.from}/${job.source.name}`, `${job.to}/${job.target}`];
        return [program, "copy", "--insecure", "--all-tags", "--jobs", String(processes), from, to];
      },
    });
  }
  add(regctl, {
    name: "regctl copy",
    note: shell(`${times}regctl image copy${wanted.referrers ? " --referrers" : ""}`),
    referrers: true,
    argv: (job, program) =>
      eachImage(job, [program, "image", "copy", ...tlsOff(job), ...(wanted.referrers ? ["--referrers"] : [])]),
  });
  if (wanted.many) {
    add(regsync, {
      name: "regsync",
      note: shell(`regsync once, parallel: ${processes}${wanted.referrers ? ", referrers: true" : ""}`),
      referrers: true,
      argv: async (job, program) => {
        const file = join(job.directory, `regsync-${job.target.replaceAll("/", "-")}.json`);
        const creds = [...new Set([job.from, job.to])].map((registry) => ({ registry, tls: "disabled" }));
        const sync = [
          {
            source: `${job.from}/${job.source.name}`,
            target: `${job.to}/${job.target}`,
            type: "repository",
            tags: { allow: ["v.*"] },
          },
        ];
        await writeFile(
          file,
          JSON.stringify({ version: 1, creds, defaults: { parallel: processes, referrers: wanted.referrers }, sync }),
        );
        return [program, "once", "-c", file];
      },
    });
  }
  add(oras, {
    name: "oras cp",
    note: shell(`${times}oras cp${wanted.referrers ? " -r" : ""}`),
    referrers: true,
    argv: (job, program) =>
      eachImage(job, [
        program,
        "cp",
        "--no-tty",
        "--from-plain-http",
        "--to-plain-http",
        ...(wanted.referrers ? ["-r"] : []),
      ]),
  });
  const insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  add(skopeo, {
    name: "skopeo copy",
    note: shell(`${times}skopeo copy --all`),
    referrers: false,
    argv: (job, program) => eachImage(job, [program, "--insecure-policy", "copy", "--all", ...insecure], "docker://"),
  });
  if (wanted.many) {
    add(skopeo, {
      name: "skopeo sync",
      note: shell("skopeo sync --all"),
      referrers: false,
      argv: async (job, program) => {
        // It keeps the last part of the name.
        const to = `${job.to}/${job.target.slice(0, job.target.lastIndexOf("/"))}`;
        return [
          program,
          "--insecure-policy",
          "sync",
          "--all",
          ...insecure,
          "--src",
          "docker",
          "--dest",
          "docker",
          `${job.from}/${job.source.name}`,
          to,
        ];
      },
    });
  }
  return contenders;
}

const root = join(import.meta.dirname, "..", "..");
const node = [process.execPath, "--conditions=goldenpath-source"];

/** The copying engine, which does what the peers do, in a process that starts like theirs. */
export function copyContender(referrers: boolean): Contender {
  return {
    name: "copy",
    ours: true,
    note: `core/registry alone, compiled beforehand: no gate, no signature${referrers ? "" : ", images only"}`,
    referrers,
    async command(job) {
      const file = join(job.directory, `copy-${job.target.replaceAll("/", "-")}.json`);
      await writeFile(file, JSON.stringify({ pairs: pairs(job), referrers }));
      return { argv: [...node, join(import.meta.dirname, "copy-images.mjs"), file], env: environment(job) };
    },
  };
}

/**
 * The whole of a promotion, as a workflow runs it: it reads and verifies all evidence, copies, verifies again at the
 * destination, signs, and sets the tag last.
 */
export function promoteContender(many: boolean): Contender {
  return {
    name: "promote",
    ours: true,
    note: `${shell(`actions/promote${many ? ", images: …" : ""}`)}, its bundle: gated, verified at both ends, signed`,
    referrers: true,
    async command(job) {
      const { policy, keys } = job.world;
      const [only, ...more] = job.source.images.map(({ tag, digest }) => ({
        tag,
        image: `${job.from}/${job.source.name}@${digest}`,
      }));
      if (only === undefined) throw new TypeError("no image to promote");
      const to = `${job.to}/${job.target}`;
      const images =
        more.length === 0
          ? { INPUT_IMAGE: only.image, INPUT_TO: to, INPUT_TAGS: only.tag }
          : { INPUT_IMAGES: [only, ...more].map(({ tag, image }) => `${image} ${to} ${tag}`).join("\n") };
      const inputs = {
        ...images,
        INPUT_ENVIRONMENT: "production",
        INPUT_POLICY: policy.file,
        "INPUT_POLICY-SIGNER": keys.platform.publicKey,
        INPUT_KEY: keys.promote.file,
        "INPUT_RESULT-DIR": resultsOf(job),
        // The defaults of action.yml, which the runner fills in.
        "INPUT_DRY-RUN": "false",
        INPUT_SIGNER: "key",
      };
      const bundle = join(root, "actions", "promote", "dist", "index.js");
      return { argv: [process.execPath, bundle], env: { ...environment(job), ...inputs, RUNNER_TEMP: job.directory } };
    },
  };
}

/** Where a promotion leaves its plan. */
export const resultsOf = (job: Job): string => join(job.directory, `results-${job.target.replaceAll("/", "-")}`);
