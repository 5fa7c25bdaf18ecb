import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { answerError } from "./answers.ts";
import type { DownloadContext } from "./download.ts";
import { registryEndpoint } from "./endpoint.ts";
import { parseRepository, type Repository } from "./oci/reference.ts";
import { fetchPages } from "./pages.ts";

// Go writes an empty list as null.
const catalogSchema = z.looseObject({ repositories: z.array(z.string()).nullable() });

/**
 * All repositories of a registry that its catalogue lists. The catalogue is no part of the OCI specification: Docker's
 * registry, Harbor, GitLab and others have it, often for administrators alone.
 * @param below of which repository or parent, for messages
 * @throws UserError `catalog-unavailable` where the registry has none or shows it to others; the client's errors
 */
export async function listRepositories(context: DownloadContext, below: Repository): Promise<Repository[]> {
  const { registry } = below;
  const names: string[] = [];
  const url = new URL("_catalog?n=1000", registryEndpoint(registry, context.plainHttp));
  const unavailable = (why: string, cause?: unknown): UserError =>
    new UserError(`${registry} does not list its repositories: ${why}`, {
      code: "catalog-unavailable",
      cause,
      wayOut: "Name the repositories, or a file with one a line (--repositories FILE).",
    });
  try {
    await fetchPages(
      context,
      below,
      url,
      "application/json",
      (response) => {
        if ([401, 403, 404, 405].includes(response.status)) throw unavailable(`it answers ${response.status}`);
        if (response.status !== 200) throw answerError(response, below, "list", "the list of repositories");
        names.push(...parseCatalog(response.bytes, registry));
        return true;
      },
      "list",
    );
  } catch (error) {
    if (error instanceof UserError && error.code === "registry-unauthorized") throw unavailable(error.message, error);
    throw error;
  }
  return [...new Set(names)].map((name) => parseRepository(`${registry}/${name}`, "a repository of the catalogue"));
}

function parseCatalog(bytes: Uint8Array, registry: string): string[] {
  try {
    return catalogSchema.parse(parseJson(new TextDecoder().decode(bytes))).repositories ?? [];
  } catch (error) {
    throw new InfrastructureError(`the list of repositories of ${registry} is malformed`, {
      code: "registry-error",
      cause: error,
    });
  }
}
