import type { RegistryClient } from "./client.ts";
import type { Digest } from "./oci/digest.ts";
import type { Manifest } from "./oci/manifest.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";

/** Of manifests and blobs together, in bytes; the oldest go first. */
const maxRemembered = 32 * 1024 * 1024;

export interface RememberingClient extends RegistryClient {
  /** A blob's bytes, where they were read from this repository and are still held. */
  held(repository: Repository, digest: Digest): Uint8Array | undefined;
}

const remembering = new WeakSet<RegistryClient>();

/**
 * A client around `client` that reads each manifest and each small blob of a repository once: what has a digest cannot
 * have become something else. It forgets the oldest beyond `maxBytes`. Lists, tags and whatever writes go to `client`
 * each time, but for the list of tags of a repository, which is read once. Two who ask at the same time get one answer;
 * errors are not remembered. A client that remembers already is returned as it is.
 */
export function rememberReads(client: RegistryClient, maxBytes: number = maxRemembered): RememberingClient {
  if (isRemembering(client)) return client;
  const manifests = createMemory<Manifest>(maxBytes / 4, (manifest) => manifest.bytes.byteLength);
  const blobs = createMemory<Uint8Array>(maxBytes - maxBytes / 4, (bytes) => bytes.byteLength);
  const tags = new Map<string, Promise<string[]>>();
  const keyOf = (repository: Repository, digest: Digest): string => `${formatRepository(repository)}@${digest}`;
  const wrapped: RememberingClient = {
    ...client,
    held: (repository, digest) => blobs.get(keyOf(repository, digest)),
    fetchManifest(reference) {
      const { digest } = reference;
      if (digest !== undefined) return manifests.read(keyOf(reference, digest), () => client.fetchManifest(reference));
      return client
        .fetchManifest(reference)
        .then((manifest) => manifests.read(keyOf(reference, manifest.digest), async () => manifest));
    },
    async fetchBlob(repository, descriptor, most) {
      const ask = (): Promise<Uint8Array> => client.fetchBlob(repository, descriptor, most);
      const bytes = await blobs.read(keyOf(repository, descriptor.digest), ask);
      // Another descriptor of the same digest can be wrong about the size, or allow less: the client says so.
      return bytes.byteLength === descriptor.size && bytes.byteLength <= (most ?? bytes.byteLength) ? bytes : ask();
    },
    listTags(repository) {
      const key = formatRepository(repository);
      const known = tags.get(key) ?? client.listTags(repository);
      tags.set(key, known);
      known.catch(() => tags.delete(key));
      return known;
    },
  };
  remembering.add(wrapped);
  return wrapped;
}

function isRemembering(client: RegistryClient): client is RememberingClient {
  return remembering.has(client);
}

interface Memory<T> {
  get(key: string): T | undefined;
  read(key: string, ask: () => Promise<T>): Promise<T>;
}

function createMemory<T>(maxBytes: number, sizeOf: (value: T) => number): Memory<T> {
  const kept = new Map<string, T>();
  const asked = new Map<string, Promise<T>>();
  let bytes = 0;
  const keep = (key: string, value: T): void => {
    // What would push out everything else is not worth keeping.
    if (kept.has(key) || sizeOf(value) > maxBytes / 2) return;
    kept.set(key, value);
    bytes += sizeOf(value);
    for (const [oldest, old] of kept) {
      if (bytes <= maxBytes) return;
      kept.delete(oldest);
      bytes -= sizeOf(old);
    }
  };
  return {
    get: (key) => kept.get(key),
    async read(key, ask) {
      const known = kept.get(key);
      if (known !== undefined) return known;
      const running = asked.get(key) ?? ask();
      asked.set(key, running);
      try {
        const value = await running;
        keep(key, value);
        return value;
      } finally {
        if (asked.get(key) === running) asked.delete(key);
      }
    },
  };
}
