import { describe, expect, it } from "vitest";
import { checkBuildVariables, selectBuildEnvironment } from "./environment.ts";

describe("selectBuildEnvironment", () => {
  it.each([
    "INPUT_KEY",
    "INPUT_GITHUB-TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "GITHUB_OUTPUT",
    "AWS_SECRET_ACCESS_KEY",
    "COSIGN_PRIVATE_KEY",
    "NPM_TOKEN",
    "NODE_AUTH_TOKEN",
    "DOCKER_CONFIG",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_HOST",
    "CNB_REGISTRY_AUTH",
    "HOME",
    "SSH_AUTH_SOCK",
    "NODE_OPTIONS",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "npm_config_//registry.test/:_authToken",
    "npm_config__auth",
    "npm_config__authToken",
    "npm_config_userconfig",
    "npm_config_cache",
    "npm_config_otp",
    "xnpm_config_registry",
    "npm_config_registry_token",
    "PATHS",
  ])("keeps %s out", (name) => {
    expect(selectBuildEnvironment({ [name]: "secret" })).toEqual({ process: {}, platform: {} });
  });

  it.each([
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "npm_config_@acme:registry",
    "npm_config_cafile",
    "npm_config_strict_ssl",
    "npm_config_https_proxy",
  ])("passes %s to the buildpacks alone", (name) => {
    expect(selectBuildEnvironment({ [name]: "value" })).toEqual({ process: {}, platform: { [name]: "value" } });
  });

  it.each(["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "LANG"])("passes %s to both", (name) => {
    expect(selectBuildEnvironment({ [name]: "value" })).toEqual({
      process: { [name]: "value" },
      platform: { [name]: "value" },
    });
  });

  it.each(["PATH", "https_proxy", "NO_PROXY"])("passes %s to the lifecycle, which hands it on", (name) => {
    expect(selectBuildEnvironment({ [name]: "value" })).toEqual({ process: { [name]: "value" }, platform: {} });
  });

  it("puts the user's own variables on top, for the buildpacks alone", () => {
    expect(selectBuildEnvironment({ LANG: "C", SSL_CERT_DIR: "" }, { LANG: "C.UTF-8", BP_X: "1" })).toEqual({
      process: { LANG: "C" },
      platform: { LANG: "C.UTF-8", BP_X: "1" },
    });
  });
});

describe("checkBuildVariables", () => {
  it.each(["../x", "a/b", "", "1A", "A-B", "A.append", ".", "A\n", "a".repeat(256)])("refuses the name %j", (name) => {
    expect(() => checkBuildVariables({ [name]: "x" }, "input 'env'")).toThrow(
      /input 'env': '.*' is not the name of a variable/s,
    );
  });

  it("refuses a NUL in a value, without repeating the value", () => {
    expect(() => checkBuildVariables({ A: "se\0cret" }, "input 'env'")).toThrow(
      /^input 'env': the value of 'A' has a NUL in it$/,
    );
  });

  it("takes what is one", () => {
    expect(() => checkBuildVariables({ BP_NODE_VERSION: "24", _a: "" }, "input 'env'")).not.toThrow();
  });
});
