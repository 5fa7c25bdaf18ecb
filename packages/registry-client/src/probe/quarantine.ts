import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { createCredentialStore } from "../credentials.ts";
import { findAuth, findHelper, maxDockerConfigBytes, parseDockerConfig } from "../docker-config.ts";
import { maxManifestBytes, mediaTypes } from "../oci/manifest.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Seen } from "./facts.ts";
import { tagsOf } from "./gather-manifests.ts";
import { type Answer, createWire, noCredentials, openManifest, seenOf, type Wire, type WireOptions } from "./wire.ts";
import { pull } from "./workspace.ts";

/** Who production may be when it pulls: the logins of a Docker config directory, and nobody. */
export type Puller = "pull-config" | "anonymous";

/** What one of them got when it tried to read quarantine. */
export interface ReadAttempt {
  puller: Puller;
  /** `other`: the directory has logins, and none for this registry. `none`: no login at all. */
  login: "own" | "other" | "none";
  /** The version endpoint, which tells a login that is taken from one that is not. */
  version: Seen;
  manifest: Seen & { isManifest: boolean };
  /** The list of tags. */
  tags: Seen & { isList: boolean };
  /** A layer of the image, where whoever runs the probe could see which it has. */
  blob?: Seen;
}

export interface QuarantineFacts {
  /** `HOST/NAME[:tag][@digest]` */
  image: string;
  /** The same image, read with the logins of whoever runs the probe: it shows that there is something to be refused. */
  control: Seen & { isManifest: boolean };
  /** An image that production does pull, read with its logins: it shows that those are good. */
  vetted?: { image: string; answer: Seen; isManifest: boolean };
  attempts: readonly ReadAttempt[];
}

const manifestTypes = [
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
  mediaTypes.dockerManifest,
  mediaTypes.dockerManifestList,
].join(", ");

export interface QuarantineOptions extends WireOptions {
  image: Reference;
  /** A Docker config directory with the logins that production pulls with. */
  pullConfig?: string;
  vetted?: Reference;
}

/**
 * Tries to read quarantine with the logins that production pulls with, and as nobody. Only reads.
 * @throws UserError `docker-config-invalid`, `credential-helper-failed`; InfrastructureError `aborted`
 */
export async function gatherQuarantine(options: QuarantineOptions): Promise<QuarantineFacts> {
  const { image, pullConfig, vetted } = options;
  const { answer: control, layer } = await withWire(options, (wire) => readControl(wire, image));
  const anonymous = await withWire({ ...options, credentials: noCredentials }, (wire) =>
    attempt(wire, image, layer, "anonymous", "none"),
  );
  const facts: QuarantineFacts = { image: formatReference(image), control, attempts: [anonymous] };
  if (pullConfig === undefined) return facts;
  const login = await findLogin(pullConfig, image);
  // Nothing of the logins of whoever runs the probe: no podman file, no helper named elsewhere.
  const env = { ...options.env, DOCKER_CONFIG: pullConfig, REGISTRY_AUTH_FILE: undefined, XDG_RUNTIME_DIR: undefined };
  const theirs = { ...options, env, credentials: createCredentialStore({ ...options, env }) };
  const own = await withWire(theirs, (wire) => attempt(wire, image, layer, "pull-config", login));
  const good = vetted === undefined ? undefined : await withWire(theirs, (wire) => readManifest(wire, vetted));
  return {
    ...facts,
    attempts: [own, anonymous],
    ...(vetted === undefined || good === undefined
      ? {}
      : {
          vetted: {
            image: formatReference(vetted),
            answer: seenOf(good),
            isManifest: openManifest(good) !== undefined,
          },
        }),
  };
}

async function withWire<T>(options: WireOptions, body: (wire: Wire) => Promise<T>): Promise<T> {
  const wire = createWire(options);
  try {
    return await body(wire);
  } finally {
    await wire.close();
  }
}

function readManifest(wire: Wire, image: Reference): Promise<Answer> {
  const reference = image.digest ?? image.tag ?? "latest";
  return wire.ask({
    method: "GET",
    path: `${image.name}/manifests/${reference}`,
    access: pull(image),
    headers: { accept: manifestTypes },
    readUpTo: maxManifestBytes,
  });
}

async function readControl(
  wire: Wire,
  image: Reference,
): Promise<{ answer: QuarantineFacts["control"]; layer: string | undefined }> {
  const answer = await readManifest(wire, image);
  const manifest = openManifest(answer);
  return {
    answer: { ...seenOf(answer), isManifest: manifest !== undefined },
    layer: manifest?.kind === "image" ? manifest.manifest.layers[0]?.digest : undefined,
  };
}

async function attempt(
  wire: Wire,
  image: Reference,
  layer: string | undefined,
  puller: Puller,
  login: ReadAttempt["login"],
): Promise<ReadAttempt> {
  const version = await wire.ask({ method: "GET", path: "", access: pull(image), as: "GET /v2/" });
  const manifest = await readManifest(wire, image);
  const tags = await wire.ask({
    method: "GET",
    path: `${image.name}/tags/list`,
    access: pull(image),
    readUpTo: maxManifestBytes,
  });
  const blob =
    layer === undefined
      ? undefined
      : await wire.ask({ method: "HEAD", path: `${image.name}/blobs/${layer}`, access: pull(image) });
  return {
    puller,
    login,
    version: seenOf(version),
    manifest: { ...seenOf(manifest), isManifest: openManifest(manifest) !== undefined },
    tags: { ...seenOf(tags), isList: (tagsOf(tags)?.length ?? 0) > 0 },
    ...(blob === undefined ? {} : { blob: seenOf(blob) }),
  };
}

/**
 * Does the directory have a login for the image's registry, or at least for some? @throws UserError
 * `docker-config-invalid`
 */
async function findLogin(directory: string, image: Reference): Promise<ReadAttempt["login"]> {
  const file = join(directory, "config.json");
  let text: string;
  try {
    text = new TextDecoder().decode(await readBoundedFile(file, maxDockerConfigBytes));
  } catch (error) {
    throw new UserError(`the logins that production pulls with cannot be read: ${(error as Error).message}`, {
      code: "docker-config-invalid",
      cause: error,
      wayOut: "Name a directory with a config.json, as docker login leaves it.",
    });
  }
  const config = parseDockerConfig(text, file);
  if (findHelper(config, image.registry) !== undefined || findAuth(config, image) !== undefined) return "own";
  const hasOthers = Object.keys(config.auths ?? {}).length > 0 || Object.keys(config.credHelpers ?? {}).length > 0;
  return hasOthers ? "other" : "none";
}
