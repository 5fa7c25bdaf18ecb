import { z } from "zod";
import { readStrictYaml } from "../policy/yaml.ts";

const text = z.string().trim().min(1);
const hostOf = (pattern: RegExp, what: string) => text.regex(pattern, `expected ${what}`);
const awsRegion = text.regex(/^[a-z]{2}(?:-[a-z]+)+-\d$/, "expected a region such as eu-central-1");
/** A token is shown to it: nothing but https, or this machine in tests. */
const serviceUrl = text.refine(
  (value) =>
    URL.canParse(value) &&
    (/^https:\/\/[^@?#]+$/.test(value) || /^http:\/\/(?:127\.0\.0\.1|localhost)(?::\d+)?\/[^@?#]*$/.test(value)),
  "expected an https URL without a login, query or fragment",
);

/**
 * A token is for the service that it is shown to, and for no other: whoever calls a workflow names both, and a service
 * that was shown a token for another could use it there, as this job.
 */
const isOwnAudience = ({ url, audience }: { url: string; audience?: string | undefined }): boolean => {
  if (audience === undefined || audience === url) return true;
  if (!URL.canParse(url)) return false;
  const { origin } = new URL(url);
  // Several may share a host: of what is on it only what `url` lies in.
  return audience === origin || (/\/$/.test(audience) && audience.startsWith(`${origin}/`) && url.startsWith(audience));
};
const ownAudience = {
  path: ["audience"],
  message: "expected the service's own address: its host, or a folder of `url`, or nothing for `url` itself",
};

/**
 * How a job proves to a registry who it is, without a secret of anybody's: by names that docker/github-builder has for
 * the same, where it has them. Each names the registry's host, and the login goes to that host alone.
 */
const identitySchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("aws-ecr"),
    registry: hostOf(
      /^\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?$/,
      "ACCOUNT.dkr.ecr.REGION.amazonaws.com",
    ),
    "role-to-assume": text.regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, "expected the ARN of a role"),
    region: awsRegion,
    audience: text.default("sts.amazonaws.com"),
  }),
  z.strictObject({
    type: z.literal("gcp-wif"),
    registry: hostOf(/^(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)$/, "LOCATION-docker.pkg.dev"),
    workload_identity_provider: text.regex(
      /^projects\/\d+\/locations\/global\/workloadIdentityPools\/[a-z0-9-]+\/providers\/[a-z0-9-]+$/,
      "expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
    ),
    service_account: text
      .regex(/^[a-z0-9-]+@[a-z0-9.:-]+\.iam\.gserviceaccount\.com$/, "expected the address of a service account")
      .optional(),
  }),
  z.strictObject({
    type: z.literal("azure-acr"),
    registry: hostOf(/^[a-z0-9-]+\.azurecr\.(?:io|cn|us)$/, "NAME.azurecr.io"),
    "client-id": z.guid(),
    "tenant-id": z.guid(),
  }),
  z.strictObject({
    type: z.literal("dockerhub"),
    registry: z.literal("docker.io").default("docker.io"),
    username: text,
    connection_id: z.guid(),
  }),
  z.strictObject({
    type: z.literal("ghcr"),
    registry: hostOf(/^(?:ghcr\.io|containers\.[a-z0-9.-]+)$/, "ghcr.io").default("ghcr.io"),
  }),
  z
    .strictObject({
      type: z.literal("artifactory"),
      registry: text,
      url: serviceUrl,
      provider_name: text,
      audience: text.optional(),
      username: text.optional(),
    })
    .refine(isOwnAudience, ownAudience),
  z
    .strictObject({
      type: z.literal("broker"),
      registry: text,
      url: serviceUrl,
      audience: text.optional(),
      username: text.default("oidc"),
    })
    .refine(isOwnAudience, ownAudience),
]);
export type Identity = z.infer<typeof identitySchema>;
export type IdentityOf<Type extends Identity["type"]> = Extract<Identity, { type: Type }>;

/**
 * The text of the input `registry-identities`, a YAML list → identities, one a registry.
 * @returns or what is wrong with it
 */
export function parseIdentities(given: string): { identities: Identity[] } | { problem: string } {
  const read = readStrictYaml(given);
  if ("problems" in read)
    return { problem: read.problems.map(({ line, message }) => `line ${line}: ${message}`).join("; ") };
  const parsed = z.array(identitySchema).safeParse(read.yaml.value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the list"}: ${message}`);
    return { problem: issues.join("; ") };
  }
  const registries = parsed.data.map(({ registry }) => registry);
  const twice = registries.find((registry, index) => registries.indexOf(registry) !== index);
  return twice === undefined ? { identities: parsed.data } : { problem: `${twice} is there twice` };
}
