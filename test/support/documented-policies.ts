import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decideBase } from "@goldenpath/core/base/decide";
import { noOptions } from "@goldenpath/core/build/options";
import { type BuildPlan, type BuildRequest, planBuild } from "@goldenpath/core/build/plan-build";
import { emptyProject } from "@goldenpath/core/build/project";
import { dockerfile } from "@goldenpath/core/build/strategies/dockerfile";
import { judgeUsed } from "@goldenpath/core/build/strategies/dockerfile/judge-images";
import { findStrategy, ownPolicy } from "@goldenpath/core/build/strategies/find";
import { decideGate } from "@goldenpath/core/gate/decide";
import { buildImportStatement } from "@goldenpath/core/imports/statement";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { LoadedPolicy, PolicyEnvironment } from "@goldenpath/core/policy/schema";
import type { Violation } from "@goldenpath/core/result";
import type { Finding } from "@goldenpath/core/scan/finding";
import { judgeFindings, type ScanGateFacts } from "@goldenpath/core/scan/gate";
import { judgePackages } from "@goldenpath/core/scan/package-gates";
import { tellFindings } from "@goldenpath/core/scan/told-findings";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import type { ProvenanceFacts } from "@goldenpath/core/signing/provenance";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { VerifiedStatement } from "@goldenpath/core/signing/types";
import type { SummaryFacts } from "@goldenpath/core/signing/verification-summary";
import type { Stage } from "@goldenpath/core/stages";
import { PolicyViolation } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { child } from "@goldenpath/testing/base-facts";
import { makeFinding } from "@goldenpath/testing/findings";
import { finding, image, imageLayers, provenance, signed, summary } from "@goldenpath/testing/gate-evidence";
import { withFiles } from "@goldenpath/testing/survey";
import { Ajv2020 } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";
import { parse } from "yaml";

// The policies of docs/policies, and what each of them says of an image that has gone the whole path.

export const policiesFolder = join(import.meta.dirname, "../../docs/policies");
export const policyNames = readdirSync(policiesFolder)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.slice(0, -".yaml".length));

/** A day on which all of them hold. */
export const now = new Date("2026-12-01T12:00:00Z");
export const day = 86_400_000;
export const ago = (milliseconds: number): Date => new Date(now.getTime() - milliseconds);
const made = ago(60_000);

export function readPolicy(name: string): { text: string; loaded: LoadedPolicy } {
  const file = join(policiesFolder, `${name}.yaml`);
  const bytes = readFileSync(file);
  return { text: bytes.toString(), loaded: { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes) } };
}

/** Whether an editor that knows the published schema finds nothing in it. */
export function isBySchema(text: string): boolean {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  addFormats.default(ajv);
  const schema = readFileSync(join(policiesFolder, "../../schemas/policy.v1.json"), "utf8");
  return ajv.compile(JSON.parse(schema) as object)(parse(text));
}

/** Every key of a policy as docs/policy.md lists them: `scan.failOn`, `environments.NAME.requires[].stage`, … */
export function listDocumentedKeys(): Set<string> {
  const docs = readFileSync(join(policiesFolder, "../policy.md"), "utf8");
  const [, tables = ""] = docs.split("<!-- generated from the schema");
  const [generated = ""] = tables.split("<!-- end of the generated part -->");
  return new Set(
    generated.split("\n### ").flatMap((section) => {
      const [, of = ""] = /^`([^`]+)`/.exec(section) ?? [];
      const keys = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, key = ""]) => key);
      return [...(of === "" ? [] : [of]), ...keys.map((key) => (of === "" ? key : `${of}.${key}`))];
    }),
  );
}

/** What is otherwise than with an image that the policy lets through. */
export interface Change {
  build?: Partial<ProvenanceFacts>;
  /** Of a stage's verdict. */
  verdict?: Partial<Record<Stage, Partial<SummaryFacts>>>;
  /** Who signs a stage's evidence, instead of the first that may. */
  by?: Partial<Record<Stage, string>>;
  without?: Stage;
  /** What the scan stage has signed as found. */
  found?: Partial<Finding>[];
  /** Where it goes. */
  destination?: string;
  /** Of a vendor's image: until when it is imported, from where. */
  imported?: { until?: string; from?: string };
  /** Of another pipeline's provenance. */
  pipeline?: { signer?: string; builder?: string; ref?: string };
  now?: Date;
}

/** The rules by which an environment's gate refuses it, each once. */
export function judge(loaded: LoadedPolicy, environmentName: string, change: Change = {}): string[] {
  const environment = loaded.policy.environments[environmentName];
  if (environment === undefined) throw new TypeError(`the policy has no environment ${environmentName}`);
  const { repository, destination } = placesOf(loaded, environment, change);
  const statements = listStatements(loaded, environment, repository, change);
  const { violations } = decideGate({
    ...{ environmentName, environment, policy: loaded, place: "from", destination },
    now: change.now ?? now,
    image: { repository, digest: image, children: [image], layers: new Map([[image, imageLayers]]) },
    evidence: new Map([[image, { statements, lapsed: [], rejected: [] }]]),
  });
  return [...new Set(violations.map(({ rule }) => rule))];
}

/** The image's name is its source's; below one name for all where the policy says that. */
function placesOf({ policy }: LoadedPolicy, { from, to }: PolicyEnvironment, { destination }: Change) {
  const [source] = policy.build.sources;
  const repository = typeof source === "string" ? source : (source?.repository ?? "");
  const name = repository.startsWith("oci://") ? (repository.split("/").at(-1) ?? "") : "shop";
  return {
    repository: parseRepository(`${from[0]}/${name}`),
    destination: parseRepository(destination ?? `${to[0]}/${name}`),
  };
}

function listStatements(
  loaded: LoadedPolicy,
  environment: PolicyEnvironment,
  repository: Repository,
  change: Change,
): VerifiedStatement[] {
  const { policy } = loaded;
  const about = {
    image: { repository, digest: image, children: [] },
    policy: { uri: loaded.uri, digest: loaded.digest, serial: policy.serial },
  };
  const requires = environment.requires.filter(({ stage }) => stage !== change.without);
  // Of what another environment has promoted, the build's evidence has come along.
  const [builder = ""] = Object.values(policy.environments).flatMap((each) =>
    each.requires.filter(({ stage }) => stage === "build").flatMap(({ signers }) => signers),
  );
  const isPromoted = requires.some(({ stage }) => stage === "promote");
  const before = isPromoted ? listBuild(loaded, builder, change) : [];
  const stages = requires.flatMap(({ stage, signers: [own = ""], environment: from }) => {
    const by = change.by?.[stage] ?? own;
    if (stage === "build") return listBuild(loaded, by, change);
    const found = stage === "promote" ? before : [describeFound(stage, by, change)];
    const more = { ...about, timeVerified: made, ...(from === undefined ? {} : { environment: from }) };
    const verdict = summary(stage, by, found, { ...more, ...change.verdict?.[stage] });
    return stage === "promote" ? [verdict] : [...found, verdict];
  });
  return [...before, ...stages];
}

function describeFound(stage: Stage, by: string, { found = [] }: Change): VerifiedStatement {
  if (stage === "base")
    return finding(predicateTypes.base, by, [image], { children: [{ digest: image, layers: imageLayers }] });
  const findings = found.map((each) => makeFinding(each));
  const told = tellFindings([{ digest: image, platform: "linux/amd64", findings, isExcepted: () => false }]);
  return finding(predicateTypes.vulnerabilities, by, [image], {
    metadata: { scanFinishedOn: made.toISOString() },
    scanner: { uri: "pkg:test/s", version: "1", result: { matches: [], goldenpath: told } },
  });
}

/** What the job that attests would sign: by the strategy's own proof, of a source as the policy's first entry has it. */
function listBuild(loaded: LoadedPolicy, by: string, change: Change): VerifiedStatement[] {
  const { policy } = loaded;
  const [name] = policy.build.strategies;
  if (name === undefined) throw new TypeError("a policy has strategies");
  const strategy = findStrategy(name);
  const foreign = strategy.isElsewhere === true ? [describeOrigin(loaded, change)] : [];
  const base = policy.bases[0];
  const found = {
    repository: parseRepository(base?.image ?? ""),
    digest: base?.digests.at(-1) ?? image,
    names: policy.bases.map((each) => each.name),
  };
  const repository = { registry: "registry.example", name: "quarantine/shop" };
  const view = { repository, digest: image, children: [image], statements: foreign, now };
  const proof = strategy.prove(
    { children: [{ base: found }], ...(foreign.length === 0 ? {} : { signed: view }) },
    ownPolicy(policy, strategy),
  );
  const facts = describeSource(loaded);
  const { source } = proof;
  const built = provenance(by, {
    ...facts,
    ...(source === undefined
      ? {}
      : {
          source: { repository: source.repository, commit: source.version, ref: source.ref },
          event: source.event,
          callerId: source.callerId,
        }),
    buildType: strategy.buildType,
    buildEnvironment: strategy.isElsewhere === true ? "elsewhere" : (policy.build.isolation[0] ?? "host"),
    builders: policy.build.builders.filter((builder) => proof.builders.includes(builder.name)),
    materials: proof.materials,
    bases: strategy.isElsewhere === true ? [] : [found],
    policy: { uri: loaded.uri, digest: loaded.digest, serial: policy.serial },
    startedOn: ago(120_000),
    finishedOn: made,
    ...change.build,
  });
  return [...foreign, built, finding(predicateTypes.cyclonedx, by)];
}

const fill = (pattern: string, word: string): string => pattern.replaceAll("*", word);

function describeSource({
  policy,
}: LoadedPolicy): Pick<ProvenanceFacts, "source" | "builderId" | "event" | "callerId"> {
  const [first] = policy.build.sources;
  if (first === undefined || typeof first === "string") throw new TypeError("its first source says more than a name");
  const { repository, refs = [], workflows = [], callers = [], events = ["push"] } = first;
  const [file = "", ref = ""] = (callers[0] ?? "").split("@");
  return {
    source: { repository: fill(repository, "shop"), commit: "a".repeat(40), ref: fill(refs.at(-1) ?? "", "v1.4.0") },
    builderId: fill(workflows[0] ?? "local", "a".repeat(40)),
    event: events[0],
    callerId: callers.length === 0 ? undefined : `${fill(file, "shop")}@${fill(ref, "v1.4.0")}`,
  };
}

/** What somebody else has signed of where the image comes from. */
function describeOrigin(loaded: LoadedPolicy, { imported, pipeline }: Change): VerifiedStatement {
  const rules = loaded.policy.build.builders.flatMap((builder) => (builder.kind === "image" ? [builder] : []));
  const importer = rules.find((rule) => rule.import !== undefined)?.import?.signers[0];
  const repository = { registry: "registry.example", name: "quarantine/shop" };
  if (importer !== undefined) {
    const source: { repository: Repository; digest: Digest } = {
      repository: parseRepository(imported?.from ?? "docker.io/library/redis"),
      digest: image,
    };
    const why = { reason: "sessions", owner: "team-shop", until: imported?.until ?? "2027-03-31" };
    const facts = { image: { repository, digest: image, children: [] }, source, policy: loaded, importedOn: ago(day) };
    return signed(buildImportStatement({ ...facts, ...why }), [importer]);
  }
  const predicate = {
    buildDefinition: {
      buildType: "https://ci.acme.example/build-types/container/v1",
      externalParameters: {},
      resolvedDependencies: [
        {
          uri: `git+https://github.com/acme/shop@${pipeline?.ref ?? "refs/heads/main"}`,
          digest: { gitCommit: "a".repeat(40) },
        },
      ],
    },
    runDetails: { builder: { id: pipeline?.builder ?? "https://ci.acme.example/builders/v3" } },
  };
  const statement = buildStatement(buildSubjects(repository, [image]), predicateTypes.provenance, predicate);
  return signed(statement, [pipeline?.signer ?? "jenkins"]);
}

/** The rules by which the scan stage refuses what was found. */
export function scan(
  { policy }: LoadedPolicy,
  found: Partial<Finding>,
  more: Pick<ScanGateFacts, "isKnown"> = {},
): string[] {
  const { scan: rules, exceptions } = policy;
  return judgeFindings({ findings: [makeFinding(found)], policy: rules, exceptions, now, ...more }).map(
    ({ violation }) => violation.rule,
  );
}

/** What the base stage says of an image there that stands on no approved base. */
export function onForeignBase({ policy }: LoadedPolicy, repository: string, on: Date): string[] {
  const { violations } = decideBase({
    ...{ repository: parseRepository(repository), isIndex: false, children: [child("os app")] },
    ...{
      approved: [],
      buildImages: [],
      rules: { refuse: [], mustHave: [] },
      customRules: [],
      exceptions: policy.exceptions,
      now: on,
    },
  });
  return violations.map(({ rule, exception }) => (exception === undefined ? rule : `${rule}, excepted`));
}

/** The rules by which the scan stage refuses a package, by what an SBOM says of it. */
export function inSbom({ policy }: LoadedPolicy, component: Record<string, unknown>): Violation["rule"][] {
  const whole = {
    ...{ type: "library", version: "1.0.0", supplier: { name: "acme" }, licenses: [{ license: { id: "MIT" } }] },
    ...component,
  };
  const sbom = { metadata: { timestamp: made.toISOString(), tools: [{ name: "syft" }] }, components: [whole] };
  const facts = { sbom, policy: policy.scan, exceptions: policy.exceptions, now, image: `r.example/shop@${image}` };
  return judgePackages(facts).map(({ rule }) => rule);
}

/** What a build of an application with these files is planned as, or the rule that refuses it. */
export function plan({ policy }: LoadedPolicy, files: string[], more: Partial<BuildRequest> = {}): BuildPlan | string {
  const [environment] = Object.values(policy.environments);
  try {
    return planBuild(policy, {
      tags: [`${environment?.from[0]}/shop:1`],
      application: {
        ...{ strategy: "auto", builder: undefined, module: undefined, context: "." },
        tree: { top: withFiles(files), below: [] },
      },
      ...{ options: noOptions, project: emptyProject, variables: {}, now },
      ...more,
    });
  } catch (error) {
    if (error instanceof PolicyViolation) return error.rule ?? error.code;
    throw error;
  }
}

/** Which image a Dockerfile gets where it names this one, or the rule that refuses it. */
export function inDockerfile({ policy }: LoadedPolicy, named: string, use: "base" | "build"): string {
  const [builder] = policy.build.builders.flatMap((each) => (each.kind === "dockerfile" ? [each] : []));
  if (builder === undefined) throw new TypeError("the policy has no builder of Dockerfiles");
  const limits = dockerfile.plan(builder, policy.bases).dockerfile;
  const used = { images: [{ name: named, use, line: 1 }], downloads: [], isOnScratch: false };
  try {
    const [image] = judgeUsed(used, limits, "Dockerfile", now).images;
    return image === undefined ? "nothing" : formatReference(image.reference);
  } catch (error) {
    if (error instanceof PolicyViolation) return error.rule ?? error.code;
    throw error;
  }
}
