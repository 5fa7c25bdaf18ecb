import {
  type Finding,
  type FindingCounts,
  findingSeverities,
  isSystemPackage,
  namesOf,
  originOf,
  packageKey,
  type Saying,
  type ScannerFinding,
  sortFindings,
} from "./finding.ts";

/** Fixed first: where any source knows of a fix, the gate asks for it. */
const fixStates = ["fixed", "wont-fix", "not-fixed", "unknown"] as const satisfies Finding["fixState"][];

/**
 * Findings, each once, in the order in which they come first. Two are the same where they are of one package and share
 * a name of the vulnerability, be it by way of a third one's names, which never joins two CVEs. Where sources, paths or platforms say different
 * things of one, the worst of it holds: severity (nobody's rating counts as the gate counts it), known exploitation,
 * probability, score, and that there is a fix. Only of a distribution's package its own advisory counts, in severity
 * and fix: it knows what was mended in its version. A source that took its advisory back counts where none else is
 * left.
 */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, Finding[]>();
  const setOf = linkNames(findings);
  for (const finding of findings) {
    const leader = setOf(finding, finding.id);
    const group = groups.get(leader);
    if (group === undefined) groups.set(leader, [finding]);
    else group.push(finding);
  }
  return [...groups].map(([leader, group]) => {
    const merged = group.reduce(mergeTwo);
    const own = merged.aliases.filter((name) => setOf(merged, name) === leader);
    if (own.length === merged.aliases.length) return merged;
    // What one record calls by names of several is not a name of this one: nothing said of the others holds for it.
    const others = merged.aliases.filter((name) => !own.includes(name));
    return { ...merged, aliases: own, covers: unique([...(merged.covers ?? []), ...others]) };
  });
}

type NamedFinding = Pick<Finding, "id" | "aliases" | "package">;

/**
 * Disjoint sets of names, by package: names that one finding has are of one vulnerability. Two with a CVE each are two,
 * whatever a third record says: what is said of one CVE, be it an exception, must not set another aside.
 */
export function linkNames(
  findings: readonly NamedFinding[],
): (finding: Pick<Finding, "package">, name: string) => string {
  const parents = new Map<string, string>();
  const cves = new Map<string, string>();
  const nodeOf = (key: string, name: string): string => {
    const node = `${key}\0${name}`;
    if (isCve(name)) cves.set(node, cves.get(node) ?? name);
    return node;
  };
  const find = (node: string): string => {
    let root = node;
    for (let next = parents.get(root); next !== undefined; next = parents.get(root)) root = next;
    // Each node on the way is hung below the root, so that a long chain of names is walked once.
    for (let at = node; at !== root; ) {
      const next = parents.get(at) ?? root;
      parents.set(at, root);
      at = next;
    }
    return root;
  };
  const join = (a: string, b: string): void => {
    const [left, right] = [cves.get(a), cves.get(b)];
    if (a === b || (left !== undefined && right !== undefined && left !== right)) return;
    parents.set(b, a);
    if (left === undefined && right !== undefined) cves.set(a, right);
  };
  // Those that have a CVE come first, so that whose names are whose does not depend on the order of the sources.
  const hasCve = (finding: NamedFinding): number => (namesOf(finding).some(isCve) ? 0 : 1);
  for (const finding of findings.toSorted((a, b) => hasCve(a) - hasCve(b))) {
    const key = packageKey(finding.package);
    const [first = "", ...others] = namesOf(finding).map((name) => nodeOf(key, name));
    const isOfSeveral = namesOf(finding).filter(isCve).length > 1;
    for (const other of isOfSeveral ? [] : others) join(find(first), find(other));
  }
  return (finding, name) => find(`${packageKey(finding.package)}\0${name}`);
}

function isCve(name: string): boolean {
  return name.startsWith("CVE-");
}

function mergeTwo(a: Finding, b: Finding): Finding {
  const { suggestedVersion: _suggested, withdrawn: _withdrawn, advisory: _advisory, covers: _covers, ...rest } = a;
  const description = a.description ?? b.description;
  const hidden = a.hidden ?? b.hidden;
  const scope = mergeScope(a.package.scope, b.package.scope);
  const { scope: _scope, ...pkg } = a.package;
  const names = unique([...namesOf(a), ...namesOf(b)]);
  const covers = unique([...(a.covers ?? []), ...(b.covers ?? [])]).filter((name) => !names.includes(name));
  const saidBy = uniqueValues([...a.saidBy, ...b.saidBy]);
  const suggested = unique([a.suggestedVersion, b.suggestedVersion]);
  const counted = concludeSayings(saidBy, isSystemPackage(a.package));
  return {
    ...rest,
    aliases: names.filter((name) => name !== a.id),
    ...(covers.length === 0 ? {} : { covers }),
    package: { ...pkg, ...(scope === undefined ? {} : { scope }) },
    ...counted,
    // Of two recommendations neither is known to mend what the other source means: then all versions are told.
    ...(suggested.length === 1 && counted.fixedVersions.includes(suggested[0] as string)
      ? { suggestedVersion: suggested[0] as string }
      : {}),
    layers: unique([...a.layers, ...b.layers]),
    paths: unique([...a.paths, ...b.paths]),
    origin: a.origin === b.origin ? a.origin : "unknown",
    urls: unique([...a.urls, ...b.urls]),
    ...(description === undefined ? {} : { description }),
    ...mergeRatings(a, b),
    ...(hidden === undefined ? {} : { hidden }),
    saidBy,
  };
}

/** What counts of what is said: of a distribution's package what the distribution says, else the worst of all. */
function concludeSayings(
  saidBy: readonly Saying[],
  isSystem: boolean,
): Pick<Finding, "severity" | "fixState" | "fixedVersions" | "withdrawn" | "advisory"> {
  const standing = saidBy.filter(({ withdrawn }) => withdrawn === undefined);
  const heard = standing.length === 0 ? saidBy : standing;
  const own = isSystem ? heard.filter(({ advisory }) => advisory?.isDistributions === true) : [];
  const rated = own.filter(({ severity, advisory }) => severity !== "unknown" && advisory?.ratedElsewhere !== true);
  const ofFix = own.length === 0 ? heard : own;
  const withdrawn = standing.length === 0 ? saidBy.flatMap((each) => each.withdrawn ?? []).toSorted() : [];
  const advisory = ofFix.find((each) => each.advisory !== undefined)?.advisory;
  return {
    severity: firstOf(
      findingSeverities,
      (rated.length === 0 ? heard : rated).map(({ severity }) => severity),
    ),
    fixState: firstOf(
      fixStates,
      ofFix.map(({ fixState }) => fixState),
    ),
    fixedVersions: unique(ofFix.flatMap(({ fixedVersions }) => fixedVersions)),
    ...(withdrawn.length === 0 ? {} : { withdrawn: withdrawn.at(-1) as string }),
    ...(advisory === undefined ? {} : { advisory }),
  };
}

type Ratings = Pick<Finding, "cvss" | "scores" | "epss" | "kev" | "malicious" | "fixReleases">;

/** The worst of both; that there is none is only so where nobody says that there is one. */
function mergeRatings(a: Finding, b: Finding): Ratings {
  const cvss = [a.cvss, b.cvss].filter((score) => score !== undefined);
  const epss = [a.epss, b.epss].filter((each) => each !== undefined);
  const probabilities = epss.filter((each) => each !== "none");
  const scores = mergeLists(a.scores, b.scores);
  const fixReleases = mergeLists(a.fixReleases, b.fixReleases);
  return {
    ...(cvss.length === 0 ? {} : { cvss: Math.max(...cvss) }),
    ...(scores === undefined ? {} : { scores }),
    ...(epss.length === 0 ? {} : { epss: probabilities.length === 0 ? "none" : Math.max(...probabilities) }),
    ...mergeFlag("kev", a, b),
    ...mergeFlag("malicious", a, b),
    ...(fixReleases === undefined ? {} : { fixReleases }),
  };
}

function mergeFlag<K extends "kev" | "malicious">(key: K, a: Finding, b: Finding): Partial<Pick<Finding, K>> {
  const said = [a[key], b[key]].filter((each) => each !== undefined);
  return said.length === 0 ? {} : ({ [key]: said.includes(true) } as Pick<Finding, K>);
}

/** What one says is there for more holds: `development` only where all say so. */
export function mergeScope(
  a: Finding["package"]["scope"],
  b: Finding["package"]["scope"],
): Finding["package"]["scope"] {
  if (a === undefined || b === undefined) return undefined;
  return firstOf(["runtime", "optional", "development"] as const, [a, b]);
}

function mergeLists<T>(a: readonly T[] | undefined, b: readonly T[] | undefined): T[] | undefined {
  if (a === undefined && b === undefined) return undefined;
  return uniqueValues([...(a ?? []), ...(b ?? [])]);
}

function uniqueValues<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

/** The first in an order of what is said; nothing said is an error of whoever calls. */
function firstOf<T>(order: readonly T[], said: readonly T[]): T {
  const first = order.find((each) => said.includes(each));
  if (first === undefined) throw new TypeError("nothing is said");
  return first;
}

function unique<T>(values: readonly (T | undefined)[]): T[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}

/** How many different findings there are of each severity; one seen on several platforms counts once. */
export function countFindings(findings: readonly Finding[]): FindingCounts {
  const counts: FindingCounts = { critical: 0, high: 0, unknown: 0, medium: 0, low: 0, negligible: 0 };
  for (const finding of mergeFindings(findings)) counts[finding.severity] += 1;
  return counts;
}

/** What one source found: a scanner by its name, or an imported report. */
export interface SourceFindings {
  source: string;
  findings: readonly ScannerFinding[];
}

/**
 * What all sources found in one image, each vulnerability of a package once, the worst first.
 * @param found in the order whose first names a finding
 * @param baseDiffIds of the layers of the base that the image stands on
 */
export function placeFindings(found: readonly SourceFindings[], baseDiffIds?: readonly string[]): Finding[] {
  const findings = found.flatMap(({ source, findings: ofSource }) =>
    ofSource.map((finding) => openFinding(finding, source)),
  );
  return sortFindings(
    mergeFindings(findings).map((finding) => ({ ...finding, origin: originOf(finding.layers, baseDiffIds) })),
  );
}

/** What one source says, as a finding of its own. */
export function openFinding(said: ScannerFinding, source: string): Finding {
  const { id, severity, fixState, fixedVersions, cvss, paths, withdrawn, advisory } = said;
  const isMalicious = said.malicious ?? (namesOf(said).some((name) => name.startsWith("MAL-")) || undefined);
  return {
    ...said,
    package: nameSystemType(said.package),
    ...(isMalicious === undefined ? {} : { malicious: isMalicious }),
    origin: "unknown",
    saidBy: [
      {
        ...{ source, id, severity, fixState, fixedVersions, paths },
        ...(cvss === undefined ? {} : { cvss }),
        ...(withdrawn === undefined ? {} : { withdrawn }),
        ...(advisory === undefined ? {} : { advisory }),
      },
    ],
  };
}

/**
 * A system's package has its package URL's type, whatever the scanner calls that: whether layers above a base changed
 * it is judged by its own files, and of a package of another kind by the place where it was seen, which is the whole
 * system's database.
 */
function nameSystemType(found: Finding["package"]): Finding["package"] {
  const [, type] = /^pkg:(deb|apk|rpm)\//.exec(found.purl ?? "") ?? [];
  return type === undefined || type === found.type ? found : { ...found, type };
}
