import { InfrastructureError } from "@goldenpath/foundation/errors";
import { decodeContent } from "./encoding.ts";
import type { Answer } from "./flow.ts";
import { parseContentLength } from "./ranges.ts";

/** As much of an error's body as can be of use in a message. */
const maxErrorBytes = 16 * 1024;

/** Where the answer came from is named in what is thrown. */
type ReadableAnswer = Pick<Answer, "status" | "read" | "discard"> & {
  url: URL;
  header(name: string): string | undefined;
};

/**
 * The body, decoded; of an error's, the start.
 * @throws InfrastructureError `too-large`, `registry-error`; what the connection throws
 */
export async function readAnswerBody(answer: ReadableAnswer, maxBytes: number): Promise<Uint8Array> {
  const { status, url } = answer;
  const isError = status >= 400;
  const most = isError ? maxErrorBytes : maxBytes;
  const declared = parseContentLength(answer.header("content-length"));
  if (!isError && declared !== undefined && declared > most) {
    await answer.discard();
    throw tooLarge(url, `${declared} bytes`, most);
  }
  const { bytes, isWhole } = await answer.read(most);
  if (!isWhole && !isError) throw tooLarge(url, `more than ${most} bytes`, most);
  try {
    return decodeContent(bytes, answer.header("content-encoding"), most, `of ${url.host} for ${url.pathname}`);
  } catch (error) {
    // An error's body only serves a message.
    if (isError) return new Uint8Array();
    throw error;
  }
}

function tooLarge(url: URL, size: string, most: number): InfrastructureError {
  return new InfrastructureError(
    `the answer of ${url.host} for ${url.pathname} is too large: ${size}, at most ${most} are read`,
    {
      code: "too-large",
      safeToRetry: false,
    },
  );
}
