import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import { cacheModes } from "../build/cache/cache.ts";
import { builderSchemas, strategyNames } from "../build/strategies/find.ts";
import { settingsSchemas } from "../promote/server-side/products/find.ts";
import { trustStoreSchema } from "../signing/notary/trust-store.ts";
import { signerSchemas } from "../signing/schemes/find.ts";
import { sigstoreSchema } from "../signing/sigstore-instance.ts";

import { stages } from "../stages.ts";
import { approvalSection } from "./approval-section.ts";
import { rulesSection } from "./custom-rules/section.ts";
import { enforcementSchema } from "./enforcement-section.ts";
import { forbiddenBaseSchema } from "./forbidden-section.ts";
import { antipatterns, imagesSection } from "./images-section.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import { exceptionSchema, refusalGates, scanSection } from "./scan-section.ts";
import {
  basePath,
  day,
  destinationPattern,
  digestText,
  duration,
  name,
  prefixText,
  repositoryText,
  text,
  workflowPattern,
} from "./schema-text.ts";
import type { PolicySection } from "./sections.ts";
import { signedExceptionsSection } from "./signed-exceptions/section.ts";

/** Each scheme has signers of its own kind. */
const signerSchema = z.discriminatedUnion("kind", signerSchemas);

export const baseSchema = z.strictObject({
  name: name.describe("How results, exceptions and builders call this base."),
  image: repositoryText.describe("The repository in which the base is kept."),
  digests: z
    .array(digestText)
    // Without its content nothing else is asked of the base.
    .min(1, { abort: true })
    .default([])
    .describe(
      "The approved versions, by digest (of an index or of one platform's image). Nothing else counts as this base. New builds go on the last one. With `approval`, those that are asked about, each of which needs one; default then: whatever the repository's tags point at.",
    ),
  approval: approvalSection
    .optional()
    .describe(
      "A version counts where its approval is signed, as `goldenpath base approve` does, and as long as that says.",
    ),
  until: day.optional().describe("The last day (UTC) on which images may stand on this base."),
  mayChange: z
    .array(basePath)
    .optional()
    .describe(
      "Files, and folders with all that is in them, that layers on top of the base may change or remove, such as /etc/nginx. Everything else stays as it was approved. Bases that have a version in common have the same.",
    ),
});

/** Each strategy has builders of its own kind. */
const builderSchema = z.discriminatedUnion("kind", builderSchemas);

export const sourceSchema = z.strictObject({
  repository: text.describe("The source repository; * stands for one path component: https://github.com/acme/*"),
  owner: text
    .optional()
    .describe(
      "Who answers for its images, such as @acme/shop: whom the fleet's lists and issues name. It decides nothing.",
    ),
  refs: z
    .array(text)
    .min(1)
    .optional()
    .describe("The refs that builds may be of: refs/heads/main, refs/tags/*. Default: any but a pull request's."),
  workflows: z
    .array(workflowPattern)
    .min(1)
    .optional()
    .describe(
      "The workflows that may attest the build, with their refs: https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
    ),
  callers: z
    .array(workflowPattern)
    .min(1)
    .optional()
    .describe(
      "The workflows that the event may have started: https://github.com/acme/*/.github/workflows/golden-path.yml@refs/heads/main",
    ),
  events: z
    .array(z.string().regex(/^[a-z_]+$/, "expected the name of an event, such as push"))
    .min(1)
    .optional()
    .describe(
      "The events whose runs count. Default: push, release, create, schedule, workflow_dispatch and repository_dispatch.",
    ),
  to: z
    .array(destinationPattern)
    .min(1)
    .optional()
    .describe(
      "Repositories that its images may be promoted to, each exactly, or with a / at its end all below; {name} is the source repository's last component in lower case, and {owner} the one before. Default: all that the environment has.",
    ),
});

export type Exception = z.infer<typeof exceptionSchema>;

export const requirementSchema = z.strictObject({
  stage: z.enum(stages).describe("The stage that must have spoken."),
  signers: z.array(name).min(1).describe("The signers whose word counts for this stage."),
  maxAge: duration.optional().describe("How old the newest verdict may be, such as 7d."),
  environment: name
    .optional()
    .describe("For stage promote: the environment that the image must have been promoted to before."),
});

/**
 * Registry products with a promotion of their own. It only brings the image: what is there is verified, and completed,
 * as everywhere else.
 */
export const serverSideSchema = z
  .discriminatedUnion("product", settingsSchemas)
  .refine(({ from, to }) => from.key !== to.key, {
    path: ["to", "key"],
    message: "is the repository that images come from",
  });

export const environmentSchema = z.strictObject({
  from: z.array(prefixText).min(1).describe("Repositories, or parents of repositories, that images may come from."),
  to: z.array(prefixText).min(1).describe("Repositories, or parents of repositories, that images may be promoted to."),
  requires: z.array(requirementSchema).min(1).describe("The evidence that must be there, all of it."),
  promoter: name.describe("The signer of the promotion's own statement."),
  refuse: refusalGates
    .optional()
    .describe(
      "Findings that this environment refuses besides `scan`: the gate reads them from what the scan stage has signed. No exception sets such a finding aside.",
    ),
  images: z
    .strictObject({
      refuse: z
        .array(z.enum(antipatterns))
        .min(1)
        .describe(
          "As in the policy's `images.refuse`. The base stage looks for these as well, whatever its own verdict asks, and signs what it finds; the gate judges that.",
        ),
    })
    .optional()
    .describe(
      "What images must not have for this environment, besides `images`. Of exceptions those in the policy itself hold here too, and no signed ones.",
    ),
  referrers: z
    .enum(["signed", "all"])
    .default("signed")
    .describe(
      "What goes along with an image besides the evidence of the policy's signers: nothing (signed), or everything that refers to it and can't be run (all: other signatures, SBOMs, and what refers to those).",
    ),
  serverSide: serverSideSchema.optional().describe("The registry product's own promotion, for the bytes of the image."),
});

export const policyShape = z.strictObject({
  version: z.literal(1).describe("The version of this format."),
  name: name.describe("The policy's name, such as the organisation's."),
  serial: z
    .number()
    .int()
    .positive()
    .describe("Rises with every change. Evidence made under another serial does not count, unless `accepts` names it."),
  accepts: z
    .union(
      [
        z.array(
          z.strictObject({
            serial: z.number().int().positive().describe("Its serial."),
            digest: digestText.describe("Of its file's bytes."),
          }),
        ),
        duration,
      ],
      "expected a list of serials with digests, or a duration such as 14d",
    )
    .prefault([])
    .describe(
      "Older versions of this policy whose evidence still counts: each by serial and digest, or, as a duration such as 14d, those that were superseded no longer ago. Without it only the current one does.",
    ),
  layers: z
    .array(
      z.strictObject({
        name: name.describe("Its name."),
        serial: z.number().int().positive().describe("Its serial."),
        digest: digestText.describe("Of its file's bytes."),
      }),
    )
    .optional()
    .describe(
      "Nothing to write: a team's policy and the organisation's that it extends, of which this one was put together.",
    ),
  activators: z
    .array(name)
    .default([])
    .describe(
      "The signers who put a policy in force, where `policy-signer` names nobody. None of them signs for a stage, or has `from` or `until`.",
    ),
  registries: z
    .strictObject({
      plainHttp: z
        .array(z.string().regex(/^[A-Za-z0-9.-]+(?::\d+)?$/, "expected HOST or HOST:PORT"))
        .default([])
        .describe("Hosts that are spoken to without TLS, besides localhost."),
      hosts: z
        .record(
          z.string().regex(/^[A-Za-z0-9.-]+(?::\d+)?$/, "expected HOST or HOST:PORT"),
          z.strictObject({
            ca: z
              .string()
              .regex(/^-----BEGIN CERTIFICATE-----/, "expected certificates in PEM")
              .optional()
              .describe(
                "Certificates (PEM) that are trusted for this host besides the system's. Docker's and podman's certs.d are read as well.",
              ),
            skipVerify: z
              .boolean()
              .default(false)
              .describe(
                "true: the host's certificate is not checked. For trying things out; digests and signatures are still checked.",
              ),
            connections: z
              .number()
              .int()
              .min(1)
              .max(64)
              .optional()
              .describe("How many requests may be on their way to it at once. Default: 8."),
          }),
        )
        .default({})
        .describe("Registries that need more than the defaults, by host."),
    })
    .default({ plainHttp: [], hosts: {} })
    .describe("How registries are spoken to."),
  signers: z
    .record(name, signerSchema)
    .default({})
    .describe("Who signs, by name. Each stage should have a signer of its own."),
  sigstore: z
    .record(name, sigstoreSchema)
    .default({})
    .describe("The Sigstores that keyless signers name: the public one, GitHub's own or a company's."),
  trustStores: z
    .record(name, trustStoreSchema)
    .default({})
    .describe("The authorities that signers of kind notation name: whose certificates and timestamps count."),
  bases: z.array(baseSchema).min(1).default([]).describe("The golden bases: what an image may stand on."),
  forbiddenBases: z
    .array(forbiddenBaseSchema)
    .default([])
    .describe(
      "Bases that nothing may stand on, told by their layers: what is retired, what was found bad, and with `lineage` all that was ever built on it. A team's policy that leaves out a base or a builder has it here.",
    ),
  images: imagesSection,
  rules: rulesSection,
  build: z
    .strictObject({
      strategies: z
        .array(z.enum(strategyNames))
        .min(1)
        .describe(
          "The build strategies that are allowed. Of several that apply, what tells most goes first (project.toml, a build plugin that makes images, the language, a Dockerfile), and this order decides among equals.",
        ),
      prefer: z
        .array(z.enum(strategyNames))
        .min(1)
        .optional()
        .describe("Strategies that are taken before others wherever anything in the application speaks for them."),
      isolation: z
        .array(z.enum(["container", "host", "host-unisolated"]))
        .min(1)
        .describe(
          "Where builds may run: in a governed build image (container), on a host and kept apart from it (host), or with nothing between the build and the host (host-unisolated), for hosts that end with the build.",
        ),
      sources: z
        .array(z.union([text, sourceSchema], "expected a repository's URL, or a map with `repository`"))
        .min(1)
        .describe(
          "What may be built from: a repository, or a repository with more that has to hold of the build; * stands for one path component: https://github.com/acme/*",
        ),
      builders: z
        .array(builderSchema)
        .min(1)
        .describe(
          "The builders to choose from. The first of the strategy that builds the application's language is used, unless a build names another.",
        ),
      builderMaxAge: duration
        .optional()
        .describe(
          "How long after the day of their approval (`approved`, which each of them then has) builder images and buildpacks may be built with, such as 90d. Default: until their `until`.",
        ),
      cache: z
        .enum(cacheModes)
        .default("none")
        .describe(
          "Whether a build may use what an earlier one left in the quarantine repository, and leave something itself. verified: only what the job that attests has signed for the same repository's protected ref. unverified: whatever is there. none: each build starts from its source alone.",
        ),
    })
    .default({ strategies: [], isolation: [], sources: [], builders: [], cache: "none" })
    .describe("How images may be made."),
  scan: scanSection,
  exceptions: z
    .array(exceptionSchema)
    .default([])
    .describe("What is let through for a while although a rule refuses it."),
  signedExceptions: signedExceptionsSection.optional(),
  enforceFrom: enforcementSchema,
  environments: z
    .record(name, environmentSchema)
    .default({})
    .describe("Where images are promoted to, by name, and what that takes."),
});

export type Policy = z.infer<typeof policyShape> & {
  /** Of the sections those that the file does not have. */
  absent?: readonly PolicySection[];
};
export type PolicyBase = Policy["bases"][number];
export type PolicyBuilder = Policy["build"]["builders"][number];
export type PolicyEnvironment = Policy["environments"][string];

/** A policy as loaded: what it says, and which bytes said it. */
export interface LoadedPolicy {
  policy: Policy;
  /** Where it came from: a path, `OWNER/REPO//path@commit` or `oci://…@sha256:…`. */
  uri: string;
  /** Of the file's bytes. */
  digest: Digest;
  /** What the platform's signer says of it, where it was asked: which policies came before it. */
  inForce?: PolicyPointer;
}
