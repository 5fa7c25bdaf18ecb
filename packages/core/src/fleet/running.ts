import { type Digest, parseDigest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { suggestWord } from "../policy/suggest.ts";
import type { FleetFailure, FleetImage } from "./facts.ts";

/** An image, with the digests of which each is a part of it that may run by itself. */
type RunnableImage = Pick<FleetImage, "repository" | "digest" | "tags"> & { children: readonly Digest[] };

export interface RunningFacts {
  images: readonly RunnableImage[];
  /** What runs: HOST/NAME@DIGEST, DIGEST or HOST/NAME:TAG. */
  running: readonly string[];
  /** `environments.*.to`: what runs from there and was not looked at is a mistake. */
  prefixes: readonly string[];
}

/** What runs, by the list. */
export interface RunningImages {
  digests: Set<string>;
  /** HOST/NAME:TAG */
  tags: Set<string>;
}

export interface MatchedRunning {
  running: RunningImages;
  failures: FleetFailure[];
  /** By registry, how many lines are of repositories that the policy puts nothing in. */
  elsewhere: Map<string, number>;
}

interface RunningPlace {
  repository?: Repository;
  tag?: string;
  digest?: Digest;
}

/**
 * What runs, held against what is there. A line that is no image, and one that should be of an image here and is not, is
 * a failure with the nearest: what it meant would be said to go.
 */
export function matchRunning(facts: RunningFacts): MatchedRunning {
  const { images } = facts;
  const matched: MatchedRunning = {
    running: { digests: new Set(), tags: new Set() },
    failures: [],
    elsewhere: new Map(),
  };
  const { digests, tags } = matched.running;
  const there = {
    digests: new Set<string>(images.flatMap(({ digest, children }) => [digest, ...children])),
    tags: new Set(images.flatMap((image) => image.tags.map((tag) => nameTag(image.repository, tag)))),
  };
  const repositories = new Map(images.map(({ repository }) => [formatRepository(repository), repository] as const));
  let hits = 0;
  for (const line of new Set(facts.running)) {
    const place = readPlace(line);
    if (place === undefined) {
      const problem = "it is no image: expected HOST/NAME@DIGEST, DIGEST or HOST/NAME:TAG";
      matched.failures.push({ what: line, problem });
      continue;
    }
    const { repository, tag, digest } = place;
    // By the digest wherever it was pulled from: a mirror has the same image under another name.
    const [key, known, own] =
      digest !== undefined
        ? [digest, there.digests, digests]
        : [repository === undefined ? "" : nameTag(repository, tag ?? ""), there.tags, tags];
    own.add(key);
    if (known.has(key)) {
      hits++;
      continue;
    }
    const problem = tellAbsent(place, facts, repositories);
    if (problem !== undefined) matched.failures.push({ what: line, problem });
    else if (repository !== undefined)
      matched.elsewhere.set(repository.registry, (matched.elsewhere.get(repository.registry) ?? 0) + 1);
  }
  if (hits === 0 && matched.failures.length === 0 && facts.running.length > 0 && images.length > 0) {
    const what = "the list of what runs";
    matched.failures.push({ what, problem: "none of its lines is an image that is here: is it of another platform?" });
  }
  return matched;
}

export function isRunning({ repository, digest, children, tags }: RunnableImage, running: RunningImages): boolean {
  return (
    [digest, ...children].some((each) => running.digests.has(each)) ||
    tags.some((tag) => running.tags.has(nameTag(repository, tag)))
  );
}

const nameTag = (repository: Repository, tag: string): string => `${formatRepository(repository)}:${tag}`;

/** As kubectl says it too, which has `docker-pullable://` before an image that Docker runs. */
function readPlace(line: string): RunningPlace | undefined {
  const text = line.replace(/^[a-z-]+:\/\//, "");
  try {
    if (/^sha\d+:/.test(text)) return { digest: parseDigest(text) };
    const { registry, name, tag, digest } = parseReference(text);
    const repository = { registry, name };
    return digest === undefined ? { repository, tag: tag ?? "latest" } : { repository, digest };
  } catch {
    return undefined;
  }
}

const isSame = (a: Repository, b: Repository): boolean => a.registry === b.registry && a.name === b.name;

/** Why a line that is no image here is a mistake; undefined where it is of a place that is none of the policy's. */
function tellAbsent(
  { repository, tag, digest }: RunningPlace,
  { images, prefixes }: Pick<RunningFacts, "images" | "prefixes">,
  repositories: ReadonlyMap<string, Repository>,
): string | undefined {
  if (repository === undefined)
    return `no image here has the digest, and without a repository nobody knows whose ${digest} is`;
  const name = formatRepository(repository);
  if (repositories.has(name)) {
    const tags = images.filter((each) => isSame(each.repository, repository)).flatMap((each) => each.tags);
    const nearest = tag === undefined ? undefined : suggestWord(tag, tags);
    return `it runs, by the list, and no tag of its repository points at it${didYouMean(nearest)}`;
  }
  const own = [...repositories].filter(([, { registry }]) => registry === repository.registry);
  const nearest = suggestWord(
    repository.name,
    own.map(([, each]) => each.name),
  );
  const meant = own.find(([, each]) => each.name === nearest)?.[0];
  if (prefixes.some((prefix) => isWithin(repository, prefix)))
    return `it runs, by the list, and no image of its repository was found${didYouMean(meant)}`;
  return meant === undefined ? undefined : `no image of that repository is here${didYouMean(meant)}`;
}

const didYouMean = (nearest: string | undefined): string => (nearest === undefined ? "" : `: did you mean ${nearest}?`);
