import { freePort, startProgram } from "./servers.ts";

export interface TimestampAuthority {
  /** By RFC 3161. */
  url: string;
  /** The root's certificate, in PEM. */
  root: string;
  stop(): Promise<void>;
}

/** A timestamp authority of the field's: sigstore's `timestamp-server`, with keys of its own. */
export async function startTimestampAuthority(program: string): Promise<TimestampAuthority> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api/v1/timestamp`;
  const running = startProgram(program, [
    ...["serve", "--host", "127.0.0.1", "--port", String(port)],
    ...["--timestamp-signer", "memory", "--disable-ntp-monitoring", "--include-chain-in-response"],
  ]);
  try {
    let chain = "";
    await running.until(async () => {
      const answer = await fetch(`${url}/certchain`);
      chain = await answer.text();
      return answer.status === 200;
    });
    const root = chain.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)?.at(-1);
    if (root === undefined) throw new TypeError("a timestamp authority without certificates");
    return { url, root: `${root}\n`, stop: () => running.stop() };
  } catch (error) {
    await running.stop();
    throw error;
  }
}
