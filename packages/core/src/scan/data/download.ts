import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { downloadFile } from "../../tools/fetch.ts";
import type { DataContext } from "../scanners/scanner.ts";

/** The largest archives have some hundred MB. */
const maxDataBytes = 4 * 1024 ** 3;
/** A listing or an index is a page of text. */
export const maxListingBytes = 1024 * 1024;

/**
 * Downloads a file of a publisher's data.
 * @returns its SHA-256, hex
 * @throws InfrastructureError `data-unavailable`
 */
export async function downloadData(
  url: string,
  target: string,
  { ports, env, signal }: DataContext,
  { label, maxBytes = maxDataBytes }: { label: string; maxBytes?: number },
): Promise<string> {
  try {
    return await downloadFile({ url }, target, { label, ports, env, signal, maxBytes });
  } catch (error) {
    if (!isKnownError(error)) throw error;
    const safeToRetry = error instanceof InfrastructureError && error.safeToRetry;
    throw new InfrastructureError(error.message, { code: "data-unavailable", safeToRetry, cause: error });
  }
}

export function dataUnavailable(url: string, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`${url} is not the list of vulnerability data that it should be: ${why}`, {
    code: "data-unavailable",
    safeToRetry: false,
    cause,
  });
}
