import { rescannedEvery } from "./scan-section.ts";

/** What a change does to what is let through; `unknown`: nobody can say, which is no narrowing. */
export type Direction = "widening" | "narrowing" | "neither" | "unknown";

/**
 * What a change of one key means. `says` is a clause that holds for the value at `{}`. Directions are of what the policy
 * lets through: widening lets in what was shut out.
 */
export type Meaning =
  /** Each entry lets something in; `absent`: what holds without the key. */
  | { as: "grants"; says: string; absent?: "all" | "none"; covers?: (wide: string, narrow: string) => boolean }
  /** Each entry shuts something out. */
  | { as: "demands"; says: string; absent?: "all" | "none" }
  /** Another value lets in another, and shuts out the one before. Without the key, `absent`. */
  | { as: "identity"; says: string; absent?: "all" | "none"; same?: readonly string[] }
  /** A number, a duration or a time of which more lets in more (`most`), or less (`least`). */
  | { as: "most" | "least"; says: string; absent?: number; unit?: "duration" }
  /** Words, from what lets in least to what lets in most. */
  | { as: "scale"; says: string; values: readonly (string | boolean | undefined)[] }
  /** Lets nothing in and shuts nothing out. */
  | { as: "told"; says: string }
  /** Another value may let in more or less: nobody can say. `more`: the direction of its being there at all. */
  | { as: "unclear"; says: string; more?: Direction }
  /** A map that may be missing; `more`: the direction of its being there. */
  | { as: "section"; says: string; more: Direction }
  /** Days by rule, from which each refuses; without one at once. */
  | { as: "days" }
  /** Maps by name. `isOpen`: one that is missing is one without anything in it. */
  | { as: "names"; says: string; more: Direction; isOpen?: boolean }
  /** Maps in a list, told apart by some of their keys. */
  | { as: "list"; says: string; more: Direction; by: readonly string[] };

type Meanings = Readonly<Record<string, Meaning>>;

const grants = (says: string, more: Partial<Extract<Meaning, { as: "grants" }>> = {}): Meaning => ({
  as: "grants",
  says,
  ...more,
});
const identity = (says: string, more: Partial<Extract<Meaning, { as: "identity" }>> = {}): Meaning => ({
  as: "identity",
  says,
  ...more,
});
const unclear = (says: string, more: { more?: Direction } = {}): Meaning => ({ as: "unclear", says, ...more });
const told = (says: string): Meaning => ({ as: "told", says });
/** A time for which something is let pass: without it none. */
const later = (says: string): Meaning => ({ as: "most", says, unit: "duration", absent: 0 });
const atMost = (says: string): Meaning => ({ as: "most", says, unit: "duration", absent: Number.POSITIVE_INFINITY });
const until = (says: string): Meaning => ({ as: "most", says, absent: Number.POSITIVE_INFINITY });
const scale = (says: string, ...values: readonly (string | boolean | undefined)[]): Meaning => ({
  as: "scale",
  says,
  values,
});

const severities = ["negligible", "low", "medium", "high", "critical"] as const;

/** True where the prefix is the other, or above it. */
function isUnder(wide: string, narrow: string): boolean {
  return wide === narrow || narrow.startsWith(`${wide.replace(/\/$/, "")}/`);
}

/** Of a gate all conditions hold: each one more leaves more through. */
const gateMeanings = (at: string): Meanings => ({
  [at]: { as: "list", says: "the gate {} refuses findings", more: "narrowing", by: ["name"] },
  [`${at}[].name`]: told("the gate is called {}"),
  [`${at}[].severity`]: scale("refused from this severity: {}", undefined, ...severities),
  [`${at}[].cvss`]: { as: "most", says: "refused from this CVSS score: {}", absent: Number.NEGATIVE_INFINITY },
  [`${at}[].epss`]: { as: "most", says: "refused from this EPSS probability: {}", absent: Number.NEGATIVE_INFINITY },
  [`${at}[].kev`]: scale("refused only if known to be exploited: {}", undefined, true),
  [`${at}[].fixed`]: scale("refused only with a fix: {}", undefined, true),
  [`${at}[].fixOlderThan`]: {
    as: "most",
    says: "refused once the fix has been out for longer than {}",
    absent: Number.NEGATIVE_INFINITY,
    unit: "duration",
  },
  [`${at}[].types`]: { as: "demands", says: "findings in packages of kind {} are refused", absent: "all" },
  [`${at}[].scopes`]: { as: "demands", says: "findings in packages of scope {} are refused", absent: "all" },
  [`${at}[].origins`]: { as: "demands", says: "findings that come from {} are refused", absent: "all" },
  [`${at}[].missing`]: scale("what nobody says is handled so: {}", "refuse", "pass"),
});

const registries: Meanings = {
  registries: { as: "section", says: "how registries are spoken to is set", more: "neither" },
  "registries.plainHttp": grants("the host {} is spoken to without TLS"),
  "registries.hosts": { as: "names", says: "the host {} has settings of its own", more: "neither", isOpen: true },
  "registries.hosts.*.ca": grants("the host's certificate may come from the authority {}", { absent: "none" }),
  "registries.hosts.*.skipVerify": scale("the host's certificate goes unchecked: {}", false, true),
  "registries.hosts.*.connections": told("up to {} requests are on their way to it at once"),
};

const signers: Meanings = {
  signers: { as: "names", says: "what {} signs counts where the policy names it", more: "widening" },
  "signers.*.kind": identity("its signatures count in the form {}", { same: ["key", "kms"] }),
  "signers.*.publicKey": identity("what is signed with the key {} counts"),
  "signers.*.from": { as: "least", says: "its word counts from {} on", absent: Number.NEGATIVE_INFINITY },
  "signers.*.until": until("its word counts until {}"),
  "signers.*.sigstore": identity("certificates of the Sigstore {} count"),
  "signers.*.issuer": identity("tokens of the issuer {} count"),
  "signers.*.workflow": identity("runs of the workflow {} sign"),
  "signers.*.at": grants("the workflow signs at {}"),
  "signers.*.ownerId": identity("runs for the owner with the number {} sign"),
  "signers.*.repositories": grants("runs for {} sign", { absent: "all" }),
  "signers.*.refs": grants("runs on {} sign", { absent: "all" }),
  "signers.*.runnerEnvironments": grants("runs on runners that are {} sign"),
  "signers.*.environment": identity("runs in the deployment environment {} sign", { absent: "all" }),
  "signers.*.trustStore": identity("certificates of the trust store {} count"),
  "signers.*.identity": identity("certificates of {} count"),
  "signers.*.validity": atMost("each of its signatures holds {} at most"),
};

const trust: Meanings = {
  sigstore: { as: "names", says: "the Sigstore {} can be named by signers", more: "widening" },
  "sigstore.*.trustedRoot": identity("the trusted root in the policy counts: {}"),
  "sigstore.*.file": { as: "section", says: "the trusted root in a file beside the policy counts", more: "widening" },
  "sigstore.*.file.path": told("the trusted root lies at {}"),
  "sigstore.*.file.digest": identity("the trusted root with the digest {} counts"),
  "sigstore.*.tuf": { as: "section", says: "the trusted root that a TUF repository has counts", more: "widening" },
  "sigstore.*.tuf.mirror": told("the TUF repository is read at {}; its root decides what is believed"),
  "sigstore.*.tuf.root": { as: "section", says: "trust begins with a root", more: "neither" },
  "sigstore.*.tuf.root.digest": identity("trust begins with the root that has the digest {}"),
  "sigstore.*.tuf.root.path": told("the root lies at {}"),
  "sigstore.*.tuf.root.version": told("the root is asked for as version {}"),
  "sigstore.*.tuf.target": identity("the trusted root is the target {}"),
  "sigstore.*.embedded": identity("the trusted root that goldenpath brings counts: {}"),
  // An entry in a log may be all that dates a signature: neither proof takes all that the other does.
  "sigstore.*.proof": identity("signatures count that have this besides: {}"),
  "sigstore.*.fulcio": told("who signs asks for certificates at {}"),
  "sigstore.*.rekor": told("who signs writes to the log at {}"),
  "sigstore.*.rekorVersion": told("that log's interface is of version {}"),
  "sigstore.*.timestamp": told("who signs asks for timestamps at {}"),
  "sigstore.*.privateNames": told("repositories that are not public may be named in its logs: {}"),
  trustStores: { as: "names", says: "the trust store {} can be named by signers", more: "widening" },
  "trustStores.*.certificates": grants("certificates of the authority {} count"),
  "trustStores.*.timestamp": { as: "section", says: "timestamps of an authority count", more: "widening" },
  "trustStores.*.timestamp.certificates": grants("timestamps of the authority {} count"),
  "trustStores.*.timestamp.url": told("who signs asks for timestamps at {}"),
};

const bases: Meanings = {
  bases: { as: "list", says: "images may stand on the base {}", more: "widening", by: ["name"] },
  "bases[].name": told("the base is called {}"),
  "bases[].image": identity("the base is kept in {}"),
  "bases[].digests": grants("its version {} is approved", { absent: "all" }),
  "bases[].until": until("images may stand on it until {}"),
  "bases[].approval": { as: "section", says: "a version counts only where its approval is signed", more: "narrowing" },
  "bases[].approval.signers": grants("what {} approved counts"),
  "bases[].approval.maxAge": atMost("a version counts for {} after its approval"),
  "bases[].approval.maxBehind": atMost("a version may be {} behind the newest approved"),
  "bases[].approval.grace": later("images pass for {} after a version has ended"),
  "bases[].approval.warnBefore": told("it is said {} before a version ends"),
  "bases[].approval.score": { as: "section", says: "a version needs proven points", more: "narrowing" },
  ...Object.fromEntries(
    ["publisher", "updated", "open", "needless"].map((question): [string, Meaning] => [
      `bases[].approval.score.${question}`,
      { as: "least", says: `a version has {} proven points for ${question} at least` },
    ]),
  ),
  "bases[].approval.tag": told("the tag {} follows the newest approved version"),
  "bases[].mayChange": grants("layers on top may change {}", { absent: "none" }),
};

const rules: Meanings = {
  rules: { as: "list", says: "the rule {} of the policy's own refuses", more: "narrowing", by: ["name"] },
  "rules[].name": told("it is called {}"),
  "rules[].stage": unclear("it is judged by the stage {}"),
  "rules[].when": unclear("it is asked of images of which this holds: {}", { more: "widening" }),
  "rules[].expression": unclear("images pass of which this holds: {}"),
  "rules[].message": told("it says: {}"),
  "rules[].remedy": told("its way out is: {}"),
  "rules[].environments": { as: "demands", says: "the environment {} asks it", absent: "all" },
};

const images: Meanings = {
  images: { as: "section", says: "images have to look so, whatever they stand on", more: "narrowing" },
  "images.refuse": { as: "demands", says: "images with {} are refused" },
  "images.mustHave": { as: "list", says: "every image has {}", more: "narrowing", by: ["file", "package", "label"] },
  "images.mustHave[].file": told("it is the file {}"),
  "images.mustHave[].package": told("it is the package {}"),
  "images.mustHave[].label": told("it is the label {}"),
  "images.mustHave[].value": identity("the label's value is {}", { absent: "all" }),
};

const sources: Meanings = {
  "build.sources": { as: "list", says: "builds may be of {}", more: "widening", by: ["repository"] },
  "build.sources[].repository": told("it is of {}"),
  "build.sources[].owner": told("its images are answered for by {}"),
  "build.sources[].refs": grants("builds of the ref {} count", { absent: "all" }),
  "build.sources[].workflows": grants("builds attested by {} count", { absent: "all" }),
  "build.sources[].callers": grants("builds of runs that {} started count", { absent: "all" }),
  "build.sources[].events": grants("runs of the event {} count", { absent: "all" }),
  "build.sources[].to": grants("its images may become {}", { absent: "all" }),
};

const builders: Meanings = {
  "build.builders": { as: "list", says: "the builder {} may build", more: "widening", by: ["name"] },
  "build.builders[].kind": identity("it builds by the strategy {}"),
  "build.builders[].name": told("the builder is called {}"),
  "build.builders[].buildpacks": grants("the buildpack {} may build", { absent: "none" }),
  "build.builders[].image": identity("builds run in the image {}"),
  "build.builders[].digests": grants("its version {} may build", { absent: "none" }),
  "build.builders[].approval": {
    as: "section",
    says: "a version builds only where its approval is signed",
    more: "narrowing",
  },
  "build.builders[].approval.signers": grants("what {} approved may build"),
  "build.builders[].approval.maxAge": atMost("a version may build for {} after its approval"),
  "build.builders[].approval.tag": told("the tag {} follows the newest approved version of the builder"),
  "build.builders[].lifecycleImage": identity("builds take their lifecycle from {}"),
  "build.builders[].allowInline": scale("scripts of project.toml may run: {}", undefined, false, true),
  "build.builders[].allowBuildpacks": grants("project.toml may name the buildpack {}", { absent: "none" }),
  "build.builders[].allowExtensions": grants("the extension {} may run", { absent: "none" }),
  "build.builders[].approved": until("`builderMaxAge` counts from {}"),
  "build.builders[].until": until("it may build until {}"),
  "build.builders[].runImage": identity("what it builds stands on the base {}"),
  "build.builders[].languages": told("it is taken for {}"),
  "build.builders[].plugin": identity("jib's plugin builds in the version {}", { absent: "all" }),
  "build.builders[].bases": grants("a Dockerfile may end on the base {}", { absent: "all" }),
  "build.builders[].images": grants("a Dockerfile may use the image {}", { absent: "none" }),
  "build.builders[].downloads": grants("ADD may fetch what begins with {}", { absent: "none" }),
  "build.builders[].provenance": { as: "section", says: "others' provenance is taken", more: "widening" },
  "build.builders[].provenance.signers": grants("provenance that {} signed is taken"),
  "build.builders[].provenance.builders": grants("provenance of the builder {} is taken"),
  "build.builders[].provenance.buildTypes": grants("provenance of the build type {} is taken"),
  "build.builders[].provenance.level": { as: "section", says: "a SLSA Build level is asked for", more: "narrowing" },
  "build.builders[].provenance.level.atLeast": { as: "least", says: "builds of at least the level {} count" },
  "build.builders[].provenance.level.builders": {
    as: "list",
    says: "the policy vouches for a level of the builder {}",
    more: "widening",
    by: ["builder"],
  },
  "build.builders[].provenance.level.builders[].builder": told("the level is of the builder {}"),
  "build.builders[].provenance.level.builders[].level": { as: "most", says: "builds of it have the level {}" },
  "build.builders[].provenance.level.verifiers": {
    as: "list",
    says: "the verifier {} may vouch for a level",
    more: "widening",
    by: ["id"],
  },
  "build.builders[].provenance.level.verifiers[].id": told("summaries of the verifier {} count"),
  "build.builders[].provenance.level.verifiers[].signers": grants("summaries that {} signed count"),
  "build.builders[].provenance.level.verifiers[].upTo": { as: "most", says: "it may vouch for levels up to {}" },
  "build.builders[].provenance.level.verifiers[].resources": grants("summaries of {} count"),
  "build.builders[].provenance.level.verifiers[].policies": grants("summaries by the verifier's policy {} count", {
    absent: "all",
  }),
  "build.builders[].provenance.level.verifiers[].maxAge": atMost("its summaries count for {}"),
  "build.builders[].import": { as: "section", says: "imported images are taken", more: "widening" },
  "build.builders[].import.signers": grants("what {} imported is taken"),
};

const build: Meanings = {
  build: { as: "section", says: "images may be built", more: "widening" },
  "build.strategies": grants("images may be built by {}"),
  "build.prefer": told("taken before others, where anything speaks for them: {}"),
  "build.isolation": grants("builds may run in {}"),
  "build.builderMaxAge": atMost("builder images and buildpacks build for {} after their approval"),
  "build.cache": scale("builds may use of earlier ones: {}", "none", "verified", "unverified"),
  ...sources,
  ...builders,
};

const scan: Meanings = {
  scan: { as: "section", says: "images can be scanned, and pass a scan", more: "widening" },
  "scan.failOn": scale("findings are refused from this severity: {}", ...severities),
  "scan.onlyFixed": scale("by their severity only findings with a fix are refused: {}", false, true),
  "scan.scanners": { as: "demands", says: "each scan asks {}" },
  ...gateMeanings("scan.refuse"),
  "scan.packages": {
    as: "list",
    says: "the package {} is refused",
    more: "narrowing",
    by: ["name", "purl"],
  },
  "scan.packages[].name": told("it is the package {}"),
  "scan.packages[].purl": told("it is the package {}"),
  "scan.packages[].versions": { as: "demands", says: "it is refused in the version {}", absent: "all" },
  "scan.packages[].reason": told("the reason told is: {}"),
  "scan.licenses": { as: "section", says: "packages are refused by their licence", more: "narrowing" },
  "scan.licenses.refuse": { as: "demands", says: "packages under {} are refused" },
  "scan.licenses.unknown": scale("packages of unknown licence: {}", "refuse", "pass"),
  "scan.sbom": { as: "section", says: "an SBOM has to say enough", more: "narrowing" },
  ...Object.fromEntries(
    ["version", "identifier", "license", "hash", "supplier"].map((what): [string, Meaning] => [
      `scan.sbom.${what}`,
      { as: "least", says: `so many per cent of an SBOM's packages have this (${what}): {}` },
    ]),
  ),
  "scan.vex": { as: "section", says: "findings can be closed by VEX", more: "widening" },
  "scan.vex.signers": grants("the VEX of {} closes findings"),
  "scan.vex.unmatched": scale("statements that concern nothing found: {}", "refuse", "tell"),
  "scan.reports": { as: "list", says: "the reports of {} are judged", more: "narrowing", by: ["name"] },
  "scan.reports[].name": told("the reporter is called {}"),
  "scan.reports[].tools": grants("its reports may be of the tool {}"),
  "scan.reports[].signers": grants("its reports count where {} signs them", { absent: "none" }),
  "scan.reports[].given": scale("its reports count as files that the job gives: {}", undefined, "by-digest", "any"),
  "scan.reports[].maxAge": atMost("its reports are {} old at most"),
  "scan.reports[].undated": scale("its reports without a time: {}", "refuse", "accept"),
  "scan.reports[].required": scale("an image needs its report: {}", true, false),
  "scan.failOnlyOn": scale("findings that are refused: {}", "all", "new"),
  "scan.comparison": {
    as: "section",
    says: "with `failOnlyOn: new`, what another image has already is let pass",
    more: "widening",
  },
  "scan.comparison.environment": identity("images promoted into {} are compared with"),
  "scan.comparison.tags": grants("the image at the tag {} is compared with"),
  "scan.comparison.maxAge": atMost("the scan that is compared with is {} old at most"),
  "scan.rescan": { as: "section", says: "what a rescan finds may count later", more: "widening" },
  "scan.rescan.kev": later("what a rescan finds that is known to be exploited counts after {}"),
  "scan.rescan.others": later("what else a rescan finds counts after {}"),
  "scan.rescan.every": {
    ...{ as: "most", unit: "duration", absent: rescannedEvery },
    says: "the days of what a rescan finds begin {} after the scan before at the latest",
  },
  "scan.data": { as: "section", says: "vulnerability data is taken from a registry alone, signed", more: "narrowing" },
  "scan.data.repository": identity("vulnerability data is taken from {}"),
  "scan.data.signers": grants("vulnerability data that {} signed is taken"),
  "scan.data.maxAge": atMost("that the data is the newest was last seen {} ago at most"),
  "scan.data.kev": scale("whatever is found is held to CISA's mirrored list of what is exploited: {}", true, undefined),
  "scan.databaseMaxAge": atMost("the vulnerability data is {} old at most"),
  "scan.allowBlindSpots": grants("a scan passes in spite of {}"),
  "scan.ownWord": scale("an image's own word that it mended its base: {}", "refuse", "accept"),
};

const environments: Meanings = {
  environments: { as: "names", says: "images can be promoted into {}", more: "widening" },
  "environments.*.from": grants("images may come from {}", { covers: isUnder }),
  "environments.*.to": grants("images may be promoted to {}", { covers: isUnder }),
  "environments.*.requires": { as: "list", says: "evidence of {} is required", more: "narrowing", by: ["stage"] },
  "environments.*.requires[].stage": told("it is the evidence of {}"),
  "environments.*.requires[].signers": grants("for this stage the word of {} counts"),
  "environments.*.requires[].maxAge": atMost("its evidence is {} old at most"),
  "environments.*.requires[].environment": identity("the image was promoted into {} before", { absent: "all" }),
  "environments.*.promoter": identity("{} signs its promotions"),
  ...gateMeanings("environments.*.refuse"),
  "environments.*.referrers": scale("what goes along with an image: {}", "signed", "all"),
  "environments.*.serverSide": told(
    "a registry product brings the bytes, which are verified there as everywhere else: {}",
  ),
};

/** By key, as `bases[].until` or `signers.*.from`. A key that is not here is one whose change nobody can read. */
export const meanings: Meanings = {
  version: told("the format is of version {}"),
  name: told("the policy is called {}"),
  serial: told("the serial is {}"),
  accepts: told("evidence of earlier versions counts: {}"),
  activators: grants("a policy that {} signs can be put in force"),
  ...registries,
  ...signers,
  ...trust,
  ...bases,
  ...images,
  ...rules,
  ...build,
  ...scan,
  exceptions: {
    as: "list",
    says: "the exception {} holds",
    more: "widening",
    by: ["rule", "vulnerability", "license", "repository", "package", "gate"],
  },
  "exceptions[].rule": told("it is of the rule {}"),
  "exceptions[].vulnerability": told("it is for {}"),
  "exceptions[].license": told("it is for the licence {}"),
  "exceptions[].repository": told("it is for images of {}"),
  "exceptions[].package": told("it is for the package {}"),
  "exceptions[].gate": told("it is for the gate {}"),
  "exceptions[].reason": told("its reason is: {}"),
  "exceptions[].owner": told("{} answers for it"),
  "exceptions[].expires": until("it holds until {}"),
  signedExceptions: { as: "section", says: "exceptions that are signed beside the policy count", more: "widening" },
  "signedExceptions.repository": identity("signed exceptions are kept in {}"),
  "signedExceptions.signers": { as: "list", says: "exceptions that {} signs count", more: "widening", by: ["signer"] },
  "signedExceptions.signers[].signer": told("they are signed by {}"),
  "signedExceptions.signers[].repositories": grants("it may grant them for images of {}", {
    absent: "all",
    covers: isUnder,
  }),
  "signedExceptions.signers[].rules": grants("it may set {} aside", { absent: "all" }),
  "signedExceptions.signers[].longest": {
    ...{ as: "most", unit: "duration", absent: 90 * 86_400_000 },
    says: "they may hold for {} at most",
  },
  enforceFrom: { as: "days" },
  layers: { as: "list", says: "it is put together of {}", more: "neither", by: ["name"] },
  "layers[].name": told("it is the policy {}"),
  "layers[].serial": told("that policy's serial is {}"),
  "layers[].digest": told("that policy's digest is {}"),
  ...environments,
};
