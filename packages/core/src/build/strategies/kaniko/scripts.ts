import { awaitRelay } from "../dockerfile/scripts.ts";

/**
 * A root for kaniko, which unpacks images over its own: a folder with a few devices, the application to read, and
 * itself. Arguments: CONTROL WORK APP, and kaniko's. The way out of the network is for the build's steps alone: kaniko
 * has its images from the machine's side of the room.
 */
export const kanikoScript = `set -eu
control=$1 work=$2 app=$3
shift 3
unset HTTPS_PROXY HTTP_PROXY
root="$work/state/root"
for folder in kaniko/file kaniko/image workspace proc dev etc tmp; do mkdir -p "$root/$folder"; done
chmod 1777 "$root/tmp"
cp "$control/kaniko" "$root/kaniko/executor"
mount --bind "$app" "$root/workspace"
mount -o remount,bind,ro,nosuid,nodev "$root/workspace"
mount --bind "$control/dockerfile" "$root/kaniko/file"
mount --bind "$work/image" "$root/kaniko/image"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
for device in null zero full random urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
${awaitRelay}
# One stream: what a step says is told from kaniko's words by their order.
exec 2>&1
exec "$control/node" "$control/registry.mjs" "$control/images" "$control/names" \\
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root container=kaniko \\
  chroot "$root" /kaniko/executor "$@"
`;

/** Where the images of the first registry are, in the room; those of others are at the ports that follow. */
export const registryPort = 5000;

/**
 * What kaniko takes for registries: the images that were judged, under the names that the file has, and nothing else.
 * Each registry has a port of its own, since two may have the same name with other images under it.
 * Arguments: FOLDER (an OCI layout) NAMES (a line for each: `PORT REPOSITORY:REFERENCE DIGEST TYPE`) COMMAND ARGUMENTS….
 */
export const registryScript = `import { spawn } from "node:child_process";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { constants } from "node:os";
import { join } from "node:path";

const [folder, list, command, ...args] = process.argv.slice(2);
const lines = readFileSync(list, "utf8").split("\\n").filter((line) => line !== "").map((line) => line.split(" "));
const listen = (port) => {
  const own = lines.filter((line) => line[0] === port);
  const known = new Map(own.map(([, name, digest, mediaType]) => [name, { digest, mediaType }]));
  const repositories = new Set(own.map(([, name]) => name.slice(0, name.indexOf(":"))));
  const server = createServer((request, answer) => {
    const [, name, kind, reference] = /^\\/v2\\/(.+)\\/(manifests|blobs)\\/([^/]+)$/.exec(request.url) ?? [];
    const found = kind === "manifests" ? known.get(\`\${name}:\${reference}\`) : { digest: reference, mediaType: "application/octet-stream" };
    const [, algorithm, hex] = /^(sha256|sha512):([0-9a-f]{64,128})$/.exec(found?.digest ?? "") ?? [];
    const path = join(folder, "blobs", algorithm ?? "none", hex ?? "none");
    const size = repositories.has(name) && statSync(path, { throwIfNoEntry: false })?.size;
    if (request.url === "/v2/") return void answer.writeHead(200).end();
    if (typeof size !== "number") return void answer.writeHead(404).end();
    answer.writeHead(200, { "content-type": found.mediaType, "content-length": size, "docker-content-digest": found.digest });
    if (request.method === "HEAD") answer.end();
    else createReadStream(path).pipe(answer);
  });
  return new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
};
await Promise.all([...new Set(lines.map(([port]) => port))].map(listen));
const child = spawn(command, args, { stdio: "inherit" });
child.on("error", (error) => {
  console.error(error.message);
  process.exit(126);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
`;
