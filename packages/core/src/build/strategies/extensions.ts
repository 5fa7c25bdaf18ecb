import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { type Buildpack, buildpackId, buildpackVersion, formatBuildpack } from "./buildpack-names.ts";

/** An extension in a policy: `ID`, in whatever version the approved builder image has it, or `ID@VERSION`. */
export const extensionText = z.string().refine(
  (text) => {
    const [id, version, ...more] = text.split("@");
    if (!buildpackId.safeParse(id).success || more.length > 0) return false;
    return version === undefined || buildpackVersion.safeParse(version).success;
  },
  { message: "expected an extension's ID or ID@VERSION, as in acme/curl@1.0.0" },
);

/** In a builder image's config, as pack writes it and goes by it. */
const label = "io.buildpacks.buildpack.order-extensions";

const orderSchema = z
  .array(
    z.looseObject({
      group: z.array(z.looseObject({ id: z.string(), version: z.string().optional() })).nullish(),
    }),
  )
  .nullish();

/** A builder's extensions by its label, each once; none where it has no label. @throws UserError `builder-malformed` */
export function listExtensions(labels: Readonly<Record<string, string>>, where: string): Buildpack[] {
  const text = labels[label];
  if (text === undefined) return [];
  let order: z.output<typeof orderSchema>;
  try {
    const parsed = orderSchema.safeParse(parseJson(text));
    if (!parsed.success) throw new Error(describeIssues(parsed.error));
    order = parsed.data;
  } catch (error) {
    throw new UserError(`${where} is not a builder image that can be used: its label ${label} can't be read`, {
      code: "builder-malformed",
      cause: error,
      wayOut: "Make it with pack builder create, and put its digest into the policy.",
    });
  }
  const all = (order ?? []).flatMap(({ group }) => group ?? []);
  const named = new Map(all.map(({ id, version = "" }) => [`${id}@${version}`, { id, version }]));
  return [...named.values()];
}

/** @throws PolicyViolation of rule `build.buildpacks` for those that the policy's builder does not allow */
export function requireAllowed(
  extensions: readonly Buildpack[],
  { builder, allowed }: { builder: string; allowed: readonly string[] },
): void {
  const others = extensions.filter(({ id, version }) => !allowed.includes(id) && !allowed.includes(`${id}@${version}`));
  if (others.length === 0) return;
  throw new PolicyViolation(
    `builder '${builder}' has extensions that the policy does not allow, and pack would run them as root over its images: ${others.map(formatBuildpack).join(", ")}`,
    {
      code: "extensions-not-allowed",
      rule: "build.buildpacks",
      wayOut: `Have the policy's builder allow them (allowExtensions), build by engine 'lifecycle', which leaves them out where the policy allows none, or take a builder image without them. Allowed now: ${allowed.join(", ") || "none"}.`,
    },
  );
}

/** Why only pack can build with a builder whose extensions are allowed, a clause. */
export function whyNotLifecycle(builder: string, extensions: readonly Buildpack[]): string {
  return `the policy lets extensions of builder '${builder}' run (${extensions.map(formatBuildpack).join(", ")}), and these are Dockerfiles whose steps are root's over whole images: engine 'lifecycle' has no such root, and an image without them would not be the one that the builder makes`;
}
