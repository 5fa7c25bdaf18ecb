export type CachedLibrary = [name: string, path: string];
export const cacheMagic = "glibc-ld.so.cache1.1";

/** `etc/ld.so.cache` as ldconfig writes it: a header, for each library an entry, and the texts that these name by their offset. */
export function loaderCacheOf(...libraries: CachedLibrary[]): Buffer {
  const header = Buffer.alloc(48 + libraries.length * 24);
  header.write(cacheMagic, "latin1");
  header.writeUInt32LE(libraries.length, 20);
  let texts = Buffer.alloc(0);
  const put = (text: string): number => {
    const at = header.length + texts.length;
    texts = Buffer.concat([texts, Buffer.from(`${text}\0`, "latin1")]);
    return at;
  };
  for (const [index, [name, path]] of libraries.entries()) {
    header.writeUInt32LE(put(name), 48 + index * 24 + 4);
    header.writeUInt32LE(put(path), 48 + index * 24 + 8);
  }
  return Buffer.concat([header, texts]);
}
