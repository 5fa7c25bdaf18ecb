/** What of a stream this needs. */
interface Writable {
  on(event: "error", listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/** What a stream says when nobody reads it any more: `… | head -1`, a log collector that ended. */
const readerGone: readonly string[] = ["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED"];

export interface OutputWatch {
  /** The first error by which output was lost that somebody waits for (a full disk); not that a reader has gone. */
  failure(): NodeJS.ErrnoException | undefined;
}

/**
 * Keeps a write to standard output or error that fails from ending the process in the middle of its work: without a
 * listener Node.js throws such an error, exits with 1, and 1 means that the policy says no. A reader who has gone has
 * seen what he wanted, and the verdict stays what it is.
 */
export function surviveClosedPipes(streams: readonly Writable[] = [process.stdout, process.stderr]): OutputWatch {
  let failure: NodeJS.ErrnoException | undefined;
  for (const stream of streams) {
    stream.on("error", (error) => {
      if (!readerGone.includes(error.code ?? "")) failure ??= error;
    });
  }
  return { failure: () => failure };
}
