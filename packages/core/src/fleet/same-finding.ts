import { parsePackageUrl, sourcePackageOf } from "../scan/components.ts";
import type { FindingPackage } from "../scan/finding.ts";
import { linkNames } from "../scan/merge.ts";
import type { ToldFinding } from "../scan/told-findings.ts";

/** What tells that two findings of one image are the same: those that share one of these are. */
export type FindingIdentity = (finding: ToldFinding) => ReadonlySet<string>;

/**
 * Which findings of an image, of now and of scans before, are the same vulnerability in the same package. The image is
 * one digest, so nothing in it changes, but what that is called does: an advisory gets its CVE, another scanner has
 * names of its own, a package's URL gets a qualifier, or the package is told by its source's name. So all names of a
 * finding count, those that it covers and those that join it to another by way of a third one's; and of packages every
 * name of theirs, without version, type and qualifiers. As where scanners are merged, no third record makes two CVEs one.
 * @param findings all that are asked about
 */
export function identifyFindings(findings: readonly ToldFinding[]): FindingIdentity {
  const listed = new Map<string, string[]>();
  // Each scan tells the same packages again.
  const listNames = (of: FindingPackage): string[] => {
    const key = JSON.stringify([of.name, of.purl]);
    const names = listed.get(key) ?? listPackageNames(of);
    listed.set(key, names);
    return names;
  };
  const packageOf = joinNames(findings.map(({ package: of }) => listNames(of)));
  const name = (finding: ToldFinding): FindingPackage => ({
    ...{ type: "", version: "" },
    name: JSON.stringify([finding.child ?? "", finding.platform, packageOf(listNames(finding.package)[0] as string)]),
  });
  const setOf = linkNames(
    findings.map((finding) => ({
      id: finding.id.toUpperCase(),
      aliases: finding.aliases.map((alias) => alias.toUpperCase()),
      package: name(finding),
    })),
  );
  return (finding) => {
    const of = { package: name(finding) };
    const { id, aliases, covers = [] } = finding;
    return new Set([id, ...aliases, ...covers].map((each) => setOf(of, each.toUpperCase())));
  };
}

/** Never empty. Of `@acme/left`, `org.acme:left` and `github.com/acme/left` the last part: the groups are in URLs apart. */
function listPackageNames({ name, purl }: FindingPackage): string[] {
  const url = parsePackageUrl(purl);
  const names = url === undefined ? [name] : [name, url.name, sourcePackageOf(url).name];
  return [
    ...new Set(
      names.map((each) =>
        each
          .toLowerCase()
          .replace(/^.*[/:]/, "")
          .replaceAll(/[-_.]+/g, "-"),
      ),
    ),
  ];
}

/** Names that stand in one list are of one thing → one name for each thing. */
function joinNames(lists: readonly (readonly string[])[]): (name: string) => string {
  const parents = new Map<string, string>();
  const find = (name: string): string => {
    let root = name;
    for (let next = parents.get(root); next !== undefined; next = parents.get(root)) root = next;
    return root;
  };
  for (const [first = "", ...others] of lists) {
    for (const other of others) {
      const [left, right] = [find(first), find(other)];
      if (left !== right) parents.set(right, left);
    }
  }
  return find;
}
