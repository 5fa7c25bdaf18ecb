import type { CredentialStore } from "@goldenpath/registry-client/credentials";
import { type Credential, encodeBasic } from "@goldenpath/registry-client/docker-config";
import type { Repository } from "@goldenpath/registry-client/oci/reference";

/**
 * The logins for these repositories, the first one's host first, as the lifecycle takes them: a JSON object host →
 * header (Platform API, `CNB_REGISTRY_AUTH`). It knows one login a host, so where several repositories of a host have
 * different ones, the first repository's is taken.
 */
export async function renderRegistryAuth(store: CredentialStore, repositories: readonly Repository[]): Promise<string> {
  const headers: Record<string, string> = {};
  for (const repository of repositories) {
    // go-containerregistry, in the lifecycle, calls Docker Hub so.
    const host = repository.registry === "docker.io" ? "index.docker.io" : repository.registry;
    if (Object.hasOwn(headers, host)) continue;
    const credential = await store.find(repository);
    if (credential !== undefined) headers[host] = formatHeader(credential);
  }
  return JSON.stringify(headers);
}

/** The same logins as a Docker configuration, for programs that read no other. */
export async function renderDockerConfig(store: CredentialStore, repositories: readonly Repository[]): Promise<string> {
  const auths: Record<string, Record<string, string>> = {};
  for (const repository of repositories) {
    const host = repository.registry === "docker.io" ? "https://index.docker.io/v1/" : repository.registry;
    if (Object.hasOwn(auths, host)) continue;
    const credential = await store.find(repository);
    if (credential !== undefined) auths[host] = formatAuth(credential);
  }
  return JSON.stringify({ auths });
}

function formatAuth(credential: Credential): Record<string, string> {
  switch (credential.kind) {
    case "basic":
      return { auth: encodeBasic(credential.username, credential.password) };
    case "registry-token":
      return { registrytoken: credential.token };
    case "identity-token":
      return { identitytoken: credential.token };
  }
}

function formatHeader(credential: Credential): string {
  switch (credential.kind) {
    case "basic":
      return `Basic ${encodeBasic(credential.username, credential.password)}`;
    case "registry-token":
      return `Bearer ${credential.token}`;
    case "identity-token":
      return `X-Identity ${credential.token}`;
  }
}
