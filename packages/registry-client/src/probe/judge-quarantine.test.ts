import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { describe, expect, test } from "vitest";
import type { Seen } from "./facts.ts";
import { judgeQuarantine } from "./judge-quarantine.ts";
import type { QuarantineFacts, ReadAttempt } from "./quarantine.ts";

const seen = (status: number | undefined, failure?: ErrorCode): Seen => ({
  asked: "GET",
  headers: {},
  ...(status === undefined ? {} : { status }),
  ...(failure === undefined ? {} : { failure }),
});
const manifest = (status: number | undefined, failure?: ErrorCode) => ({
  ...seen(status, failure),
  isManifest: status === 200,
});
const noTags = { ...seen(401), isList: false };
const nobody: ReadAttempt = {
  puller: "anonymous",
  login: "none",
  version: seen(401),
  manifest: manifest(401),
  tags: noTags,
};
const production: ReadAttempt = {
  puller: "pull-config",
  login: "own",
  version: seen(200),
  manifest: manifest(403),
  tags: noTags,
};
const there = manifest(200);
const facts = (more: Partial<QuarantineFacts>): QuarantineFacts => ({
  image: "q/shop:1",
  control: there,
  attempts: [production, nobody],
  ...more,
});
const vetted = (status: number) => ({
  vetted: { image: "v/shop:1", answer: seen(status), isManifest: status === 200 },
});

describe("readable", () => {
  test.each<[string, ReadAttempt[]]>([
    ["by production's login", [{ ...production, manifest: manifest(200) }, nobody]],
    ["by anybody", [production, { ...nobody, manifest: manifest(200) }]],
    ["by its list of tags", [{ ...production, tags: { ...seen(200), isList: true } }, nobody]],
    ["by its layers alone", [{ ...production, blob: seen(200) }, nobody]],
    [
      "by one, while the other could not be found out",
      [
        { ...production, manifest: manifest(503) },
        { ...nobody, manifest: manifest(200) },
      ],
    ],
    ["even with a directory without logins", [{ ...production, login: "none", manifest: manifest(200) }, nobody]],
  ])("%s", (_what, attempts) => {
    expect(judgeQuarantine(facts({ attempts }))).toMatchObject({
      answer: "readable",
      wayOut: expect.stringContaining("Take the right"),
    });
  });
});

describe("unknown is no pass", () => {
  test.each<[string, Partial<QuarantineFacts>]>([
    ["no attempt at all", { attempts: [] }],
    ["no answer", { attempts: [nobody, { ...production, manifest: manifest(undefined, "registry-unreachable") }] }],
    ["a broken server", { attempts: [{ ...nobody, manifest: manifest(500) }] }],
    ["a throttled request", { attempts: [{ ...nobody, manifest: manifest(429) }] }],
    ["a 400", { attempts: [{ ...nobody, manifest: manifest(400) }] }],
    ["a page in the place of a manifest", { attempts: [{ ...nobody, manifest: { ...seen(200), isManifest: false } }] }],
    [
      "a 404 for an image that nobody sees",
      { control: manifest(404), attempts: [{ ...nobody, manifest: manifest(404) }] },
    ],
    [
      "a 404 while one's own login is refused",
      { control: manifest(401), attempts: [{ ...nobody, manifest: manifest(404) }] },
    ],
    ["a refusal, for a name that does not exist", { control: manifest(404), attempts: [nobody] }],
    ["a directory without a login", { attempts: [{ ...production, login: "none", manifest: manifest(401) }, nobody] }],
    [
      "a login that is refused everywhere",
      { attempts: [{ ...production, version: seen(401), manifest: manifest(401) }, nobody] },
    ],
    [
      "a token service that refuses",
      {
        attempts: [
          {
            ...production,
            version: seen(undefined, "registry-unauthorized"),
            manifest: manifest(undefined, "registry-unauthorized"),
          },
          nobody,
        ],
      },
    ],
    [
      "a version endpoint that lets everybody in shows no login",
      { attempts: [production, { ...nobody, version: seen(200) }] },
    ],
    ["vetted refused as well", { ...vetted(401) }],
    [
      "a hidden image, and a login that nothing shows to be good",
      { attempts: [{ ...production, version: seen(401), manifest: manifest(404) }, nobody] },
    ],
    ["one refused, the other unknown", { attempts: [production, { ...nobody, manifest: manifest(502) }] }],
  ])("%s", (_what, more) => {
    const report = judgeQuarantine(facts(more));
    expect(report.answer).toBe("unknown");
    expect(report.wayOut).toContain("--vetted");
  });
});

describe("refused", () => {
  test.each<[string, Partial<QuarantineFacts>]>([
    ["both, with a login that the version endpoint takes", {}],
    [
      "both, where nobody gets a token",
      { attempts: [production, { ...nobody, version: seen(undefined, "registry-unauthorized") }] },
    ],
    ["nobody, by the registry", { attempts: [nobody] }],
    [
      "nobody, by the token service",
      { attempts: [{ ...nobody, manifest: manifest(undefined, "registry-unauthorized") }] },
    ],
    ["one's own login is refused as well", { control: manifest(403) }],
    [
      "a login for other registries alone",
      { attempts: [{ ...production, login: "other", version: seen(401), manifest: manifest(401) }, nobody] },
    ],
    [
      "a login that reads vetted",
      { ...vetted(200), attempts: [{ ...production, version: seen(401), manifest: manifest(401) }, nobody] },
    ],
    [
      "hidden by a 404, and it is there",
      {
        attempts: [
          { ...production, manifest: manifest(404) },
          { ...nobody, manifest: manifest(404) },
        ],
      },
    ],
  ])("%s", (_what, more) => {
    const report = judgeQuarantine(facts(more));
    expect(report.answer).toBe("refused");
    expect(report.wayOut).toBeUndefined();
  });
});
