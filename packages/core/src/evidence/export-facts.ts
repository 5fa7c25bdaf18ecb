import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { HandCheck } from "../signing/schemes/scheme.ts";

/** One signed statement, in a file. */
export interface ExportedPiece {
  predicateType: string;
  /** Names of the policy's signers. */
  signers: readonly string[];
  /** When it was signed at the latest, by somebody else's word; ISO 8601. */
  time?: string;
  /** From the folder of its image. */
  file: string;
  /** Of the file. */
  digest: Digest;
  /** For each signer by whom a tool of the field can check it. */
  checks: readonly HandCheck["argv"][];
  /** The same by other programs, for who has those. */
  others: readonly HandCheck["argv"][];
}

/** What lies in a folder of one digest, and on its page. */
export interface ExportedImage {
  /** HOST/NAME@DIGEST. */
  image: string;
  digest: Digest;
  /** os/architecture, of what runs; absent for an index. */
  platform?: string;
  policy: { name: string; serial: number; uri: string; digest: Digest };
  pieces: readonly ExportedPiece[];
  /** What refers to the image and counts for nothing by this policy. */
  rejected: readonly { referrer: Digest; reason: string }[];
  /** Folders of the digests that an index is made of. */
  children: readonly { digest: Digest; folder: string; platform: string }[];
}

/** Name → content, of one folder. */
export type ExportedFiles = ReadonlyMap<string, Uint8Array>;

export const folderOf = (digest: Digest): string => digest.replace(":", "-");

/** The file that says what is in a folder, all its files among it: by this a folder of an export before is known. */
export const listName = "evidence.json";

/** The image's or the index's own manifest, from the folder of its digest. */
export const manifestName = "image/manifest.json";
