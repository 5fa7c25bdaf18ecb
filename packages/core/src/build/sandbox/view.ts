import { basename, dirname, isAbsolute, normalize, relative } from "node:path";

/** What is known of a path of the machine. */
export interface PathFacts {
  path: string;
  /** Of a link: where it leads, as it is written. */
  target?: string;
}

/** A part of what a build sees of the machine. */
export interface ViewPart {
  mode: "ro" | "rw" | "link" | "mask";
  from: string;
  to: string;
}

export interface ViewFacts {
  /** Of the folders in {@link systemPaths}, those that are there. */
  system: readonly PathFacts[];
  /** The folders of PATH in their order, those that are there, each with where it really is. */
  path: readonly { given: string; real: string }[];
  home: string | undefined;
  /** What nobody's build has to see, wherever it lies: homes, the runner's folders, logins. */
  secret: readonly string[];
  /** Folders with tools in them. */
  toolCaches: readonly string[];
  /** Single files that the build needs: certificates, programs. */
  files: readonly string[];
  writable: readonly string[];
  readable: readonly string[];
}

export interface View {
  parts: ViewPart[];
  /** PATH, without what is not in view. */
  path: string[];
}

/**
 * Of a Debian or Ubuntu, what programs need, and no place for state: /home, /root, /run, /tmp, /var, /srv, /mnt, /sys
 * are not there at all.
 */
export const systemPaths = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt"];

/**
 * In a home, an installation lies at least so deep (`.nvm/versions/node/v24`); what is above that are settings and
 * logins as well (`.cargo`, `.local`).
 */
const installationDepth = 3;

/**
 * What a build sees of the machine: a list of what it needs, and nothing else. Programs in PATH that lie elsewhere are
 * shown with their installation's folder, but for what could have a secret beside them.
 */
export function planView(facts: ViewFacts): View {
  const parts: ViewPart[] = facts.system.map(({ path, target }) =>
    target === undefined ? { mode: "ro", from: path, to: path } : { mode: "link", from: target, to: path },
  );
  const shown = facts.system.filter(({ target }) => target === undefined).map(({ path }) => path);
  const isShown = (path: string): boolean => shown.some((each) => isInside(path, each));
  // Within what is shown, secrets are covered first, and tools that lie in those places are shown again after that.
  for (const secret of facts.secret) if (isShown(secret)) parts.push({ mode: "mask", from: "", to: secret });
  const show = (path: string): void => {
    if (isShown(path) && !facts.secret.some((secret) => isInside(path, secret))) return;
    parts.push({ mode: "ro", from: path, to: path });
    shown.push(path);
  };
  for (const cache of facts.toolCaches) if (!facts.secret.some((secret) => isInside(secret, cache))) show(cache);
  const path: string[] = [];
  for (const { given, real } of facts.path) {
    const folder = isShown(real) && !isSecretHere(real, facts.secret, shown) ? undefined : installationOf(real, facts);
    if (folder === "hidden") continue;
    if (folder !== undefined) show(folder);
    if (given !== real && !isShown(given)) parts.push({ mode: "link", from: real, to: given });
    path.push(given);
  }
  for (const file of facts.files)
    if (!isShown(file) || isSecretHere(file, facts.secret, shown)) parts.push({ mode: "ro", from: file, to: file });
  for (const each of facts.readable) parts.push({ mode: "ro", from: each, to: each });
  for (const each of facts.writable) parts.push({ mode: "rw", from: each, to: each });
  return { parts, path };
}

/** Covered by a mask, and not shown again since. */
function isSecretHere(path: string, secrets: readonly string[], shown: readonly string[]): boolean {
  return secrets.some(
    (secret) => isInside(path, secret) && !shown.some((each) => isInside(each, secret) && isInside(path, each)),
  );
}

function installationOf(bin: string, { home, secret }: ViewFacts): string | "hidden" {
  const above = dirname(bin);
  const candidate = /^\.?s?bin$/.test(basename(bin)) ? above : bin;
  if (home !== undefined && isInside(candidate, home)) {
    // The home itself is secret; what counts are the places in it that are so besides.
    const isSecret = secret.some((each) => isInside(candidate, each) && !isInside(home, each));
    return !isSecret && relative(home, candidate).split("/").length >= installationDepth ? candidate : "hidden";
  }
  // Where something secret lies beside it, the folder with the programs is shown alone.
  const isOpen = (path: string): boolean =>
    path !== "/" && !secret.some((each) => isInside(path, each) || isInside(each, path));
  return [candidate, bin].find(isOpen) ?? "hidden";
}

export function isInside(path: string, folder: string): boolean {
  const from = relative(normalize(folder), normalize(path));
  // A name may begin with two dots as well.
  return from === "" || (from !== ".." && !from.startsWith("../") && !isAbsolute(from));
}
