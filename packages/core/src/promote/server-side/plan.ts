import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin, type Repository } from "@goldenpath/registry-client/oci/reference";
import { findProduct, type ServerSidePromotion } from "./products/find.ts";
import type { ServerSidePlan } from "./products/product.ts";

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

const stagingPrefix = "goldenpath-staging-";

/**
 * A tag has 128 characters at most, and sha512 alone has as many: its first half is enough of a name, since what the
 * tag points at is checked.
 */
export function stagingTagOf(digest: Digest): string {
  return `${stagingPrefix}${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`;
}

export function isStagingTag(tag: string): boolean {
  return tag.startsWith(stagingPrefix);
}

/**
 * Facts → what the product is asked. Neither product is asked to rename: Nexus can't, and an Artifactory that does not
 * know `targetDockerRepository` would put the image under another name than the one that was judged.
 * @throws UserError `server-side-prefix` (an image or a destination outside of the settings), `server-side-name` (the
 *   two have other names), `input-invalid` (a release tag that looks like a staging tag)
 */
export function planServerSide({ settings, from, to, digest, tags }: ServerSideFacts): ServerSidePlan {
  const product = findProduct(settings.product);
  const { title } = product;
  const image = imageNameIn(from, settings.from.prefix, "from", title);
  const imageThere = imageNameIn(to, settings.to.prefix, "to", title);
  if (image !== imageThere) {
    throw new UserError(`${title} can't promote '${image}' as '${imageThere}': an image keeps its name`, {
      code: "server-side-name",
      wayOut: `Promote to ${settings.to.prefix}/${image}, or take serverSide out of the policy's environment.`,
    });
  }
  const staged = tags.find(isStagingTag);
  if (staged !== undefined) {
    throw new UserError(
      `input 'tags' has '${staged}': tags that begin with ${stagingPrefix} are set and removed on the way`,
      {
        code: "input-invalid",
        wayOut: "Use a tag that is a version or a name.",
      },
    );
  }
  const stagingTag = stagingTagOf(digest);
  const url = settings.url.replace(/\/+$/, "");
  const moves = product.moves(settings);
  const fromKey = settings.from.key;
  const toKey = settings.to.key;
  const verb = moves ? "moves" : "copies";
  const calls = product.plan(settings, { url, image, tag: stagingTag });
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
      ...(calls.search === undefined
        ? []
        : [`see that a search in ${fromKey} finds ${image}:${stagingTag} and nothing else`]),
      `${title} ${verb} ${image}:${stagingTag} from ${fromKey} to ${toKey}`,
      `see that ${formatRepository(to)}:${stagingTag} is ${digest}, and that nothing else came along`,
      "copy what is missing there, verify, and set the release tags, as in every promotion",
      `remove the tag ${stagingTag} from both`,
    ],
  };
}

/** What the product calls the image: what comes after the prefix by which references reach its repository. */
function imageNameIn(repository: Repository, prefix: string, side: "from" | "to", title: string): string {
  const full = formatRepository(repository);
  const parent = prefix.replace(/\/+$/, "").toLowerCase();
  if (!isWithin(repository, parent) || full === parent) {
    throw new UserError(`${full} is not in the repository that ${title} promotes ${side}, ${prefix}`, {
      code: "server-side-prefix",
      wayOut: `Use an image under ${prefix}, or change serverSide.${side} in the policy's environment.`,
    });
  }
  return full.slice(parent.length + 1);
}
