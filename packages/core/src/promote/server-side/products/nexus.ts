import { z } from "zod";
import { findOthersMoved, findStaged } from "./nexus-search.ts";
import { keyedRepositorySchema, type Product, productUrl } from "./product.ts";

const settingsSchema = z.strictObject({
  product: z.literal("nexus"),
  url: productUrl.describe(
    "Of the server: https://nexus.acme.example. Its staging belongs to Nexus Repository Pro, and moves. The login is docker login's for that host, else the destination's on the same host.",
  ),
  from: keyedRepositorySchema.describe("The hosted repository that images are moved from."),
  to: keyedRepositorySchema.describe("The hosted repository that they are moved to."),
});

/**
 * The move takes the same parameters as the search, and moves all that they find.
 * https://help.sonatype.com/en/staging.html, https://help.sonatype.com/en/search-api.html
 */
export const nexus = {
  product: "nexus",
  title: "Nexus",
  settingsSchema,
  moves: () => true,
  plan: ({ from, to }, { url, image, tag }) => {
    const query = new URLSearchParams({
      repository: from.key,
      format: "docker",
      "docker.imageName": image,
      "docker.imageTag": tag,
    });
    return {
      search: { method: "GET", url: `${url}/service/rest/v1/search?${query}` },
      promote: { method: "POST", url: `${url}/service/rest/v1/staging/move/${encodeURIComponent(to.key)}?${query}` },
    };
  },
  findStaged,
  findOthers: findOthersMoved,
} as const satisfies Product<z.output<typeof settingsSchema>>;
