import { expect, test } from "vitest";
import { parseNoProxy } from "./no-proxy.ts";

const isDirect = (list: string, url: string): boolean => parseNoProxy(list)(new URL(url));

test.each<[string, string, boolean]>([
  ["", "https://ghcr.io", false],
  ["*", "https://ghcr.io", true],
  ["quay.io, *", "https://ghcr.io", true],
  ["ghcr.io", "https://ghcr.io", true],
  ["ghcr.io", "https://GHCR.io.", true],
  ["GHCR.IO", "https://ghcr.io", true],
  ["ghcr.io", "https://pkg.ghcr.io", true],
  ["ghcr.io", "https://notghcr.io", false],
  [".corp.example", "https://registry.corp.example", true],
  [".corp.example", "https://corp.example", false],
  ["*.corp.example", "https://registry.corp.example", true],
  ["*.corp.example", "https://corp.example", false],
  ["registry.corp:5000", "https://registry.corp:5000", true],
  ["registry.corp:5000", "https://registry.corp", false],
  ["registry.corp:443", "https://registry.corp", true],
  ["registry.corp:80", "http://registry.corp", true],
  ["a b\tc,,ghcr.io", "https://ghcr.io", true],
  ["10.0.0.0/8", "https://10.1.2.3:5000", true],
  ["10.0.0.0/8", "https://11.1.2.3", false],
  ["10.0.0.0/8", "https://ten.example", false],
  ["192.168.1.0/24", "https://192.168.1.77", true],
  ["0.0.0.0/0", "https://8.8.8.8", true],
  ["fd00::/8", "https://[fd12::1]:5000", true],
  ["fd00::/8", "https://[fe12::1]", false],
  ["10.0.0.7", "https://10.0.0.7", true],
  ["10.0.0.7", "https://10.0.0.70", false],
  ["10.0.0.7:5000", "https://10.0.0.7:5000", true],
  ["10.0.0.7:5000", "https://10.0.0.7", false],
  ["[fd12::1]:5000", "https://[fd12::1]:5000", true],
  ["[fd12::1]", "https://[fd12:0:0::1]", true],
  ["fd12::1", "https://[fd12::1]", true],
  // Neither a range nor a name: of no effect.
  ["10.0.0.0/33,10.0.0.0/,a/8,300.0.0.0/8", "https://10.0.0.1", false],
])("NO_PROXY=%s, %s: direct is %s", (list, url, expected) => {
  expect(isDirect(list, url)).toBe(expected);
});
