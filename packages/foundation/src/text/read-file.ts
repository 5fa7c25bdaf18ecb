import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** Why a file is not read: its message reads on from the file's name, "it has more than … bytes". */
export class UnfitFile extends Error {}

export const notAFile = "it is not a file";

/**
 * A file's bytes, at most so many: what grows while it is read, or says no size (`/proc`), is bounded as well. A pipe
 * is none, since to read one is to wait for whoever writes into it.
 * @throws UnfitFile; the system's errors
 */
export async function readBoundedFile(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile() && !stats.isCharacterDevice()) throw new UnfitFile(notAFile);
    const tooLarge = (): UnfitFile => new UnfitFile(`it has more than ${maxBytes} bytes`);
    if (stats.size > maxBytes) throw tooLarge();
    const chunks: Buffer[] = [];
    for (let size = 0; ; ) {
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(Math.min(maxBytes + 1 - size, Math.max(stats.size + 1, 64 * 1024))),
      );
      if (bytesRead === 0) return Buffer.concat(chunks, size);
      size += bytesRead;
      if (size > maxBytes) throw tooLarge();
      chunks.push(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
