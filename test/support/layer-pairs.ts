import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarFiles } from "@goldenpath/testing/tar";
import { afterAll, beforeAll } from "vitest";
import { useTools } from "./tools.ts";

export const tools = useTools("syft", "grype");
export const base = gzipLayer(
  tarFiles({
    "etc/os-release":
      'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
    "var/lib/dpkg/status.d/libc6":
      "Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9+deb12u13\nArchitecture: amd64\nMaintainer: Debian <d@debian.example>\nDescription: C library\n",
    "usr/bin/sh": "#!",
  }),
);
export const lodash = {
  "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.21" }),
};
export const shown = tarFiles(lodash);
export const hidden = tarFiles({
  "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.20" }),
});

export let stand: LayerStand;
/** A stand for the layers, with the base approved. */
export function useLayerPairs(): void {
  beforeAll(async () => {
    stand = await startLayerStand();
    await stand.approve([base]);
  });
  afterAll(() => stand.stop());
}

/** Both stages that look at layers; what they say has to be the same. */
export async function judge(...layers: TestLayer[]): Promise<{ base: string; scan: string; problems: string[] }> {
  const image = await stand.push([base, ...layers]);
  const [enforced, scanned] = [await stand.enforce(image), await stand.scan(image, tools)];
  const short = ({ verdict, rules, code }: typeof enforced): string =>
    [verdict, ...rules, code].filter((each) => each !== undefined).join(" ");
  return { base: short(enforced), scan: short(scanned), problems: enforced.problems };
}

export const passed = { base: "pass", scan: "pass" };
export const zstd = (...frames: Uint8Array[]): Buffer => Buffer.concat(frames.map((frame) => zstdCompressSync(frame)));
export const gzip = (...members: Uint8Array[]): Buffer => Buffer.concat(members.map((member) => gzipSync(member)));
export const layer = (mediaType: string, bytes: Uint8Array, tar: Uint8Array = shown): TestLayer => ({
  bytes,
  mediaType,
  diffId: digestOf(tar),
});
