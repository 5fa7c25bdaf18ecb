import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { ByteReader, MalformedLayer } from "../../layers/bytes.ts";
import { expandGzip } from "../../layers/gzip.ts";
import { formatPath, TarParser } from "../../layers/tar.ts";
import { blockSize } from "../../layers/tar-header.ts";

/** What ustar's field for the size can say. Bytes. */
const largestFile = 8 ** 11 - 1;

/**
 * Files of a directory as one tar archive, in the order given: the same files always make the same bytes. Names are at
 * most 100 bytes.
 */
export async function writeTar(directory: string, files: readonly string[], target: string): Promise<void> {
  async function* blocks(): AsyncGenerator<Uint8Array> {
    for (const name of files) {
      const { size } = await stat(join(directory, name));
      yield encodeHeader(name, size);
      for await (const chunk of createReadStream(join(directory, name))) yield chunk as Uint8Array;
      yield Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
    }
    yield Buffer.alloc(2 * blockSize);
  }
  await pipeline(Readable.from(blocks()), createWriteStream(target, { flags: "wx" }));
}

function encodeHeader(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) > 100 || size > largestFile)
    throw new RangeError(`${name} has a name or a size that no header holds`);
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;
  block.write(name, 0);
  block.write(octal(0o644, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write("        0", 148);
  block.write("ustar\x0000", 257, "latin1");
  block.write(octal(0, 8), 329);
  block.write(octal(0, 8), 337);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/**
 * Unpacks an archive, in gzip where its name says so, of files alone, each of a name that `isExpected` and once, into an
 * empty directory.
 * @throws InfrastructureError `data-untrusted`: anything else is in it, or it is malformed
 */
export async function unpackTar(
  file: string,
  directory: string,
  isExpected: (path: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const parser = new TarParser();
  let current: Awaited<ReturnType<typeof open>> | undefined;
  try {
    const bytes = createReadStream(file, { signal, highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>;
    for await (const chunk of file.endsWith(".gz") ? expandGzip(new ByteReader(bytes)) : bytes) {
      for (const event of parser.push(chunk)) {
        if (event.kind === "entry") {
          const { kind, path } = event.entry;
          if (kind !== "file" || !isExpected(path))
            throw new MalformedLayer(`there is a ${kind} ${formatPath(path)} in it`);
          const target = join(directory, path);
          await mkdir(dirname(target), { recursive: true, mode: 0o700 });
          current = await open(target, "wx", 0o600);
        } else if (event.kind === "content") await current?.writeFile(event.bytes);
        else {
          await current?.close();
          current = undefined;
        }
      }
    }
    parser.finish();
  } catch (error) {
    const isTwice = (error as NodeJS.ErrnoException).code === "EEXIST";
    if (!(error instanceof MalformedLayer) && !isTwice) throw error;
    throw new InfrastructureError(
      `the archive of vulnerability data can't be unpacked: ${isTwice ? "it has a file twice" : (error as Error).message}`,
      {
        code: "data-untrusted",
        safeToRetry: false,
        cause: error,
      },
    );
  } finally {
    await current?.close();
  }
}
