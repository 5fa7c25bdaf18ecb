import type { LayerEntry } from "@goldenpath/core/layers/contents";
import { buildTree, type FileTree } from "@goldenpath/core/layers/tree";
import { id } from "./base-facts.ts";

/** A file of a layer. */
export const entry = (path: string, text: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  ...{ kind: "file", path, target: "", mode: 0o644, uid: 0, gid: 0, size: text.length, device: "", attributes: {} },
  ...{ mtime: "0", contentDigest: id(text), content: Buffer.from(text) },
  ...more,
});

export const link = (path: string, target: string): LayerEntry => {
  const { content: _none, ...link } = entry(path, "", { kind: "symlink", target, contentDigest: "" });
  return link;
};

/** Layers put together, the lowest first; so many of them are a base's. */
export const treeOf = (layers: readonly (readonly LayerEntry[])[], trusted: number = layers.length): FileTree =>
  buildTree(
    layers.map((entries, at) => ({ diffId: id(`layer ${at}`), entries: [...entries] })),
    trusted,
  );

/** As dpkg has it: of packages by their name, where it is of amd64, or as `NAME:ARCHITECTURE`. */
export const dpkgStatus = (all: Readonly<Record<string, string>>): LayerEntry =>
  entry(
    "var/lib/dpkg/status",
    Object.entries(all)
      .map(([key, version]) => {
        const [name, architecture = "amd64"] = key.split(":");
        return `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\n`;
      })
      .join("\n"),
  );
