import { keyedRepositorySchema, type Product, productUrl } from "@goldenpath/core/promote/server-side/products/product";
import { z } from "zod";

const settingsSchema = z.strictObject({
  product: z.literal("harbour"),
  url: productUrl.describe("Of its API."),
  from: keyedRepositorySchema.describe("The project that images come from."),
  to: keyedRepositorySchema.describe("The project that they go to."),
  keep: z.boolean().default(true).describe("false: the image is taken away from where it was."),
});

/**
 * A product that the project does not have: it copies what it is told by one call, and says in its answer what it took.
 */
export const harbour = {
  product: "harbour",
  title: "Harbour",
  settingsSchema,
  moves: ({ keep }) => !keep,
  plan: ({ from, to, keep }, { url, image, tag }) => ({
    promote: { method: "POST", url: `${url}/retain`, body: { from: from.key, to: to.key, image, tag, keep } },
  }),
  findOthers: (answer, { image, stagingTag }) =>
    (JSON.parse(answer) as { took: string[] }).took.filter((each) => each !== `${image}:${stagingTag}`),
} as const satisfies Product<z.output<typeof settingsSchema>>;
