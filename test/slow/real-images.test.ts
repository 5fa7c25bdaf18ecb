import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildWithJib, buildWithKaniko, buildWithPack } from "../support/builders.ts";
import { type BuildKit, startBuildKit } from "../support/buildkit.ts";
import { startDockerd } from "../support/dockerd.ts";
import { type ImageCourt, openImageCourt, passed } from "../support/real-images.ts";
import { requireCommand, useTools } from "../support/tools.ts";

/**
 * Images that real builders make on a base of Debian's packages, and that nobody changed: both stages have to let each
 * of them through.
 */

const tools = useTools("syft", "grype", "buildkitd", "buildctl", "kaniko", "pack", "lifecycle", "launcher");
let court: ImageCourt;
let buildkit: BuildKit;
/** Of the first release of the distribution, so that there is something to upgrade. */
let base = "";

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const mmdebstrap = await requireCommand("mmdebstrap", suite);
  court = await openImageCourt(tools);
  buildkit = await startBuildKit(tools, court.registry.host);
  const context = join(court.directory, "base");
  await mkdir(context);
  const archive = "deb http://deb.debian.org/debian bookworm main";
  await runChecked(mmdebstrap, ["--variant=apt", "bookworm", join(context, "base.tar"), archive], {
    env: { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, HOME: court.directory },
    timeoutMs: 300_000,
  });
  const name = `${court.registry.host}/bases/golden:1`;
  await buildkit.build(
    name,
    "FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
    {
      context,
    },
  );
  base = await court.pin(name);
});
afterAll(async () => {
  await buildkit?.stop();
  await court?.close();
});

const noninteractive = "ENV DEBIAN_FRONTEND=noninteractive";
const update = "RUN apt-get update";
const install = (...packages: string[]): string =>
  `${update} && apt-get install -y --no-install-recommends ${packages.join(" ")}`;
const clean = " && rm -rf /var/lib/apt/lists/*";
const security = [
  "RUN echo deb http://deb.debian.org/debian-security bookworm-security main > /etc/apt/sources.list.d/security.list",
  "RUN echo deb http://deb.debian.org/debian bookworm-updates main > /etc/apt/sources.list.d/updates.list",
];

/** What it does, the lines after FROM, and more of BuildKit's exporter. */
const dockerfiles: [string, string[], string?][] = [
  ["copies a file", ["COPY Dockerfile /srv/Dockerfile"]],
  ["sets things alone", ["WORKDIR /srv", "ENV A=1", "USER 1000", 'CMD ["true"]']],
  ["installs a package", [noninteractive, install("curl", "ca-certificates") + clean]],
  ["installs a package and keeps the lists", [noninteractive, install("curl")]],
  ["installs an interpreter", [noninteractive, install("python3") + clean]],
  ["installs a server with users of its own", [noninteractive, install("nginx-light") + clean]],
  ["installs what has alternatives", [noninteractive, install("vim-tiny", "less", "gawk") + clean]],
  [
    "installs a locale",
    [
      noninteractive,
      `${install("locales")} && sed -i 's/^# de_DE.UTF-8/de_DE.UTF-8/' /etc/locale.gen && locale-gen${clean}`,
    ],
  ],
  ["upgrades", [noninteractive, ...security, `${update} && apt-get -y upgrade${clean}`]],
  [
    "upgrades and installs",
    [
      noninteractive,
      ...security,
      `${update} && apt-get -y dist-upgrade && apt-get install -y git openssh-client${clean}`,
    ],
  ],
  [
    "upgrades one package",
    [noninteractive, ...security, `${update} && apt-get -y install --only-upgrade libc6${clean}`],
  ],
  [
    "adds users",
    ["RUN groupadd -g 2000 app && useradd -u 2000 -g app -m -s /bin/bash app", "USER app", "WORKDIR /home/app"],
  ],
  [
    "adds a user in Debian's way",
    [noninteractive, install("adduser") + clean, "RUN adduser --system --group --no-create-home app"],
  ],
  [
    "removes what it installed",
    [noninteractive, `${install("curl")} && apt-get purge -y curl && apt-get autoremove -y${clean}`],
  ],
  [
    "mounts a cache",
    [
      noninteractive,
      "RUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt/lists apt-get update && apt-get install -y less",
    ],
  ],
  ["copies from another stage", ["RUN mkdir -p /out/srv && echo x > /out/srv/x", "FROM BASE", "COPY --from=0 /out/ /"]],
  ["has layers of zstd", [noninteractive, install("less") + clean], "compression=zstd,oci-mediatypes=true"],
  ["has eStargz layers", [noninteractive, install("less") + clean], "compression=estargz,oci-mediatypes=true"],
  ["has layers of Docker's types", [noninteractive, install("less") + clean], "oci-mediatypes=false"],
  [
    "has layers that are not compressed",
    ["COPY Dockerfile /srv/Dockerfile"],
    "compression=uncompressed,oci-mediatypes=true",
  ],
];

describe("BuildKit's image passes both stages", () => {
  test.each(dockerfiles)("that %s", async (what, lines, exporter) => {
    const name = `${court.registry.host}/quarantine/app:${what.toLowerCase().replaceAll(/[^a-z]/g, "-")}`;
    const dockerfile = ["FROM BASE", ...lines].join("\n").replaceAll("FROM BASE", `FROM ${base}`);
    await buildkit.build(name, `${dockerfile}\n`, exporter === undefined ? {} : { exporter });
    expect(await court.judge(await court.pin(name), { base })).toEqual(passed);
  });
});

describe("an image passes both stages", () => {
  const nameOf = (what: string): string => `${court.registry.host}/quarantine/app:${what}`;

  test.each<[string, string[]]>([
    ["with a file", ["COPY Dockerfile /srv/Dockerfile", "USER 1000"]],
    ["with a package", [noninteractive, install("less") + clean]],
    ["with newer packages", [noninteractive, ...security, `${update} && apt-get -y upgrade${clean}`]],
  ])("of kaniko, %s", async (what, lines) => {
    const destination = nameOf(`kaniko-${what.replaceAll(" ", "-")}`);
    await buildWithKaniko(tools.kaniko, court.directory, {
      destination,
      dockerfile: `FROM ${base}\n${lines.join("\n")}\n`,
    });
    expect(await court.judge(await court.pin(destination), { base })).toEqual(passed);
  });

  test("of jib", async () => {
    const destination = nameOf("jib");
    await buildWithJib(await requireCommand("mvn"), court.directory, { base, destination });
    expect(await court.judge(await court.pin(destination), { base })).toEqual(passed);
  });

  test("of pack", async () => {
    const [dockerd, docker] = [await requireCommand("dockerd"), await requireCommand("docker")];
    const runImage = `${court.registry.host}/bases/cnb:1`;
    const user = "RUN groupadd -g 1000 cnb && useradd -u 1000 -g cnb -m cnb";
    const settings =
      "ENV CNB_USER_ID=1000 CNB_GROUP_ID=1000 CNB_STACK_ID=example\nLABEL io.buildpacks.stack.id=example\nUSER 1000:1000";
    await buildkit.build(runImage, `FROM ${base}\n${user}\n${settings}\n`);
    const daemon = await startDockerd({ dockerd, docker });
    try {
      const destination = nameOf("pack");
      await buildWithPack(tools.pack, daemon, court.directory, { ...tools, base: runImage, destination });
      expect(await court.judge(await court.pin(destination), { base: await court.pin(runImage) })).toEqual(passed);
    } finally {
      await daemon.stop();
    }
  });

  test("of Docker's own builder", async () => {
    const [dockerd, docker] = [await requireCommand("dockerd"), await requireCommand("docker")];
    const daemon = await startDockerd({ dockerd, docker });
    try {
      const destination = nameOf("docker");
      const context = join(court.directory, "docker");
      await mkdir(context);
      await writeFile(
        join(context, "Dockerfile"),
        `FROM ${base}\n${noninteractive}\n${install("less")}${clean}\nUSER 1000\n`,
      );
      await daemon.docker("build", "--network", "host", "--tag", destination, context);
      await daemon.docker("push", destination);
      expect(await court.judge(await court.pin(destination), { base })).toEqual(passed);
    } finally {
      await daemon.stop();
    }
  });

  test("of BuildKit, with all layers in zstd:chunked, as containers/image writes it", async () => {
    // Another registry: skopeo does not write again what it finds in the one that it reads.
    const elsewhere = await startRegistry();
    const [plain, chunked] = [nameOf("plain"), `${elsewhere.host}/quarantine/app:chunked`];
    const dockerfile = `FROM ${base}\n${noninteractive}\n${install("less")}${clean}\n`;
    await buildkit.build(plain, dockerfile, {
      exporter: "compression=uncompressed,force-compression=true,oci-mediatypes=true",
    });
    const copy = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-compress-format=zstd:chunked"];
    await runChecked(await requireCommand("skopeo"), [...copy, `docker://${plain}`, `docker://${chunked}`], {
      env: { PATH: process.env["PATH"], HOME: court.directory },
      timeoutMs: 300_000,
    });
    const { manifest } = (await court.client.fetchManifest(parseReference(chunked))) as {
      manifest: { layers: { mediaType: string; annotations?: object }[] };
    };
    for (const layer of manifest.layers) {
      expect(layer.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+zstd");
      expect(Object.keys(layer.annotations ?? {})).toContain("io.containers.zstd-chunked.manifest-position");
    }
    expect(await court.judge(await court.pin(chunked), { base })).toEqual(passed);
    await elsewhere.close();
  });
});
