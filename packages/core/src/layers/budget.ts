import { statfs } from "node:fs/promises";
import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { InfrastructureError } from "@goldenpath/foundation/errors";

export interface LayerLimits {
  /** Of all layers of an image together, unpacked. Bytes. */
  bytes: number;
  entries: number;
  /** How many times its compressed size a layer may unpack to, once it is larger than {@link ratioFrom}. */
  ratio: number;
  /** Bytes. */
  ratioFrom: number;
  /** What is left free on the disk that is written to. Bytes. */
  diskReserve: number;
}

/**
 * Images with everything that machine learning brings have some 20 GiB and half a million entries. Tar archives of
 * programs compress to a third, of text to a tenth; gzip makes at most a thousandth of anything, and zstd even less.
 */
export const layerLimits: LayerLimits = {
  bytes: 32 * 1024 ** 3,
  entries: 1_500_000,
  ratio: 200,
  ratioFrom: 256 * 1024 ** 2,
  diskReserve: 256 * 1024 ** 2,
};

/** What the layers of one image have taken so far. */
export interface LayerBudget {
  limits: LayerLimits;
  bytes: number;
  entries: number;
}

export function createBudget(limits: LayerLimits = layerLimits): LayerBudget {
  return { limits, bytes: 0, entries: 0 };
}

/** @throws InfrastructureError `layers-too-large` */
export function spendBytes(budget: LayerBudget, bytes: number, where: string): void {
  budget.bytes += bytes;
  if (budget.bytes > budget.limits.bytes)
    throw tooLarge("layers-too-large", `${where}: the image's layers unpack to more than ${budget.limits.bytes} bytes`);
}

/** @throws InfrastructureError `layers-too-many-entries` */
export function spendEntry(budget: LayerBudget, where: string): void {
  budget.entries += 1;
  if (budget.entries > budget.limits.entries) {
    throw tooLarge(
      "layers-too-many-entries",
      `${where}: the image's layers have more than ${budget.limits.entries} entries`,
    );
  }
}

/** @throws InfrastructureError `layers-too-dense` */
export function checkRatio({ limits }: LayerBudget, compressed: number, unpacked: number, where: string): void {
  if (unpacked > limits.ratioFrom && unpacked > compressed * limits.ratio) {
    throw tooLarge(
      "layers-too-dense",
      `${where}: it unpacks to more than ${limits.ratio} times its size, as only a bomb does`,
    );
  }
}

function tooLarge(code: ErrorCode, message: string): InfrastructureError {
  return new InfrastructureError(message, {
    code,
    safeToRetry: false,
    wayOut:
      "Make the image smaller: find out what fills it (large files of zeros, caches, a copy of the checkout), and build it again.",
  });
}

/**
 * Asked before `bytes` are written below a directory: a disk that is full takes more down than the one who filled it.
 * @throws InfrastructureError `disk-too-small`
 */
export async function requireDisk(directory: string, bytes: number, { diskReserve }: LayerLimits): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free - bytes >= diskReserve) return;
  throw new InfrastructureError(
    `there is not enough space for the image in ${directory}: ${free} bytes are free, ${bytes} are needed next, and ${diskReserve} are kept free`,
    { code: "disk-too-small", wayOut: "Free space on the runner, or let its temporary directory be on a larger disk." },
  );
}
