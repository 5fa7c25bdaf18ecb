import { expect, test } from "vitest";
import { parseContentLength, parseContentRange, parseUploadRange } from "./ranges.ts";

test.each([
  ["bytes 0-9/10", { start: 0, end: 9, size: 10 }],
  ["Bytes 5-9/*", { start: 5, end: 9, size: undefined }],
  ["bytes 5-4/10", undefined],
  ["bytes 0-10/10", undefined],
  ["bytes */10", undefined],
  ["bytes 0-9", undefined],
  ["bytes -1-9/10", undefined],
  ["items 0-9/10", undefined],
  ["bytes 0-9/10, bytes 11-12/20", undefined],
  ["", undefined],
])("content range %j", (header, expected) => {
  expect(parseContentRange(header)).toEqual(expected);
});

test.each([
  ["10", 10],
  [" 0 ", 0],
  ["-1", undefined],
  ["1e3", undefined],
  ["0x10", undefined],
  ["10, 10", undefined],
  ["9".repeat(20), undefined],
  ["", undefined],
  [undefined, undefined],
])("content length %j", (header, expected) => {
  expect(parseContentLength(header)).toBe(expected);
});

test.each([
  ["0-9", 10],
  ["bytes=0-9", 10],
  ["bytes 0-9", 10],
  ["Bytes 0-9/*", 10],
  ["0-9/20", 10],
  [" 0-0 ", 1],
  ["0--1", undefined],
  ["1-9", undefined],
  ["0-", undefined],
  ["0-9, 12-14", undefined],
  ["0-1e3", undefined],
  ["items=0-9", undefined],
  [`0-${"9".repeat(20)}`, undefined],
  ["9", undefined],
  ["", undefined],
  [undefined, undefined],
])("the range of an upload %j", (header, expected) => {
  expect(parseUploadRange(header)).toBe(expected);
});
