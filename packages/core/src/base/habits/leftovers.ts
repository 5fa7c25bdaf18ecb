import type { ContentNote, LayerContents, LayerEntry } from "../../layers/contents.ts";
import type { Antipattern } from "../../policy/images-section.ts";
import { loginInUrl } from "./config.ts";

/** What a layer has that its build needed and the image does not. */
export interface Leftover {
  kind: "package-cache" | "secret" | "credential";
  /** From 0, the lowest. */
  layer: number;
  /** Byte string, without a slash in front: of a cache the folder. */
  path: string;
  /** What it is, for a message; never a part of its content. */
  what: string;
  /** Of a cache: all its files in this layer, bytes. */
  size: number;
  /** Of a credential. */
  at?: Pick<ContentNote, "line" | "hash">;
}

/** Package managers' caches at one place of the file system: by their own documentation. */
const systemCaches: readonly { folder: string; what: string; file?: RegExp }[] = [
  { folder: "var/cache/apt/archives", what: "apt's packages", file: /\.deb$/ },
  { folder: "var/lib/apt/lists", what: "apt's lists", file: /_(?:Packages|Sources|Release|InRelease|Contents-\w+)\b/ },
  { folder: "var/cache/apk", what: "apk's packages" },
  { folder: "var/cache/dnf", what: "dnf's packages" },
  { folder: "var/cache/libdnf5", what: "dnf's packages" },
  { folder: "var/cache/yum", what: "yum's packages" },
  { folder: "var/cache/zypp", what: "zypper's packages" },
  { folder: "var/cache/pacman/pkg", what: "pacman's packages" },
];

/** Those of a user, in whosever home. yarn's `.yarn/cache` is none: an application may run from it. */
const homeCaches: readonly { folder: string; what: string }[] = [
  { folder: ".npm/_cacache", what: "npm's cache" },
  { folder: ".cache/yarn", what: "yarn's cache" },
  { folder: ".local/share/pnpm/store", what: "pnpm's store" },
  { folder: ".cache/pip", what: "pip's cache" },
  { folder: ".cache/pypoetry", what: "poetry's cache" },
  { folder: ".cache/uv", what: "uv's cache" },
  { folder: ".cache/go-build", what: "Go's compiled packages" },
  { folder: "go/pkg/mod/cache", what: "Go's modules" },
  { folder: ".m2/repository", what: "Maven's repository" },
  { folder: ".gradle/caches", what: "Gradle's cache" },
  { folder: ".nuget/packages", what: "NuGet's packages" },
  { folder: ".cargo/registry", what: "Cargo's registry" },
  { folder: ".cache/composer", what: "Composer's cache" },
  { folder: ".composer/cache", what: "Composer's cache" },
];

const privateKey = /-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH) )?PRIVATE KEY-----/;

/**
 * Files in which programs keep logins, by their own documentation, and what is in one that has any. The content is a
 * stranger's, so every quantifier has an end: nothing takes more than a few steps for each byte.
 */
const secretFiles: readonly { path: RegExp; content: RegExp; what: string }[] = [
  { path: /(?:^|\/)\.ssh\/[^/]+$/, content: privateKey, what: "a private key of SSH" },
  { path: /(?:^|\/)etc\/ssl\/private\/[^/]+$/, content: privateKey, what: "a private key" },
  {
    path: /(?:^|\/)\.npmrc$/,
    content: /(?:_authToken|_auth|_password)[ \t]{0,20}=[ \t]{0,20}(?!\$\{)\S/,
    what: "a login of npm",
  },
  {
    path: /(?:^|\/)\.yarnrc\.yml$/,
    content: /npmAuth(?:Token|Ident):[ \t]{0,20}["']?(?!["']?\$\{)\S/,
    what: "a login of yarn",
  },
  { path: /(?:^|\/)[._]netrc$/, content: /\bpassword\s{1,20}\S/, what: "a login (netrc)" },
  { path: /(?:^|\/)\.git-credentials$/, content: loginInUrl, what: "a login of git" },
  { path: /(?:^|\/)\.git\/config$/, content: loginInUrl, what: "a login of git" },
  {
    path: /(?:^|\/)\.git\/config$/,
    content: /extraheader[ \t]{0,20}=[ \t]{0,20}authorization:/i,
    what: "a login of git",
  },
  {
    path: /(?:^|\/)\.aws\/credentials$/,
    content: /aws_secret_access_key[ \t]{0,20}=[ \t]{0,20}\S/,
    what: "a login of AWS",
  },
  {
    path: /(?:^|\/)(?:\.docker\/config|containers\/auth)\.json$/,
    content: /"(?:auth|identitytoken|registrytoken)"\s{0,20}:\s{0,20}"[^"]/,
    what: "a login of a registry",
  },
  { path: /(?:^|\/)\.pypirc$/, content: /password[ \t]{0,20}[:=][ \t]{0,20}\S/, what: "a login of PyPI" },
  { path: /(?:^|\/)pip\.conf$/, content: loginInUrl, what: "a login of a Python index" },
  {
    path: /(?:^|\/)\.m2\/settings(?:-security)?\.xml$/,
    content: /<(?:password|passphrase|master)>\s{0,50}(?!\$\{)[^<\s]/,
    what: "a login of Maven",
  },
  {
    path: /(?:^|\/)\.gradle\/gradle\.properties$/,
    content: /(?:password|token|secret)\w{0,40}[ \t]{0,20}[:=][ \t]{0,20}\S/i,
    what: "a login of Gradle",
  },
  {
    path: /(?:^|\/)\.cargo\/credentials(?:\.toml)?$/,
    content: /token[ \t]{0,20}=[ \t]{0,20}\S/,
    what: "a login of Cargo",
  },
  { path: /(?:^|\/)\.gem\/credentials$/, content: /:\w{1,60}:[ \t]{0,20}\S/, what: "a login of RubyGems" },
  {
    path: /(?:^|\/)\.?composer\/auth\.json$/,
    content: /"[^"]{1,256}"\s{0,20}:\s{0,20}"[^"]/,
    what: "a login of Composer",
  },
  {
    path: /(?:^|\/)nuget\.config$/i,
    content: /ClearTextPassword"\s{1,20}value="[^"]/i,
    what: "a login of NuGet",
  },
  {
    path: /(?:^|\/)\.kube\/config$/,
    content: /(?:token|client-key-data|password):[ \t]{0,20}\S/,
    what: "a login of Kubernetes",
  },
  {
    path: /(?:^|\/)gcloud\/(?:application_default_credentials\.json|credentials\.db|access_tokens\.db)$/,
    content: /\S/,
    what: "a login of Google Cloud",
  },
  {
    path: /(?:^|\/)\.azure\/(?:accessTokens|msal_token_cache)\.json$/,
    content: /"secret"|"accessToken"/,
    what: "a login of Azure",
  },
];

/** Of a file that may have a login in it: no program's is larger. Bytes. */
export const largestLogin = 1024 * 1024;

/** Whether the content of a path decides if it is a secret. */
export function mayBeSecret(path: string): boolean {
  return secretFiles.some((each) => each.path.test(path));
}

/** What of the layers is looked for. */
export interface LeftoverKinds {
  secrets: boolean;
  credentials: boolean;
  caches: boolean;
}

/** What a policy's `images.refuse` has looked for. */
export function chooseLeftovers(refuse: readonly Antipattern[]): LeftoverKinds {
  return {
    secrets: refuse.includes("secrets"),
    credentials: refuse.includes("credentials"),
    caches: refuse.includes("package-caches"),
  };
}

/**
 * What the layers above a base have that should have stayed in the build: caches of package managers, logins and
 * private keys at the places where programs keep them, and credentials that were noted as their files were read. Each layer is looked at by itself: what a later one removes is
 * still sent to whoever pulls the image. What can't be looked at, at such a place, is told as well.
 * @param layers all of the image, the lowest first, with the content of what {@link mayBeSecret}, up to
 *   {@link largestLogin}
 * @param baseLayers how many of them are the base's, which are not looked at
 */
export function findLeftovers(
  layers: readonly Pick<LayerContents, "entries">[],
  baseLayers: number,
  { secrets, credentials, caches: looksForCaches }: LeftoverKinds,
): Leftover[] {
  const found: Leftover[] = [];
  for (const [layer, { entries }] of layers.entries()) {
    if (layer < baseLayers) continue;
    const caches = new Map<string, Leftover>();
    for (const entry of entries) {
      const { path, size } = entry;
      const what = secrets ? findSecret(entry) : undefined;
      if (what !== undefined) found.push({ kind: "secret", layer, path, what, size });
      for (const { what: noted, ...at } of (credentials ? entry.notes : undefined) ?? [])
        found.push({ kind: "credential", layer, path, what: noted, size, at });
      const cache = looksForCaches && entry.kind === "file" && size > 0 ? cacheOf(path) : undefined;
      if (cache === undefined) continue;
      const known = caches.get(cache.path) ?? { kind: "package-cache", layer, ...cache, size: 0 };
      caches.set(cache.path, { ...known, size: known.size + size });
    }
    found.push(...caches.values());
  }
  return found;
}

function findSecret({ kind, path, size, content }: LayerEntry): string | undefined {
  if (kind === "hardlink" && mayBeSecret(path)) return "another file's content, which nobody looks at there,";
  if (kind !== "file" || size === 0 || !mayBeSecret(path)) return undefined;
  if (size > largestLogin || content === undefined) return "what is too large to be looked at";
  const text = Buffer.from(content)
    .toString("latin1")
    .split("\n")
    .filter((line) => !/^\s{0,20}[#;]/.test(line))
    .join("\n");
  return secretFiles.find((each) => each.path.test(path) && each.content.test(text))?.what;
}

function cacheOf(path: string): Pick<Leftover, "path" | "what"> | undefined {
  const system = systemCaches.find(
    ({ folder, file }) => path.startsWith(`${folder}/`) && (file === undefined || file.test(path)),
  );
  if (system !== undefined) return { path: system.folder, what: system.what };
  for (const { folder, what } of homeCaches) {
    const at = `/${path}`.indexOf(`/${folder}/`);
    if (at !== -1) return { path: path.slice(0, at + folder.length), what };
  }
  return undefined;
}
