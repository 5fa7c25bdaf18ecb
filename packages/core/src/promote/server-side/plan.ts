import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ServerSidePromotion } from "../../policy/schema.ts";

/** What is to be promoted by the registry product itself. */
export interface ServerSideFacts {
  settings: ServerSidePromotion;
  from: Repository;
  to: Repository;
  /** Of the image or index that was gated. */
  digest: Digest;
  /** The release tags, which are none of the product's business. */
  tags: readonly string[];
}

/** One request of a product's API. `body` is sent as JSON. */
export interface ServerSideCall {
  method: "GET" | "POST";
  url: string;
  body?: Readonly<Record<string, string | boolean>>;
}

/** What the product is asked, in words and as requests: a part of the promotion's plan, and of what a dry run prints. */
export interface ServerSidePlan {
  product: ServerSidePromotion["product"];
  /** Of its API, with no slash at the end. */
  url: string;
  from: Repository;
  to: Repository;
  digest: Digest;
  /** The product's own names: of its two repositories, and of the image in both. */
  fromKey: string;
  toKey: string;
  image: string;
  /** The product knows images by tag. This one's name is made from the digest, so that it means one image and no other. */
  stagingTag: string;
  /** True where the product takes the image away from where it was. */
  moves: boolean;
  /** Sent first where the product promotes what a search finds: it must find the one image. */
  search?: ServerSideCall;
  promote: ServerSideCall;
  /** What will be done, in order, one sentence each. */
  steps: string[];
}

const stagingPrefix = "goldenpath-staging-";

/** A tag has 128 characters at most, and sha512 alone has as many: its first half is enough of a name, since what the tag points at is checked. */
export function stagingTagOf(digest: Digest): string {
  return `${stagingPrefix}${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`;
}

export function isStagingTag(tag: string): boolean {
  return tag.startsWith(stagingPrefix);
}

/**
 * Facts → what the product is asked. Neither product is asked to rename: Nexus can't, and an Artifactory that does not know `targetDockerRepository` would put the
 * image under another name than the one that was judged.
 * @throws UserError `server-side-prefix` (an image or a destination outside of the settings), `server-side-name` (the two have other names), `input-invalid` (a
 *   release tag that looks like a staging tag)
 */
export function planServerSide({ settings, from, to, digest, tags }: ServerSideFacts): ServerSidePlan {
  const image = imageNameIn(from, settings.from.prefix, "from", settings.product);
  const imageThere = imageNameIn(to, settings.to.prefix, "to", settings.product);
  if (image !== imageThere) {
    throw new UserError(`${titleOf(settings.product)} can't promote '${image}' as '${imageThere}': an image keeps its name`, {
      code: "server-side-name",
      wayOut: `Promote to ${settings.to.prefix}/${image}, or take serverSide out of the policy's environment.`,
    });
  }
  const staged = tags.find(isStagingTag);
  if (staged !== undefined) {
    throw new UserError(`input 'tags' has '${staged}': tags that begin with ${stagingPrefix} are set and removed on the way`, {
      code: "input-invalid",
      wayOut: "Use a tag that is a version or a name.",
    });
  }
  const stagingTag = stagingTagOf(digest);
  const url = settings.url.replace(/\/+$/, "");
  const moves = settings.product === "nexus" || !settings.copy;
  const fromKey = settings.from.key;
  const toKey = settings.to.key;
  const verb = moves ? "moves" : "copies";
  const calls =
    settings.product === "nexus" ? callNexus(url, fromKey, toKey, image, stagingTag) : callArtifactory(settings, url, image, stagingTag);
  return {
    product: settings.product,
    url,
    from: { registry: from.registry, name: from.name },
    to: { registry: to.registry, name: to.name },
    digest,
    fromKey,
    toKey,
    image,
    stagingTag,
    moves,
    ...calls,
    steps: [
      `tag ${formatRepository(from)}@${digest} as ${stagingTag}, where it is not`,
      ...(calls.search === undefined ? [] : [`see that a search in ${fromKey} finds ${image}:${stagingTag} and nothing else`]),
      `${titleOf(settings.product)} ${verb} ${image}:${stagingTag} from ${fromKey} to ${toKey}`,
      `see that ${formatRepository(to)}:${stagingTag} is ${digest}, and that nothing else came along`,
      "copy what is missing there, verify, and set the release tags, as in every promotion",
      `remove the tag ${stagingTag} from both`,
    ],
  };
}

type Calls = Pick<ServerSidePlan, "search" | "promote">;

/**
 * Always with a tag: without one, the whole image repository is promoted, with every tag that anybody gave anything in quarantine.
 * https://jfrog.com/help/r/jfrog-rest-apis/promote-docker-image
 */
function callArtifactory(settings: ServerSidePromotion & { product: "artifactory" }, url: string, image: string, tag: string): Calls {
  return {
    promote: {
      method: "POST",
      url: `${url}/api/docker/${encodeURIComponent(settings.from.key)}/v2/promote`,
      body: { targetRepo: settings.to.key, dockerRepository: image, tag, targetTag: tag, copy: settings.copy },
    },
  };
}

/**
 * The move takes the same parameters as the search, and moves all that they find.
 * https://help.sonatype.com/en/staging.html, https://help.sonatype.com/en/search-api.html
 */
function callNexus(url: string, fromKey: string, toKey: string, image: string, tag: string): Calls {
  const query = new URLSearchParams({ repository: fromKey, format: "docker", "docker.imageName": image, "docker.imageTag": tag });
  return {
    search: { method: "GET", url: `${url}/service/rest/v1/search?${query}` },
    promote: { method: "POST", url: `${url}/service/rest/v1/staging/move/${encodeURIComponent(toKey)}?${query}` },
  };
}

/** What the product calls the image: what comes after the prefix by which references reach its repository. */
function imageNameIn(repository: Repository, prefix: string, side: "from" | "to", product: ServerSidePromotion["product"]): string {
  const full = formatRepository(repository);
  const parent = prefix.replace(/\/+$/, "").toLowerCase();
  if (!isWithin(repository, parent) || full === parent) {
    throw new UserError(`${full} is not in the repository that ${titleOf(product)} promotes ${side}, ${prefix}`, {
      code: "server-side-prefix",
      wayOut: `Use an image under ${prefix}, or change serverSide.${side} in the policy's environment.`,
    });
  }
  return full.slice(parent.length + 1);
}

/** The product's name for people. */
export function titleOf(product: ServerSidePromotion["product"]): string {
  return product === "nexus" ? "Nexus" : "Artifactory";
}
