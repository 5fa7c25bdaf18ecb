import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { requireCommand } from "../support/tools.ts";

/**
 * Dockerfiles on a base of real Debian packages, built by dockerd: what apt-get leaves passes, and what only looks like
 * it does not.
 */

let stand: LayerStand;
let docker: Docker;
let base = "";

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const [mmdebstrap, dockerd, client] = [
    await requireCommand("mmdebstrap", suite),
    await requireCommand("dockerd", suite),
    await requireCommand("docker", suite),
  ];
  stand = await startLayerStand();
  docker = await startDockerd({ dockerd, docker: client });
  const root = join(stand.directory, "root.tar");
  const include = "--include=ca-certificates,openssl,mawk";
  // Without the security archive, so that there is something to upgrade.
  await runChecked(
    mmdebstrap,
    ["--variant=apt", include, "bookworm", root, "deb http://deb.debian.org/debian bookworm main"],
    {
      env: process.env,
      timeoutMs: 600_000,
    },
  );
  await docker.docker("import", root, `${stand.server.host}/bases/debian:12`);
  await docker.docker("push", `${stand.server.host}/bases/debian:12`);
  base = `${stand.server.host}/bases/debian:12`;
  const digest = await stand.client.resolve(parseReference(base));
  await stand.approveImage(`${stand.server.host}/bases/debian@${digest}`);
});
afterAll(async () => {
  await docker?.stop();
  await stand?.stop();
});

let counter = 0;
/** Builds a Dockerfile on the base, pushes the image, and has its base judged. */
async function build(...lines: string[]) {
  counter += 1;
  const folder = join(stand.directory, `context-${counter}`);
  await mkdir(folder);
  await writeFile(
    join(folder, "Dockerfile"),
    [`FROM ${base}`, "ENV DEBIAN_FRONTEND=noninteractive", ...lines, ""].join("\n"),
  );
  const tag = `${stand.server.host}/quarantine/built:${counter}`;
  await docker.docker("build", "--network", "host", "--tag", tag, folder);
  await docker.docker("push", tag);
  return stand.enforce(tag);
}

const security =
  "echo 'deb http://deb.debian.org/debian-security bookworm-security main' > /etc/apt/sources.list.d/security.list";
test.each<[string, string[]]>([
  [
    "installs packages, and cleans up",
    [
      "RUN apt-get update && apt-get install -y --no-install-recommends nginx python3-minimal gawk adduser && rm -rf /var/lib/apt/lists/* /var/log/*",
    ],
  ],
  ["upgrades packages", [`RUN ${security} && apt-get update && apt-get upgrade -y && apt-get clean`]],
  ["adds users", ["RUN useradd --create-home app && groupadd extra && useradd --system svc", "USER app"]],
])("a Dockerfile that %s passes", async (_what, lines) => {
  const said = await build(...lines);
  expect(said.problems).toEqual([]);
  expect(said.verdict).toBe("pass");
});

test.each<[string, string[], string]>([
  [
    "removes a certificate",
    ["RUN rm /etc/ssl/certs/ca-certificates.crt"],
    "removes /etc/ssl/certs/ca-certificates.crt",
  ],
  ["removes a folder", ["RUN rm -rf /usr/share/ca-certificates"], "removes /usr/share/ca-certificates with"],
  ["overwrites a program", ["RUN cp /bin/true /usr/bin/openssl"], "overwrites /usr/bin/openssl"],
  ["purges a package of the base", ["RUN dpkg --purge --force-depends openssl"], "openssl:amd64 is gone"],
  [
    "forges a newer version of another package",
    ["RUN sed -i '/^Package: openssl$/,/^$/s/^Version: .*/Version: 99/' /var/lib/dpkg/status && cp /bin/true /bin/ls"],
    "overwrites /bin/ls",
  ],
  ["makes root's password another", ["RUN sed -i 's/^root:[^:]*:/root::/' /etc/shadow"], "overwrites /etc/shadow"],
])("a Dockerfile that %s is refused", async (_what, lines, message) => {
  const said = await build(...lines);
  expect(said.verdict).toBe("fail");
  expect(said.problems.join("\n").replaceAll("/usr/bin/ls", "/bin/ls")).toContain(message);
});
