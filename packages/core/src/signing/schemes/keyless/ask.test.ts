import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { askSigstore, type Question } from "./ask.ts";

// What a service answers when it does not give what it is asked for: a stand-in, as the real ones are not to be brought
// to most of it. The real ones are in the interop tests.
let server: Server;
let base: string;
let status: number;
let asked: number;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked++;
    request.resume().on("end", () => response.writeHead(status, { "retry-after": "0" }).end("the answer"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  asked = 0;
});

const ask = (what: Question["what"], answer: number) => {
  status = answer;
  const question: Question = { what, url: new URL(base), json: {}, taken: [200] };
  return askSigstore(question, { ports: silentPorts(), env: {}, signal: new AbortController().signal });
};

test.each<[Question["what"], RegExp]>([
  ["certificate", /takes tokens of this issuer/],
  ["log entry", /`rekorVersion`/],
  ["timestamp", /timestamp authority by RFC 3161/],
])("a refusal of a %s says what to look at, and is asked once", async (what, wayOut) => {
  for (const refusal of [400, 403]) {
    await expect(ask(what, refusal)).rejects.toMatchObject({
      code: "sigstore-refused",
      message: expect.stringContaining(`gives no ${what}: it answers ${refusal} (the answer)`),
      wayOut: expect.stringMatching(wayOut),
    });
  }
  expect(asked).toBe(2);
});

test.each([408, 429, 503])("%d is no refusal: it is asked again, and another time it may be there", async (answer) => {
  await expect(ask("timestamp", answer)).rejects.toMatchObject({
    code: "sigstore-unavailable",
    wayOut: expect.stringMatching(/Run the job again/),
  });
  expect(asked).toBe(3);
});

test("what is taken is the answer", async () => {
  expect((await ask("certificate", 200)).status).toBe(200);
});
