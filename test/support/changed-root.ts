import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What starts a program as in a pod, or where a kernel's setting forbids it: in a changed root nobody but root makes
 * namespaces. Needs root.
 */
export function inChangedRoot(directory: string): string[] {
  const root = join(directory, "root");
  mkdirSync(root);
  return ["unshare", "--mount", "sh", "-c", 'mount --rbind / "$0" && exec /usr/sbin/chroot "$0" "$@"', root];
}

/**
 * What starts a program among the files of a hosted runner: its user 54322 may do everything by sudo, without a
 * password, and is refused namespaces of its own, which AppArmor does there and a program in its place does here. Needs
 * root.
 */
export function asSudoer(directory: string): string[] {
  const over = (name: string, text: string, mode = 0o644): string => {
    writeFileSync(join(directory, name), text);
    chmodSync(join(directory, name), mode);
    return join(directory, name);
  };
  const refusing = `#!/bin/sh
if [ "$(id -u)" != 0 ]; then case " $* " in *" --user "*) echo "unshare: write failed /proc/self/uid_map: Operation not permitted" >&2; exit 1;; esac; fi
exec /usr/bin/unexpand "$@"
`;
  const mounts = [
    [over("passwd", `${readFileSync("/etc/passwd", "utf8")}runner:*:54322:54322::/:/bin/sh\n`), "/etc/passwd"],
    [over("sudoers", "runner ALL=(ALL) NOPASSWD: ALL\n", 0o440), "/etc/sudoers"],
    // The real one, at the place of a program that nothing here calls.
    ["/usr/bin/unshare", "/usr/bin/unexpand"],
    [over("unshare", refusing, 0o755), "/usr/bin/unshare"],
  ].map(([from, to]) => `mount --bind ${from} ${to}`);
  return ["unshare", "--mount", "sh", "-c", `${mounts.join(" && ")} && exec "$@"`, "sh"];
}
