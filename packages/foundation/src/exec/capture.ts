import { StringDecoder } from "node:string_decoder";

/** What a program writes, up to a limit in bytes. */
export interface Capture {
  /** False where it would be over the limit, and refuses. */
  add(chunk: Buffer): boolean;
  text(): string;
}

export interface LineReader {
  add(chunk: Buffer): void;
  end(): void;
}

const maxLine = 64 * 1024;

export function createCapture(limit: number, over: "refuse" | "keep-last"): Capture {
  let chunks: Buffer[] = [];
  let size = 0;
  return {
    add(chunk) {
      if (over === "refuse" && size + chunk.length > limit) return false;
      chunks.push(chunk);
      size += chunk.length;
      // Joined at twice the limit and not at each chunk, so that a talkative program costs no quadratic copying.
      if (over === "keep-last" && size > 2 * limit) {
        chunks = [Buffer.concat(chunks).subarray(-limit)];
        size = limit;
      }
      return true;
    },
    text() {
      const all = Buffer.concat(chunks);
      return (all.length > limit ? all.subarray(-limit) : all).toString("utf8");
    },
  };
}

export function createLineReader<Stream extends string>(
  stream: Stream,
  onLine: ((line: string, stream: Stream) => void) | undefined,
): LineReader {
  if (onLine === undefined) return { add: () => undefined, end: () => undefined };
  const decoder = new StringDecoder("utf8");
  let rest = "";
  /** What is read belongs to a line that was handed on already. */
  let isPast = false;
  return {
    add(chunk) {
      const lines = (rest + decoder.write(chunk)).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!isPast) onLine(line, stream);
        isPast = false;
      }
      // Something without line ends must not grow without bound here as well. What follows is no line of its own: it
      // may begin within a secret, and strangers' code could have it begin as only a builder's own lines do.
      if (!isPast && rest.length > maxLine) {
        onLine(rest, stream);
        isPast = true;
      }
      if (isPast) rest = "";
    },
    end() {
      rest += decoder.end();
      if (rest !== "" && !isPast) onLine(rest, stream);
      rest = "";
    },
  };
}
