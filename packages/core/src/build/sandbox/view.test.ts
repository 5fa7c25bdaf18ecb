import { describe, expect, it } from "vitest";
import { planView, type ViewFacts } from "./view.ts";

const facts = (change: Partial<ViewFacts> = {}): ViewFacts => ({
  system: [{ path: "/usr" }, { path: "/bin", target: "usr/bin" }, { path: "/etc" }, { path: "/opt" }],
  path: [{ given: "/usr/bin", real: "/usr/bin" }],
  home: "/home/runner",
  secret: ["/home", "/root", "/home/runner/work/_temp"],
  toolCaches: [],
  files: [],
  readable: ["/var/tmp/b/control"],
  writable: ["/var/tmp/b/app"],
  ...change,
});
const shown = (change: Partial<ViewFacts>): string[] =>
  planView(facts(change)).parts.map(({ mode, to }) => `${mode} ${to}`);
const onPath = (real: string, change: Partial<ViewFacts> = {}) =>
  planView(facts({ path: [{ given: real, real }], ...change }));

describe("what a build does not see", () => {
  it.each([
    "/home/runner/bin",
    "/home/runner/.local/bin",
    "/home/runner/.cargo/bin",
    "/home/runner/work/shop/node_modules/.bin",
    "/root/bin",
  ])("%s in PATH, where logins lie beside it", (path) => {
    const secret = ["/home/runner/work", "/root"];
    expect(onPath(path, { secret })).toMatchObject({ path: [] });
    expect(JSON.stringify(onPath(path, { secret }).parts)).not.toContain(path);
  });

  it("a folder of PATH whose installation would be the whole machine", () => {
    expect(onPath("/sbin-of-mine").path).toEqual(["/sbin-of-mine"]);
    expect(onPath("/", { system: [] }).path).toEqual([]);
  });

  it("what is secret within what is shown", () => {
    expect(shown({ secret: ["/opt/actions-runner"] })).toContain("mask /opt/actions-runner");
    expect(shown({ secret: ["/opt/..runner"] })).toContain("mask /opt/..runner");
    expect(shown({ secret: ["/srv/runner"] }).join()).not.toContain("/srv");
  });

  it("a tools' cache that has the runner's temporary folder in it", () => {
    expect(shown({ toolCaches: ["/work"], secret: ["/work/_temp"] }).join()).not.toContain("ro /work");
  });
});

describe("what a build sees", () => {
  it("the system to read, links as links, and its own folders to write", () => {
    expect(shown({})).toEqual([
      "ro /usr",
      "link /bin",
      "ro /etc",
      "ro /opt",
      "ro /var/tmp/b/control",
      "rw /var/tmp/b/app",
    ]);
  });

  it("an installation deep in a home, whole", () => {
    const view = onPath("/home/runner/.nvm/versions/node/v24/bin", { secret: [] });
    expect(view.path).toEqual(["/home/runner/.nvm/versions/node/v24/bin"]);
    expect(view.parts).toContainEqual({
      mode: "ro",
      from: "/home/runner/.nvm/versions/node/v24",
      to: "/home/runner/.nvm/versions/node/v24",
    });
  });

  it("a program that it needs, out of a place that is covered", () => {
    const node = "/opt/actions-runner/externals/node24/bin/node";
    const parts = shown({ secret: ["/opt/actions-runner"], files: [node, "/usr/bin/env"] });
    expect(parts.indexOf(`ro ${node}`)).toBeGreaterThan(parts.indexOf("mask /opt/actions-runner"));
    expect(parts).not.toContain("ro /usr/bin/env");
  });

  it("the programs alone, where something secret lies beside their folder", () => {
    const { path, parts } = onPath("/srv/ci/bin", { secret: ["/srv/ci/credentials"] });
    expect(path).toEqual(["/srv/ci/bin"]);
    expect(parts.filter(({ to }) => to.startsWith("/srv"))).toEqual([
      { mode: "ro", from: "/srv/ci/bin", to: "/srv/ci/bin" },
    ]);
  });

  it("a folder of programs elsewhere, with what is beside it, and the name that PATH has for it", () => {
    const view = planView(facts({ path: [{ given: "/srv/current/bin", real: "/srv/node-24/bin" }] }));
    expect(view.parts).toContainEqual({ mode: "ro", from: "/srv/node-24", to: "/srv/node-24" });
    expect(view.parts).toContainEqual({ mode: "link", from: "/srv/node-24/bin", to: "/srv/current/bin" });
  });
});
