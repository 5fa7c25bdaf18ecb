import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

// biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
const port = "${PORT:-8080}";

/**
 * How an application starts that doesn't say so: by the server that it installed, else by its only program.
 * @param {string[]} installed names of packages
 * @param {string} programs the virtual environment's `bin`
 * @param {string | undefined} target the function that GOOGLE_FUNCTION_TARGET names
 * @returns {string | string[] | undefined}
 */
export function findStart(directory, installed, programs, target) {
  const has = new Set(installed);
  if (target && has.has("functions-framework")) return ["functions-framework", "--target", target];
  const sources = readdirSync(directory)
    .filter((name) => name.endsWith(".py"))
    .sort();
  const django = existsSync(join(directory, "manage.py")) ? findDjango(directory) : undefined;
  const object = django ?? findObject(directory, sources);
  // gunicorn takes the port from PORT.
  if (object?.kind === "wsgi" && has.has("gunicorn")) return ["gunicorn", object.name];
  if (object?.kind === "asgi" && has.has("uvicorn")) return `exec uvicorn ${object.name} --host 0.0.0.0 --port ${port}`;
  if (object !== undefined && has.has("gunicorn") && has.has("uvicorn"))
    return ["gunicorn", "-k", "uvicorn.workers.UvicornWorker", object.name];
  if (django !== undefined) return `exec python manage.py runserver --noreload 0.0.0.0:${port}`;
  // By itself such a file ends at once.
  if (has.has("locust") && sources.includes("locustfile.py")) return `exec locust --web-port ${port}`;
  const main = findMain(directory, sources);
  const runsItself =
    main !== undefined &&
    /__name__\s*==|^(?:app|server|uvicorn|asyncio)\.(?:run|serve_forever)\(/m.test(
      readFileSync(join(directory, main), "utf8"),
    );
  if (!runsItself && object?.kind === "wsgi" && has.has("flask"))
    return `exec flask --app ${object.name} run --host 0.0.0.0 --port ${port}`;
  if (main !== undefined) return ["python", main];
  const script = findScript(directory);
  return script !== undefined && existsSync(join(programs, script)) ? [script] : undefined;
}

/** By its name, or as the only one there is, or the only one (of those that end in `server`) that is made to be started. */
function findMain(directory, sources) {
  const named = ["main.py", "app.py", "server.py", "__main__.py"].find((name) => sources.includes(name));
  if (named !== undefined || sources.length === 1) return named ?? sources[0];
  const started = sources.filter((name) => /^if __name__\s*==/m.test(readFileSync(join(directory, name), "utf8")));
  const servers = started.filter((name) => /(?:^|[_-])server\.py$/.test(name));
  return [started, servers].find((names) => names.length === 1)?.[0];
}

/** `app = Flask(…)` at the left margin. */
function findObject(directory, sources) {
  const first = ["main.py", "app.py", "wsgi.py", "asgi.py", "server.py"];
  const ordered = [
    ...first.filter((name) => sources.includes(name)),
    ...sources.filter((name) => !first.includes(name)),
  ];
  for (const source of ordered) {
    const text = readFileSync(join(directory, source), "utf8");
    const found =
      /^(app|application|api|server)\s*(?::[^=]+)?=\s*(?:[\w.]+\.)?(Flask|FastAPI|Starlette|Quart|Bottle|create_app|get_wsgi_application|get_asgi_application)\(/m.exec(
        text,
      );
    if (found === null) continue;
    const kind = ["FastAPI", "Starlette", "Quart", "get_asgi_application"].includes(found[2]) ? "asgi" : "wsgi";
    return { kind, name: `${source.slice(0, -3)}:${found[1]}` };
  }
  return undefined;
}

function findDjango(directory) {
  const folder = readdirSync(directory)
    .sort()
    .find((name) => existsSync(join(directory, name, "wsgi.py")));
  return folder === undefined ? undefined : { kind: "wsgi", name: `${folder}.wsgi:application` };
}

/** The only one of `[project.scripts]`. */
function findScript(directory) {
  const path = join(directory, "pyproject.toml");
  const table = existsSync(path)
    ? /^\[(?:project|tool\.poetry)\.scripts\]\s*\n((?:(?!\[).*\n)*)/m.exec(`${readFileSync(path, "utf8")}\n`)?.[1]
    : undefined;
  const names = (table ?? "").split("\n").flatMap((text) => /^\s*"?([\w.-]+)"?\s*=/.exec(text)?.[1] ?? []);
  return names.length === 1 ? names[0] : undefined;
}
