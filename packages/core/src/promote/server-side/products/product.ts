import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { prefixText } from "../../../policy/schema-text.ts";

const repositoryKey = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "expected a repository key: letters, digits, and . _ -");

/** A repository of a registry product, by the product's own name and as image references have it. */
export const keyedRepositorySchema = z.strictObject({
  key: repositoryKey.describe("The product's name for the repository, such as docker-prod-local."),
  prefix: prefixText
    .refine(
      (text) => text.split("/").length <= 2,
      "expected HOST/KEY, KEY.HOST or HOST:PORT, without the image's own path",
    )
    .describe("How references to its images begin: HOST/KEY, KEY.HOST or HOST:PORT, by how the product is set up."),
});

/** Where a product's REST API is. Logins belong to docker login, not into a policy. */
export const productUrl = z.url({ protocol: /^https?$/, error: "expected an http or https URL" }).refine((text) => {
  const url = URL.parse(text);
  return url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
}, "expected https://HOST/PATH, without a login, query or fragment");

/** What every product's settings have. */
export interface ProductSettings {
  product: string;
  url: string;
  from: z.output<typeof keyedRepositorySchema>;
  to: z.output<typeof keyedRepositorySchema>;
}

/** One request of a product's API. `body` is sent as JSON. */
export interface ServerSideCall {
  method: "GET" | "POST";
  url: string;
  body?: Readonly<Record<string, string | boolean>>;
}

/** Whatever the product sends back to one, whatever its status. */
export interface ProductAnswer {
  status: number;
  text: string;
  /** How long the product wants not to be asked again. Milliseconds. */
  retryAfter?: number;
}

export interface ServerSideCalls {
  /** Sent first where the product promotes what a search finds: it must find the one image. */
  search?: ServerSideCall;
  promote: ServerSideCall;
}

/**
 * What the product is asked, in words and as requests: a part of the promotion's plan, and of what a dry run prints.
 */
export interface ServerSidePlan extends ServerSideCalls {
  product: string;
  /** Of its API, with no slash at the end. */
  url: string;
  from: Repository;
  to: Repository;
  digest: Digest;
  /** The product's own names: of its two repositories, and of the image in both. */
  fromKey: string;
  toKey: string;
  image: string;
  /**
   * The product knows images by tag. This one's name is made from the digest, so that it means one image and no other.
   */
  stagingTag: string;
  /** True where the product takes the image away from where it was. */
  moves: boolean;
  /** What will be done, in order, one sentence each. */
  steps: string[];
}

/** How a product is asked. */
export type SendCall = (call: ServerSideCall) => Promise<ProductAnswer>;

/**
 * A registry product that promotes by itself. What it says is believed of nothing: it is asked for one image under one
 * tag, and the promotion then looks at what is there, completes it, and verifies all of it.
 */
export interface Product<Settings extends ProductSettings = ProductSettings> {
  /** In the policy. */
  product: Settings["product"];
  /** For people. */
  title: string;
  settingsSchema: z.ZodType<Settings> & z.core.$ZodTypeDiscriminable;
  /** Whether it takes the image away from where it was. */
  moves(settings: Settings): boolean;
  /**
   * What it is asked, for `image` (the product's own name for it, the same in both repositories) and the one tag. Never
   * without the tag: the whole repository would go along, with every tag that anybody gave anything in quarantine.
   * `url` has no slash at the end.
   */
  plan(settings: Settings, asked: { url: string; image: string; tag: string }): ServerSideCalls;
  /** Where it promotes what a search finds: whether the search finds the one image, and nothing else. */
  findStaged?(send: SendCall, plan: ServerSidePlan): Promise<boolean>;
  /** What its answer says that it took besides the image. */
  findOthers?(answer: string, plan: ServerSidePlan): string[];
}
