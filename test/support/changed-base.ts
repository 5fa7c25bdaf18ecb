import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll } from "vitest";

/**
 * A base stays what it was approved as: every way of hiding or changing a part of it from a layer above, each beside
 * the twin that does no harm.
 */

export const directory = (name: string, mode = 0o755): TarOptions => ({ name: `${name}/`, type: "5", mode });
export const link = (name: string, linkname: string): TarOptions => ({ name, type: "2", linkname, mode: 0o777 });
export const file = (name: string, content: string, mode = 0o644): TarOptions => ({ name, content, mode });
export const whiteout = (name: string): TarOptions => file(name.replace(/([^/]+)$/, ".wh.$1"), "");

export const stanza = (name: string, version: string, status = "install ok installed"): string =>
  `Package: ${name}\nStatus: ${status}\nArchitecture: amd64\nVersion: ${version}\nDescription: x\n more of it\n\n`;
export const packages = {
  "base-files": "12.4+deb12u5",
  libssl3: "3.0.11-1~deb12u2",
  openssl: "3.0.11-1~deb12u2",
  mawk: "1.3.4-1",
};
export const statusOf = (versions: Readonly<Record<string, string>>): string =>
  Object.entries(versions)
    .map(([name, version]) => stanza(name, version))
    .join("");
export const libssl = "usr/lib/x86_64-linux-gnu/libssl.so.3";
export const passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
export const release = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12.5"\n';

export const baseEntries: TarOptions[] = [
  directory("etc"),
  directory("etc/ssl"),
  directory("etc/ssl/certs"),
  directory("etc/alternatives"),
  directory("usr"),
  directory("usr/bin"),
  directory("usr/lib"),
  directory("usr/lib/x86_64-linux-gnu"),
  directory("usr/share"),
  directory("var"),
  directory("var/cache"),
  directory("var/lib"),
  directory("var/lib/dpkg"),
  directory("var/lib/dpkg/info"),
  directory("tmp", 0o1777),
  directory("srv"),
  link("bin", "usr/bin"),
  link("lib", "usr/lib"),
  file("usr/lib/os-release", release),
  link("etc/os-release", "../usr/lib/os-release"),
  file(libssl, "libssl 3.0.11"),
  file("usr/bin/openssl", "openssl", 0o755),
  file("usr/bin/su", "su", 0o4755),
  file("usr/bin/mawk", "mawk", 0o755),
  link("usr/bin/awk", "/etc/alternatives/awk"),
  link("etc/alternatives/awk", "/usr/bin/mawk"),
  file("etc/ssl/certs/ca-certificates.crt", "-----BEGIN CERTIFICATE-----\n"),
  file("etc/motd", "hello\n"),
  file("etc/hosts", ""),
  file("etc/passwd", passwd),
  file("etc/group", "root:x:0:\ndaemon:x:1:\n"),
  file("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640),
  file("var/cache/ldconfig", "cache"),
  file("var/lib/dpkg/status", statusOf(packages)),
  file("var/lib/dpkg/info/base-files.list", "/.\n/etc\n/usr\n/usr/lib\n/usr/lib/os-release\n/etc/os-release\n"),
  file("var/lib/dpkg/info/libssl3:amd64.list", `/.\n/usr\n/usr/lib\n/${libssl.slice(4)}\n`),
  file("var/lib/dpkg/info/openssl.list", "/.\n/usr\n/usr/bin\n/usr/bin/openssl\n"),
  file("var/lib/dpkg/info/mawk.list", "/.\n/usr/bin/mawk\n"),
];

export let stand: LayerStand;

export async function judge(layers: readonly (readonly TarOptions[])[], mayChange?: readonly string[]) {
  const base = gzipLayer(tarOf(...baseEntries));
  await stand.approve([base], mayChange);
  return stand.enforce(await stand.push([base, ...layers.map((entries) => gzipLayer(tarOf(...entries)))]));
}

/** Registers the hooks that open and close what the tests share. */
export function useChangedBase(): void {
  beforeAll(async () => {
    stand = await startLayerStand();
  });
  afterAll(() => stand.stop());
}
