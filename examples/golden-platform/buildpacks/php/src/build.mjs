import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { makeLayer, setVariable } from "../lib/layers.mjs";
import { writeProcesses } from "../lib/processes.mjs";
import { run } from "../lib/run.mjs";
import { installRuntime } from "../lib/runtime.mjs";
import { writeSbom } from "../lib/sbom.mjs";

/** The runtime with its extensions switched on, what composer.lock lists, and PHP's own server. */
export function build(place) {
  const runtime = installRuntime(place, "PHP");
  const php = join(
    runtime.root,
    "usr/bin",
    readdirSync(join(runtime.root, "usr/bin")).find((name) => /^php\d/.test(name)) ?? "php",
  );
  const settings = makeLayer(place, "settings", ["launch"], "Switching PHP's extensions on", (layer) => {
    writeFileSync(join(layer, "extensions.ini"), renderSettings(runtime.root));
    setVariable(layer, "PHP_INI_SCAN_DIR", `${layer}:`, "override");
    // Commands call it by its name without the version, which the distribution makes a link of when it installs.
    mkdirSync(join(layer, "bin"));
    symlinkSync(php, join(layer, "bin/php"));
  });
  const components = installPackages(place, { ...runtime, php, settings });
  writeSbom(place, "settings", components);
  const root = findRoot(place);
  const start = `exec ${php} -S "\${HOST:-0.0.0.0}:\${PORT:-8080}" -t ${JSON.stringify(root)}`;
  setVariable(settings, "PHP_CLI_SERVER_WORKERS", "4");
  const folders = [join(settings, "bin"), join(runtime.root, "usr/bin")];
  writeProcesses(place, { web: start }, { folders, names: [] });
}

/** An extension comes after those that it uses. */
const order = ["opcache", "pdo", "mysqlnd", "xml", "dom"];

function renderSettings(root) {
  const base = join(root, "usr/lib/php");
  const folder = join(base, readdirSync(base).find((name) => /^\d{8}$/.test(name)) ?? "");
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".so"))
    .map((name) => name.slice(0, -3));
  const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  const lines = names
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .filter((name) => name !== "ffi")
    .map((name) => `${name === "opcache" ? "zend_extension" : "extension"}=${name}.so`);
  return ["expose_php=0", "display_errors=stderr", "log_errors=1", `extension_dir=${folder}`, ...lines, ""].join("\n");
}

/** The platform's composer; packages' plugins and scripts are strangers' code and don't run. */
function installPackages(place, { build, env, php, settings }) {
  const { directory } = place;
  if (!existsSync(join(directory, "composer.json"))) return [];
  const file = join(directory, "composer.lock");
  if (!existsSync(file) && needsNothing(directory)) return [];
  if (!existsSync(file))
    throw new ApplicationError(
      "There is a composer.json and no composer.lock. Run `composer update --no-install` and commit the file: dependencies are installed exactly as it lists them.",
    );
  const temporary = place.env.TMPDIR ?? "/tmp";
  const command = [
    php,
    "-d",
    `include_path=${join(build, "usr/share/php")}`,
    join(build, "usr/bin/composer"),
    "install",
  ];
  const flags = [
    "--no-dev",
    "--no-interaction",
    "--no-progress",
    "--no-scripts",
    "--no-plugins",
    "--prefer-dist",
    "--optimize-autoloader",
  ];
  const home = join(temporary, "composer");
  mkdirSync(home, { recursive: true });
  // Classes of the autoloader have it in their names; composer's own is a random one.
  const suffix = createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 32);
  writeFileSync(join(home, "config.json"), JSON.stringify({ config: { "autoloader-suffix": suffix } }));
  run([...command, ...flags], {
    directory,
    env: {
      ...env,
      PHP_INI_SCAN_DIR: settings,
      COMPOSER_HOME: home,
      COMPOSER_CACHE_DIR: join(temporary, "composer-cache"),
      COMPOSER_ALLOW_SUPERUSER: "1",
    },
    failure: "What composer.lock lists could not be installed.",
  });
  const { packages } = JSON.parse(readFileSync(file, "utf8"));
  return packages.map(({ name, version }) => ({
    name,
    version,
    purl: `pkg:composer/${name}@${encodeURIComponent(version)}`,
  }));
}

/** Whether composer.json asks for PHP and its extensions alone, of which there are no versions to be pinned. */
function needsNothing(directory) {
  const { require = {}, autoload } = JSON.parse(readFileSync(join(directory, "composer.json"), "utf8"));
  return autoload === undefined && Object.keys(require).every((name) => /^(?:php(?:-64bit)?|ext-[\w-]+)$/.test(name));
}

/** BP_PHP_WEB_DIR, or where index.php is. */
function findRoot({ directory, env }) {
  const given = env.BP_PHP_WEB_DIR;
  const found =
    given ?? ["public", "htdocs", "web", "."].find((name) => existsSync(join(directory, name, "index.php")));
  if (found !== undefined && !found.startsWith("/") && !found.split("/").includes("..")) return join(directory, found);
  throw new ApplicationError(
    "There is no index.php in public, htdocs, web or at the root. Name its folder in the build's env: BP_PHP_WEB_DIR.",
  );
}
