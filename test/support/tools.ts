import { delimiter } from "node:path";
import { findTool } from "@goldenpath/core/tools/find";
import { type LockedTool, productionTools } from "@goldenpath/core/tools/lock";
import { describeError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { beforeAll, type RunnerTestSuite, TestRunner } from "vitest";
import { admissionEngines } from "./admission-engines.ts";

const toolchain = "go1.26.8";

const regclientModule = {
  path: "github.com/regclient/regclient",
  version: "v0.11.7",
  sum: "h1:Jsjlnd0ZQ2Blh0vaJtxJ0pU549VajvZ6BTL/4R7noMo=",
} as const;

/** The field's tools that only tests use: as peers, as second opinions, and to run the workflows. */
export const testTools: readonly LockedTool[] = [
  {
    name: "crane",
    version: "0.22.1",
    module: {
      path: "github.com/google/go-containerregistry",
      version: "v0.22.1",
      sum: "h1:RZuuSYhTvlDvtsK+NkutoCZ//C0X2ebLK8X8l3ULs84=",
    },
    toolchain,
    package: "./cmd/crane",
    ldflags: "-s -w -X github.com/google/go-containerregistry/cmd/crane/cmd.Version=0.22.1",
    builds: { "linux-amd64": "7dd755e16828d41477c5d7263e7a11d50d7d0b352fb685cd5b4003604d3dbcfc" },
    versionCommand: { args: ["version"], pattern: "^v?(\\d+\\.\\d+\\.\\d+)$" },
  },
  {
    name: "cosign",
    version: "3.1.3",
    module: {
      path: "github.com/sigstore/cosign/v3",
      version: "v3.1.3",
      sum: "h1:001JQRI/PJ/5T+g/kJ1KTvKFbb322+fomc+pHDZ/6sg=",
    },
    toolchain,
    package: "./cmd/cosign",
    ldflags: "-s -w -X sigs.k8s.io/release-utils/version.gitVersion=v3.1.3",
    builds: { "linux-amd64": "8844bc4b45a895a2c7fb96af2f6df9ddad1d15a1f0e5a7bb2279c5bcf8a2b0d2" },
    releases: {
      "linux-amd64": {
        url: "https://github.com/sigstore/cosign/releases/download/v3.1.3/cosign-linux-amd64",
        sha256: "4629c757b7618056f8ddd7e2625ae9fdd94c0372a65049520bc7d9df9efc7f71",
        unverified: true,
      },
      "linux-arm64": {
        url: "https://github.com/sigstore/cosign/releases/download/v3.1.3/cosign-linux-arm64",
        sha256: "c5d324e091826b0d7a78eb16fef316450b4eb9aaec045611c08ba06f5e73220a",
        unverified: true,
      },
    },
    versionCommand: { args: ["version", "--json"], pattern: '"gitVersion":\\s*"v?(\\d+\\.\\d+\\.\\d+)"' },
  },
  {
    // A build from the module proxy knows no version of its own, so a copy in PATH counts by its bytes only.
    name: "olareg",
    version: "0.1.2",
    module: {
      path: "github.com/olareg/olareg",
      version: "v0.1.2",
      sum: "h1:75G8X6E9FUlzL/CSjgFcYfMgNzlc7CxULpUUNsZBIvI=",
    },
    toolchain,
    package: "./cmd/olareg",
    ldflags: "-s -w",
    builds: { "linux-amd64": "54cb87f3d1b96c225c2f64265e54c22eb80b952d20bc7d38ac9d4eddf200dad1" },
  },
  {
    // A vendor's buildpack, which is one program: detect and build are links to it.
    name: "paketo-go-build",
    version: "1.1.4",
    module: {
      path: "github.com/paketo-buildpacks/go-build",
      version: "v1.1.4",
      sum: "h1:pg9AddsNV4JMeF13XRVp+H5xOBfMZ16DNz2PDT7qaqM=",
    },
    toolchain,
    package: "./run",
    ldflags: "-s -w",
    builds: { "linux-amd64": "a33b4b5eda5a1bdc7a6d860628f73af979f2200c33a98f0b82dacff773876edc" },
  },
  {
    name: "act",
    version: "0.2.89",
    module: {
      path: "github.com/nektos/act",
      version: "v0.2.89",
      sum: "h1:d9oFeJ6jUkaVExuG+XzAaMPDqoDrNHaGeiRb8IU+N5w=",
    },
    toolchain,
    package: ".",
    ldflags: "-s -w -X main.version=0.2.89",
    builds: { "linux-amd64": "a0682b9aa7179ccf6262e59581e0781294e7e0b8174c04a6ba55ed218e94d761" },
    versionCommand: { args: ["--version"], pattern: "^act version v?(\\d+\\.\\d+\\.\\d+)$" },
  },
  {
    name: "actionlint",
    version: "1.7.12",
    module: {
      path: "github.com/rhysd/actionlint",
      version: "v1.7.12",
      sum: "h1:vQ4GeJN86C0QH+gTUQcs8McmK62OLT3kmakPMtEWYnY=",
    },
    toolchain,
    package: "./cmd/actionlint",
    ldflags: "-s -w -X github.com/rhysd/actionlint.version=1.7.12",
    builds: { "linux-amd64": "0e8a79291ae15baec75678b65f71543f96e41936c000f8a2c1c7f8141db2ecc9" },
    versionCommand: { args: ["-version"], pattern: "^v?(\\d+\\.\\d+\\.\\d+)$" },
  },
  {
    name: "regctl",
    version: "0.11.7",
    module: regclientModule,
    toolchain,
    package: "./cmd/regctl",
    ldflags: "-s -w -X github.com/regclient/regclient/internal/version.vcsTag=v0.11.7",
    builds: { "linux-amd64": "ccfc556e99914c47d825478d05d4f9db0b5eea104e141a819f6c91994dd70f71" },
    versionCommand: { args: ["version"], pattern: "^VCSTag:\\s+v?(\\d+\\.\\d+\\.\\d+)$" },
  },
  {
    name: "regsync",
    version: "0.11.7",
    module: regclientModule,
    toolchain,
    package: "./cmd/regsync",
    ldflags: "-s -w -X github.com/regclient/regclient/internal/version.vcsTag=v0.11.7",
    builds: { "linux-amd64": "acc01173a6fba2b9454ad984e28fb3a35424742f763074c63a9d5adfcab84cec" },
    versionCommand: { args: ["version"], pattern: "^VCSTag:\\s+v?(\\d+\\.\\d+\\.\\d+)$" },
  },
  {
    name: "oras",
    version: "1.3.6",
    module: { path: "oras.land/oras", version: "v1.3.6", sum: "h1:Lhsfr2tQLjsu/+CJZp6vYatwKT+62fbIUTlp4lUrfOA=" },
    toolchain,
    package: "./cmd/oras",
    ldflags: "-s -w",
    builds: { "linux-amd64": "2707f3cca57b51d923e671ab3c7f0f0ecc763193f12be9081e089806596445c7" },
    versionCommand: { args: ["version"], pattern: "^Version:\\s+v?(\\d+\\.\\d+\\.\\d+)$" },
  },
  {
    // What Docker's own client builds by.
    name: "buildx",
    version: "0.29.1",
    module: {
      path: "github.com/docker/buildx",
      version: "v0.29.1",
      sum: "h1:58hxM5Z4mnNje3G5NKfULT9xCr8ooM8XFtlfUK9bKaA=",
    },
    toolchain,
    package: "./cmd/buildx",
    ldflags: "-s -w -X github.com/docker/buildx/version.Version=v0.29.1",
    builds: { "linux-amd64": "85e971255ace92d87b5fcf462ddd15866218e71170d672ec3aedfd22c4fc9c4b" },
    versionCommand: { args: ["version"], pattern: "^github\\.com/docker/buildx v?(\\d+\\.\\d+\\.\\d+)\\b" },
  },
  {
    // A Sigstore's services: certificates, the transparency log, the certificate log, timestamps.
    name: "fulcio",
    version: "1.8.8",
    module: {
      path: "github.com/sigstore/fulcio",
      version: "v1.8.8",
      sum: "h1:AtVoVQ4R7YaP6RHIH9puHyB398CHS/9WYc6d+gKf5Y0=",
    },
    toolchain,
    package: ".",
    ldflags: "-s -w",
    builds: { "linux-amd64": "95b5868217503374c2de3f72a51f74c5b43351373d498073baaf9a1d240e59d6" },
  },
  {
    name: "rekor-server",
    version: "2.2.0",
    module: {
      path: "github.com/sigstore/rekor-tiles/v2",
      version: "v2.2.0",
      sum: "h1:QwJNwxT+k5A3id+Hrg+8vYcNsTaB0Sj51xjfW2rKyAs=",
    },
    toolchain,
    package: "./cmd/rekor-server/posix",
    ldflags: "-s -w",
    builds: { "linux-amd64": "03fae009d934b5946e6a27be124b3ac583c8bc05ba2fc3bd816f451e815e2723" },
  },
  {
    name: "tesseract",
    version: "0.1.1",
    module: {
      path: "github.com/transparency-dev/tesseract",
      version: "v0.1.1",
      sum: "h1:KMyqb5/43noPwaBIuFxaWOnhtx360JRb1nEPqUVn1KQ=",
    },
    toolchain,
    package: "./cmd/tesseract/posix",
    ldflags: "-s -w",
    builds: { "linux-amd64": "0f8a37f2bdc0388f139be4fadf05b4677f28d6ff1bcc6242c325fbddc6b4ba04" },
  },
  {
    name: "timestamp-server",
    version: "2.0.2",
    module: {
      path: "github.com/sigstore/timestamp-authority/v2",
      version: "v2.0.2",
      sum: "h1:WavlEeLh6HKt+osbmsHDg6/FaM/8Pz9iVUMh9pAsl/o=",
    },
    toolchain,
    package: "./cmd/timestamp-server",
    ldflags: "-s -w",
    builds: { "linux-amd64": "c58fdce156479e8e154e9cedb57c0ae50d5322503b1ad36d60d4dbb11689a760" },
  },
  {
    name: "notation",
    version: "1.3.2",
    module: {
      path: "github.com/notaryproject/notation",
      version: "v1.3.2",
      sum: "h1:roSxDRZ+w8kIgxoxruhHpSVtVFwpfq2piuaMvOrPaco=",
    },
    toolchain,
    package: "./cmd/notation",
    ldflags: "-s -w",
    builds: { "linux-amd64": "021c31ccdae758f163bc87ad39fac2f28f06e5f816f444db2a5639a0207f82eb" },
  },
  {
    // The distribution specification's own suite. It is never tagged, and says no version of itself.
    name: "oci-conformance",
    version: "0.0.0-20260831232431-97274622c111",
    module: {
      path: "github.com/opencontainers/distribution-spec/conformance",
      version: "v0.0.0-20260831232431-97274622c111",
      sum: "h1:ppZPU0CrEPzyJhVggYwUIZrqh0w2lIT0esw+9ABNPA4=",
    },
    toolchain,
    package: ".",
    ldflags: "-s -w",
    builds: { "linux-amd64": "105c50771843e7f78e8c217c7d2af5acdda70179796b174c44d45ba7cf0c7a22" },
  },
];

/** Everything that a test may ask for. */
export const allTools: readonly LockedTool[] = [...productionTools, ...testTools, ...admissionEngines];

const missingIsFailure = (): boolean =>
  (process.env["CI"] ?? "") !== "" || process.env["GOLDENPATH_REQUIRE_TOOLS"] === "1";

/**
 * The path of a tool of {@link allTools}, found, downloaded or built like production's own. Where it can't be had, the
 * test that asks is skipped with the reason; with `CI` or `GOLDENPATH_REQUIRE_TOOLS=1` it fails. In a hook there is no
 * test to skip, so it fails there too, unless the hook hands over its suite: {@link useTools} does.
 */
export async function requireTool(name: string, suite?: Readonly<RunnerTestSuite>): Promise<string> {
  try {
    return (await findTool(name, { ports: visiblePorts(), env: process.env, lock: allTools })).path;
  } catch (error) {
    // A name that is in no lock, or a mirror that is none, is a mistake and not a missing tool.
    if (!(error instanceof Error) || error.name !== "InfrastructureError") throw error;
    return giveUp(describeError(error), suite);
  }
}

/**
 * For tools that a whole `describe` (or file) needs: gets them in a `beforeAll` of it, and skips all of it by the rule
 * of {@link requireTool}.
 */
export function useTools<Name extends string>(...names: Name[]): Readonly<Record<Name, string>> {
  const paths = {} as Record<Name, string>;
  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    for (const name of names) paths[name] = await requireTool(name, suite);
  });
  return paths;
}

/** Debian's packages of the programs that tests start. */
const debianPackages: Readonly<Record<string, string>> = {
  dockerd: "docker.io",
  docker: "docker.io",
  "docker-registry": "docker-registry",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
  git: "git",
  openssl: "openssl",
  perl: "perl-base",
  strace: "strace",
  sudo: "sudo",
  curl: "curl",
  skopeo: "skopeo",
  mmdebstrap: "mmdebstrap",
  mvn: "maven",
  jlink: "default-jdk-headless",
  chroot: "coreutils",
  runc: "runc",
  newuidmap: "uidmap",
  "softhsm2-util": "softhsm2",
  "pkcs11-tool": "opensc",
  python3: "python3",
  chromium: "chromium",
};

/**
 * The path of a program of the machine, by the rule of {@link requireTool}. System directories count even where PATH
 * lacks them.
 */
export async function requireCommand(name: string, suite?: Readonly<RunnerTestSuite>): Promise<string> {
  const path = [process.env["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin"].filter(Boolean).join(delimiter);
  const found = await findInPath(name, { PATH: path });
  return found ?? giveUp(`${name} is not on this machine: apt-get install ${debianPackages[name] ?? name}`, suite);
}

/**
 * Ends the running test (or the suite of a hook) by the rule of {@link requireTool}: skipped with the reason, or
 * failed.
 */
export function giveUp(message: string, suite?: Readonly<RunnerTestSuite>): never {
  const test = TestRunner.getCurrentTest() ?? (suite === undefined ? undefined : firstTest(suite));
  if (missingIsFailure() || test === undefined) throw new Error(message);
  console.warn(`skipped: ${message}`);
  test.context.skip(message);
  throw new Error(message);
}

type AnyTest = NonNullable<ReturnType<typeof TestRunner.getCurrentTest>>;

/** In a suite's hook no test is running; what skips its first test, thrown there, skips all of them. */
function firstTest(suite: Readonly<RunnerTestSuite>): AnyTest | undefined {
  for (const task of suite.tasks) {
    const test = task.type === "suite" ? firstTest(task) : task;
    if (test !== undefined) return test;
  }
  return undefined;
}

/** A build takes minutes: it must not look like a test that hangs. */
function visiblePorts(): Ports {
  const silent = silentPorts();
  return {
    ...silent,
    log: { ...silent.log, warning: (message) => console.warn(message) },
    progress: {
      start(label) {
        console.warn(`${label} …`);
        return { advance: () => undefined, done: () => undefined, failed: () => undefined };
      },
    },
  };
}
