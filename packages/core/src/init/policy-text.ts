import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { stringify } from "yaml";
import { findPointerRepository } from "../policy/pointer.ts";
import { describeStageSigners, type StageSigner } from "../policy/stage-signers.ts";
import { type Stage, stages } from "../stages.ts";
import { type Answers, isHosted } from "./answers.ts";
import { placeholder } from "./placeholders.ts";

/** An image that the policy approves. */
export interface Approved {
  repository: string;
  /** What was resolved, `HOST/NAME:TAG`. */
  asked: string;
  /** Absent: nobody could look it up. */
  digest?: string;
}

/** What is looked up, or is not known. */
export interface Facts {
  /** goldenpath's own workflows: `OWNER/REPO` at a full commit. */
  goldenpath: { repository: string; commit: string };
  /** The organisation's number on the server. */
  ownerId?: string;
  base: Approved;
  builder: Approved;
  /** Public keys in PEM, by name: of `policy`, and with keys of each stage. */
  publicKeys: Readonly<Record<string, string>>;
}

/** Whose key says which policy is in force; no stage has it. */
export const platformKey = "policy";

/** Who approves the golden bases that are made here. */
export const approver = "golden-base";

/** Names of the key pairs that these answers take. */
export function keysOf({ signing }: Pick<Answers, "signing">): readonly string[] {
  return signing === "keys" ? [...signingStages, approver, platformKey] : [platformKey];
}

/** Those of the path's stages that an environment asks for. */
export const signingStages: readonly Stage[] = ["build", "base", "scan", "promote"];

/** Where images of an environment are: vetted itself, or with several environments a folder of it for each. */
export function placeOf({ vetted, environments }: Answers, environment: string): string {
  return environments.length === 1 ? vetted : `${vetted}/${environment}`;
}

/** Where the policy in force is said for all of them. */
export function pointerOf(answers: Answers): string {
  const { registry, name } = parseRepository(`${placeOf(answers, answers.environments[0] ?? "")}/any`);
  const pointer = findPointerRepository({ registry, name });
  return `${pointer.registry}/${pointer.name}`;
}

const indent = (text: string, by: number): string => text.trimEnd().replaceAll(/^/gm, " ".repeat(by));

const section = (value: object): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }).trimEnd();

/** The policy, as a person would write it. */
export function renderPolicy(answers: Answers, facts: Facts): string {
  const { organisation, languages, quarantine, environments } = answers;
  const { base, builder } = facts;
  return `# yaml-language-server: $schema=https://raw.githubusercontent.com/${facts.goldenpath.repository}/${facts.goldenpath.commit}/schemas/policy.v1.json

# What may run at ${organisation}. Written by goldenpath init, and yours from here on.
#
# It refuses what is known to be exploited, what is malicious, and what is critical and has a fix. The rest is shown.

version: 1
name: ${organisation.toLowerCase()}
serial: 1
# What was judged under the policy before counts for so long.
accepts: 14d

${renderSigners(answers, facts)}
# Who says which policy is in force.
activators: [${platformKey}]
${answers.signing === "keyless" ? sigstore : ""}
bases:
  - name: golden
    image: ${base.repository}
    digests:
      - ${digestOrCommand("base-digest", base)}
  # What .github/workflows/golden-base.yml makes of bases/golden: a version counts once that has approved it.
  - name: own
    image: ${answers.bases}/golden
    approval:
      signers: [${approver}]
      tag: stable

build:
  strategies: [buildpacks, dockerfile]
  isolation: [host, container]
  sources:
    # Of every repository what is on main, into the image of its own name.
${indent(renderSource(answers, facts), 4)}
  builders:
    - name: any
      image: ${builder.repository}
      digests:
        - ${digestOrCommand("builder-digest", builder)}
      runImage: golden
      languages: [${languages.join(", ")}]
    - kind: dockerfile
      name: dockerfiles
      # What a Dockerfile may copy from, besides the bases, such as docker.io/library/golang.
      images: []

scan:
  failOn: critical
  onlyFixed: true
  refuse:
    - name: exploited
      kev: true
      missing: pass # grype's data lists what is exploited: what is not on it is not known to be

environments:
${environments.map((name, index) => renderEnvironment(answers, name, environments[index - 1], quarantine)).join("\n")}
`;
}

const sigstore = `
sigstore:
  public: # Sigstore's public instance. Its logs name the repository: a private one needs \`privateNames: true\` as well.
    embedded: public
    fulcio: https://fulcio.sigstore.dev
    rekor: https://rekor.sigstore.dev
    rekorVersion: 1
`;

function digestOrCommand(name: string, { digest, asked }: Approved): string {
  return digest ?? placeholder(name, `crane digest ${asked}`);
}

function renderSigners(answers: Answers, facts: Facts): string {
  const keys = keysOf(answers).map((name) => renderKey(name, facts.publicKeys[name]));
  const keyless = answers.signing === "keyless" ? [renderKeyless(describeSigners(answers, facts), facts, answers)] : [];
  return ["signers:", ...keyless, ...keys].join("\n");
}

function renderKey(name: string, publicKey: string | undefined): string {
  const key =
    publicKey === undefined
      ? ` ${placeholder(`${name}-key`, `npx goldenpath keys new ../goldenpath-keys ${name}; then goldenpath init with --keys ../goldenpath-keys --force`)}`
      : ` |\n${indent(publicKey, 6)}`;
  return `  ${name}:\n    publicKey:${key}`;
}

type Signers = Readonly<Record<string, StageSigner>>;

/** Of the stages, for each application, and of what approves bases, for the platform's repository alone. */
function describeSigners(answers: Answers, { goldenpath, ownerId }: Facts): Signers {
  const described = describeStageSigners(signingStages, {
    server: answers.server,
    repository: goldenpath.repository,
    at: goldenpath.commit,
    owner: { login: answers.organisation, id: ownerId ?? unknownOwner },
    repositories: ["*"],
    refs: ["refs/heads/main"],
    sigstore: "public",
  });
  if ("problems" in described) throw new Error(described.problems.join("; "));
  const { build } = described.signers;
  const workflow = String(build?.["workflow"]).replace("stage-build.yml", "golden-base.yml");
  const repositories = [`${answers.server}/${answers.organisation}/${answers.repository}`];
  return { ...described.signers, [approver]: { ...build, workflow, repositories } };
}

const unknownOwner = "1";

function renderKeyless(described: Signers, { ownerId }: Facts, answers: Answers): string {
  const runners = new Set([answers.runner, answers.buildRunner].map((label) => isHosted(label)));
  const environments = [
    ...(runners.has(true) ? ["github-hosted"] : []),
    ...(runners.has(false) ? ["self-hosted"] : []),
  ];
  const more = runners.has(false) ? { runnerEnvironments: environments } : {};
  const signers = Object.entries(described).map(([name, signer]) => [name, { ...signer, ...more }]);
  const text = indent(section(Object.fromEntries(signers)), 2);
  if (ownerId !== undefined) return text;
  const command = placeholder("owner-id", `gh api users/${answers.organisation} --jq .id`);
  return text.replaceAll(/^( *ownerId:) .*$/gm, `$1 ${command}`);
}

/** By what golden bases are built: what they may stand on themselves, and nothing that lets an image into an environment. */
export function renderBasePolicy(answers: Answers, facts: Facts): string {
  const { server, organisation, repository, signing } = answers;
  const { build } = signing === "keyless" ? describeSigners(answers, facts) : {};
  const own = [`${server}/${organisation}/${repository}`];
  const signers =
    build === undefined
      ? renderKey("build", facts.publicKeys["build"])
      : renderKeyless({ build: { ...build, repositories: own } }, facts, answers);
  return `# yaml-language-server: $schema=https://raw.githubusercontent.com/${facts.goldenpath.repository}/${facts.goldenpath.commit}/schemas/policy.v1.json

# What golden bases are built of and on. It has no environments: what is built under it is nothing that may run.

version: 1
name: ${organisation.toLowerCase()}-bases
serial: 1

signers:
${signers}
${signing === "keyless" ? sigstore : ""}
bases:
  - name: upstream
    image: ${facts.base.repository}
    digests:
      - ${digestOrCommand("base-digest", facts.base)}

build:
  strategies: [dockerfile]
  isolation: [container]
  sources:
    - repository: ${own[0]}
      refs: [refs/heads/main]
  builders:
    - kind: dockerfile
      name: bases
      # What a definition may copy from, besides what it stands on.
      images: []

environments: {}
`;
}

function renderSource(answers: Answers, { goldenpath }: Facts): string {
  const { server, organisation, environments } = answers;
  return section([
    {
      repository: `${server}/${organisation}/*`,
      refs: ["refs/heads/main"],
      workflows: [`${server}/${goldenpath.repository}/.github/workflows/stage-build.yml@*`],
      to: environments.map((name) => `${placeOf(answers, name)}/{name}`),
    },
  ]);
}

function renderEnvironment(answers: Answers, name: string, before: string | undefined, quarantine: string): string {
  const own = (stage: Stage, maxAge: string): object => ({ stage, signers: [stage], maxAge });
  const requires = stages.flatMap((stage): object[] => {
    if (stage === "build") return [own(stage, "90d")];
    if (stage === "base" || stage === "scan") return [own(stage, "30d")];
    if (stage === "promote" && before !== undefined) return [{ ...own(stage, "90d"), environment: before }];
    return [];
  });
  const from = before === undefined ? quarantine : placeOf(answers, before);
  return indent(section({ [name]: { from: [from], to: [placeOf(answers, name)], promoter: "promote", requires } }), 2);
}

/** The policy's own tests: what it has to refuse, each beside what it must let through. */
export function renderCases(answers: Answers, { goldenpath, base }: Facts): string {
  const { server, organisation, quarantine, environments } = answers;
  const finding = (more: object): object => ({
    findings: [{ id: "CVE-2026-4242", package: { name: "lodash", version: "4.17.20", type: "npm" }, ...more }],
  });
  const build = (owner: string, ref: string): object => ({
    build: {
      repository: `${server}/${owner}/shop`,
      ref,
      event: "push",
      workflow: `${server}/${goldenpath.repository}/.github/workflows/stage-build.yml@${goldenpath.commit}`,
    },
    to: `${placeOf(answers, environments[0] ?? "")}/shop`,
  });
  const on = (digest: string): object => ({ image: `${quarantine}/shop`, base: digest });
  const none = `sha256:${"0".repeat(64)}`;
  const cases = [
    named("what is known to be exploited is refused", finding({ severity: "low", kev: true }), "scan", "scan.gate"),
    named(
      "what is critical and can be mended is refused",
      finding({ severity: "critical", fixedVersions: ["4.17.21"] }),
      "scan",
      "scan.severity",
    ),
    named("what is critical and nobody can mend is shown", finding({ severity: "critical" }), "scan"),
    named("what is high is shown", finding({ severity: "high", fixedVersions: ["4.17.21"] }), "scan"),
    named("a base that nobody approved is refused", on(none), "base", "base.approved"),
    ...(base.digest === undefined ? [] : [named("the golden base is taken", on(base.digest), "base")]),
    named("main of a repository of ours is taken", build(organisation, "refs/heads/main"), "build"),
    named("a branch is not", build(organisation, "refs/heads/try"), "build", "gate.source"),
    named("nor is somebody else's", build(`${organisation}-else`, "refs/heads/main"), "build", "gate.source"),
  ];
  return `# Run by: npx goldenpath policy test policy.yaml\n${section({ cases })}\n`;
}

function named(name: string, facts: object, of: "scan" | "base" | "build", ...rules: string[]): object {
  return { name, ...facts, expect: { [of]: rules } };
}
