/** Which source an image is of, as a statement about it says. */
export interface OriginSource {
  /** `https://HOST/OWNER/REPO`; of an image that was imported `oci://HOST/NAME`. */
  repository: string;
  /** Which version of it, in hexadecimal digits: a commit; of an image its digest. */
  version: string;
  ref?: string | undefined;
  /** The event that started the build, and the workflow that this started, where the statement says so. */
  event?: string | undefined;
  callerId?: string | undefined;
}

/** Something that a build has used. */
export interface NamedDigest {
  uri?: string | undefined;
  /** Algorithm → hex. */
  digest?: Readonly<Record<string, string>> | undefined;
}

/** `git+https://HOST/PATH[.git][@REF]`, as in-toto's resource descriptors and SPDX have it. */
const gitUri = /^git\+(https:\/\/[^\s@?#]+?)(?:\.git)?\/?(?:@(refs\/[^\s@?#]+))?$/;

/** `https://HOST/PATH.git[#REF|#COMMIT][:FOLDER]`, as BuildKit has it. */
const buildkitUri = /^(https:\/\/[^\s@?#]+?)\.git(?:#(?:(refs\/[^\s@?#:]+)|([0-9a-f]{40}))?(?::[^\s#]*)?)?$/;

/**
 * Ways to write a repository of Git besides `git+…`: of what a SHA-1 names at another URI, it may be a file's own. A
 * commit that is called so (`gitCommit`) is one under any URI.
 */
const gitLike = /^(?:git[+:@]|ssh:|pkg:(?:github|gitlab|bitbucket)\/)|\.git(?:$|[/@#?])/i;

/** The one commit of a Git repository among what a build has used; or why it is not one. */
export function readOnlyCommit(used: readonly NamedDigest[]): OriginSource | { problem: string } {
  const commits = used.flatMap(({ uri = "", digest = {} }) => {
    const version = digest["gitCommit"] ?? (gitLike.test(uri) ? digest["sha1"] : undefined);
    if (version === undefined && !uri.startsWith("git+")) return [];
    const [, repository, ref, named = version] = gitUri.exec(uri) ?? buildkitUri.exec(uri) ?? [];
    return [{ repository, ref, version: named === version ? version : undefined }];
  });
  const [only, ...others] = commits;
  if (only === undefined || others.length > 0)
    return { problem: `it names ${commits.length} commits of Git repositories, and not the one that was built` };
  const { repository, ref, version } = only;
  if (repository === undefined || version === undefined || !isCommit(version))
    return { problem: "what it was built from is no commit of a repository at an https URL" };
  return { repository, version, ref };
}

export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
