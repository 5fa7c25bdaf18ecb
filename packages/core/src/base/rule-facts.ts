import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { FileTree } from "../layers/tree.ts";
import type { FactValues } from "../policy/custom-rules/facts.ts";
import type { ImageHabits } from "./habits/config.ts";
import type { ApprovedBase } from "./identify.ts";
import { readPackages } from "./packages.ts";

/** Of one platform's image, as {@link listBaseFacts} tells it. */
interface RuleSubject {
  digest: Digest;
  platform: Platform;
  labels: Readonly<Record<string, string>>;
  habits: ImageHabits;
  layers: readonly Digest[];
  blobs: readonly { digest: Digest; size: number }[];
  trees?: { image: FileTree };
}

/** What a rule can ask of a base. */
export type ToldBase = Pick<ApprovedBase, "name" | "image" | "digest" | "until" | "approval">;

/** What rules of stage base can ask for of one platform's image; `policy/custom-rules/facts.ts` says what each is. */
export function listBaseFacts(
  child: RuleSubject,
  stands: { base: ToldBase | undefined; matchedLayers: number },
  { repository, now }: { repository: Repository; now: Date },
): FactValues {
  return {
    image: {
      repository: formatRepository(repository),
      digest: child.digest,
      platform: formatPlatform(child.platform),
    },
    config: tellConfig(child),
    layers: child.blobs.map(({ digest, size }, index) => ({
      ...{ digest, size: BigInt(size), diffId: child.layers[index] ?? "" },
      from: stands.base === undefined ? "unknown" : index < stands.matchedLayers ? "base" : "application",
    })),
    ...(stands.base === undefined ? {} : { base: tellBase(stands.base) }),
    ...(child.trees === undefined
      ? {}
      : {
          packages: [...readPackages(child.trees.image).values()].flatMap(({ manager, name, versions }) => {
            const [own = "", architecture = ""] = name.split(":");
            return versions.map((version) => ({ manager, name: own, version, architecture }));
          }),
        }),
    now,
  };
}

/** What is not of the kind that it should be is left out: whoever asks for it is refused. */
function tellConfig({ habits, labels }: RuleSubject): Record<string, unknown> {
  const config: Readonly<Record<string, unknown>> = habits.config ?? {};
  const said: Record<string, unknown> = {
    user: textOf(config["User"]),
    workingDirectory: textOf(config["WorkingDir"]),
    entrypoint: textsOf(config["Entrypoint"]),
    command: textsOf(config["Cmd"]),
    env: readVariables(config["Env"]),
    ports: namesOf(config["ExposedPorts"]),
    volumes: namesOf(config["Volumes"]),
    labels: new Map(Object.entries(labels)),
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

const isNothing = (value: unknown): value is null | undefined => value === undefined || value === null;

function textOf(value: unknown): string | undefined {
  return isNothing(value) ? "" : typeof value === "string" ? value : undefined;
}

function textsOf(value: unknown): string[] | undefined {
  if (isNothing(value)) return [];
  return Array.isArray(value) && value.every((each) => typeof each === "string") ? value : undefined;
}

/** `NAME=VALUE` each; of one name the last counts, as for runtimes. */
function readVariables(value: unknown): Map<string, string> | undefined {
  const lines = textsOf(value);
  if (lines === undefined) return undefined;
  return new Map(
    lines.map((line) => {
      const end = line.indexOf("=");
      return end === -1 ? [line, ""] : [line.slice(0, end), line.slice(end + 1)];
    }),
  );
}

/** The image specification keeps sets as maps with nothing behind the names. */
function namesOf(value: unknown): string[] | undefined {
  if (isNothing(value)) return [];
  return typeof value === "object" && !Array.isArray(value) ? Object.keys(value) : undefined;
}

function tellBase({ name, image, digest, until, approval }: ToldBase): Record<string, unknown> {
  const signed = approval?.found.kind === "approved" ? approval.found.approval : undefined;
  // What is no day is sorted to the end.
  const [end] = [until, signed?.endOfLife].toSorted();
  return {
    ...{ name, image, digest },
    ...(signed === undefined ? {} : { approvedAt: signed.approvedAt }),
    ...(end === undefined ? {} : { until: end }),
  };
}
