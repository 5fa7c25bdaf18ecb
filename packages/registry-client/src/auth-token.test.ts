import { describe, expect, test } from "vitest";
import { readToken, tokenLifetime, tokenRequest } from "./auth-token.ts";

const now = Date.parse("2026-05-01T12:00:00Z");
const seconds = (expiresIn: unknown, issuedAt?: unknown) => tokenLifetime(expiresIn, issuedAt, now) / 1000;

describe("how long a token is used, in seconds", () => {
  test.each<[string, unknown, unknown, number]>([
    ["no expires_in: the specification's minute", undefined, undefined, 50],
    ["null", null, undefined, 50],
    ["text", "300", undefined, 50],
    ["not a number", Number.NaN, undefined, 50],
    ["0", 0, undefined, 1],
    ["negative", -300, undefined, 1],
    ["less than the margin", 5, undefined, 1],
    ["a fraction", 60.5, undefined, 50.5],
    ["huge: a day", 1e300, undefined, 86_390],
    ["endless: a day", Number.POSITIVE_INFINITY, undefined, 86_390],
    ["issued just now", 300, "2026-05-01T12:00:00Z", 290],
    ["out of the service's cache", 300, "2026-05-01T11:58:20Z", 190],
    ["a clock that is ahead", 300, "2026-05-01T13:00:00Z", 290],
    ["a clock that is far behind", 300, "2026-05-01T09:00:00Z", 290],
    ["the time before time", 300, "0001-01-01T00:00:00Z", 290],
    ["no date", 300, "yesterday", 290],
    ["a number for a date", 300, 5, 290],
  ])("%s", (_what, expiresIn, issuedAt, expected) => {
    expect(seconds(expiresIn, issuedAt)).toBe(expected);
  });
});

test("odd lifetimes do not make a token unusable, and a refresh token that comes along is a secret", () => {
  const bytes = new TextEncoder().encode(
    JSON.stringify({ access_token: "good", token: null, expires_in: "x", issued_at: {}, refresh_token: "r" }),
  );
  expect(readToken({ bytes, attempts: 1 }, "auth.corp", now)).toEqual({
    value: "good",
    until: now + 50_000,
    secrets: ["good", "r"],
  });
});

test("the realm's own query stays", () => {
  const service = { realm: new URL("https://auth.corp/token?tenant=7"), service: "reg" };
  expect(tokenRequest(service, ["repository:a:pull"], undefined).url.href).toBe(
    "https://auth.corp/token?tenant=7&service=reg&scope=repository%3Aa%3Apull",
  );
});
