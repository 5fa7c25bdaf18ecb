import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectSecurely } from "node:tls";
import { silentPorts } from "@goldenpath/foundation/ports";
import { describe, expect, it } from "vitest";
import { makeCertificate } from "../cache/certificate.ts";
import { chooseUpstream, createBlockList, isBlocked, openEgress } from "./egress.ts";

const list = createBlockList(["10.1.2.3", "2001:db8::7"]);

describe("addresses that no build gets to", () => {
  it.each([
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "168.63.129.16",
    "100.100.100.200",
    "224.0.0.1",
    "10.1.2.3",
    "2001:db8::7",
  ])("%s", (address) => {
    expect(isBlocked(list, address)).toBe(true);
  });

  it.each([
    "10.1.2.4",
    "192.168.1.10",
    "140.82.112.3",
    "2606:50c0:8000::153",
    "::ffff:140.82.112.3",
    "169.253.1.1",
    "128.0.0.1",
  ])("%s is none", (address) => {
    expect(isBlocked(list, address)).toBe(false);
  });
});

describe("the job's own proxy", () => {
  const env = {
    HTTPS_PROXY: "http://user:pw@proxy.test:3128",
    HTTP_PROXY: "proxy.test:80",
    NO_PROXY: "intern.test, .corp.test:8443,*.dev.test",
  };
  it.each<[string, boolean, string | undefined, number?]>([
    ["registry.npmjs.org", true, "http://user:pw@proxy.test:3128/"],
    ["registry.npmjs.org", false, "http://proxy.test/"],
    ["intern.test", true, undefined],
    ["npm.intern.test", true, undefined],
    ["a.corp.test", true, "http://user:pw@proxy.test:3128/"],
    ["a.corp.test", true, undefined, 8443],
    ["x.dev.test", false, undefined],
    ["notintern.test", true, "http://user:pw@proxy.test:3128/"],
  ])("for %s, https %s: %s", (host, isSecure, expected, port: number | undefined = undefined) => {
    expect(chooseUpstream(env, host, port ?? (isSecure ? 443 : 80), isSecure)?.href).toBe(expected);
  });

  it("is none where there is none, where everything is exempt, and where it is of a kind that is not spoken", () => {
    expect(chooseUpstream({}, "a.test", 443, true)).toBeUndefined();
    expect(chooseUpstream({ ...env, NO_PROXY: "*" }, "a.test", 443, true)).toBeUndefined();
    expect(chooseUpstream({ ALL_PROXY: "socks5://proxy.test:1080" }, "a.test", 443, true)).toBeUndefined();
  });
});

describe("a service of ours", () => {
  const ask = (socketPath: string, url: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = request({ socketPath, path: url, headers: { host: new URL(url).host } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.once("error", reject);
      asked.end();
    });

  it("is reached by its name at its port, and nothing else of this machine's is", async () => {
    const directory = await mkdtemp(join(tmpdir(), "goldenpath-egress-"));
    const service = createServer((_incoming, answer) => answer.writeHead(204).end());
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const { port } = service.address() as AddressInfo;
    const own = { host: "own.invalid", port };
    const egress = await openEgress(join(directory, "out.sock"), {}, silentPorts(), own);
    try {
      expect(await ask(egress.socket, `http://own.invalid:${port}/`)).toBe(204);
      for (const host of [
        `own.invalid:${port + 1}`,
        `sub.own.invalid:${port}`,
        `127.0.0.1:${port}`,
        `localhost:${port}`,
      ])
        expect([403, 502]).toContain(await ask(egress.socket, `http://${host}/`));
    } finally {
      await egress.close();
      service.close();
      await rm(directory, { recursive: true });
    }
  });

  it.each(["over the loopback", "as its own"])("speaks TLS to whoever asks for a tunnel, %s", async (how) => {
    const directory = await mkdtemp(join(tmpdir(), "goldenpath-egress-"));
    const { cert, key } = await makeCertificate(directory, "own.invalid");
    const service = createSecureServer({ cert, key }, (_incoming, answer) => answer.end(Buffer.alloc(1_000_000, 7)));
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const { port } = service.address() as AddressInfo;
    let accepted = 0;
    const accept = (connection: Socket): void => {
      accepted += 1;
      service.emit("connection", connection);
    };
    const own = { host: "own.invalid", port, ...(how === "as its own" ? { accept } : {}) };
    const egress = await openEgress(join(directory, "out.sock"), {}, silentPorts(), own);
    try {
      const tunnel = await connectThrough(egress.socket, `own.invalid:${port}`);
      const socket = connectSecurely({ socket: tunnel, ca: cert, servername: "own.invalid" });
      const got = await new Promise<number>((resolve, reject) => {
        const asked = request({ createConnection: () => socket, headers: { connection: "close" } }, (answer) => {
          let bytes = 0;
          answer.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
          });
          answer.on("end", () => resolve(bytes));
        });
        asked.once("error", reject);
        asked.end();
      });
      expect(got).toBe(1_000_000);
      expect(accepted).toBe(how === "as its own" ? 1 : 0);
    } finally {
      await egress.close();
      service.closeAllConnections();
      service.close();
      await rm(directory, { recursive: true });
    }
  });
});

function connectThrough(socketPath: string, target: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method: "CONNECT", path: target });
    asked.once("error", reject);
    asked.once("connect", (_answer, socket) => resolve(socket as Socket));
    asked.end();
  });
}
