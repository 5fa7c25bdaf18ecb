import { freePort, pause, type RunningProgram, startProgram } from "./servers.ts";

export interface TimestampAuthority {
  /** By RFC 3161. */
  url: string;
  /** The root's certificate, in PEM. */
  root: string;
  stop(): Promise<void>;
}

/** How long one waits for another's end. Milliseconds. */
const patience = 600_000;

/**
 * sigstore's `timestamp-server`. Its figures are at port 2112 whatever it is told, so a machine has one of them at a time:
 * where tests run beside each other, the next waits.
 */
export async function startTimestampServer(
  program: string,
  args: readonly string[],
  isReady: () => Promise<boolean>,
): Promise<RunningProgram> {
  const deadline = Date.now() + patience;
  for (;;) {
    const running = startProgram(program, args);
    try {
      await running.until(isReady);
      // It answers before it finds that port taken, and then ends.
      await pause(300);
      await running.until(isReady);
      return running;
    } catch (error) {
      await running.stop();
      const isTaken = error instanceof Error && /:2112: bind: address already in use/.test(error.message);
      if (!isTaken || Date.now() > deadline) throw error;
      await pause(1000);
    }
  }
}

/** A timestamp authority of the field's: sigstore's `timestamp-server`, with keys of its own. */
export async function startTimestampAuthority(program: string): Promise<TimestampAuthority> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api/v1/timestamp`;
  let chain = "";
  const args = [
    ...["serve", "--host", "127.0.0.1", "--port", String(port)],
    ...["--timestamp-signer", "memory", "--disable-ntp-monitoring", "--include-chain-in-response"],
  ];
  const running = await startTimestampServer(program, args, async () => {
    const answer = await fetch(`${url}/certchain`);
    chain = await answer.text();
    return answer.status === 200;
  });
  const root = chain.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)?.at(-1);
  if (root !== undefined) return { url, root: `${root}\n`, stop: () => running.stop() };
  await running.stop();
  throw new TypeError("a timestamp authority without certificates");
}
