import { resolve } from "node:path";
import { gatherRepositories } from "@goldenpath/core/fleet/gather-fleet";
import { openPlaces, type SourcePlaces } from "@goldenpath/core/fleet/gather-places";
import { type FleetScope, planScope } from "@goldenpath/core/fleet/looked-at";
import { findEnvironment } from "@goldenpath/core/gate/find-environment";
import { loadPolicy } from "@goldenpath/core/policy/load";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { openContext } from "./context.ts";

/** What all of `goldenpath fleet` takes. */
export const fleetOptions = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  environment: { type: "string" },
  repositories: { type: "string" },
  "may-be-empty": { type: "string", multiple: true },
  checkouts: { type: "string" },
  json: { type: "boolean" },
} as const;

interface Given {
  policy?: string | undefined;
  "policy-signer"?: string | undefined;
  environment?: string | undefined;
  repositories?: string | undefined;
  "may-be-empty"?: string[] | undefined;
  checkouts?: string | undefined;
}

export const invalid = (message: string): UserError =>
  new UserError(`goldenpath fleet: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath fleet --help.",
  });

/** Of lists that people write. Bytes. */
const maxList = 4 * 1024 * 1024;

/** One entry a line; what follows a # is a remark. */
export async function readList(file: string, option: string): Promise<string[]> {
  let text: string;
  try {
    text = (await readBoundedFile(file, maxList)).toString("utf8");
  } catch (error) {
    throw new UserError(`${option} names '${file}', which can't be read`, { code: "arguments-invalid", cause: error });
  }
  const entries = text.split("\n").flatMap((line) => line.replace(/(^|\s)#.*$/, "").trim() || []);
  if (entries.length === 0) throw invalid(`${option} names '${file}', in which nothing is listed`);
  return entries;
}

export interface OpenedFleet {
  context: ReturnType<typeof openContext>;
  policy: LoadedPolicy;
  places: SourcePlaces;
  /** The repositories that were named; none: those of the registries' catalogues. */
  named: string[];
  scope: FleetScope;
  list(client: RegistryClient): Promise<Repository[]>;
}

/** Places in source repositories are asked for on GitHub where there is a token that may read them. */
export async function openFleet(given: Given, names: readonly string[]): Promise<OpenedFleet> {
  const { policy: uri, environment, "may-be-empty": mayBeEmpty = [] } = given;
  if (uri === undefined) throw invalid("expected --policy POLICY");
  const context = openContext();
  const named = [
    ...names,
    ...(given.repositories === undefined ? [] : await readList(given.repositories, "--repositories")),
  ];
  const policy = await loadPolicy(uri, context, given["policy-signer"]);
  if (environment !== undefined) findEnvironment(policy, environment);
  const isOnline = Boolean(context.env["GITHUB_TOKEN"] || context.env["GH_TOKEN"]);
  const checkouts = given.checkouts === undefined ? undefined : resolve(given.checkouts);
  return {
    ...{ context, policy, named, scope: planScope(policy.policy, named, environment) },
    places: openPlaces({ checkouts, isOnline }, context),
    list: (client) => gatherRepositories(client, policy.policy, { named, environment, mayBeEmpty }),
  };
}
