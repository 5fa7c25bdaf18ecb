import { InfrastructureError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { answerError } from "./answers.ts";
import type { DownloadContext } from "./download.ts";
import { apiUrl } from "./endpoint.ts";
import { formatReference, type Repository } from "./oci/reference.ts";
import { fetchPages } from "./pages.ts";

// Without a list it is one only for the name beside it: Go writes an empty list as null, and some servers leave it out.
const tagsSchema = z
  .looseObject({ name: z.string().optional(), tags: z.array(z.string()).nullish() })
  .refine(({ name, tags }) => tags !== undefined || name !== undefined, "it has neither a name nor tags");

/** Every tag of a repository, once; none of one that does not exist. @throws InfrastructureError `registry-error`, … */
export async function listTags(context: DownloadContext, repository: Repository): Promise<string[]> {
  const tags: string[] = [];
  const url = apiUrl(context, repository, "tags/list?n=1000");
  await fetchPages(context, repository, url, "application/json", (response) => {
    // A repository without anything in it does not exist for most registries.
    if (response.status === 404) return false;
    if (response.status !== 200) throw answerError(response, repository, "pull from", "the list of tags");
    tags.push(...parseTags(response.bytes, repository));
    return true;
  });
  return [...new Set(tags)];
}

function parseTags(bytes: Uint8Array, repository: Repository): string[] {
  try {
    return tagsSchema.parse(parseJson(new TextDecoder().decode(bytes))).tags ?? [];
  } catch (error) {
    throw new InfrastructureError(`the list of tags of ${formatReference(repository)} is malformed`, {
      code: "registry-error",
      cause: error,
    });
  }
}
