import { type IncomingMessage, request } from "node:http";
import { describeError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";

const listSchema = z.looseObject({ Volumes: z.array(z.looseObject({ Name: z.string() })).nullish() });

/** Of a daemon's list of volumes, which is filtered by a name that only one build has. Bytes. */
const maxList = 1024 * 1024;

/**
 * Removes all volumes of the Docker daemon whose name has one of these parts in it, by the Docker Engine's API: pack
 * leaves those of its caches there, and what a daemon keeps is a way for one build to change another. Also after a
 * build that was cancelled. What can't be removed is said.
 * @param daemon its address, `unix://…`
 * @param parts of names, which no other build has
 */
export async function removeVolumes(
  daemon: string,
  parts: readonly string[],
  { log }: Pick<Context["ports"], "log">,
): Promise<void> {
  for (const part of parts) {
    try {
      const filters = encodeURIComponent(JSON.stringify({ name: [part] }));
      const { status, body } = await ask(daemon, "GET", `/volumes?filters=${filters}`);
      if (status !== 200) throw new Error(`the daemon answers ${status}`);
      const { Volumes: found } = listSchema.parse(parseJson(body));
      for (const { Name: name } of found ?? []) {
        const answer = await ask(daemon, "DELETE", `/volumes/${encodeURIComponent(name)}`);
        // 404: somebody else was faster.
        if (answer.status !== 204 && answer.status !== 404)
          log.warning(`the Docker volume ${name} could not be removed: the daemon answers ${answer.status}`);
      }
    } catch (error) {
      log.warning(`the Docker volumes of ${part} could not be removed: ${describeError(error)}`);
    }
  }
}

function ask(daemon: string, method: string, path: string): Promise<{ status: number | undefined; body: string }> {
  const socketPath = /^unix:\/\/(\/.+)$/.exec(daemon)?.[1];
  if (socketPath === undefined) return Promise.reject(new Error(`${daemon} is no socket of this machine`));
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, headers: { host: "docker" }, timeout: 30_000 }, (answer) => {
      readBody(answer).then((body) => resolve({ status: answer.statusCode, body }), reject);
    });
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end();
  });
}

async function readBody(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxList) throw new Error(`its answer has more than ${maxList} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
