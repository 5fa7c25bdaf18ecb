/** Bytes of a name or a path: PATH_MAX of Linux, beyond which no file is opened. */
const maxText = 4096;

/**
 * ldconfig's cache (`/etc/ld.so.cache`, glibc's "new" format alone): library name → the paths that the loader would
 * take for it, in its order.
 * https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/dl-cache.h
 * @returns undefined where it can't be read
 */
function parseLoaderCache(bytes: Uint8Array): Map<string, string[]> | undefined {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = "glibc-ld.so.cache1.1";
  // Before the new format there may be the old one, which old programs read: then the two could say different things.
  if (raw.length < 48 || raw.toString("latin1", 0, magic.length) !== magic) return undefined;
  const count = raw.readUInt32LE(20);
  if (48 + count * 24 > raw.length) return undefined;
  const text = (offset: number): string | undefined => {
    const end = raw.subarray(offset, offset + maxText).indexOf(0);
    return end === -1 ? undefined : raw.toString("latin1", offset, offset + end);
  };
  const libraries = new Map<string, string[]>();
  for (let index = 0; index < count; index += 1) {
    const at = 48 + index * 24;
    const name = text(raw.readUInt32LE(at + 4));
    const path = text(raw.readUInt32LE(at + 8));
    if (name === undefined || path === undefined) return undefined;
    const paths = libraries.get(name);
    if (paths === undefined) libraries.set(name, [path]);
    else paths.push(path);
  }
  return libraries;
}

/**
 * Whether a newer cache takes every library that the older one knows from the same places, so that it leads nobody from
 * the base's libraries to others.
 * @param place where a path really lies, links followed
 */
export function keepsLibraries(
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
  place: (path: string) => string | undefined,
): boolean {
  const old = before === undefined ? undefined : parseLoaderCache(before);
  const now = after === undefined ? undefined : parseLoaderCache(after);
  if (old === undefined || now === undefined) return false;
  return [...old].every(([name, paths]) => {
    const places = new Set(paths.map(place));
    return (now.get(name) ?? []).every((path) => places.has(place(path)));
  });
}
