/**
 * A CycloneDX document of what is installed from package-lock.json: names, versions, hashes and licences, and who needs
 * whom. Without serial number and time, so that the same lock file is the same document.
 * @param {ReadonlySet<string>} present paths of the lock file
 */
export function renderSbom(manifest, lock, present) {
  const installed = Object.entries(lock.packages).filter(([path]) => path !== "" && present.has(path));
  const paths = new Set(installed.map(([path]) => path));
  const refs = new Map(
    installed.map(([path, entry]) => [path, `${purlOf(nameAt(path, entry), entry.version)}#${path}`]),
  );
  const root = `${manifest.name ?? "application"}@${manifest.version ?? "0.0.0"}`;
  const needs = (path, entry) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies, ...entry.peerDependencies })
      .map((name) => findPackage(paths, path, name))
      .filter((found) => found !== undefined)
      .map((found) => refs.get(found));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        "bom-ref": root,
        type: "application",
        name: manifest.name ?? "application",
        version: manifest.version ?? "0.0.0",
      },
    },
    components: installed.map(([path, entry]) => componentOf(path, entry, refs.get(path))),
    dependencies: [
      { ref: root, dependsOn: unique(needs("", lock.packages[""] ?? {})) },
      ...installed.map(([path, entry]) => ({ ref: refs.get(path), dependsOn: unique(needs(path, entry)) })),
    ],
  };
}

/** The runtime's own document: scanners know Node.js by its CPE, and not by the npm package that carried it. */
export function renderRuntimeSbom(version, integrity) {
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    components: [
      {
        "bom-ref": `pkg:generic/node@${version}`,
        type: "application",
        name: "node",
        version,
        cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
        purl: `pkg:generic/node@${version}`,
        licenses: [{ license: { id: "MIT" } }],
        properties: [{ name: "goldenpath:npm-integrity", value: integrity }],
      },
    ],
  };
}

function componentOf(path, entry, ref) {
  const name = nameAt(path, entry);
  const scope = name.startsWith("@") ? name.slice(0, name.indexOf("/")) : undefined;
  return {
    "bom-ref": ref,
    type: "library",
    ...(scope === undefined ? {} : { group: scope }),
    name: scope === undefined ? name : name.slice(scope.length + 1),
    version: entry.version,
    purl: purlOf(name, entry.version),
    ...(entry.integrity === undefined ? {} : { hashes: entry.integrity.split(" ").flatMap(hashOf) }),
    ...(typeof entry.license === "string" ? { licenses: [licenseOf(entry.license)] } : {}),
  };
}

/**
 * Paths of package-lock.json that `npm ci --omit=dev` has to install for this machine. What is for development or
 * optional, whichever way it is reached (`devOptional`), is left out only where both kinds are, and peers are
 * installed. Of optional packages npm may leave out more: those whose download fails, and what only such a one needs.
 * Where npm says so: `@npmcli/arborist`, `lib/arborist/reify.js`, and `npm-install-checks`.
 * @returns {{ path: string, mayBeAbsent: boolean }[]}
 */
export function planInstalled(lock, target) {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== "" && entry.dev !== true && entry.link !== true)
    .map(([path, entry]) => ({ path, mayBeAbsent: isOptional(entry), fits: fitsTarget(entry, target) }))
    .filter((each) => each.fits || !each.mayBeAbsent)
    .map(({ path, mayBeAbsent }) => ({ path, mayBeAbsent }));
}

function isOptional(entry) {
  return entry.optional === true || entry.devOptional === true;
}

function fitsTarget(entry, target) {
  return fits(entry.os, "linux") && fits(entry.cpu, target.cpu) && fits(entry.libc, "glibc");
}

/** `os`, `cpu` and `libc` of package.json: names that fit, or names with ! that don't; a text is a list of one. */
function fits(given, value) {
  const list = typeof given === "string" ? [given] : (given ?? []);
  if (list.length === 0) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || (list.length === 1 && list[0] === "any") || list.every((item) => item.startsWith("!"));
}

/** `node_modules/a/node_modules/@scope/b` → `@scope/b`, unless the entry is an alias and tells its real name. */
function nameAt(path, entry) {
  return entry.name ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
}

/** Where Node.js would find `name` from the package at `path`: beneath it, or beside one of those around it. */
function findPackage(paths, path, name) {
  let at = path;
  for (;;) {
    const candidate = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (paths.has(candidate)) return candidate;
    if (at === "") return undefined;
    at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")));
  }
}

function purlOf(name, version) {
  return `pkg:npm/${name.replace("@", "%40")}@${encodeURIComponent(version)}`;
}

/** Subresource integrity is base64, CycloneDX wants hexadecimal. */
function hashOf(integrity) {
  const [algorithm, value] = [integrity.slice(0, integrity.indexOf("-")), integrity.slice(integrity.indexOf("-") + 1)];
  const known = { sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" }[algorithm];
  return known === undefined ? [] : [{ alg: known, content: Buffer.from(value, "base64").toString("hex") }];
}

/** An SPDX expression where it looks like one; npm also allows free text such as `SEE LICENSE IN file`. */
function licenseOf(text) {
  const expression =
    /^\(*[A-Za-z0-9.+-]+\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*$/.test(text) && text !== "UNLICENSED";
  return expression ? { expression: text } : { license: { name: text } };
}

function unique(values) {
  return [...new Set(values)].sort();
}
