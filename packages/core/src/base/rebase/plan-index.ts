import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  type Descriptor,
  type ImageConfig,
  type ImageIndex,
  isRunnable,
  type Platform,
} from "@goldenpath/registry-client/oci/manifest";
import { baseKeys, nameBase, replaceNamed } from "./plan.ts";

/** What takes the place of one image of an index: itself, where it stood on the new base already. */
export interface RebasedChild {
  digest: Digest;
  /** Of its manifest, in bytes. */
  size: number;
  /** Its config, for the operating system that it says. */
  system: ImageConfig;
  /** `HOST/NAME@sha256:…` of the platform's own image, and its digest. */
  base: { name: string; digest: Digest };
}

/** The version of the base that all of them stand on, where it is one: the index's own, as the policy approves it. */
export type SharedBase = RebasedChild["base"] | undefined;

/**
 * The index with the rebased images in the place of the old ones: order, annotations and whatever else it says stay. What
 * it says of a base names the new one, and nothing where there is none of all. BuildKit's attestations are about the old
 * images and are left out, and so is what the old index was about (a referrer's subject). The same again has the same
 * bytes.
 * @param children by the digest that they had
 */
export function planIndex(
  { subject: _subject, annotations, ...index }: ImageIndex,
  children: ReadonlyMap<Digest, RebasedChild>,
  shared: SharedBase,
): ImageIndex {
  const manifests = index.manifests.filter(isRunnable).map((descriptor) => {
    const child = children.get(descriptor.digest);
    if (child === undefined) throw new TypeError(`${descriptor.digest} was not rebased`);
    return child.digest === descriptor.digest ? descriptor : describeChild(descriptor, child);
  });
  return { ...index, manifests, ...(annotations === undefined ? {} : { annotations: rename(annotations, shared) }) };
}

/** Bytes of the old image that came along (`data`) are not those of the new one. */
function describeChild(
  { data: _data, ...descriptor }: Descriptor,
  { digest, size, ...child }: RebasedChild,
): Descriptor {
  const { platform, annotations } = descriptor;
  return {
    ...descriptor,
    digest,
    size,
    ...(platform === undefined ? {} : { platform: describePlatform(platform, child.system) }),
    ...(annotations === undefined ? {} : { annotations: rename(annotations, child.base) }),
  };
}

/** A version of the system, and what it has, are the base's: said of the new one where they were said of the old. */
function describePlatform(
  { "os.version": version, "os.features": features, ...platform }: Platform,
  config: ImageConfig,
): Platform {
  const told = { "os.version": version, "os.features": features };
  const own = Object.keys(told).filter(
    (key) => told[key as keyof typeof told] !== undefined && config[key] !== undefined,
  );
  return { ...platform, ...Object.fromEntries(own.map((key) => [key, config[key]])) };
}

function rename(annotations: Readonly<Record<string, string>>, base: SharedBase): Record<string, string> {
  if (base !== undefined) return replaceNamed(annotations, nameBase(base.name, base.digest));
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !baseKeys.includes(key)));
}
