// A Sigstore of the field's own services: Fulcio, Rekor of the second version, the certificate log and the timestamp
// authority, as processes of this machine; only the issuer of tokens is a stand-in, for GitHub's.
import { execFile } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { exportAuthority } from "./constructed-sigstore.ts";
import { type GithubIssuer, startGithubIssuer } from "./github-issuer.ts";
import { freePort, type RunningProgram, startProgram } from "./servers.ts";
import { startTimestampServer } from "./timestamp-authority.ts";

const run = promisify(execFile);

export const sigstoreTools = ["fulcio", "rekor-server", "tesseract", "timestamp-server", "cosign"] as const;
type Tools = Readonly<Record<(typeof sigstoreTools)[number], string>>;

export interface RealSigstore {
  issuer: GithubIssuer;
  /** JSON, and the file that it is in. */
  trustedRoot: string;
  trustedRootFile: string;
  /** For cosign. */
  signingConfigFile: string;
  fulcio: string;
  rekor: string;
  timestamp: string;
  /** Ends one of the services, as an outage does. */
  stop(service: "fulcio" | "rekor" | "timestamp"): Promise<void>;
  close(): Promise<void>;
}

/** The extensions that Fulcio's public instance makes of GitHub's claims. */
const githubMetadata = {
  "default-template-values": { url: "https://github.com", environment: "" },
  "extension-templates": {
    "github-workflow-trigger": "event_name",
    "github-workflow-sha": "sha",
    "github-workflow-name": "workflow",
    "github-workflow-repository": "repository",
    "github-workflow-ref": "ref",
    "build-signer-uri": "{{ .url }}/{{ .job_workflow_ref }}",
    "build-signer-digest": "job_workflow_sha",
    "runner-environment": "runner_environment",
    "source-repository-uri": "{{ .url }}/{{ .repository }}",
    "source-repository-digest": "sha",
    "source-repository-ref": "ref",
    "source-repository-identifier": "repository_id",
    "source-repository-owner-uri": "{{ .url }}/{{ .repository_owner }}",
    "source-repository-owner-identifier": "repository_owner_id",
    "build-config-uri": "{{ .url }}/{{ .workflow_ref }}",
    "build-config-digest": "workflow_sha",
    "build-trigger": "event_name",
    "run-invocation-uri": "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
    "source-repository-visibility-at-signing": "repository_visibility",
    "deployment-environment": "environment",
  },
  "subject-alternative-name-template": "{{ .url }}/{{ .job_workflow_ref }}",
};

export async function startSigstore(tools: Tools): Promise<RealSigstore> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-sigstore-"));
  const issuer = await startGithubIssuer();
  const running = new Map<string, RunningProgram>();
  const close = async (): Promise<void> => {
    await Promise.all([...running.values()].map((program) => program.stop()));
    await issuer.close();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const urls = await startServices(tools, directory, issuer, running);
    const files = await describeServices(tools.cosign, directory, urls);
    return {
      issuer,
      ...urls,
      ...files,
      trustedRoot: await readFile(files.trustedRootFile, "utf8"),
      stop: async (service) => running.get(service)?.stop(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Urls {
  fulcio: string;
  rekor: string;
  timestamp: string;
  ctlog: string;
}

async function startServices(
  tools: Tools,
  directory: string,
  issuer: GithubIssuer,
  running: Map<string, RunningProgram>,
): Promise<Urls> {
  const at = (name: string): string => join(directory, name);
  await writeKey(directory, "rekor");
  await writeKey(directory, "ctlog");
  const authority = await exportAuthority();
  await writeFile(at("fulcio.crt"), authority.certificate);
  await writeFile(at("fulcio.pem"), authority.privateKey, { mode: 0o600 });
  await Promise.all([mkdir(at("rekor")), mkdir(at("ctlog"))]);
  const [fulcioPort = 0, rekorPort = 0, ctPort = 0, timestampPort = 0, ...more] = await Promise.all(
    Array.from({ length: 8 }, freePort),
  );
  const [grpc, metrics, rekorGrpc, rekorMetrics] = more.map(String);
  const local = (port: number): string => `http://127.0.0.1:${port}`;
  const issuers = {
    "oidc-issuers": {
      // As each authority but the field's has to have it: a token for `sigstore` would be good elsewhere, too.
      [issuer.url]: {
        "issuer-url": issuer.url,
        "client-id": local(fulcioPort),
        type: "ci-provider",
        "ci-provider": "github",
      },
    },
    "ci-issuer-metadata": { github: githubMetadata },
  };
  // JSON is YAML, and this is read by YAML's names only where it is not JSON.
  await writeFile(at("fulcio.yaml"), `# issuers\n${JSON.stringify(issuers)}`);
  const ctlog = `${local(ctPort)}/ct`;
  const start = async (
    name: string,
    program: string,
    args: (string | undefined)[],
    isReady: () => Promise<boolean>,
  ) => {
    const started = startProgram(
      program,
      args.map((arg) => arg ?? ""),
    );
    running.set(name, started);
    await started.until(isReady);
  };
  const answers =
    (url: string, statuses: readonly number[] = [200]) =>
    async (): Promise<boolean> => {
      const answer = await fetch(url);
      await answer.body?.cancel();
      return statuses.includes(answer.status);
    };
  const ctArgs = ["--origin=127.0.0.1/ct", "--path_prefix=ct", `--http_endpoint=127.0.0.1:${ctPort}`];
  const ctFiles = [
    `--roots_pem_file=${at("fulcio.crt")}`,
    `--private_key=${at("ctlog.pem")}`,
    `--storage_dir=${at("ctlog")}`,
  ];
  const rekorPorts = ["--http-port", String(rekorPort), "--grpc-port", rekorGrpc, "--http-metrics-port", rekorMetrics];
  const rekorArgs = ["--hostname", "127.0.0.1", "--storage-dir", at("rekor"), "--signer-filepath", at("rekor.pem")];
  await Promise.all([
    start(
      "ctlog",
      tools.tesseract,
      [...ctArgs, ...ctFiles, "--checkpoint_interval=500ms"],
      answers(`${ctlog}/ct/v1/get-roots`),
    ),
    start(
      "rekor",
      tools["rekor-server"],
      ["serve", ...rekorArgs, ...rekorPorts, "--checkpoint-interval", "500ms"],
      answers(`${local(rekorPort)}/healthz`),
    ),
    startTimestampServer(
      tools["timestamp-server"],
      [
        ...["serve", "--host", "127.0.0.1", "--port", String(timestampPort)],
        ...["--timestamp-signer", "memory", "--disable-ntp-monitoring"],
      ],
      answers(`${local(timestampPort)}/api/v1/timestamp/certchain`),
    ).then((started) => running.set("timestamp", started)),
  ]);
  const fulcioFiles = [
    "--fileca-cert",
    at("fulcio.crt"),
    "--fileca-key",
    at("fulcio.pem"),
    "--fileca-key-passwd",
    authority.passphrase,
  ];
  const fulcioPorts = ["--port", String(fulcioPort), "--grpc-port", grpc, "--metrics-port", metrics];
  const fulcioLog = [
    "--ct-log-url",
    ctlog,
    "--ct-log-public-key-path",
    at("ctlog.pub"),
    "--ct-log-origin",
    "127.0.0.1/ct",
  ];
  const hosts = [
    "--host",
    "127.0.0.1",
    "--grpc-host",
    "127.0.0.1",
    "--legacy-unix-domain-socket",
    `@goldenpath-fulcio-${fulcioPort}`,
  ];
  const fulcioArgs = ["serve", "--ca", "fileca", "--config-path", at("fulcio.yaml"), "--fileca-watch=false"];
  const ready = answers(`${local(fulcioPort)}/api/v2/configuration`);
  await start("fulcio", tools.fulcio, [...fulcioArgs, ...fulcioFiles, ...fulcioPorts, ...fulcioLog, ...hosts], ready);
  const timestamp = `${local(timestampPort)}/api/v1/timestamp`;
  return { fulcio: local(fulcioPort), rekor: local(rekorPort), timestamp, ctlog };
}

async function writeKey(directory: string, name: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const type = name === "ctlog" ? "sec1" : "pkcs8";
  await writeFile(join(directory, `${name}.pem`), privateKey.export({ format: "pem", type }), { mode: 0o600 });
  await writeFile(join(directory, `${name}.pub`), createPublicKey(privateKey).export({ format: "pem", type: "spki" }));
}

/** The trusted root and the configuration for signing, as cosign writes them. */
async function describeServices(
  cosign: string,
  directory: string,
  { fulcio, rekor, timestamp, ctlog }: Urls,
): Promise<Pick<RealSigstore, "trustedRootFile" | "signingConfigFile">> {
  const at = (name: string): string => join(directory, name);
  const chain = await fetch(`${timestamp}/certchain`);
  await writeFile(at("timestamp.crt"), await chain.text());
  const since = `start-time=${new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+/, "")}`;
  const service = (url: string, version: number): string => `url=${url},api-version=${version},${since},operator=test`;
  const env = { HOME: directory, PATH: process.env["PATH"] };
  const files = { trustedRootFile: at("trusted-root.json"), signingConfigFile: at("signing-config.json") };
  const trusted = [
    `--fulcio=url=${fulcio},certificate-chain=${at("fulcio.crt")}`,
    `--rekor=url=${rekor},public-key=${at("rekor.pub")},${since}`,
    `--ctfe=url=${ctlog},public-key=${at("ctlog.pub")},${since}`,
    `--tsa=url=${timestamp},certificate-chain=${at("timestamp.crt")}`,
  ];
  await run(cosign, ["trusted-root", "create", ...trusted, "--out", files.trustedRootFile], { env });
  const signing = [`--fulcio=${service(fulcio, 1)}`, `--rekor=${service(rekor, 2)}`, `--tsa=${service(timestamp, 1)}`];
  const selectors = ["--rekor-config=ANY", "--tsa-config=ANY"];
  await run(cosign, ["signing-config", "create", ...signing, ...selectors, "--out", files.signingConfigFile], { env });
  return files;
}
