import { expect, test } from "vitest";
import { readRelease } from "./release.ts";

const debian = 'PRETTY_NAME="Debian"\nVERSION_ID="12.5"\nID=debian\n';

test.each<[what: string, text: string]>([
  ["nothing", ""],
  ["no distribution", "VERSION_ID=12\n"],
  ["a distribution twice, of which readers take one or the other", `${debian}ID=alpine\n`],
  ["a version twice", `${debian}VERSION_ID=99\n`],
  ["one behind blanks, which some readers take", `${debian} ID=alpine\n`],
  ["a value that a shell would go on with", "ID=debian;x\nVERSION_ID=12\n"],
  ["quotes that do not match", "ID=\"debian'\nVERSION_ID=12\n"],
])("%s is no release", (_what, text) => {
  expect(readRelease(text)).toBeUndefined();
});

test.each<[text: string, id: string, version: string]>([
  [debian, "debian", "12"],
  ["ID=ubuntu\nVERSION_ID='22.04'\n", "ubuntu", "22.04"],
  ["ID=alpine\nVERSION_ID=3.20.3\n", "alpine", "3.20"],
  ["ID=wolfi\n", "wolfi", ""],
  ["ID=ubuntu\nVERSION_ID=24\n", "ubuntu", "24"],
])("%j is %s, version %j", (text, id, version) => {
  expect(readRelease(text)).toEqual({ id, version });
});

test.each(["debian", "rhel", "centos", "rocky", "almalinux", "ol", "amzn"])(
  "of %s the first number counts alone",
  (id) => {
    const read = (version: string) => readRelease(`ID="${id}"\nVERSION_ID="${version}"\n`);
    expect(read("9.4")).toEqual(read("9.5"));
    expect(read("9.4")).not.toEqual(read("8.4"));
  },
);
