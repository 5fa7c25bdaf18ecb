import { InfrastructureError } from "@goldenpath/foundation/errors";
import { formatRepository, type Repository } from "./oci/reference.ts";

/**
 * Why a registry takes no write, where that has a name of its own: what is to be done about each is another thing, and
 * none is a matter of logging in.
 */
export type RefusalCode = "tag-immutable" | "quota-exceeded" | "registry-read-only";

export interface RefusedWrite {
  status: number;
  /** The entries of the error's body. */
  problems: readonly { code: string; message: string; detail?: string }[];
  /** The tag that was to be set; undefined for a blob, and for a manifest under its digest. */
  tag?: string | undefined;
}

interface Sign {
  refusal: RefusalCode;
  statuses: readonly number[];
  /** One of the two has to fit; neither: the status says it alone. */
  codes?: readonly string[];
  words?: RegExp;
}

/**
 * How registries say it. None of it is in the distribution specification, so a status counts only together with a code
 * or words that no other refusal has, and a tag is immutable only where one was to be set. The first sign that fits
 * decides. Where it was found:
 *
 * | registry | what it answers | source |
 * | --- | --- | --- |
 * | ECR | 400 `TAG_INVALID` The image tag 'v1' already exists in the 'shop' repository and cannot be overwritten because the tag (repository) is immutable. | moby/buildkit#3776, osscontainertools/kaniko#204; the API's own `ImageTagAlreadyExistsException` |
 * | ECR | 403 `DENIED` … already has the maximum allowed number of images which is '100000'; … exceeds the maximum allowed number of tags per image | vllm-project/vllm#48065, namespacelabs/foundation#649 |
 * | Harbor | 412 `PRECONDITION` Failed to process request due to 'shop:v1' configured as immutable. | goharbor/harbor src/server/middleware/immutable |
 * | Harbor 1.10 | 412 `DENIED` The tag:shop:v1 is immutable, cannot be overwrite. | goharbor/harbor#9427 |
 * | Harbor | 403 `DENIED` adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the configured upper limit of 10.0 MiB. | goharbor/harbor#17390; before 2.0 "Quota exceeded when processing the request …", #8802 |
 * | Harbor | 403 `DENIED` The system is in read only mode. Any modification is prohibited. | goharbor/harbor src/server/middleware/readonly |
 * | ACR | 405 `REGISTRY_DISALLOWED_OPERATION` The operation is disallowed on this registry, repository or image. (locked, or the registry's storage is full) | Azure/azure-sdk-for-net#22827; learn.microsoft.com, acr push errors |
 * | Quay | 409 `TAG_ALREADY_EXISTS` tag was already pushed; since 3.17 tag is immutable and cannot be overwritten | quay/quay endpoints/v2/errors.py; PROJQUAY-10859 |
 * | Quay | 403 `DENIED` Quota has been exceed on namespace | quay/quay endpoints/v2/errors.py |
 * | Quay | 405 `DENIED` System is currently read-only. Pulls will succeed but all write operations are currently suspended. | quay/quay endpoints/v2/errors.py |
 * | Nexus | 400 `BLOB_UPLOAD_INVALID` blob upload invalid, detail: Repository does not allow updating assets: docker-hosted; since 3.96 409 … cannot be updated as asset already exists and redeploy is not allowed | GoogleContainerTools/jib#3057, #2395 |
 * | Nexus | Repository is read only: docker-hosted | the same code's other deployment policy (sonatype/nexus-public, WritePolicy.DENY) |
 * | Alibaba | The requested tag already exists and cannot be overwritten. | its documents, "Configure a repository to be immutable" |
 * | Mirantis MSR | tag=v1 cannot be overwritten because shop is an immutable repository | its documents, "Prevent tags from being overwritten" |
 * | CNCF distribution | 405, in plain text, with `Allow: GET, HEAD`, in read-only mode and as a pull-through cache (there with `UNSUPPORTED`) | seen with 2.8 |
 * | any | 507 Insufficient Storage | RFC 4918 section 11.5 |
 *
 * Docker Hub (403, docker/hub-feedback#2466), GitLab and Google's Artifact Registry have immutable tags, and document
 * no words: they are known by "immutable" where they use it, and are `registry-unauthorized` or `registry-error` with
 * their own words otherwise. Artifactory answers 403 to whoever may not overwrite: that is a right that its account
 * lacks, and is reported so. Zot and olareg have none of the three.
 */
const signs: readonly Sign[] = [
  {
    refusal: "quota-exceeded",
    statuses: [400, 403, 405, 409, 413, 422],
    codes: ["LimitExceededException", "QUOTA_EXCEEDED"],
    words: /\bquota\b|exceed the configured upper limit|maximum allowed number of (?:images|tags)|storage limit/i,
  },
  { refusal: "quota-exceeded", statuses: [507] },
  {
    refusal: "registry-read-only",
    statuses: [400, 403, 405, 409],
    words: /\bread[ -]?only\b|(?:in|under|for) maintenance/i,
  },
  {
    refusal: "tag-immutable",
    statuses: [400, 403, 405, 409, 412, 422],
    codes: ["REGISTRY_DISALLOWED_OPERATION", "TAG_ALREADY_EXISTS", "TAG_IMMUTABLE", "ImageTagAlreadyExistsException"],
    words: /\bimmutab(?:le|ility)\b|cannot be overwrit|does not allow updating assets|redeploy is not allowed/i,
  },
  // Whatever is asked of such a place to write, the answer is that it has no such method.
  { refusal: "registry-read-only", statuses: [405] },
];

/**
 * The refusal's name, or undefined for what is none of these. For answers to writes alone: a 405 to a GET says
 * something else.
 */
export function classifyRefusal({ status, problems, tag }: RefusedWrite): RefusalCode | undefined {
  return signs.find(({ refusal, statuses, codes, words }) => {
    if (!statuses.includes(status) || (refusal === "tag-immutable" && tag === undefined)) return false;
    if (codes === undefined && words === undefined) return true;
    return problems.some(
      ({ code, message, detail = "" }) =>
        codes?.includes(code) === true || (words?.test(message) ?? false) || (words?.test(detail) ?? false),
    );
  })?.refusal;
}

/** `answer` is what the registry said, in brackets, for the end of a sentence. */
export function refusalError(
  refusal: RefusalCode,
  repository: Repository,
  thing: string,
  answer: string,
  tag: string | undefined,
): InfrastructureError {
  const name = formatRepository(repository);
  const host = repository.registry;
  switch (refusal) {
    case "tag-immutable": {
      const isReferrersTag = tag !== undefined && /^sha(?:256|512)-[0-9a-f]{64}$/.test(tag);
      return new InfrastructureError(`${host} does not let tag ${tag} of ${name} be moved ${answer}`, {
        code: refusal,
        safeToRetry: false,
        wayOut: isReferrersTag
          ? `Except the tags sha256-* of ${name} from the registry's rule: without a referrers API they are the lists of an image's signatures, which grow.`
          : `Choose a tag that does not exist yet, or except this one from the registry's rule for ${name}; the tag is as it was.`,
      });
    }
    case "quota-exceeded":
      return new InfrastructureError(
        `${host} takes no more into ${name}: its quota or storage is used up, for ${thing} ${answer}`,
        {
          code: refusal,
          wayOut: `Delete what is not needed, or have the quota of ${name} raised; then run again: what is there already is not sent again.`,
        },
      );
    case "registry-read-only":
      return new InfrastructureError(
        `${host} takes no writes to ${name} now, it is read-only, for ${thing} ${answer}`,
        {
          code: refusal,
          wayOut: `Wait for the end of its maintenance, or write to a registry that is no cache or group; then run again: what is there already is not sent again.`,
        },
      );
  }
}
