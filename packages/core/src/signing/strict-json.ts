import { DeepJson, parseJson } from "@goldenpath/foundation/text/json";
import { findDuplicateKey } from "@goldenpath/registry-client/oci/strict-json";

/**
 * UTF-8 without a byte order mark, JSON, and no key twice in one object: the only JSON that every reader understands
 * alike.
 */
export function parseStrictJson(bytes: Uint8Array): { value: unknown } | { problem: string } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = parseJson(text);
    const duplicate = findDuplicateKey(text);
    return duplicate === undefined
      ? { value }
      : { problem: `the key ${JSON.stringify(duplicate)} is there twice in one object` };
  } catch (error) {
    return { problem: error instanceof DeepJson ? error.message : "it is not JSON" };
  }
}
