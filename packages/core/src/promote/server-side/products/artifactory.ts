import { z } from "zod";
import { keyedRepositorySchema, type Product, productUrl } from "./product.ts";

const settingsSchema = z.strictObject({
  product: z.literal("artifactory"),
  url: productUrl.describe(
    "Of its REST API: https://acme.jfrog.io/artifactory. The login is docker login's for that host, else the destination's on the same host.",
  ),
  from: keyedRepositorySchema.describe("The local repository that images are promoted from."),
  to: keyedRepositorySchema.describe("The local repository that they are promoted to."),
  copy: z
    .boolean()
    .default(true)
    .describe(
      "false moves: the image may be gone from where it was. Its evidence stays there, and is copied as always.",
    ),
});

/** https://jfrog.com/help/r/jfrog-rest-apis/promote-docker-image */
export const artifactory = {
  product: "artifactory",
  title: "Artifactory",
  settingsSchema,
  moves: ({ copy }) => !copy,
  plan: ({ from, to, copy }, { url, image, tag }) => ({
    promote: {
      method: "POST",
      url: `${url}/api/docker/${encodeURIComponent(from.key)}/v2/promote`,
      body: { targetRepo: to.key, dockerRepository: image, tag, targetTag: tag, copy },
    },
  }),
} as const satisfies Product<z.output<typeof settingsSchema>>;
