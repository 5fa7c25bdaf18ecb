import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Descriptor, Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../../policy/schema.ts";
import { verifyInline } from "../../signing/inline-bundle.ts";
import type { DatabasePlace } from "../database.ts";
import type { Scanner } from "../scanners/scanner.ts";
import { newestTag, readDataArtifact } from "./data-artifact.ts";
import { type MirroredData, readDataStatement } from "./data-statement.ts";
import { type DataObjection, judgeData } from "./judge-data.ts";

/** Where a policy has scans take their data from. */
export type DataSource = NonNullable<Policy["scan"]["data"]>;

/** An artifact that holds what one of the policy's signers said of it. */
export interface FoundData {
  manifest: Manifest;
  blob: Descriptor;
  said: MirroredData;
  signer: string;
}

/**
 * A scanner's newest data in a registry, as one of the policy's signers has signed it; not yet its bytes, and not held
 * to any age. One request.
 * @throws InfrastructureError `data-untrusted`; UserError `image-not-found`; the client's others
 */
export async function findData(
  client: Pick<RegistryClient, "fetchManifest">,
  scanner: string,
  source: DataSource,
  signers: Policy["signers"],
  now: Date,
): Promise<FoundData> {
  const repository = parseRepository(source.repository);
  const where = `${source.repository}:${newestTag(scanner)}`;
  const untrusted = (problem: string): InfrastructureError => dataError(where, { code: "data-untrusted", problem });
  const manifest = await client.fetchManifest({ ...repository, tag: newestTag(scanner) }).catch((error: unknown) => {
    throw isKnownError(error) && error.code === "manifest-invalid" ? untrusted(error.message) : error;
  });
  const artifact = readDataArtifact(manifest);
  if ("problem" in artifact) throw untrusted(artifact.problem);
  const named = Object.fromEntries(Object.entries(signers).filter(([name]) => source.signers.includes(name)));
  const verified = await verifyInline(artifact.bundle, artifact.data.digest, named, now);
  if ("problem" in verified) throw untrusted(`its signature does not count: ${verified.problem}`);
  const said = readDataStatement(verified.statement);
  if ("problem" in said) throw untrusted(said.problem);
  return { manifest, blob: artifact.data, said, signer: verified.signers.join(", ") };
}

/**
 * A scanner's data from the registry that the policy names: verified before any byte of it is asked for, and unpacked
 * after the last one has proved to be of the digest that was signed. Two requests, whatever the data's size.
 * @throws InfrastructureError `data-untrusted`, `data-outdated`, `scanner-failed`; UserError `image-not-found`,
 *   `input-invalid`; the client's others
 */
export async function fetchData(
  client: RegistryClient,
  scanner: Pick<Scanner, "name" | "data">,
  { scan: { data: source }, signers }: Pick<Policy, "scan" | "signers">,
  context: Context,
): Promise<DatabasePlace> {
  if (source === undefined) throw new TypeError("the policy names no place for data");
  if (scanner.data === undefined) {
    throw new UserError(
      `scanner ${scanner.name} has no data that could be mirrored, and the policy's scan.data wants it`,
      {
        code: "input-invalid",
        wayOut: "Ask other scanners, or have the policy's owners take scan.data out.",
      },
    );
  }
  const found = await findData(client, scanner.name, source, signers, context.now()).catch((error: unknown) => {
    throw isKnownError(error) && error.code === "image-not-found" ? notMirrored(scanner.name, source, error) : error;
  });
  const { said, blob } = found;
  const repository = parseRepository(source.repository);
  const from = `oci://${formatReference({ ...repository, digest: found.manifest.digest })}`;
  const objection = judgeData({ data: said, scanner: scanner.name, maxAge: source.maxAge, now: context.now() });
  if (objection !== undefined) throw dataError(from, objection);
  context.ports.log.info(
    `${scanner.name}'s data of ${said.built.toISOString()} from ${from}, signed by ${found.signer}`,
  );
  const folder = join(context.temporaryDirectory, `${scanner.name}-data`);
  const directory = join(folder, "unpacked");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(folder, said.file);
  const task = context.ports.progress.start(`Fetching ${scanner.name}'s data`, { unit: "bytes", amount: blob.size });
  try {
    const bytes = await client.openBlob(repository, blob);
    await pipeline(Readable.from(bytes), createWriteStream(file, { flags: "wx" }), { signal: context.signal });
    task.done();
  } catch (error) {
    task.failed();
    throw error;
  }
  await scanner.data.unpack(file, directory, context);
  return { directory, update: false, mirrored: { from, built: said.built, digest: blob.digest } };
}

export function dataError(where: string, { code, problem }: DataObjection): InfrastructureError {
  return new InfrastructureError(`the vulnerability data in ${where} is not used: ${problem}`, {
    code,
    safeToRetry: false,
    wayOut:
      code === "data-untrusted"
        ? "See who has written there. Mirror the data again with goldenpath data mirror, signed by a signer of the policy's scan.data."
        : "Have the mirror's workflow run (goldenpath data mirror), and see why it did not, or who has put older data there.",
  });
}

function notMirrored(scanner: string, { repository }: DataSource, cause: unknown): UserError {
  return new UserError(
    `${formatRepository(parseRepository(repository))}:${newestTag(scanner)} is not there, and the policy's scan.data has ${scanner}'s vulnerability data come from it`,
    {
      code: "image-not-found",
      cause,
      wayOut: `Mirror it: goldenpath data mirror --policy POLICY --scanner ${scanner} --key KEY. If it is there, log in to ${parseRepository(repository).registry} first.`,
    },
  );
}
