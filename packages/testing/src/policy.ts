import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { LoadedPolicy, Policy } from "@goldenpath/core/policy/schema";
import type { Digest } from "@goldenpath/registry-client/oci/digest";

/** `sha256:` and one hexadecimal digit 64 times: for tests in which nothing has that digest. */
export function fakeDigest(character: string): Digest {
  return `sha256:${character.repeat(64)}`;
}

/** A whole, valid policy in YAML; tests replace parts of it. */
export const samplePolicyText = `version: 1
name: acme
serial: 7
accepts: [{ serial: 6, digest: "${fakeDigest("6")}" }]
registries:
  plainHttp: [registry.test:5000]
signers:
  build:
    publicKey: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
      -----END PUBLIC KEY-----
  promote:
    publicKey: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAF
      -----END PUBLIC KEY-----
bases:
  - name: golden-run
    image: registry.test:5000/bases/run
    digests:
      - ${fakeDigest("a")}
    until: 2026-12-31
build:
  strategies: [buildpacks]
  isolation: [host]
  sources: ["https://github.com/acme/*"]
  builders:
    - name: node
      buildpacks: [registry.test:5000/buildpacks/node@${fakeDigest("b")}]
      runImage: golden-run
scan:
  failOn: high
exceptions:
  - rule: scan.severity
    vulnerability: CVE-2026-0001
    package: lodash
    reason: not reachable
    owner: team-shop
    expires: 2026-05-31
environments:
  production:
    from: [registry.test:5000/quarantine]
    to: [registry.test:5000/vetted]
    requires:
      - stage: build
        signers: [build]
        maxAge: 7d
    promoter: promote
`;

export function samplePolicy(change: Partial<Policy> = {}): Policy {
  return { ...parsePolicy(new TextEncoder().encode(samplePolicyText), "policy.yaml"), ...change };
}

export function sampleLoadedPolicy(change: Partial<Policy> = {}): LoadedPolicy {
  return { policy: samplePolicy(change), uri: "policy.yaml", digest: fakeDigest("f") };
}
