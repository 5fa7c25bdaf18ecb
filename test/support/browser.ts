import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import type { RunnerTestSuite } from "vitest";
import { requireCommand } from "./tools.ts";

export interface BrowserStand {
  /**
   * Opens a document as a file, in a window of its own. `faults` has what its console said in anger, what it asked a
   * network for, and what broke; it stays empty where all is well.
   */
  open(html: string, options?: { width?: number; dark?: boolean; script?: boolean }): Promise<Opened>;
  /** Another document in the same window, whose faults begin anew: much faster than one of its own. */
  reopen(opened: Opened, html: string): Promise<void>;
  close(): Promise<void>;
}

export interface Opened {
  page: Page;
  faults: string[];
}

/** Debian's Chromium, without a head. Skipped where it is missing, and a failure in CI. */
export async function openBrowser(suite?: Readonly<RunnerTestSuite>): Promise<BrowserStand> {
  const executablePath = await requireCommand("chromium", suite);
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-page-"));
  const browser: Browser = await chromium.launch({
    executablePath,
    // As root there is no sandbox to be had; it opens nothing but files that the test wrote.
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
  });
  const own = new Set<string>();
  const write = async (html: string): Promise<string> => {
    const file = join(directory, `${own.size}.html`);
    await writeFile(file, html);
    const { href } = pathToFileURL(file);
    own.add(href);
    return href;
  };
  return {
    async open(html, { width = 1280, dark = false, script = true } = {}) {
      const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: dark ? "dark" : "light",
        javaScriptEnabled: script,
        permissions: ["clipboard-read", "clipboard-write"],
      });
      const page = await context.newPage();
      const faults: string[] = [];
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
      });
      page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
      page.on("dialog", (dialog) => {
        faults.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("request", (request) => {
        if (!own.has(request.url().replace(/#.*$/, ""))) faults.push(`request: ${request.url()}`);
      });
      await page.goto(await write(html));
      return { page, faults };
    },
    async reopen({ page, faults }, html) {
      const url = await write(html);
      faults.length = 0;
      await page.goto(url);
    },
    async close() {
      await browser.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
