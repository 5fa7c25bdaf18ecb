import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createTransport, type Transport, type TransportOptions } from "@goldenpath/registry-client/transport";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach } from "vitest";

/** What a test has opened, to be closed after it, the last first. */
export const cleanups: (() => unknown)[] = [];

export function useCleanups(): void {
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
}

export async function registry(options: Parameters<typeof startRegistry>[0] = {}): Promise<RegistryServer> {
  const server = await startRegistry(options);
  cleanups.push(() => server.close());
  return server;
}

/** Starts a server, whose connections end with the test; its port. */
export async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** The same, as `HOST:PORT`. */
export const serve = async (server: Server): Promise<string> => `127.0.0.1:${await listen(server)}`;

/** For answers that no registry gives; as `HOST:PORT`. */
export const http = (listener: RequestListener): Promise<string> => serve(createServer(listener));

/** A transport that waits as it is told to, and never by chance. */
export function transport(options: Partial<TransportOptions> = {}): Transport {
  const made = createTransport({ ports: silentPorts(), env: {}, random: () => 0, ...options });
  cleanups.push(() => made.close());
  return made;
}

/** One that notes how long it would wait. */
export function patientTransport(options: Partial<TransportOptions> = {}): Transport & { waits: number[] } {
  const waits: number[] = [];
  const made = transport({ sleep: async (milliseconds) => void waits.push(milliseconds), ...options });
  return Object.assign(made, { waits });
}
