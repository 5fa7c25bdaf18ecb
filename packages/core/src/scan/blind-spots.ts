import type { BlindSpot } from "../policy/scan-section.ts";
import type { Violation } from "../result.ts";

/** What an SBOM and the vulnerability data say of what a scan can see in one image. */
export interface Sight {
  /**
   * Of each package that is visible: the cataloger's word for its type, else its package URL's (`deb`, `npm`); empty
   * where neither says.
   */
  packageTypes: readonly string[];
  /** Operating systems that the image says it is. */
  systems: readonly System[];
  /** Whether the data has that system, in that version; undefined where nobody asked. */
  dataKnows?: (system: System) => boolean | undefined;
}

export interface System {
  /** os-release's ID: `debian`. */
  name: string;
  /** os-release's VERSION_ID; empty where it has none. */
  version: string;
}

interface Spot {
  kind: BlindSpot;
  problem: string;
  wayOut: string;
}

/** Types of operating systems' packages, by syft and by purl-spec's PURL-TYPES, and whose database lists them. */
const managers: Readonly<Record<string, string>> = {
  ...{ deb: "dpkg", rpm: "rpm", apk: "apk", alpm: "pacman" },
  ...{ portage: "portage", ebuild: "portage" },
};

/** os-release IDs of the distributions that scanners know, by their package manager. */
const distributions: Readonly<Record<string, readonly string[]>> = {
  dpkg: ["debian", "ubuntu", "raspbian"],
  apk: ["alpine", "wolfi", "chainguard", "postmarketos", "minimos"],
  rpm: [
    "almalinux",
    "amzn",
    "azurelinux",
    "centos",
    "fedora",
    "mariner",
    "ol",
    "opensuse-leap",
    "photon",
    "rhel",
    "rocky",
    "sles",
  ],
  pacman: ["arch", "archlinux"],
};

function managerOf(name: string): string | undefined {
  return Object.keys(distributions).find((manager) => distributions[manager]?.includes(name));
}

/** The package managers of operating systems of which packages are visible. */
export function listManagers(packageTypes: readonly string[]): string[] {
  return [
    ...new Set(packageTypes.flatMap((type) => (Object.hasOwn(managers, type) ? [managers[type] as string] : []))),
  ].sort();
}

/**
 * Where a scan sees nothing or can't know what it sees. That nothing is found there says nothing, so each is a
 * violation unless the policy allows its kind.
 */
export function findBlindSpots(sight: Sight): Spot[] {
  const found = listManagers(sight.packageTypes);
  const [system] = sight.systems;
  const spots: Spot[] = [];
  if (found.length === 0 && system !== undefined) {
    spots.push({
      kind: "system-without-packages",
      problem: `It says that it is ${formatSystem(system)}, and no package of an operating system is visible in it.`,
      wayOut:
        "Keep the package database in the image (dpkg's status or status.d, apk's or rpm's), or build on a base that has it.",
    });
  } else if (sight.packageTypes.length === 0) {
    spots.push({
      kind: "no-packages",
      problem: "No package that a scanner could know is visible in it.",
      wayOut:
        "Keep the package metadata in the image (the dpkg, rpm or apk database, node_modules, a Go or Rust program's build information), or build on a base that has it.",
    });
  }
  if (found.length > 1) {
    spots.push({
      kind: "several-package-databases",
      problem: `It has the package databases of ${found.join(" and ")}, and vulnerabilities are looked up for one distribution only.`,
      wayOut: "Build it on one base, and do not copy another distribution's system into it.",
    });
  }
  if (found.length > 0) spots.push(...judgeSystem(sight, found.join(", ")));
  return spots;
}

function judgeSystem({ systems, dataKnows }: Sight, found: string): Spot[] {
  const spot = (problem: string, wayOut: string): Spot[] => [{ kind: "unknown-distribution", problem, wayOut }];
  const [system] = systems;
  if (system === undefined || system.name === "") {
    return spot(
      `It has packages of ${found}, and does not say of which distribution, so none of them is looked up.`,
      "Keep /etc/os-release (or /usr/lib/os-release) in the image, with ID and VERSION_ID.",
    );
  }
  const own = managerOf(system.name);
  if (own !== undefined && !found.split(", ").includes(own)) {
    return spot(
      `It says that it is ${formatSystem(system)}, whose packages are ${own}'s, and has packages of ${found}, which are not looked up for it.`,
      "Keep the /etc/os-release of the system that the packages are of.",
    );
  }
  if (dataKnows?.(system) !== false) return [];
  return spot(
    `It says that it is ${formatSystem(system)}, which the vulnerability data does not know, so its packages are not looked up.`,
    "Build on a distribution and version that the data has, or scan with data that has this one.",
  );
}

/** The violations of one image, by the policy. */
export function judgeBlindSpots(
  sight: Sight,
  allowed: readonly BlindSpot[],
  thing: string,
  platform?: string,
): Violation[] {
  return findBlindSpots(sight)
    .filter(({ kind }) => !allowed.includes(kind))
    .map(({ kind, problem, wayOut }) => ({
      rule: "scan.blind-spot",
      thing: `${thing}: ${kind}`,
      problem,
      wayOut: `${wayOut} Or have the policy's owners add ${kind} to scan.allowBlindSpots.`,
      ...(platform === undefined ? {} : { platform }),
    }));
}

/** Notes on what the policy lets pass: a reader should know all the same. */
export function describeAllowedSpots(sight: Sight, allowed: readonly BlindSpot[]): string[] {
  return findBlindSpots(sight)
    .filter(({ kind }) => allowed.includes(kind))
    .map(({ kind, problem }) => `${kind}, which the policy allows: ${problem}`);
}

function formatSystem({ name, version }: System): string {
  return version === "" ? `${name} without a version` : `${name} ${version}`;
}
