import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { makeLayer, setVariable } from "../lib/layers.mjs";
import { writeProcesses } from "../lib/processes.mjs";
import { read, run, succeeds } from "../lib/run.mjs";
import { installRuntime } from "../lib/runtime.mjs";
import { writeSbom } from "../lib/sbom.mjs";

/** The runtime, the gems of Gemfile.lock (those of the platform first), and how it starts. */
export function build(place) {
  const { directory } = place;
  const runtime = installRuntime(place, "Ruby");
  const libraries = findLibraries(runtime.root);
  const own = join(runtime.root, "usr/share/rubygems-integration");
  const shared = [
    ...readdirSync(own)
      .sort()
      .map((name) => join(own, name)),
    ...findGems(runtime.root),
  ].join(":");
  const bundle = [join(runtime.root, "usr/bin/ruby"), join(runtime.root, "usr/bin/bundle")];
  const settings = (gems) => ({
    RUBYLIB: libraries.join(":"),
    GEM_HOME: gems,
    GEM_PATH: `${gems}:${shared}`,
    BUNDLE_FROZEN: "true",
    BUNDLE_WITHOUT: place.env.BUNDLE_WITHOUT ?? "development:test",
    BUNDLE_DISABLE_VERSION_CHECK: "true",
  });
  const env = (gems) => ({
    ...runtime.env,
    ...settings(gems),
    BUNDLE_USER_HOME: join(place.env.TMPDIR ?? "/tmp", "bundle"),
  });
  const layer = makeLayer(place, "gems", ["launch"], "Installing what Gemfile.lock lists", (folder) => {
    const options = { directory, env: env(folder) };
    // The platform has gems of its own; where they are what the lock file lists, nothing is downloaded.
    if (succeeds([...bundle, "check"], options)) return;
    run([...bundle, "install", "--jobs", "4", "--retry", "2"], {
      ...options,
      failure:
        "The gems of Gemfile.lock could not be installed (one that has to be compiled can't be, for the platform has no compiler).",
    });
  });
  for (const [name, value] of Object.entries(settings(layer))) setVariable(layer, name, value, "override");
  for (const name of ["RACK_ENV", "RAILS_ENV", "APP_ENV"]) setVariable(layer, name, "production");
  for (const name of ["RAILS_LOG_TO_STDOUT", "RAILS_SERVE_STATIC_FILES"]) setVariable(layer, name, "true");
  const listed = read([...bundle, "list"], {
    directory,
    env: env(layer),
    failure: "What is installed could not be listed.",
  });
  const gems = [...listed.matchAll(/^\s+\* (\S+) \(([^\s)]+)/gm)].map(([, name, version]) => ({
    name,
    version,
    purl: `pkg:gem/${name}@${version}`,
  }));
  writeSbom(place, "gems", gems);
  const start = findStart(directory, new Set(gems.map(({ name }) => name)));
  writeProcesses(place, start === undefined ? {} : { web: start }, {
    folders: [join(layer, "bin"), join(runtime.root, "usr/bin")],
    names: [],
  });
}

/** Where Debian's Ruby looks for its own library, below the layer. */
function findLibraries(root) {
  const version = readdirSync(join(root, "usr/lib/ruby")).find((name) => /^\d+\.\d+\.\d+$/.test(name)) ?? "";
  const triplet = readdirSync(join(root, "usr/lib")).find((name) => name.endsWith("-linux-gnu")) ?? "";
  const places = [
    "usr/lib/ruby/vendor_ruby",
    `usr/lib/${triplet}/ruby/vendor_ruby/${version}`,
    `usr/lib/ruby/${version}`,
    `usr/lib/${triplet}/ruby/${version}`,
  ];
  return places.map((path) => join(root, path)).filter((path) => existsSync(path));
}

function findGems(root) {
  const folder = join(root, "usr/lib/ruby/gems");
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

/** @returns {string | undefined} */
function findStart(directory, gems) {
  const has = (name) => existsSync(join(directory, name));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
  const port = "${PORT:-8080}";
  if (has("config.ru") && gems.has("puma")) return `exec bundle exec puma --bind "tcp://0.0.0.0:${port}"`;
  if (has("config.ru")) return `exec bundle exec rackup --host 0.0.0.0 --port ${port}`;
  const main = ["app.rb", "server.rb", "main.rb"].find(has);
  return main === undefined ? undefined : `exec bundle exec ruby ${main}`;
}
