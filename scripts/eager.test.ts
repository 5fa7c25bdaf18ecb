import { expect, test } from "vitest";
import { compileAllAtOnce, compileAtOnce } from "./eager.ts";

test("each module is in parentheses, and nothing else is changed", () => {
  const code =
    'import{a}from"m";var t={7:(e,t,n)=>{t.b={9:()=>{}}},12:function(e){e.c="12:()=>{}"}};var u={x:()=>1};t[7](a);';
  expect(compileAtOnce(code)).toBe(
    'import{a}from"m";var t={7:((e,t,n)=>{t.b={9:()=>{}}}),12:(function(e){e.c="12:()=>{}"})};var u={x:()=>1};t[7](a);',
  );
});

test("a bundle of another form is not taken", () => {
  for (const code of ["const a=()=>1;a();", "var t={7(e){e.b=1}};t[7]({});"])
    expect(() => compileAtOnce(code)).toThrow("there are no modules in this bundle");
});

test("each function that can be is in parentheses, and what the code does stays", () => {
  const code =
    "export const f=e=>t=>e+t;var o={a:function(){return 1},b(){return()=>2},get c(){return async()=>3}};class C{static d=()=>4;e(){return o.a()}}(()=>{o.g=new C})();function h(){return function k(){return k.name}}";
  expect(compileAllAtOnce(code)).toBe(
    "export const f=(e=>(t=>e+t));var o={a:(function(){return 1}),b(){return(()=>2)},get c(){return (async()=>3)}};class C{static d=(()=>4);e(){return o.a()}}((()=>{o.g=new C}))();function h(){return (function k(){return k.name})}",
  );
});

test.each(["const f = () => {}\n[1].map(String)", "const f = () => {}\n(f)()", "class A { a = () => {}\n [1] = 1 }"])(
  "code that would mean something else is not taken: %j",
  (code) => {
    expect(() => compileAllAtOnce(code)).toThrow("means something else");
    expect(compileAllAtOnce(code.replace("{}\n", "{};\n"))).toContain("(() => {})");
  },
);

test.each([
  ["export default () => 1;", "export default (() => 1);"],
  ["export default function () { return () => 2; }", "export default function () { return (() => 2); }"],
  [
    "({ [(() => 'k')()]: async function* () {}, async m() {}, *g() {} });",
    "({ [((() => 'k'))()]: (async function* () {}), async m() {}, *g() {} });",
  ],
  ["(function () { 'use strict'; return this; })();", "((function () { 'use strict'; return this; }))();"],
])("%s becomes %s", (code, expected) => {
  expect(compileAllAtOnce(code)).toBe(expected);
});
