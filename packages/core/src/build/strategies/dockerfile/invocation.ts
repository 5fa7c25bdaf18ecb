import { join } from "node:path";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import type { Workspace } from "../../workspace.ts";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { BuildJob } from "../runner.ts";
import type { DockerfileText } from "./find-file.ts";
import { contextName } from "./images.ts";
import type { Judged } from "./judge-images.ts";
import type { Resolved } from "./prepare.ts";
import { proxyAddress, type RoomFolders, type RoomService } from "./room.ts";

/** What BuildKit is told: a daemon's settings, one build's arguments, and the sources that it may fetch. */
export interface Told {
  job: BuildJob<DockerfilePlan>;
  text: DockerfileText;
  workspace: Workspace;
}

/** Where the Dockerfile is, and what BuildKit may fetch. */
export function inputsIn({ control }: Workspace): { folder: string; policy: string } {
  return { folder: join(control, "dockerfile"), policy: join(control, "sources.json") };
}

export const authorityFile = "cache-authority.pem";

/** The machine's own platform alone: else it tries a program of each other one when it starts, a dozen of them. */
export function renderSettings(
  { job: { platform }, workspace: { control, handover } }: Told,
  service: RoomService | undefined,
): string {
  const cdi = "[cdi]\n  disabled = true\n";
  const platforms = `  platforms = ["${formatPlatform(platform)}"]\n`;
  const containerd = `[worker.containerd]\n  enabled = false\n${platforms}`;
  const workers = `${containerd}[worker.oci]\n  enabled = true\n  gc = false\n${platforms}`;
  const registry =
    service === undefined
      ? ""
      : `[registry."${service.host}:${service.port}"]\n  ca = ["${join(control, authorityFile)}"]\n`;
  return `[otel]\n  socketPath = "${handover}/run/otel.sock"\n${cdi}${workers}${registry}`;
}

/** 1980-01-01T00:00:01Z, as buildpacks have it, unless the caller says another time: the same files are the same image. */
const epoch = "315532801";

export function renderArguments(
  { job: { plan, options, labels }, text: { name }, workspace }: Told,
  { images }: Resolved,
  { result, control, secretFiles }: RoomFolders,
): string[] {
  const { folder, policy } = inputsIn(workspace);
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map((each) => [each, proxyAddress]);
  const args = {
    SOURCE_DATE_EPOCH: epoch,
    ...options.buildArgs,
    ...Object.fromEntries(proxies),
    NO_PROXY: "localhost,127.0.0.1,::1",
  };
  const settings: Record<string, string> = {
    filename: name,
    // Whatever the file's first line says: only BuildKit's own frontend.
    cmdline: "dockerfile.v0",
    "attest:provenance": "mode=max,version=v1",
    ...(options.target === undefined ? {} : { target: options.target }),
    ...Object.fromEntries(Object.entries(labels).map(([key, value]) => [`label:${key}`, value])),
    ...Object.fromEntries(Object.entries(args).map(([key, value]) => [`build-arg:${key}`, value])),
    ...Object.fromEntries(
      images.map((image) => [`context:${contextName(image.name)}`, `oci-layout://images@${image.child.digest}`]),
    ),
  };
  // Times are written anew in a copy of each layer: what BuildKit compresses, it would compress twice, on one core.
  const form = "tar=false,rewrite-timestamp=true,compression=uncompressed";
  const output = `type=oci,dest=${result},${form},name=${formatReference(plan.tags[0])}`;
  return [
    ...["--progress=plain", "--frontend=dockerfile.v0", `--output=${output}`],
    ...[`--local=context=${workspace.app}`, `--local=dockerfile=${folder}`],
    `--oci-layout=images=${join(control, "images")}`,
    `--source-policy-file=${policy}`,
    ...Object.entries(settings).map(([key, value]) => `--opt=${key}=${value}`),
    ...[...secretFiles].map(([id, file]) => `--secret=id=${id},src=${file}`),
  ];
}

/**
 * BuildKit's own list of what it may fetch, the last rule that fits deciding: the application, the images that were
 * fetched for it, and URLs with the checksum that was judged.
 */
export function renderSourcePolicy(downloads: Judged["downloads"]): object {
  const allow = (identifier: string, constraints: object[] = []) => ({
    action: "ALLOW",
    selector: { identifier, ...(constraints.length === 0 ? {} : { constraints }) },
  });
  return {
    version: 1,
    rules: [
      { action: "DENY", selector: { identifier: "*" } },
      ...["local://context", "local://dockerfile", "oci-layout://*"].map((each) => allow(each)),
      ...downloads.map(({ url, checksum }) =>
        allow(url, [{ key: "http.checksum", value: checksum, condition: "EQUAL" }]),
      ),
    ],
  };
}
