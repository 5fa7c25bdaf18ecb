import { UserError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeBasic, findAuth, parseDockerConfig, secretsOf } from "./docker-config.ts";

const file = "/home/me/.docker/config.json";
const secret = fc.stringMatching(/^[A-Za-z0-9:/+ü-]{8,24}$/);
const user = fc.stringMatching(/^[a-z][a-z0-9._-]{0,10}$/);
const host = fc.constantFrom("ghcr.io", "localhost:5000", "registry.corp", "registry.corp:8443");
const entry = fc.oneof(
  fc
    .tuple(user, secret)
    .map(([name, password]) => ({ entry: { auth: encodeBasic(name, password) }, secret: password })),
  fc.tuple(user, secret).map(([username, password]) => ({ entry: { username, password }, secret: password })),
  secret.map((identitytoken) => ({ entry: { identitytoken }, secret: identitytoken })),
  secret.map((registrytoken) => ({ entry: { registrytoken }, secret: registrytoken })),
);
const key = fc.tuple(fc.constantFrom("", "https://", "http://"), host, fc.constantFrom("", "/", "/v1/", "/v2/"));

test("a login is found for its own host, as it was written, and for no other", () => {
  fc.assert(
    fc.property(key, entry, host, ([scheme, name, path], { entry: its, secret: its_ }, asked) => {
      const config = parseDockerConfig(JSON.stringify({ auths: { [`${scheme}${name}${path}`]: its } }), file);
      const found = findAuth(config, { registry: asked, name: "team/shop" });
      expect(found === undefined).toBe(asked !== name);
      if (found !== undefined) expect(secretsOf(found)).toContain(its_);
    }),
  );
});

test("of podman's keys the one that names most of the repository counts", () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(["registry.corp", "registry.corp/team", "registry.corp/team/shop", "registry.corp/tea"], {
        minLength: 1,
      }),
      (keys) => {
        const config = parseDockerConfig(
          JSON.stringify({ auths: Object.fromEntries(keys.map((each) => [each, { auth: encodeBasic("me", each) }])) }),
          file,
        );
        const best = keys.filter((each) => each !== "registry.corp/tea").toSorted((a, b) => b.length - a.length)[0];
        expect(findAuth(config, { registry: "registry.corp", name: "team/shop" })).toEqual(
          best === undefined ? undefined : { kind: "basic", username: "me", password: best },
        );
      },
    ),
  );
});

test("any text is read, or refused by the name of the file and without a word of what is in it", () => {
  const broken = fc.tuple(fc.oneof(fc.json(), fc.string()), fc.nat(), secret).map(([text, place, password]) => {
    const whole = `{"auths":{"ghcr.io":{"auth":"${encodeBasic("me", password)}","password":${place % 3 === 0 ? "1" : `"${password}"`}}},"x":${text}`;
    return { text: place % 2 === 0 ? whole : `${whole.slice(0, place % whole.length)}${text}`, password };
  });
  fc.assert(
    fc.property(broken, ({ text, password }) => {
      try {
        findAuth(parseDockerConfig(text, file), { registry: "ghcr.io", name: "team/shop" });
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect(error).toMatchObject({ code: "docker-config-invalid", message: expect.stringContaining(file) });
        expect((error as Error).message).not.toContain(password);
        expect((error as Error).message).not.toContain(encodeBasic("me", password));
      }
    }),
  );
});
