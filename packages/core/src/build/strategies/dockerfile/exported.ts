import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { blobPath } from "../../../layouts/read-layout.ts";

/** BuildKit's own line (`--progress=plain`): one of a step has the step's time before its text. */
const told = /^#\d+ exporting manifest list (sha256:[0-9a-f]{64}) (?:[\d.]+s )?done$/;
/** Milliseconds. */
const interval = 15;

/** Finds out when an image is whole in the layout that BuildKit writes, whose index names it only when all is done. */
export interface ExportWatch {
  onLine(line: string): void;
  /**
   * The image's index, once that is in the layout: BuildKit writes it after all that it names. What a line says is a
   * hint, by which nothing is taken for whole.
   * @param ended when nothing is written there any more: it is not looked for any longer
   * @returns never, where BuildKit does not tell
   */
  written(layout: string, ended: Promise<unknown>): Promise<Digest>;
}

export function watchExport(): ExportWatch {
  const root = Promise.withResolvers<Digest>();
  return {
    onLine(line) {
      const digest = told.exec(line)?.[1];
      if (digest !== undefined && isDigest(digest)) root.resolve(digest);
    },
    async written(layout, ended) {
      let isOver = false;
      const over = (): void => {
        isOver = true;
      };
      ended.then(over, over);
      const digest = await root.promise;
      const path = join(layout, blobPath(digest));
      while (!isOver) {
        const isThere = await access(path).then(
          () => true,
          () => false,
        );
        if (isThere) return digest;
        await delay(interval);
      }
      return new Promise(() => undefined);
    },
  };
}
