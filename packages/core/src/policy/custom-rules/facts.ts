/** The stages that judge rules of the policy's own: each by what it has seen itself, or what is signed. */
export const ruleStages = ["base", "scan", "gate"] as const;
export type RuleStage = (typeof ruleStages)[number];

/** A type in CEL's words, or the name of one of {@link factTypes}. */
export interface Fact {
  type: string;
  says: string;
  /** There may be none; whoever asks for it without `has()` is refused then. */
  isOptional?: true;
}

const text = (says: string): Fact => ({ type: "string", says });
const optional = (type: string, says: string): Fact => ({ type, says, isOptional: true });

/** What facts are made of. CEL's `int` is a bigint here, its `timestamp` a Date, its `map` a Map. */
export const factTypes: Readonly<Record<string, Readonly<Record<string, Fact>>>> = {
  Image: {
    repository: text("where it is: `HOST/NAME`"),
    digest: text("of this platform's image: `sha256:…`"),
    platform: text("`linux/amd64`, `linux/arm/v7`: as its own config says"),
  },
  Config: {
    user: text("the user it starts as; empty: none is named, which is root"),
    workingDirectory: text("where it starts; empty: none is named"),
    entrypoint: { type: "list<string>", says: "the program and its first arguments" },
    command: { type: "list<string>", says: "its arguments, or the program where there is no entrypoint" },
    env: { type: "map<string, string>", says: "environment variables by name" },
    ports: { type: "list<string>", says: "what it says it listens on: `8080/tcp`" },
    volumes: { type: "list<string>", says: "paths that it says are volumes" },
    labels: { type: "map<string, string>", says: "labels by name: the maker's own word" },
  },
  Layer: {
    digest: text("as it is in the registry"),
    diffId: text("of what it unpacks to, which was looked at"),
    size: { type: "int", says: "bytes, as it is in the registry" },
    from: text("`base` or `application`; `unknown` where the image stands on no approved base"),
  },
  Base: {
    name: text("the policy's name for it"),
    image: text("`HOST/NAME`"),
    digest: text("the approved version"),
    approvedAt: optional("google.protobuf.Timestamp", "when its approval was signed, where it counts by one"),
    until: optional("string", "the last day that its approval or the policy gives it: `2027-06-30`"),
  },
  Package: {
    manager: text("`dpkg` or `apk`"),
    name: text("as the manager's database has it"),
    version: text("as the manager's database has it"),
    architecture: text("`amd64`; empty: nobody says"),
  },
  Component: {
    name: text("as the SBOM has it"),
    version: text("empty: nobody says"),
    purl: text("its package URL; empty: nobody says"),
    licenses: { type: "list<string>", says: "its licences by SPDX ID, name or expression" },
  },
  Finding: {
    id: text("as the scanner calls it"),
    names: { type: "list<string>", says: "its ID and all other names" },
    severity: text("`critical`, `high`, `medium`, `low`, `negligible`, `unknown`"),
    packageName: text("of the package that has it"),
    packageVersion: text("of the package that has it"),
    packageType: text("`deb`, `npm`, `go-module`, … as the SBOM has it"),
    origin: text("`base`, `application` or `unknown`"),
    isFixed: { type: "bool", says: "whether a version without it is known" },
    cvss: optional("double", "the highest base score, 0 to 10"),
    epss: optional("double", "the probability of exploitation in the next 30 days, 0 to 1"),
    kev: optional("bool", "whether it is known to be exploited, where the data tells"),
  },
  Evidence: {
    stage: text("whose it is: `build`, `base`, `scan`, `runtime`, `promote`"),
    predicateType: text("what is stated: `https://slsa.dev/verification_summary/v1`"),
    signers: { type: "list<string>", says: "the policy's signers who signed it" },
    signedAt: optional("google.protobuf.Timestamp", "when, by the word of a log or a timestamp authority"),
  },
  Source: {
    repository: text("where it was built from: `https://github.com/acme/shop`"),
    ref: optional("string", "`refs/heads/main`"),
    commit: optional("string", "the commit, by its digest"),
    event: optional("string", "what started the run: `push`"),
    workflow: optional("string", "who attested the build, by the workflow's URL and ref"),
  },
};

const image: Fact = {
  type: "Image",
  says: "the image that is judged: of an index each platform's, one after the other",
};
const now: Fact = { type: "google.protobuf.Timestamp", says: "the time of the judgement" };

/** What an expression can ask for, by the stage that judges it. */
export const stageFacts: Readonly<Record<RuleStage, Readonly<Record<string, Fact>>>> = {
  base: {
    image,
    config: { type: "Config", says: "how it starts: from the config, whose digest the manifest names" },
    layers: { type: "list<Layer>", says: "all of them, the lowest first" },
    base: optional("Base", "the approved base that it stands on, by its layers; none where it stands on none"),
    packages: optional(
      "list<Package>",
      "of the operating system, by the databases in its layers; none where it stands on no approved base",
    ),
    now,
  },
  scan: {
    image,
    findings: { type: "list<Finding>", says: "all that the scanners found, also what the policy lets pass" },
    components: { type: "list<Component>", says: "the packages of its SBOM" },
    now,
  },
  gate: {
    image,
    environment: text("the environment that is asked for"),
    evidence: { type: "list<Evidence>", says: "what is accepted about it: signed by whom the policy names, and fresh" },
    source: optional("Source", "what it was built from, by the accepted provenance; none without exactly one"),
    now,
  },
};

/** The facts of one image for a stage, by the names above. */
export type FactValues = Readonly<Record<string, unknown>>;
