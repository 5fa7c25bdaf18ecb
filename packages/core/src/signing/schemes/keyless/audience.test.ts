import { expect, test } from "vitest";
import { audienceOf } from "./audience.ts";

const own = { GITHUB_SERVER_URL: "https://acme.ghe.com" };

test.each([
  ["the public instance", "https://fulcio.sigstore.dev", {}, "sigstore"],
  ["the same with a path and its port", "https://fulcio.sigstore.dev:443/", {}, "sigstore"],
  ["GitHub's own", "https://fulcio.githubapp.com", {}, "sigstore"],
  ["the enterprise's on ghe.com", "https://fulcio.acme.ghe.com", own, "sigstore"],
  ["another enterprise's", "https://fulcio.evil.ghe.com", own, "https://fulcio.evil.ghe.com"],
  ["one on ghe.com for whoever is not there", "https://fulcio.acme.ghe.com", {}, "https://fulcio.acme.ghe.com"],
  ["the public name without TLS", "http://fulcio.sigstore.dev", {}, "http://fulcio.sigstore.dev"],
  ["the public name at another port", "https://fulcio.sigstore.dev:8443", {}, "https://fulcio.sigstore.dev:8443"],
  ["a look-alike", "https://fulcio.sigstore.dev.evil.example/x", {}, "https://fulcio.sigstore.dev.evil.example"],
  ["a login that looks like it", "https://fulcio.sigstore.dev@evil.example/", {}, "https://evil.example"],
  ["a company's", "https://fulcio.acme.example/path", {}, "https://fulcio.acme.example"],
])("a token for %s", (_what, fulcio, env, audience) => {
  expect(audienceOf(fulcio, env)).toBe(audience);
});
